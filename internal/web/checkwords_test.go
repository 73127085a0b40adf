package web_test

import (
	"fmt"
	"html"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

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
			en: []string{"An exemption lets them pass until the end of 30 December 2026."}, ja: []string{"適用除外により、2026年12月30日の終わりまで"}, never: []string{"31 December", "12月31日"},
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
		"possible":   {"Or ask for an exemption for this line.", "または、適用除外をお申し込みください。"},
		"dynamic":    {"cannot have an exemption, because its address may change", "適用除外とすることはできません"},
		"no-address": {"cannot have an exemption before its address is in the inventory", "登録されるまで"},
		"":           {"", ""},
	} {
		own := &op25bv1.OwnServers{Name: "relay", Title: "Our relays", Prefixes: []string{"198.51.100.0/28", "2001:db8:25::/64"}, Ports: []uint32{25, 587}}
		f := &fakeAPI{answer: &op25bv1.CheckResponse{
			Outcome: "blocked", Best: "blocked", Line: "a", Port: 25, UtcOffset: "+09:00", Advice: &op25bv1.CheckAdvice{Exemption: exemption, OwnServers: []*op25bv1.OwnServers{own}},
		}}
		b := newBrowser(t, serve(t, siteOf(t, f)))
		_, page := b.get("/check")
		form := url.Values{"csrf": {csrf(page)}, "line": {"a"}, "to": {"mx.example"}, "port": {"25"}}
		for lang, all := range map[string][]string{
			"en": {"our own mail relay “Our relays”, ports 25, 587 (for its name, see the page for customers or ask the mail team).", want.en},
			"ja": {"当社の送信サーバー「Our relays」（25、587番ポート。サーバー名はお客さま向けページに記載、またはメール担当へ確認）を経由する", want.ja},
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
		b := newBrowser(t, serve(t, siteOf(t, f)))
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
