package view

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Values of CheckMailResponse.kind and CheckMailResponse.status.
const (
	kindOwn     = "own"
	kindWebmail = "webmail-or-app"
	kindUnknown = "unknown"

	unaffected   = "unaffected"
	affected     = "affected"
	undetermined = "undetermined"
)

var mailboxes = map[string]string{
	kindOwn: "a mailbox of our own", kindWebmail: "a mailbox used in a browser or app", "provider": "a mailbox of another provider",
}

// Mail shows how closing port 25 affects a mailbox.
func (t *table) Mail(r *op25bv1.CheckMailResponse) error {
	var b strings.Builder
	of, known := mailboxes[r.Kind]
	if !known {
		of = "of an unknown provider"
	}
	if r.GetProvider().GetName() != "" {
		of += ", " + titled(r.Provider.Name, t.in(r.Provider.Title))
	}
	if r.Under != "" {
		of += ", under " + r.Under
	}
	b.WriteString(wrapped("", plain(r.Domain+": "+of), 4))
	if r.Kind == kindWebmail {
		b.WriteString(wrapped("    browser, app: ", t.status(r.Status), 0))
	}
	b.WriteString(wrapped("    mail program: ", t.status(r.MailProgram)+", if it sends on port 25", 0))
	if r.Next != nil {
		b.WriteString(wrapped("    next:         ", "port 25 will be "+plain(next(t.zone(r.UtcOffset), r.Next)), 0))
	}
	if len(r.Settings) > 0 {
		b.WriteByte('\n')
		b.WriteString(t.settings(r))
	}
	if note := Unconfirmed(r.Seen); note != "" {
		b.WriteByte('\n')
		b.WriteString(wrapped("note: ", note, 0))
	}
	for i, s := range r.Steps {
		b.WriteByte('\n')
		first := fmt.Sprintf("%3d. ", i+1)
		for _, text := range []struct{ language, text string }{{"en", s.En}, {"ja", s.Ja}} {
			if text.text != "" && (t.opts.Language == "" || t.opts.Language == text.language) {
				b.WriteString(wrapped(first, plain(text.text), 0))
				first = strings.Repeat(" ", prose.Columns(first))
			}
		}
	}
	if r.Published != "" {
		looked := "never compared"
		if r.Looked != "" {
			looked = "compared on " + plain(r.Looked)
		}
		fmt.Fprintf(&b, "\nPublished at %s, %s.\n", plain(r.Published), looked)
		if r.Help != "" {
			fmt.Fprintf(&b, "Help for customers at %s.\n", plain(r.Help))
		}
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// settings renders a table of the settings for mail programs.
func (t *table) settings(r *op25bv1.CheckMailResponse) string {
	g := grid{head: []string{"OUTGOING SERVER", "PORT", "ENCRYPTION", "AUTHENTICATION", "PASSES", "NOTE"}, shrink: []int{0}, goesOn: true}
	for _, s := range r.Settings {
		host, _ := server(s, r.Kind)
		if where := places[s.HostFrom]; where.short != "" {
			host = where.short
		}
		passes := map[string]string{unaffected: "yes", affected: "no"}[s.Status]
		if passes == "" {
			passes = "unknown"
		}
		g.add(host, fmt.Sprint(s.Port), cmp.Or(s.Encryption, "as the provider says"), s.Authentication, passes, t.in(s.Note))
	}
	return g.text(t, "    ")
}

// in returns a text in the language of the view, which is English unless it is Japanese.
func (t *table) in(text *op25bv1.Text) string {
	if t.opts.Language == "ja" {
		return text.GetJa()
	}
	return text.GetEn()
}

func (t *table) status(s string) string {
	switch s {
	case unaffected:
		return t.colour(green, s)
	case affected:
		return t.colour(red, s)
	}
	return t.colour(yellow, plain(s))
}

// MailSteps returns instructions for the owner of a mailbox in English and Japanese. It derives them from the other fields of the
// answer.
func MailSteps(r *op25bv1.CheckMailResponse) []*op25bv1.Text {
	var steps []*op25bv1.Text
	say := func(en, ja string, args ...any) {
		steps = append(steps, &op25bv1.Text{En: fmt.Sprintf(en, args...), Ja: fmt.Sprintf(ja, args...)})
	}
	switch {
	case r.Kind == kindWebmail && r.Status == unaffected:
		say("Nothing has to be changed in a browser or in the provider's app.", "ブラウザーや公式アプリでご利用の場合、設定の変更は必要ありません。")
	case r.Kind == kindOwn && r.Status == unaffected:
		say("Your line reaches our own mail server, which sends the mail of %s.", "%s のメールは当社の送信サーバーから送信され、お客さまの回線からご利用いただけます。", r.Domain)
	case r.Kind == kindUnknown:
		say("We do not know the provider of %s.", "%s のメールの提供元は、当社では確認できません。", r.Domain)
	}
	switch {
	case r.MailProgram == affected:
		say("A mail program that sends on port 25 cannot send from your line.", "メールソフトの送信ポートが25番の場合、お客さまの回線からは送信できません。")
	case r.MailProgram == undetermined && r.Kind != kindOwn:
		say("A mail program that sends on port 25 may not be able to send from your line.", "メールソフトの送信ポートが25番の場合、お客さまの回線からは送信できないことがあります。")
	case r.MailProgram == unaffected && r.Next != nil:
		z, _ := zoneOf(r.UtcOffset) // the zone is UTC if the answer has no offset
		say("From %s on, a mail program that sends on port 25 cannot send from your line.", "%s 以降、送信ポートが25番のメールソフトは、お客さまの回線から送信できなくなります。", z.day(r.Next.GetPhase().GetSince()))
	}
	if r.Kind == kindUnknown {
		say("Ask the provider whether it offers a submission port (587 or 465) with SMTP authentication.", "提供元が、SMTP認証に対応した送信用ポート(587番または465番)を提供しているかご確認ください。")
	}
	if r.Kind == kindWebmail && len(r.Settings) == 0 {
		say("The provider is not known to offer settings for mail programs. Use its app or a browser.",
			"提供元によるメールソフト用の設定の案内は、当社では確認できていません。公式アプリまたはブラウザーをご利用ください。")
	}
	verb, or := "Set", ""
	var note *op25bv1.Text // the directory has one for all settings of a provider
	for _, s := range r.Settings {
		if s.Status == affected {
			continue
		}
		note = s.Note
		en, ja := server(s, r.Kind)
		encryptionEn, encryptionJa := encryption(s)
		say("%[1]s the outgoing server to %[3]s, port %[5]d with %[6]s and SMTP authentication.",
			"%[2]sメールソフトの送信サーバーを%[4]s、ポート番号を%[5]d、暗号化を%[7]sにし、SMTP認証を有効にしてください。", verb, or, en, spaced(ja), s.Port, encryptionEn, encryptionJa)
		verb, or = "Or set", "または、"
	}
	if note != nil {
		say("Please note: %[1]s.", "ご注意: %[2]s。", note.En, note.Ja)
	}
	for _, s := range r.Settings {
		if l := s.GetAfterLogin(); l != nil {
			minutes := int(l.GetLasts().AsDuration().Minutes())
			if l.Tls {
				say("On port %d, check for mail first, with SSL/TLS or STARTTLS, then send within %d minutes.",
					"%d番ポートでは、先にメールをSSL/TLSまたはSTARTTLSで受信し、その後%d分以内に送信してください。", s.Port, minutes)
			} else {
				say("On port %d, check for mail first, then send within %d minutes.", "%d番ポートでは、先にメールを受信し、その後%d分以内に送信してください。", s.Port, minutes)
			}
			continue
		}
		if s.Status == affected {
			say("Your line does not reach port %d: please contact our support.", "お客さまの回線からは%d番ポートが利用できません。サポートまでご連絡ください。", s.Port)
		}
	}
	if page := cmp.Or(r.Help, r.Published); page != "" {
		say("The provider's own page: %s", "提供元のご案内: %s", page)
	}
	switch {
	case r.Looked != "" || len(r.Settings) == 0:
	case r.Published != "":
		say("We have not compared these settings with that page yet. Where they differ, the page is right.", "上記の設定は提供元のページと照合していません。提供元のご案内を優先してください。")
	case r.GetProvider().GetName() != "" && r.Kind != kindOwn:
		say("We have not confirmed these settings with the provider. Where they differ from its own instructions, follow the provider.",
			"上記の設定は提供元に確認したものではありません。提供元のご案内を優先してください。")
	}
	return steps
}

// places are the places where a customer finds a host, by MailSetting.host_from: short for a table, and as part of a sentence.
var places = map[string]struct{ short, en, ja string }{
	"contract": {"named in the contract", "the one that your contract or the provider's control panel names", "ご契約の書類または提供元の管理画面に記載のサーバー"},
	"domain":   {"by your domain", "the one that the provider's page gives for your domain", "お客さまのドメイン用に提供元が案内するサーバー"},
}

// server renders a server for outgoing mail as part of an English and of a Japanese sentence.
func server(s *op25bv1.MailSetting, kind string) (en, ja string) {
	where, differs := places[s.HostFrom]
	switch {
	case s.Host != "":
		return s.Host, s.Host
	case differs:
		return where.en, where.ja
	case kind == kindOwn:
		return "our own", "当社の送信サーバー"
	}
	return "the provider's", "提供元の指定するサーバー"
}

// encryption renders the encryption of a setting as part of an English and of a Japanese sentence.
func encryption(s *op25bv1.MailSetting) (en, ja string) {
	if s.Encryption == "" {
		return "the encryption that the provider names", "提供元の指定する方式"
	}
	return s.Encryption, spaced(s.Encryption)
}

// spaced adds spaces around Latin text that becomes part of a Japanese sentence.
func spaced(s string) string {
	if s != "" && s[0] < 0x80 {
		return " " + s + " "
	}
	return s
}
