package web_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/chromedp/chromedp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/auth"
	"op25b/internal/client"
	"op25b/internal/controller"
	"op25b/internal/page/pagetest"
	op25bv1 "op25b/proto/op25b/v1"
)

// customersPart returns the part of an answer that is for the customer, and the part for the engineer.
func customersPart(t *testing.T, page string) (customer, engineer string) {
	t.Helper()
	_, answer, found := strings.Cut(html.UnescapeString(page), `id="h-answer"`)
	if !found {
		t.Fatalf("the page has no answer:\n%s", page)
	}
	customer, engineer, found = strings.Cut(answer, "<details")
	if !found {
		t.Fatalf("the answer has no part for the engineer:\n%s", answer)
	}
	return customer, engineer
}

// TestCheck sends questions to the pipeline in the same way as the support desk.
func TestCheck(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/check")
	form := url.Values{"csrf": {csrf(page)}, "ticket": {"DESK-1"}, "line": {"adsl-home"}, "to": {"203.0.113.25"}, "port": {"25"}, "at": {"2006-12-01"}}
	_, answer := b.post("/check", form)
	customer, engineer := customersPart(t, answer)
	for _, want := range []string{"For 2006-12-01.", "Connections from this line to 203.0.113.25, port 25, are stopped.", "The policy dates this from 1 June 2006, but was stored only at ", "465 or 587"} {
		if !strings.Contains(customer, want) {
			t.Errorf("the customer's part lacks %q:\n%s", want, customer)
		}
	}
	for _, want := range []string{"<dd>1</dd>", `<a href="/switch/edge-1">`, "No switch can confirm", "smtp-carrier", "remote_v4"} {
		if !strings.Contains(engineer, want) {
			t.Errorf("the engineer's part lacks %q:\n%s", want, engineer)
		}
	}
	if strings.Contains(customer, "smtp-carrier") {
		t.Errorf("the customer's part has the rule:\n%s", customer)
	}
	form.Del("at")
	_, answer = b.post("/check", form)
	if customer, engineer := customersPart(t, answer); !strings.Contains(customer, "The switch has not confirmed this yet.") || !strings.Contains(engineer, "Not confirmed. The switch was never seen.") {
		t.Errorf("an answer for an unreachable switch:\n%s\n%s", customer, engineer)
	}
	form.Set("port", "0")
	if _, page := b.post("/check", form); !strings.Contains(page, `The port must be a number from 1 to 65535, and not “0”.`) || strings.Contains(page, "h-answer") {
		t.Errorf("a wrong port:\n%s", page)
	}
	mail := url.Values{"csrf": {csrf(page)}, "ticket": {"DESK-2"}, "line": {"adsl-home"}, "mail": {"secret@gmail.com"}, "at": {"2006-12-01"}}
	_, answer = b.post("/check", mail)
	if customer, _ := customersPart(t, answer); !strings.Contains(customer, "smtp.gmail.com") || !strings.Contains(customer, "gmail.com are affected only if the mail program sends on port 25. With port 465 or 587 it works. In a browser") || strings.Contains(customer, "secret") {
		t.Errorf("no settings:\n%s", customer)
	}
	_, changes := b.get("/changes")
	for _, want := range []string{"check line adsl-home", "DESK-1", "DESK-2"} {
		if !strings.Contains(changes, want) {
			t.Errorf("the audit chain lacks %q:\n%s", want, changes)
		}
	}
	if strings.Contains(changes, "gmail.com") || strings.Contains(changes, "203.0.113.25") {
		t.Errorf("the audit chain has an address of a question:\n%s", changes)
	}
	form.Set("csrf", "wrong")
	if res, _ := b.post("/check", form); res.StatusCode != http.StatusForbidden {
		t.Errorf("without the csrf value: %d", res.StatusCode)
	}
}

// TestCheckNeedsTicket verifies that the form requires a ticket from people who sign in, and shows the API's error if it is missing.
func TestCheckNeedsTicket(t *testing.T) {
	secret, entry, err := auth.NewToken("desk", auth.Viewer, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "access.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, "apiVersion: op25b/v1\nkind: Access\ntokens:\n  - {name: desk, role: viewer, sha256: %s}\n", entry.SHA256), 0o600); err != nil {
		t.Fatal(err)
	}
	access, err := auth.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	const required = `name="ticket" value="" maxlength="64" required`
	b := newBrowser(t, site(t, nil))
	if _, page := b.get("/check"); strings.Contains(page, required) {
		t.Errorf("on this host without an access file, a ticket is required:\n%s", page)
	}
	b = newBrowser(t, site(t, func(c *controller.Config) { c.Auth.Access = access }))
	b.post("/signin", url.Values{"token": {secret}})
	_, page := b.get("/check")
	if !strings.Contains(page, required) {
		t.Errorf("the form does not require a ticket:\n%s", page)
	}
	form := url.Values{"csrf": {csrf(page)}, "line": {"adsl-home"}, "to": {"203.0.113.25"}, "port": {"25"}}
	if _, page := b.post("/check", form); !strings.Contains(page, "a look-up of a line requires a ticket") || strings.Contains(page, "h-answer") {
		t.Errorf("without a ticket:\n%s", page)
	}
}

// TestCheckWords verifies the sentences for each outcome, now and later, in both languages. An answer that no switch confirmed never says that
// the cause is another one.
func TestCheckWords(t *testing.T) {
	now := time.Date(2026, 7, 1, 3, 0, 0, 0, time.UTC)
	day := func(text string) *timestamppb.Timestamp {
		at, err := time.Parse(time.RFC3339, text+"T00:00:00+09:00")
		if err != nil {
			t.Fatal(err)
		}
		return timestamppb.New(at)
	}
	seen := &op25bv1.CheckSeen{Switch: "edge-1", Confirmed: true, Revision: 7, InForce: "all", Seen: timestamppb.New(now.Add(-4 * time.Second))}
	unseen := &op25bv1.CheckSeen{Switch: "edge-1", Revision: 6, InForce: "before", Seen: timestamppb.New(now.Add(-90 * time.Second))}
	for name, c := range map[string]struct {
		outcome, best string
		port          uint32
		since, next   string // days; next is the day of later
		later         string
		exempt        string
		seen          *op25bv1.CheckSeen
		en, ja        []string
		never         []string
	}{
		"passes": {
			outcome: "delivered", best: "delivered", port: 25, since: "2026-06-01", seen: seen,
			en: []string{"port 25, pass.", "Seen on the switch at 1 July 2026 11:59.", "the cause is another one", "Confirmed by the switch: revision 7, phases all, seen at 2026-07-01 11:59:56 +0900, 4s ago"},
			ja: []string{"ポート25番へ接続できます。", "2026年7月1日 11:59にスイッチで確認しました。", "別の原因", "スイッチで確認済み：リビジョン7、フェーズ all"}, never: []string{"not confirmed", "stopped", "1 June", "6月1日"},
		},
		"passes, unconfirmed": {
			outcome: "delivered", best: "delivered", port: 25, since: "2026-06-01", seen: unseen,
			en: []string{"has not confirmed this yet", "Switch edge-1 was last seen at 1 July 2026 11:58, with revision 6 and the phases before.", "Not confirmed. Last seen: revision 6, phases before, at 2026-07-01 11:58:30 +0900, 1m30s ago"},
			ja: []string{"まだ確認できていません", "未確認（設定上の回答）", "最後に確認したのは2026年7月1日 11:58"}, never: []string{"seen on the switch", "1 June", "6月1日", "verdict good", "another one", "別の原因", "Confirmed by"},
		},
		"monitored, stopped later": {
			outcome: "monitored", best: "monitored", port: 25, since: "2026-06-01", next: "2026-08-01", later: "blocked", seen: seen,
			en: []string{"port 25, pass.", "They are counted, and not stopped.", "By the policy since 1 June 2026; seen on the switch at 1 July 2026 11:59.", "From 1 August 2026 on, they are stopped.", "Before then, set the port"},
			ja: []string{"止めてはいません。", "設定では2026年6月1日からこの状態で、2026年7月1日 11:59にスイッチで確認しました。", "2026年8月1日以降は接続できません。", "それまでに"}, never: []string{"another one", "別の原因"},
		},
		"blocked": {
			outcome: "blocked", best: "blocked", port: 25, since: "2026-06-01", seen: seen,
			en: []string{"are stopped. The mail program usually waits", "465 or 587"}, ja: []string{"接続できません。通常、メールソフトは応答を待ち", "465番または587番"}, never: []string{"another one", "別の原因", " pass"},
		},
		"rejected, in the future, passes later": {
			outcome: "rejected", best: "rejected", port: 25, since: "2026-08-01", next: "2026-09-01", later: "delivered",
			en: []string{"usually shows an error at once", "By the policy from 1 August 2026.", "own mail relay", "From 1 September 2026 on, they pass.", "No switch can confirm"},
			ja: []string{"すぐにエラー", "設定では2026年8月1日からこの状態になります。", "2026年9月1日以降は接続できます。", "ほかの日時"}, never: []string{"another one", "別の原因", "not confirmed"},
		},
		"limited": {
			outcome: "limited", best: "limited", port: 25, since: "2026-06-01", seen: seen,
			en: []string{"only a few at a time"}, ja: []string{"上限があります"}, never: []string{"another one", "別の原因", "stopped"},
		},
		"some addresses": {
			outcome: "blocked", best: "delivered", port: 25, since: "2026-06-01", seen: seen,
			en: []string{"reaches only some on port 25"}, ja: []string{"一部だけ"}, never: []string{"another one", "別の原因", "since"},
		},
		"another port is stopped": {
			outcome: "blocked", best: "blocked", port: 2525, since: "2026-06-01", seen: seen,
			en: []string{"port 2525, are stopped", "pass the question on to the engineers"}, ja: []string{"技術担当"}, never: []string{"465"},
		},
		"exempt": {
			outcome: "delivered", best: "delivered", port: 25, since: "2026-06-01", exempt: "2026-12-31", seen: seen,
			en: []string{"An exemption lets them pass until the end of 30 December 2026."}, ja: []string{"例外として、2026年12月30日の終わりまで"}, never: []string{"31 December", "12月31日"},
		},
	} {
		r := &op25bv1.CheckResponse{
			Outcome: c.outcome, Best: c.best, Line: "adsl-home", Switch: "edge-1", To: "mx.example", Port: c.port, Revision: 7, UtcOffset: "+09:00", Seen: c.seen,
			Results: []*op25bv1.CheckResult{{Outcome: c.best, From: "192.0.2.1", To: "198.51.100.1"}, {Outcome: c.outcome, From: "192.0.2.1", To: "198.51.100.2"}},
		}
		for _, result := range r.Results {
			if result.Outcome == c.outcome {
				result.Since = &op25bv1.PhaseSince{Name: "p", Since: day(c.since)}
				if c.next != "" {
					result.Next = &op25bv1.CheckNext{Outcome: c.later, Phase: &op25bv1.PhaseSince{Name: "q", Since: day(c.next)}}
				}
				if c.exempt != "" {
					result.Exemption = &op25bv1.CheckExemption{Line: "adsl-home", Expires: day(c.exempt), Owner: "noc@secret.example", Reason: "secret"}
				}
			}
		}
		server := httptest.NewServer(siteOf(t, &fakeAPI{now: func() time.Time { return now }, answer: r}))
		b := newBrowser(t, server.URL)
		_, page := b.get("/check")
		form := url.Values{"csrf": {csrf(page)}, "ticket": {"T-1"}, "line": {"adsl-home"}, "to": {"mx.example"}, "port": {fmt.Sprint(c.port)}}
		for lang, want := range map[string][]string{"en": c.en, "ja": c.ja} {
			_, page := b.post("/check", form, "Accept-Language", lang)
			customer, engineer := customersPart(t, page)
			seenText, _, _ := strings.Cut(engineer, "<pre")
			for _, text := range want {
				if !strings.Contains(customer+seenText, text) {
					t.Errorf("%s in %s lacks %q:\n%s", name, lang, text, customer+seenText)
				}
			}
			for _, text := range append(c.never, "secret") {
				if strings.Contains(customer+seenText, text) {
					t.Errorf("%s in %s has %q:\n%s", name, lang, text, customer+seenText)
				}
			}
		}
		server.Close()
	}
}

// TestCheckAdvice verifies that the advice for a mail server names our own servers with their ports, and offers an exemption only to a line that can
// have one.
func TestCheckAdvice(t *testing.T) {
	for exemption, want := range map[string]struct{ en, ja string }{
		"possible":   {"Or ask for an exemption for this line.", "または、例外の適用をお申し込みください。"},
		"dynamic":    {"cannot have an exemption, because its address may change", "例外は適用できません"},
		"no-address": {"cannot have an exemption before its address is in the inventory", "登録されるまで"},
		"":           {"", ""},
	} {
		own := &op25bv1.OwnServers{Name: "relay", Title: "Our relays", Prefixes: []string{"198.51.100.0/28", "2001:db8:25::/64"}, Ports: []uint32{25, 587}}
		f := &fakeAPI{answer: &op25bv1.CheckResponse{
			Outcome: "blocked", Best: "blocked", Line: "a", Port: 25, UtcOffset: "+09:00", Advice: &op25bv1.CheckAdvice{Exemption: exemption, OwnServers: []*op25bv1.OwnServers{own}},
		}}
		b := newBrowser(t, httptestServer(t, f))
		_, page := b.get("/check")
		form := url.Values{"csrf": {csrf(page)}, "line": {"a"}, "to": {"mx.example"}, "port": {"25"}}
		for lang, all := range map[string][]string{
			"en": {"our own mail relay “Our relays” (198.51.100.0/28, 2001:db8:25::/64, ports 25, 587).", want.en},
			"ja": {"当社の送信サーバー「Our relays」（198.51.100.0/28、2001:db8:25::/64、25、587番ポート）を経由する", want.ja},
		} {
			_, page := b.post("/check", form, "Accept-Language", lang)
			customer, _ := customersPart(t, page)
			for _, text := range all {
				if !strings.Contains(customer, text) {
					t.Errorf("%q in %s lacks %q:\n%s", exemption, lang, text, customer)
				}
			}
			if exemption == "" && strings.Contains(customer, "exempt") {
				t.Errorf("an unnamed line is offered an exemption:\n%s", customer)
			}
		}
	}
}

// TestCheckStored verifies that an answer does not claim that a switch followed the policy before the policy was stored.
func TestCheckStored(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 30, 0, 0, time.UTC)
	at := func(text string) *timestamppb.Timestamp {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return timestamppb.New(when)
	}
	stored := at("2026-11-29T21:13:00+09:00")
	for _, c := range []struct {
		revision uint64
		since    *timestamppb.Timestamp
		en       string
	}{
		{1, at("2026-11-20T00:00:00+09:00"), "The policy dates this from 20 November 2026, but was stored only at 29 November 2026 21:13, and this controller has no record of an earlier policy."},
		{4, at("2026-11-20T00:00:00+09:00"), "The policy dates this from 20 November 2026, but revision 4, on which the answer is based, was stored only at 29 November 2026 21:13, and the"},
		{4, stored, ""}, // the revision is the phase's activation
	} {
		r := &op25bv1.CheckResponse{
			Outcome: "blocked", Best: "blocked", Line: "sim", Switch: "edge-east", To: "mx.example", Port: 25, Revision: c.revision, UtcOffset: "+09:00",
			Results: []*op25bv1.CheckResult{{Outcome: "blocked", Since: &op25bv1.PhaseSince{Name: "drain", Since: c.since}}},
			Seen:    &op25bv1.CheckSeen{Switch: "edge-east", Confirmed: true, Revision: c.revision, InForce: "drain", Seen: timestamppb.New(now)},
		}
		f := &fakeAPI{
			now: func() time.Time { return now }, answer: r, stored: &op25bv1.Revision{Number: c.revision, Time: stored},
			phases: &op25bv1.ListPhasesResponse{UtcOffset: "+09:00"},
		}
		b := newBrowser(t, httptestServer(t, f))
		_, page := b.get("/check")
		if !strings.Contains(html.UnescapeString(page), "2026-11-29 21:30:00 +0900</time>") {
			t.Errorf("the time of the page is not in the policy's zone:\n%s", page)
		}
		_, page = b.post("/check", url.Values{"csrf": {csrf(page)}, "line": {"sim"}, "to": {"mx.example"}, "port": {"25"}})
		customer, _ := customersPart(t, page)
		if !strings.Contains(customer, c.en) || strings.Contains(customer, "stored") != (c.en != "") {
			t.Errorf("revision %d since %v:\n%s", c.revision, c.since.AsTime(), customer)
		}
	}
}

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
		b := newBrowser(t, httptestServer(t, &fakeAPI{mailAnswer: c.r}))
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

// TestCheckBoth verifies that a question with a server and a mail address has both answers, also if one of them has none.
func TestCheckBoth(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/check")
	form := url.Values{"csrf": {csrf(page)}, "line": {"adsl-home"}, "to": {"203.0.113.25"}, "port": {"25"}, "mail": {"a@gmail.com"}, "at": {"2006-12-01"}}
	_, page = b.post("/check", form)
	for _, want := range []string{`<h2 id="h-answer">Answer about the server</h2>`, "203.0.113.25, port 25, are stopped", `<h2 id="h-answer-1">Answer about the mailbox</h2>`, "only if the mail program sends on port 25"} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %q:\n%s", want, page)
		}
	}
	form.Set("mail", "a@@b")
	if _, page = b.post("/check", form); !strings.Contains(page, "port 25, are stopped") || strings.Count(page, `class="problem"`) != 1 || strings.Contains(page, "Answer about the mailbox") {
		t.Errorf("with an invalid mail address:\n%s", page)
	}
	form.Set("line", "nobody")
	form.Set("mail", "a@gmail.com")
	if _, page = b.post("/check", form); strings.Count(page, `class="problem"`) != 1 {
		t.Errorf("an unknown line is reported twice:\n%s", page)
	}
}

// TestCheckTrace verifies that the tables that matched come first, and that all steps are folded.
func TestCheckTrace(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/check")
	_, page = b.post("/check", url.Values{"csrf": {csrf(page)}, "line": {"adsl-home"}, "to": {"203.0.113.25"}, "port": {"25"}, "at": {"2006-12-01"}})
	_, engineer := customersPart(t, page)
	parts := strings.Split(engineer, "<summary>")
	if len(parts) != 3 || !strings.Contains(parts[0], "trace of the SYN, from the line: ") || !strings.Contains(parts[1], "trace of the SYN-ACK, to the line: ") {
		t.Fatalf("%d parts:\n%s", len(parts), engineer)
	}
	_, hits, _ := strings.Cut(parts[0], "trace of the SYN")
	if !strings.Contains(hits, ": hit") || strings.Contains(hits, ": miss") || strings.Contains(hits, "state ") {
		t.Errorf("before the fold:\n%s", hits)
	}
	if !strings.Contains(parts[1], "state ") || !strings.Contains(parts[1], "All ") && !strings.Contains(parts[1], " steps") {
		t.Errorf("folded:\n%s", parts[1])
	}
}

// TestCheckWithoutDNS verifies the words for a DNS that could not be asked.
func TestCheckWithoutDNS(t *testing.T) {
	e := connect.NewError(connect.CodeFailedPrecondition, errors.New("network is unreachable"))
	detail, err := connect.NewErrorDetail(&errdetails.ErrorInfo{Reason: "DNS", Domain: "op25b"})
	if err != nil {
		t.Fatal(err)
	}
	e.AddDetail(detail)
	f := &fakeAPI{refusal: e}
	b := newBrowser(t, httptestServer(t, f))
	_, page := b.get("/check")
	form := url.Values{"csrf": {csrf(page)}, "line": {"adsl-home"}, "to": {"mx.example"}, "port": {"25"}}
	f.mailAnswer = &op25bv1.CheckMailResponse{}
	for lang, want := range map[string]string{"en": "Our DNS could not be asked about “mx.example”", "ja": "名前の代わりにアドレスを入力してください。"} {
		if _, page := b.post("/check", form, "Accept-Language", lang); !strings.Contains(page, want) || strings.Contains(page, "unreachable") {
			t.Errorf("%s lacks %q:\n%s", lang, want, page)
		}
	}
	f.refusal = nil
	f.answer = &op25bv1.CheckResponse{Outcome: "delivered", Best: "delivered", Notes: []string{`our DNS could not be asked about "mx.example": the outcome is the same for every server, and 192.88.99.254 stands for it (no route)`}}
	for lang, want := range map[string]string{"en": "the example address 192.88.99.254 stands for it", "ja": "例示用のアドレス 192.88.99.254"} {
		_, page := b.post("/check", form, "Accept-Language", lang)
		if customer, _ := customersPart(t, page); !strings.Contains(customer, want) || strings.Contains(customer, "no route") {
			t.Errorf("%s lacks %q:\n%s", lang, want, customer)
		}
	}
}

// httptestServer serves the site of a fake API until the test ends.
func httptestServer(t *testing.T, f *fakeAPI) string {
	t.Helper()
	server := httptest.NewServer(siteOf(t, f))
	t.Cleanup(server.Close)
	return server.URL
}

// TestCheckForm verifies the choice of a switch for an address of no line, the note about it under the verdict, and the sentences about what is
// missing in a question, in both languages.
func TestCheckForm(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/check")
	if !strings.Contains(page, `name="port" value="25"`) || strings.Contains(page, `name="switch"`) {
		t.Errorf("the form for one switch:\n%s", page)
	}
	token := csrf(page)
	for _, c := range []struct {
		form   url.Values
		en, ja string
	}{
		{url.Values{"to": {"203.0.113.25"}, "port": {"25"}}, "Enter the name of the line, or its address.", "回線の名前またはアドレスを入力してください。"},
		{url.Values{"line": {"adsl-home"}, "port": {"25"}}, "Enter a server and its port, or a mail address.", "サーバーとポート、またはメールアドレスを入力してください。"},
		{url.Values{"line": {"adsl-home"}, "mail": {"a@gmail.com"}, "port": {"587"}}, "The port 587 needs a server.", "ポート587を調べるには、サーバーも入力してください。"},
		{url.Values{"line": {"adsl-home"}, "to": {"203.0.113.25"}}, "Enter the port of the server,", "サーバーのポート番号を入力してください"},
		{url.Values{"line": {"adsl-home"}, "to": {"203.0.113.25"}, "port": {"65536"}}, "The port must be a number from 1 to 65535, and not “65536”.", "入力：「65536」"},
		{url.Values{"from": {"192.0.2"}, "to": {"203.0.113.25"}, "port": {"25"}}, "must be an IPv4 or IPv6 address, and not “192.0.2”.", "入力：「192.0.2」"},
		{url.Values{"from": {"10.9.9.9"}, "to": {"203.0.113.25"}, "port": {"25"}, "at": {"2006-12-01"}}, `No line of the inventory has the address 10.9.9.9.`, "アドレス 10.9.9.9 の回線は登録されていません。"},
	} {
		c.form.Set("csrf", token)
		for lang, want := range map[string]string{"en": c.en, "ja": c.ja} {
			if _, page := b.post("/check", c.form, "Accept-Language", lang); !strings.Contains(strings.Split(page, "<details")[0], want) {
				t.Errorf("%v in %s lacks %q:\n%s", c.form, lang, want, page)
			}
		}
	}
	f := &fakeAPI{
		phases: &op25bv1.ListPhasesResponse{UtcOffset: "+09:00"},
		list:   &op25bv1.ListSwitchesResponse{Switches: []*op25bv1.SwitchStatus{{Switch: "edge-west"}, {Switch: "edge-east"}}},
	}
	if _, page := newBrowser(t, httptestServer(t, f)).get("/check"); !strings.Contains(page, `<option>edge-east</option><option>edge-west</option></select>`) {
		t.Errorf("the form for two switches:\n%s", page)
	}
}

// TestCheckInBrowser asks a question by clicks, in both languages and at all widths, and checks the page with the answer against the rules. The
// engineer's part is closed at first, and is opened by the keyboard.
func TestCheckInBrowser(t *testing.T) {
	base, addr := siteAndAPI(t, nil)
	ctx, faults := pagetest.Chromium(t)
	for _, r := range []pagetest.Reader{{Lang: "en", Width: 320}, {Lang: "ja", Dark: true, Width: 768}, {Lang: "ja", Width: 1920, NoScript: true}} {
		r.ReducedMotion = true
		pagetest.As(t, ctx, r)
		pagetest.Open(t, ctx, base+"/check")
		for id, text := range map[string]string{"ticket": "DESK-4711", "line": "adsl-bot", "to": "203.0.113.25", "at": "2006-12-01"} {
			if err := chromedp.Do(ctx, chromedp.SendKeys(chromedp.ID(id), text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS("form.ask button")), chromedp.WaitVisible(chromedp.ID("h-answer"))); err != nil {
			t.Fatal(err)
		}
		bad := pagetest.Tree(t, ctx).Faults()
		for _, rules := range []string{pagetest.Rules, pagetest.Moving} {
			bad = append(bad, pagetest.Evaluate[[]string](t, ctx, rules)...)
		}
		for _, b := range bad {
			t.Errorf("%+v: %s", r, b)
		}
		if pagetest.Evaluate[bool](t, ctx, `document.querySelector("details").open || document.querySelector("pre.words").checkVisibility()`) {
			t.Errorf("%+v: the engineer's part is open at first", r)
		}
		pagetest.Evaluate[bool](t, ctx, `document.querySelector("summary").focus(); true`)
		if err := chromedp.Do(ctx, chromedp.KeyEvent("\r")); err != nil {
			t.Fatal(err)
		}
		if !pagetest.Evaluate[bool](t, ctx, `document.querySelector("pre.words").checkVisibility()`) {
			t.Errorf("%+v: the enter key does not open the engineer's part", r)
		}
		for _, b := range pagetest.Evaluate[[]string](t, ctx, pagetest.Rules) {
			t.Errorf("%+v, opened: %s", r, b)
		}
	}
	for _, f := range faults() {
		t.Errorf("console: %s", f)
	}
	c, err := client.New(client.Config{Server: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	records, err := client.Ask(context.Background(), 0, c.Audit.ListRecords, &op25bv1.ListRecordsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, r := range records.Records {
		if r.Verb == "check" && r.Object == "line adsl-bot" && r.Reason == "DESK-4711" {
			looked++
		}
	}
	if looked != 3 {
		t.Errorf("%d look-ups are recorded, want 3", looked)
	}
}
