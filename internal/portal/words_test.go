package portal

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"op25b/internal/check"
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
		startData{}, answerData{}, testData{}, programmeData{}, articleData{}, noticesData{}, noticeData{}, settingsPage{}, settingsData{}, policyData{}, blocksData{}, programsData{},
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
	}{
		{nil, 0},
		{[]published.State{of("area-1", "adsl", 1), of("area-1", "isdn", 1), of("area-1", "mobile", 1)}, 1},
		{[]published.State{of("area-1", "adsl", 5), of("area-2", "adsl", 3)}, 8},
		{[]published.State{of("area-1", "adsl", 5), of("area-1", "isdn", 2), of("area-2", "adsl", 3)}, 8},
	} {
		if n := switchesOf(tc.lines); n != tc.n {
			t.Errorf("%v: %d, want %d", tc.lines, n, tc.n)
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
		{"partly", true, "p", []published.State{line("p", 3, 2)}, false, "This should be in force, but is not yet confirmed everywhere."},
		{"several kinds, partly", true, "p", []published.State{line("p", 3, 3), line("p", 3, 2)}, false, "This should be in force, but is not yet confirmed everywhere."},
		{"another phase", true, "q", []published.State{line("p", 3, 3)}, false, "This should be in force, but is not yet confirmed everywhere."},
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

// TestOwnLineInTexts verifies that only an answer for the visitor's own line speaks of it, in both languages.
func TestOwnLineInTexts(t *testing.T) {
	about := []string{"lead webmail affected", "lead own", "lead affected", "lead probably affected", "lead server unaffected", "lead server later", "lead server depends", "lead server affected", "lead server probably affected", "test outcome"}
	for key, text := range texts {
		speaks := strings.HasPrefix(key, "lead") || strings.HasPrefix(key, "since") || strings.HasPrefix(key, "confirmed") || strings.HasPrefix(key, "setting") || key == "no phase" || key == "reach"
		if own := key == "lead exempt"; speaks && !own && (strings.Contains(text[0], "our line") || strings.Contains(text[1], "お客さまの回線") || strings.Contains(text[1], "この回線")) {
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
		{ours, []policy.PhaseRule{all}, "this", "Connections to all servers that are not ours" + refused + " Older setups are affected as well; only a connection that is open at that moment may finish."},
		{ours, []policy.PhaseRule{all}, "another", "Connections to all servers that are not ours" + refused + " This also stops connections that are open at that moment."},
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
	if got := (base{Lang: "ja"}).T("new only") + (base{Lang: "ja"}).T("open too"); got != "以前からの設定でも止まります。切り替わる時点で通信中の接続だけは、終わるまで続きます。切り替わる時点で通信中の接続も止めます。" {
		t.Error(got)
	}
}

// TestHeadline verifies that red stands only for what is confirmed and does not depend on the settings of a mail program.
func TestHeadline(t *testing.T) {
	open := &mailbox.Answer{Settings: []mailbox.Setting{{Port: 465, Status: mailbox.Unaffected}, {Port: 587, Status: mailbox.Unaffected}}}
	stopped := &mailbox.Answer{Settings: []mailbox.Setting{{Port: 465, Status: mailbox.Affected}}}
	day := check.Phase{Since: time.Date(2006, time.June, 1, 0, 0, 0, 0, time.UTC)}
	for _, tc := range []struct {
		status answer.Status
		box    *mailbox.Answer
		sure   bool
		colour answer.Status
		head   string
	}{
		{answer.Unaffected, open, true, answer.Unaffected, "You are not affected"},
		{answer.Later, open, true, answer.Later, "You are affected from 1 June 2006, but only if you send on port 25"},
		{answer.Affected, open, true, answer.Depends, "You are affected since 1 June 2006, but only if you send on port 25"},
		{answer.Affected, open, false, answer.Depends, "You are probably affected since 1 June 2006, but only if you send on port 25"},
		{answer.Depends, open, true, answer.Depends, "You may be affected, but only if you send on port 25"},
		{answer.Affected, stopped, true, answer.Affected, "You are affected since 1 June 2006"},
		{answer.Affected, nil, true, answer.Affected, "You are affected since 1 June 2006"},
		{answer.Affected, nil, false, answer.Depends, "You are probably affected since 1 June 2006"},
		{answer.Depends, nil, true, answer.Depends, "You may be affected"},
	} {
		v := &visit{base: base{Lang: "en", Zone: time.UTC}}
		c := answer.Case{Status: tc.status, Mailbox: tc.box}
		switch tc.status {
		case answer.Later:
			c.Next = &check.LaterOutcome{Phase: day}
		case answer.Affected:
			c.Stopped = &check.Result{Since: day}
		}
		if colour, _, head := v.headline(&c, tc.sure); colour != tc.colour || head != tc.head {
			t.Errorf("%+v: %s, %q", tc, colour, head)
		}
	}
	v := &visit{base: base{Lang: "en", Zone: time.UTC}}
	if colour, _, head := v.headline(&answer.Case{Status: answer.Depends, Stopped: &check.Result{Since: day}}, true); colour != answer.Depends || head != "You are affected since 1 June 2006, for some servers" {
		t.Errorf("some servers: %s, %q", colour, head)
	}
}

// TestStepTitle verifies that the titles of two phases which stop the same differ if only one of them stops connections that are open already.
func TestStepTitle(t *testing.T) {
	reject := []policy.PhaseRule{{Name: "all", Service: "smtp", Action: policy.Reject}}
	count := []policy.PhaseRule{{Name: "all", Service: "smtp", Action: policy.Monitor}}
	p := &policy.Policy{Phases: []policy.Phase{{Name: "watch", Rules: count}, {Name: "drain", SynOnly: true, Rules: reject}, {Name: "all", Rules: reject}}}
	for lang, want := range map[string][]string{
		"en": {"watch", "drain (open connections may finish)", "all (open connections too)"}, "ja": {"watch", "drain（通信中の接続は終わるまで継続）", "all（通信中の接続も停止）"},
	} {
		b := base{Lang: lang, Content: &content.Content{Site: &site.Site{}}}
		for i := range p.Phases {
			if got := b.stepTitle(p, p.Phases[i].Name); got != want[i] {
				t.Errorf("got %q, want %q", got, want[i])
			}
		}
	}
	p.Phases[1].SynOnly = false
	if got := (base{Lang: "en", Content: &content.Content{Site: &site.Site{}}}).stepTitle(p, "all"); got != "all" {
		t.Errorf("without a phase for new connections: %q", got)
	}
}

// TestTodo verifies the line that says what to do, and that it names the ports of the provider with the encrypted one first.
func TestTodo(t *testing.T) {
	both := []mailbox.Setting{{Port: 587, TLS: mailbox.TLSStart}, {Port: 465, TLS: mailbox.TLSImplicit}}
	one := []mailbox.Setting{{Port: 587, TLS: mailbox.TLSStart}}
	shut := []mailbox.Setting{{Port: 465, Status: mailbox.Affected}}
	gmail := &mailbox.Provider{Name: "gmail"}
	later := &check.LaterOutcome{Phase: check.Phase{Since: time.Date(2006, time.June, 1, 0, 0, 0, 0, time.UTC)}}
	for _, tc := range []struct {
		use      answer.Use
		provider *mailbox.Provider
		status   answer.Status
		settings []mailbox.Setting
		want     string
	}{
		{answer.Provider, gmail, answer.Unaffected, both, ""},
		{answer.Webmail, nil, answer.Affected, nil, ""},
		{answer.Provider, gmail, answer.Affected, both, "What to do: change the port of your outgoing server to 465, as shown below. If it is 465 or 587 already, you need not do anything."},
		{answer.Provider, gmail, answer.Depends, one, "What to do: change the port of your outgoing server to 587, as shown below. If it is 587 already, you need not do anything."},
		{answer.Provider, gmail, answer.Later, both, "What to do: before 1 June 2006, change the port of your outgoing server to 465, as shown below. If it is 465 or 587 already, you need not do anything."},
		{answer.Provider, gmail, answer.Affected, nil, "What to do: use the provider's app or a browser. We do not know settings of this provider for mail programs."},
		{answer.Provider, gmail, answer.Affected, shut, "What to do: please ask our support."},
		{answer.Provider, nil, answer.Affected, both, "What to do: ask your provider (for an address of a company or a school: whoever looks after its mail) for the name of its outgoing server, and whether it offers port 465 or 587 with SMTP authentication. Then change the settings as shown below. If the port is 465 or 587 already, you need not do anything."},
	} {
		v := &visit{base: base{Lang: "en", Zone: time.UTC}}
		a := &answer.Answer{Question: answer.Question{Use: tc.use}, Provider: tc.provider}
		c := &answer.Case{Status: tc.status, Next: later, Mailbox: &mailbox.Answer{Settings: tc.settings}}
		if got := v.todo(a, c); got != tc.want {
			t.Errorf("%+v: %q", tc, got)
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
