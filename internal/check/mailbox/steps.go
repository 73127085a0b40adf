package mailbox

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// steps are what to know and to do, in short sentences.
func steps(a *Answer) []Sentence {
	var out []Sentence
	say := func(en, ja string, args ...any) {
		out = append(out, Sentence{fmt.Sprintf(en, args...), fmt.Sprintf(ja, args...)})
	}
	blocked, usable := a.parted()
	switch {
	case a.Kind == AnswerWebmail && a.Status == Unaffected:
		say("In a browser or in the provider's app nothing has to be changed.", "ブラウザーや公式アプリでご利用の場合、設定の変更は必要ありません。")
	case a.Kind == AnswerOwn && a.Status == Unaffected:
		say("Mail of %s goes out by our own server, which your line reaches.", "%s のメールは当社の送信サーバーから送信され、お客さまの回線からご利用いただけます。", a.Domain)
	case a.Kind == AnswerUnknown:
		say("We do not know who runs the mail of %s.", "%s のメールの提供元は、当社では確認できません。", a.Domain)
	}
	switch a.MailProgram {
	case Affected:
		say("A mail program that sends on port 25 cannot send from your line.", "メールソフトの送信ポートが25番の場合、お客さまの回線からは送信できません。")
	case Undetermined:
		if a.Kind != AnswerOwn {
			say("A mail program that sends on port 25 may not be able to send from your line.", "メールソフトの送信ポートが25番の場合、お客さまの回線からは送信できないことがあります。")
		}
	case Unaffected:
		if a.Next != nil {
			day := a.Next.Since.Format(time.DateOnly)
			say("From %s on, a mail program that sends on port 25 will not be able to send from your line.", "%s 以降、送信ポートが25番のメールソフトは、お客さまの回線から送信できなくなります。", day)
		}
	}
	if a.Kind == AnswerUnknown {
		say("Ask the provider whether it offers a submission port (587 or 465) with SMTP authentication.", "提供元が、SMTP認証に対応した送信用ポート(587番または465番)を提供しているかご確認ください。")
	}
	for i, s := range usable {
		host, ja := s.Host, s.Host
		if host == "" {
			host, ja = "the provider's", "提供元の指定するサーバー"
			if a.Kind == AnswerOwn {
				host, ja = "our own", "当社の送信サーバー"
			}
		}
		or, mata := "Set", ""
		if i > 0 {
			or, mata = "Or set", "または、"
		}
		out = append(out, Sentence{
			fmt.Sprintf("%s the outgoing server to %s, port %d with %s and SMTP authentication.", or, host, s.Port, s.Encryption),
			fmt.Sprintf("%sメールソフトの送信サーバーを%s、ポート番号を%d、暗号化を%sにし、SMTP認証を有効にしてください。", mata, spaced(ja), s.Port, spaced(s.Encryption)),
		})
	}
	for _, s := range blocked {
		say("Port %d does not pass from your line: please tell our support.", "お客さまの回線からは%d番ポートが利用できません。サポートまでご連絡ください。", s.Port)
	}
	if a.Published != "" {
		say("The provider's own page: %s", "提供元のご案内: %s", a.Published)
	}
	if a.Looked == "" && a.Published != "" {
		say("We have not compared these settings with that page yet: it decides.", "上記の設定は提供元のページと照合していません。提供元のご案内を優先してください。")
	}
	return out
}

// parted are the settings that do not pass, and those that do or of which nothing speaks against it.
func (a *Answer) parted() (blocked, usable []Setting) {
	for _, s := range a.Settings {
		if s.Status == Affected {
			blocked = append(blocked, s)
		} else {
			usable = append(usable, s)
		}
	}
	return blocked, usable
}

// spaced sets Latin letters off from the Japanese around them.
func spaced(s string) string {
	if s != "" && s[0] < 0x80 {
		return " " + s + " "
	}
	return s
}

// WriteText writes the answer for a terminal, the steps in a language: "ja", or else English.
func (a *Answer) WriteText(w io.Writer, language string) error {
	var b strings.Builder
	who := a.Provider.Title
	if who == "" {
		who = a.Provider.Name
	}
	if who != "" {
		who = " (" + who + ")"
	}
	fmt.Fprintf(&b, "%s%s: %s, %s; on port 25 %s\n", a.Domain, who, a.Kind, a.Status, a.MailProgram)
	if a.Under != "" {
		fmt.Fprintf(&b, "  known as %s\n", a.Under)
	}
	for i, s := range a.Steps {
		text := s.En
		if language == "ja" {
			text = s.Ja
		}
		fmt.Fprintf(&b, "  %d. %s\n", i+1, text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
