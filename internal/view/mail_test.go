package view

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	op25bv1 "op25b/proto/op25b/v1"
)

func settingsOf(stopped uint32) []*op25bv1.MailSetting {
	var all []*op25bv1.MailSetting
	for _, port := range []uint32{465, 587} {
		s := &op25bv1.MailSetting{Host: "smtp.gmail.com", Port: port, Encryption: "SSL/TLS", Authentication: "SMTP AUTH", Status: unaffected}
		if port == stopped {
			s.Status = affected
		}
		all = append(all, s)
	}
	return all
}

// The steps for every kind of answer are in both languages, and all their placeholders are filled
// in.
func TestStepsInBothLanguages(t *testing.T) {
	for _, kind := range []string{kindOwn, kindWebmail, "provider", kindUnknown} {
		for _, status := range []string{unaffected, affected, undetermined} {
			for _, program := range []string{unaffected, affected, undetermined} {
				r := &op25bv1.CheckMailResponse{
					Kind: kind, Status: status, MailProgram: program, Domain: "gmail.com", UtcOffset: "+09:00", Published: "https://gmail.example/",
					Settings: append(settingsOf(465), &op25bv1.MailSetting{Port: 587, Encryption: "STARTTLS", Status: undetermined}),
					Next:     &op25bv1.CheckNext{Phase: &op25bv1.PhaseSince{Since: at("2006-09-30T15:00:00Z")}},
				}
				steps := MailSteps(r)
				if len(steps) < 4 {
					t.Errorf("%s %s %s: %d steps", kind, status, program, len(steps))
				}
				for _, s := range steps {
					if s.En == "" || s.Ja == "" || strings.Contains(s.En+s.Ja, "%!") {
						t.Errorf("%s %s %s: step %+v", kind, status, program, s)
					}
				}
				if text := fmt.Sprint(steps); program == unaffected && (!strings.Contains(text, "From 2006-10-01 on") || !strings.Contains(text, "2006-10-01 以降")) {
					t.Errorf("the day is not the policy's: %s", text)
				}
			}
		}
	}
}

func TestSteps(t *testing.T) {
	r := &op25bv1.CheckMailResponse{
		Kind: kindWebmail, Status: unaffected, MailProgram: affected, Domain: "gmail.com", Published: "https://support.google.com/mail/answer/7126229", Settings: settingsOf(0),
	}
	want := []*op25bv1.Text{
		{En: "Nothing has to be changed in a browser or in the provider's app.", Ja: "ブラウザーや公式アプリでご利用の場合、設定の変更は必要ありません。"},
		{En: "A mail program that sends on port 25 cannot send from your line.", Ja: "メールソフトの送信ポートが25番の場合、お客さまの回線からは送信できません。"},
		{
			En: "Set the outgoing server to smtp.gmail.com, port 465 with SSL/TLS and SMTP authentication.",
			Ja: "メールソフトの送信サーバーを smtp.gmail.com 、ポート番号を465、暗号化を SSL/TLS にし、SMTP認証を有効にしてください。",
		},
		{
			En: "Or set the outgoing server to smtp.gmail.com, port 587 with SSL/TLS and SMTP authentication.",
			Ja: "または、メールソフトの送信サーバーを smtp.gmail.com 、ポート番号を587、暗号化を SSL/TLS にし、SMTP認証を有効にしてください。",
		},
		{En: "The provider's own page: https://support.google.com/mail/answer/7126229", Ja: "提供元のご案内: https://support.google.com/mail/answer/7126229"},
		{
			En: "We have not compared these settings with that page yet. Where they differ, the page is right.",
			Ja: "上記の設定は提供元のページと照合していません。提供元のご案内を優先してください。",
		},
	}
	for i, s := range MailSteps(r) {
		if i >= len(want) || s.En != want[i].En || s.Ja != want[i].Ja {
			t.Errorf("step %d is %v", i+1, s)
		}
	}

	// A page for customers comes before the page that was compared.
	r.Published, r.Help = "https://developers.example/smtp", "https://help.example/mail"
	if text := fmt.Sprint(MailSteps(r)); !strings.Contains(text, "The provider's own page: https://help.example/mail") || strings.Contains(text, "developers.example") {
		t.Errorf("the customer is sent to the page for developers: %s", text)
	}
	var table bytes.Buffer
	if err := Table(&table, options()).Mail(r); err != nil || !strings.Contains(table.String(), "Help for customers at https://help.example/mail.") {
		t.Errorf("%v\n%s", err, table.String())
	}

	// The steps say what to do on a port that a login opens, instead of sending the customer to the support.
	byLogin := proto.CloneOf(r)
	byLogin.Settings = []*op25bv1.MailSetting{{Port: 587, Status: affected, AfterLogin: &op25bv1.AfterLogin{Lasts: durationpb.New(10 * time.Minute)}}}
	text := fmt.Sprint(MailSteps(byLogin))
	if !strings.Contains(text, "On port 587, check for mail first, then send within 10 minutes.") || !strings.Contains(text, "587番ポートでは、先にメールを受信し、その後10分以内に送信してください。") ||
		strings.Contains(text, "contact our support") {
		t.Errorf("a port that a login opens: %s", text)
	}

	// The steps never recommend a port that the policy stops.
	for _, port := range []uint32{465, 587} {
		r.Settings, r.Status = settingsOf(port), affected
		text := fmt.Sprint(MailSteps(r))
		if !strings.Contains(text, fmt.Sprintf("Your line does not reach port %d", port)) || strings.Contains(text, fmt.Sprintf("port %d with", port)) ||
			strings.Contains(text, "Nothing has to be changed") {
			t.Errorf("where %d is stopped: %s", port, text)
		}
	}
}

// TestStepsWithoutSettings verifies the steps for a webmail provider that offers no settings for mail programs.
func TestStepsWithoutSettings(t *testing.T) {
	r := &op25bv1.CheckMailResponse{
		Kind: kindWebmail, Status: unaffected, MailProgram: affected, Domain: "au.com", Provider: &op25bv1.MailProvider{Name: "au"}, Published: "https://au.example/",
	}
	text := fmt.Sprint(MailSteps(r))
	if !strings.Contains(text, "Nothing has to be changed") || !strings.Contains(text, "not known to offer settings for mail programs") ||
		!strings.Contains(text, "公式アプリまたはブラウザーをご利用ください") || strings.Contains(text, "outgoing server") || strings.Contains(text, "these settings") {
		t.Errorf("got %s", text)
	}
}

// TestStepsUnconfirmed verifies that settings which were never compared with a page of the provider are presented as not confirmed.
func TestStepsUnconfirmed(t *testing.T) {
	r := &op25bv1.CheckMailResponse{Kind: "provider", Status: affected, MailProgram: affected, Provider: &op25bv1.MailProvider{Name: "a"}, Settings: settingsOf(0)}
	const en, ja = "We have not confirmed these settings with the provider", "提供元に確認したものではありません"
	if text := fmt.Sprint(MailSteps(r)); !strings.Contains(text, en) || !strings.Contains(text, ja) {
		t.Errorf("no page: %s", text)
	}
	r.Published, r.Looked = "https://a.example/", "2026-11-29"
	if text := fmt.Sprint(MailSteps(r)); strings.Contains(text, "We have not") {
		t.Errorf("a page that was compared: %s", text)
	}
}

// TestMailNote verifies that the title of the provider and the note about its settings are shown in the language of the view, and that the note
// is among the steps unless no setting passes.
func TestMailNote(t *testing.T) {
	r := &op25bv1.CheckMailResponse{
		Kind: "provider", Status: affected, MailProgram: affected, Domain: "a.example",
		Provider: &op25bv1.MailProvider{Name: "a", Title: &op25bv1.Text{En: "A Mail", Ja: "Aメール"}}, Settings: settingsOf(0)[:1],
	}
	r.Settings[0].Note = &op25bv1.Text{En: "use an app password", Ja: "アプリパスワードをご使用ください"}
	for language, want := range map[string][2][]string{
		"":   {{"a, A Mail\n", "use an app password\n"}, {"Aメール", "アプリパスワード"}},
		"en": {{"a, A Mail\n", "use an app password\n"}, {"Aメール", "アプリパスワード"}},
		"ja": {{"a, Aメール\n", "アプリパスワードをご使用ください\n"}, {"A Mail", "app password"}},
	} {
		var b strings.Builder
		if err := Table(&b, Options{Language: language}).Mail(r); err != nil {
			t.Fatal(err)
		}
		for i, part := range want {
			for _, text := range part {
				if strings.Contains(b.String(), text) != (i == 0) {
					t.Errorf("language %q, %q:\n%s", language, text, b.String())
				}
			}
		}
	}
	en, ja := "Please note: use an app password.", "ご注意: アプリパスワードをご使用ください。"
	if text := fmt.Sprint(MailSteps(r)); strings.Count(text, en) != 1 || strings.Count(text, ja) != 1 {
		t.Errorf("got %s", text)
	}
	r.Settings[0].Status = affected
	if text := fmt.Sprint(MailSteps(r)); strings.Contains(text, "Please note") {
		t.Errorf("where the setting is stopped: %s", text)
	}
}

// TestStepsForRentalServers verifies the steps for a mailbox whose server differs from customer to customer, and for a provider whose page
// names no encryption.
func TestStepsForRentalServers(t *testing.T) {
	r := &op25bv1.CheckMailResponse{
		Kind: "provider", Status: affected, MailProgram: affected, Domain: "shop.example", Provider: &op25bv1.MailProvider{Name: "rental"},
		Published: "https://rental.example/mail", Looked: "2026-11-29",
		Settings: []*op25bv1.MailSetting{
			{HostFrom: "contract", Port: 465, Encryption: "SSL/TLS", Authentication: "SMTP AUTH", Status: unaffected},
			{HostFrom: "domain", Port: 587, Authentication: "SMTP AUTH", Status: unaffected},
		},
	}
	steps := MailSteps(r)
	for i, want := range []*op25bv1.Text{
		1: {
			En: "Set the outgoing server to the one that your contract or the provider's control panel names, port 465 with SSL/TLS and SMTP authentication.",
			Ja: "メールソフトの送信サーバーをご契約の書類または提供元の管理画面に記載のサーバー、ポート番号を465、暗号化を SSL/TLS にし、SMTP認証を有効にしてください。",
		},
		2: {
			En: "Or set the outgoing server to the one that the provider's page gives for your domain, port 587 with the encryption that the provider names and SMTP authentication.",
			Ja: "または、メールソフトの送信サーバーをお客さまのドメイン用に提供元が案内するサーバー、ポート番号を587、暗号化を提供元の指定する方式にし、SMTP認証を有効にしてください。",
		},
		3: {En: "The provider's own page: https://rental.example/mail", Ja: "提供元のご案内: https://rental.example/mail"},
	} {
		if want != nil && (len(steps) <= i || steps[i].En != want.En || steps[i].Ja != want.Ja) {
			t.Errorf("step %d of %v, want %v", i+1, steps, want)
		}
	}
	var b strings.Builder
	if err := Table(&b, Options{}).Mail(r); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"named in the contract", "by your domain", "as the provider says"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("the table lacks %q:\n%s", line, b.String())
		}
	}
}
