package web_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestCheckMailWords verifies the verdict on a mailbox. It is good only if a mail program on port 25 is not affected either, now and later.
func TestCheckMailWords(t *testing.T) {
	ports := func(status string) []*op25bv1.MailSetting {
		return []*op25bv1.MailSetting{{Host: "smtp.gmail.com", Port: 465, Status: "unaffected"}, {Host: "smtp.gmail.com", Port: 587, Status: status}}
	}
	later := &op25bv1.CheckNext{Outcome: "blocked", Phase: &op25bv1.PhaseSince{Name: "q", Since: timestamppb.New(time.Date(2026, 12, 31, 15, 0, 0, 0, time.UTC))}}
	for name, c := range map[string]struct {
		r             *op25bv1.CheckMailResponse
		class, en, ja string
	}{
		"webmail": {
			&op25bv1.CheckMailResponse{Kind: "webmail-or-app", Status: "unaffected", MailProgram: "affected", Settings: ports("unaffected")}, "busy",
			"Mailboxes of gmail.com are affected only if the mail program sends on port 25. With port 465 or 587 it works. In a browser and in the provider's app, nothing changes.",
			"gmail.com のメールは、メールソフトの送信ポートが25番の場合にのみ影響を受けます。465番または587番ポートでは送信できます。ブラウザーや公式アプリでのご利用には影響ありません。",
		},
		"webmail without settings": {
			&op25bv1.CheckMailResponse{Kind: "webmail-or-app", Status: "unaffected", MailProgram: "affected"}, "busy",
			"only if the mail program sends on port 25. In a browser", "場合にのみ影響を受けます。ブラウザー",
		},
		"web stopped": {&op25bv1.CheckMailResponse{Kind: "webmail-or-app", Status: "affected", MailProgram: "affected"}, "bad", "gmail.com are affected.", "影響を受けます。"},
		"provider": {
			&op25bv1.CheckMailResponse{Kind: "provider", Status: "affected", MailProgram: "affected", Settings: ports("unaffected")}, "busy",
			"affected only if the mail program sends on port 25. With port 465 or 587 it works.", "場合にのみ影響を受けます。465番または587番",
		},
		"depends on the server": {
			&op25bv1.CheckMailResponse{Kind: "unknown", Status: "undetermined", MailProgram: "undetermined", Settings: ports("unaffected")}, "busy",
			"may be affected if the mail program sends on port 25, depending on the server. With port 465 or 587 it works if the provider offers it.", "送信サーバーによっては影響を受けることがあります。465番または587番ポートは、提供元が対応していれば",
		},
		"a port of the provider is stopped": {
			&op25bv1.CheckMailResponse{Kind: "provider", Status: "affected", MailProgram: "affected", Settings: ports("affected")}, "bad", "gmail.com are affected.", "影響を受けます。",
		},
		"a port of the provider is undetermined": {
			&op25bv1.CheckMailResponse{Kind: "provider", Status: "undetermined", MailProgram: "affected", Settings: ports("undetermined")}, "busy", "cannot be determined", "判断できません",
		},
		"later": {
			&op25bv1.CheckMailResponse{Kind: "webmail-or-app", Status: "unaffected", MailProgram: "unaffected", Next: later, Settings: ports("unaffected")}, "busy",
			"not affected now. From 1 January 2027 on, they are affected if the mail program sends on port 25. With port 465 or 587 it works.", "2027年1月1日以降は、メールソフトの送信ポートが25番の場合に影響を受けます。",
		},
		"unaffected": {
			&op25bv1.CheckMailResponse{Kind: "own", Status: "unaffected", MailProgram: "unaffected", Settings: ports("unaffected")}, "good", "Mailboxes of gmail.com are not affected.", "gmail.com のメールは影響を受けません。",
		},
	} {
		c.r.Domain, c.r.UtcOffset = "gmail.com", "+09:00"
		b := newBrowser(t, serve(t, siteOf(t, &fakeAPI{mailAnswer: c.r})))
		_, page := b.get("/check")
		form := url.Values{"csrf": {csrf(page)}, "line": {"adsl-home"}, "mail": {"a@gmail.com"}}
		for lang, want := range map[string]string{"en": c.en, "ja": c.ja} {
			_, page := b.post("/check", form, "Accept-Language", lang)
			if customer, _ := customersPart(t, page); !strings.Contains(customer, want) || !strings.Contains(customer, `class="verdict `+c.class+`"`) {
				t.Errorf("%s in %s lacks %q or is not %s:\n%s", name, lang, want, c.class, customer)
			}
		}
	}
}
