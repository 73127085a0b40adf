package portal

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/content"
	"op25b/internal/portal/published"
	"op25b/internal/portal/site"
)

// TestNothingShadowsTheFrame verifies that no field of a page hides a field or method that the frame of every page shows.
func TestNothingShadowsTheFrame(t *testing.T) {
	frame := reflect.TypeFor[base]()
	for _, data := range []any{
		startData{}, answerData{}, testData{}, programmeData{}, articleData{}, noticesData{}, noticeData{}, settingsData{}, policyData{}, blocksData{}, programsData{},
	} {
		page := reflect.TypeOf(data)
		for i := range page.NumField() {
			name := page.Field(i).Name
			_, field := frame.FieldByName(name)
			_, method := frame.MethodByName(name)
			if !page.Field(i).Anonymous && (field || method) {
				t.Errorf("%v.%s hides base.%s", page, name, name)
			}
		}
	}
}

// TestSwitchesOf verifies that a switch with several kinds of lines is counted once.
func TestSwitchesOf(t *testing.T) {
	of := func(area, group string, n uint32) published.State {
		return published.State{Area: area, Group: group, Switches: n}
	}
	for _, tc := range []struct {
		lines []published.State
		n     int
		once  bool
	}{
		{nil, 0, true},
		{[]published.State{of("area-1", "adsl", 1), of("area-1", "isdn", 1), of("area-1", "mobile", 1)}, 1, false},
		{[]published.State{of("area-1", "adsl", 5), of("area-2", "adsl", 3)}, 8, true},
		{[]published.State{of("area-1", "adsl", 5), of("area-1", "isdn", 2), of("area-2", "adsl", 3)}, 8, false},
	} {
		if n, once := switchesOf(tc.lines); n != tc.n || once != tc.once {
			t.Errorf("%v: %d, %v, want %d, %v", tc.lines, n, once, tc.n, tc.once)
		}
	}
}

// TestConfirmed verifies that only what every switch confirmed is reported as in force.
func TestConfirmed(t *testing.T) {
	line := func(phase string, switches, confirmed uint32) published.State {
		return published.State{Area: "area-1", Phase: phase, Switches: switches, Confirmed: confirmed}
	}
	for _, tc := range []struct {
		what    string
		current bool
		phase   string
		lines   []published.State
		sure    bool
		text    string
	}{
		{"everywhere", true, "p", []published.State{line("p", 3, 3)}, true, "All our switches for such lines have confirmed that this is in force."},
		{"several kinds", true, "p", []published.State{line("p", 3, 3), line("p", 1, 1)}, true, "All our switches for such lines have confirmed that this is in force."},
		{"partly", true, "p", []published.State{line("p", 3, 2)}, false, "This should be in force, but is not yet confirmed everywhere. Switches with such lines that confirmed it so far: 2 of 3."},
		{"several kinds, partly", true, "p", []published.State{line("p", 3, 3), line("p", 3, 2)}, false, "This should be in force, but is not yet confirmed everywhere."},
		{"another phase", true, "q", []published.State{line("p", 3, 3)}, false, "This should be in force, but is not yet confirmed everywhere. Switches with such lines that confirmed it so far: 0 of 3."},
		{"no phase", true, "", []published.State{line("", 3, 3)}, false, "By our policy, nothing is in force for lines of this kind yet."},
		{"no phase, not current", false, "", []published.State{line("", 3, 3)}, false, "By the policy of the last contact with our management system (1 January 0001, 00:00 (UTC+00:00)), nothing is in force for lines of this kind yet."},
		{"no switches", true, "p", []published.State{line("p", 0, 0)}, false, "None of our switches has such lines at present, so there is nothing to confirm."},
		{"not current", false, "p", []published.State{line("p", 3, 3)}, false, "This should be in force. It cannot be confirmed at present, because our management system cannot be reached. Last contact: 1 January 0001, 00:00 (UTC+00:00)."},
	} {
		v := &visit{base: base{Lang: "en", Current: tc.current, Zone: time.UTC}}
		if c := v.confirmed(tc.lines, tc.phase); c.Sure != tc.sure || c.Text != tc.text {
			t.Errorf("%s: %+v, want %v, %q", tc.what, c, tc.sure, tc.text)
		}
	}
}

// TestSince verifies that a phase is said to be in force only together with what confirmed it.
func TestSince(t *testing.T) {
	line := func(confirmed uint32) []published.State {
		return []published.State{{Area: "area-1", Phase: "p", Switches: 3, Confirmed: confirmed}}
	}
	twice := func(confirmed uint32) []published.State { return append(line(3), line(confirmed)...) }
	for _, tc := range []struct {
		lines   []published.State
		current bool
		en, ja  string
	}{
		{line(3), true, "In force since D by the policy, and now confirmed by all switches with such lines: P", "規制方針ではDから実施中です（現在、対象の設備すべてで確認済み）：P"},
		{line(2), true, "In force since D by the policy (switches that confirm it now: 2 of 3): P", "規制方針ではDから実施しています（現在、対象の設備3台のうち2台で確認済み）：P"},
		{line(1), true, "Should be in force since D (switches that confirmed it so far: 1 of 3): P", "Dから実施されているはずです（対象の設備3台のうち、確認できたのは1台です）：P"},
		{line(0), true, "Should be in force since D, not yet confirmed: P", "Dから実施されているはずです（まだ確認できていません）：P"},
		{twice(2), true, "Should be in force since D, not yet confirmed everywhere: P", "Dから実施されているはずです（まだ一部の設備では確認できていません）：P"},
		{line(3), false, "Should be in force since D (last contact with our management system: 1 January 0001, 00:00 (UTC+00:00)): P", "Dから実施されているはずです（管理システムとの最後の通信：1年1月1日 00:00）：P"},
	} {
		for lang, want := range map[string]string{"en": tc.en, "ja": tc.ja} {
			v := &visit{base: base{Lang: lang, Current: tc.current, Zone: time.UTC}}
			if got := v.since(v.confirmed(tc.lines, "p"), "D", "P"); got != want {
				t.Errorf("%s", got)
			}
		}
	}
	v := &visit{base: base{Lang: "en", Current: true, Zone: time.UTC}}
	if got, want := v.since(v.confirmedOwn(true), "D", "P"), "In force since D by the policy, and now confirmed by the switch of your line: P"; got != want {
		t.Errorf("%s", got)
	}
	if got, want := v.since(v.confirmedOwn(false), "D", "P"), "Should be in force since D, not yet confirmed: P"; got != want {
		t.Errorf("%s", got)
	}
}

// TestOwnLineInTexts verifies that only an answer for the visitor's own line speaks of it, in both languages.
func TestOwnLineInTexts(t *testing.T) {
	about := []string{"lead webmail affected", "lead own", "lead affected", "lead server unaffected", "lead server later", "lead server depends", "lead server affected", "test outcome"}
	for key, text := range texts {
		speaks := strings.HasPrefix(key, "lead") || strings.HasPrefix(key, "since") || strings.HasPrefix(key, "confirmed") || strings.HasPrefix(key, "setting") || key == "no phase" || key == "reach"
		if own := key == "since own" || key == "lead exempt" || key == "lead unknown"; speaks && !own && (strings.Contains(text[0], "our line") || strings.Contains(text[1], "お客さまの回線") || strings.Contains(text[1], "この回線")) {
			t.Errorf("text %q says of every line of a kind: %q", key, text)
		}
	}
	for lang, want := range map[string][2]string{"en": {"your line", "a line of this kind"}, "ja": {"お客さまの回線", "この種類の回線"}} {
		b := base{Lang: lang}
		for _, key := range about {
			if own, kind := b.T(key, b.lineText(true)), b.T(key, b.lineText(false)); !strings.Contains(own, want[0]) || !strings.Contains(kind, want[1]) {
				t.Errorf("text %q: %q and %q", key, own, kind)
			}
		}
	}
}

// TestRuleText verifies the sentences of rules: to which servers they apply, and whether they stop connections that are open already.
func TestRuleText(t *testing.T) {
	all := policy.PhaseRule{Name: "all", Service: "smtp", Action: policy.Reject}
	carrier := policy.PhaseRule{Name: "carrier", Service: "smtp", Remote: "carrier", Groups: []string{"a"}, Action: policy.Drop}
	ours := []policy.Remote{{Name: "ours", Relay: true}, {Name: "carrier", Title: "Carrier"}}
	of := func(group string, r policy.PhaseRule) policy.PhaseRule { r.Groups = []string{group}; return r }
	watched := all
	watched.Action = policy.Monitor
	const refused = ", port 25, are refused with an error message."
	for _, tc := range []struct {
		remotes []policy.Remote
		rules   []policy.PhaseRule // the last one is described
		drain   string             // the phase with a drain, if any
		want    string
	}{
		{ours, []policy.PhaseRule{all}, "", "Connections to all servers that are not ours" + refused},
		{ours, []policy.PhaseRule{carrier, all}, "", "Connections to all other servers that are not ours" + refused},
		{ours, []policy.PhaseRule{carrier, of("a", all)}, "", "Connections to all other servers that are not ours" + refused},
		{ours, []policy.PhaseRule{carrier, of("b", all)}, "", "Connections to all servers that are not ours" + refused},
		{ours[1:], []policy.PhaseRule{all}, "", "Connections to all servers" + refused},
		{ours[1:], []policy.PhaseRule{carrier, all}, "", "Connections to all other servers" + refused},
		{ours, []policy.PhaseRule{all}, "this", "Connections to all servers that are not ours" + refused + " Only new connections are stopped; those that are open already are not."},
		{ours, []policy.PhaseRule{all}, "another", "Connections to all servers that are not ours" + refused + " This stops connections that are open already, too."},
		{ours, []policy.PhaseRule{watched}, "another", "Connections to all servers that are not ours, port 25, are counted, but not blocked."},
	} {
		p := &policy.Policy{
			Services: []policy.Service{{Name: "smtp", Ports: []policy.TCPPort{25}}}, Remotes: tc.remotes,
			Phases: []policy.Phase{{Name: "this", SynOnly: tc.drain == "this", Rules: tc.rules}, {Name: "another", SynOnly: tc.drain == "another"}},
		}
		b := base{Lang: "en", Content: &content.Content{Site: &site.Site{}}}
		if got := b.ruleText(p, &p.Phases[0], tc.rules[len(tc.rules)-1]); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	if got := (base{Lang: "ja"}).T("new only") + (base{Lang: "ja"}).T("open too"); got != "新しい接続だけを止めます。接続中のものは止めません。接続中のものも含めて止めます。" {
		t.Error(got)
	}
}

// TestHeadline verifies that red stands only for what is confirmed and does not depend on the settings of a mail program.
func TestHeadline(t *testing.T) {
	open := &mailbox.Answer{Settings: []mailbox.Setting{{Port: 465, Status: mailbox.Unaffected}, {Port: 587, Status: mailbox.Unaffected}}}
	stopped := &mailbox.Answer{Settings: []mailbox.Setting{{Port: 465, Status: mailbox.Affected}}}
	for _, tc := range []struct {
		status answer.Status
		box    *mailbox.Answer
		sure   bool
		colour answer.Status
		head   string
	}{
		{answer.Unaffected, open, true, answer.Unaffected, "You are not affected"},
		{answer.Affected, open, true, answer.Depends, "You are affected only if you send on port 25"},
		{answer.Affected, open, false, answer.Depends, "You are probably affected, but only if you send on port 25"},
		{answer.Depends, open, true, answer.Depends, "You may be affected, but only if you send on port 25"},
		{answer.Affected, stopped, true, answer.Affected, "You are affected"},
		{answer.Affected, nil, true, answer.Affected, "You are affected"},
		{answer.Affected, nil, false, answer.Depends, "You are probably affected"},
		{answer.Depends, nil, true, answer.Depends, "You may be affected"},
	} {
		v := &visit{base: base{Lang: "en"}}
		if colour, _, head := v.headline(&answer.Case{Status: tc.status, Mailbox: tc.box}, tc.sure); colour != tc.colour || head != tc.head {
			t.Errorf("%+v: %s, %q", tc, colour, head)
		}
	}
}

// TestLineShown verifies that the visitor's own line is not chosen again after it was not found.
func TestLineShown(t *testing.T) {
	for _, tc := range []struct {
		line, at string
		own      bool
		want     string
	}{{"", "", true, ownValue}, {"", "", false, ""}, {"adsl", "", true, "adsl"}, {ownValue, "line", true, ""}, {"", "line", true, ""}, {"adsl", "line", true, "adsl"}, {ownValue, "mail", true, ownValue}} {
		if got := lineShown(tc.line, tc.at, tc.own); got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
	}
}
