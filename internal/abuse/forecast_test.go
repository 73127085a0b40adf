package abuse

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/policy"
)

func (b *bench) forecast(phase string, switches ...string) *Forecast {
	b.t.Helper()
	f, err := b.Forecast(b.in, phase, policy.Scope{Switches: switches}, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

// names resolves the lines of a forecast.
func (b *bench) names(f *Forecast) []string {
	b.t.Helper()
	var all []string
	for _, l := range f.Lines {
		got, err := b.Resolve([]ID{l.ID})
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, got[0].Line)
	}
	slices.Sort(all)
	return all
}

const carrier, provider = "203.0.113.25", "203.0.113.129"

// TestForecast verifies that a forecast counts the lines that a phase newly stops, and the lines
// among them that recently sent such traffic.
func TestForecast(t *testing.T) {
	b := newBench(t, Config{})
	b.tries("adsl-home", provider, provider)
	b.tries("adsl-bot", append(many(60), carrier)...)
	b.tries("business-fixed", provider, carrier) // exempt
	row := func(group string, affected, used, one, several, bots int) string {
		return fmt.Sprint(ForecastRow{edge, group, begins, affected, used, one, several, bots, 0, 0, 0})
	}
	for _, c := range []struct {
		phase string
		rows  []string
		lines []string
	}{
		{"before", nil, nil},
		{"mobile-carriers", []string{row("adsl", 2, 1, 1, 0, 1), row("mobile", 1, 0, 0, 0, 0)}, []string{"adsl-bot"}},
		{"all-destinations", []string{row("adsl", 2, 2, 1, 1, 1), row("mobile", 1, 0, 0, 0, 0)}, []string{"adsl-bot", "adsl-home"}},
	} {
		b.Offenders() // decides the classes
		f := b.forecast(c.phase)
		var rows []string
		for _, r := range f.Rows {
			rows = append(rows, fmt.Sprint(r))
		}
		if !slices.Equal(rows, c.rows) || f.Missing != nil || f.More != 0 {
			t.Errorf("%s: %v, want %v", c.phase, rows, c.rows)
		}
		if got := b.names(f); !slices.Equal(got, c.lines) {
			t.Errorf("%s: %v, want %v", c.phase, got, c.lines)
		}
	}
}

// TestForecastOwnServers verifies that a forecast counts the lines that use plain POP and relaying to own servers, for the groups whose turn it
// is. Use of a service that the phase leaves open, and use of 587 of another provider, does not count. Plain POP is no sign of an infection.
func TestForecastOwnServers(t *testing.T) {
	b := newBench(t, Config{})
	files := examples.SpinNet2022()
	files[1].Data = bytes.Replace(files[1].Data, []byte("access: adsl, addressing: dynamic"), []byte("access: adsl, addressing: dynamic, watchInfected: true"), 1)
	b.apply(files)
	b.now = time.Date(2022, 5, 1, 0, 0, 0, 0, time.UTC) // plain-counted is in force
	const own = "198.51.100.25"
	b.uses("pop3", "adsl-home", own, own, own)
	b.uses("submission", "adsl-bot", own)
	b.uses("submission", "adsl-bot", provider)
	b.uses("pop3", "mobile-sim", own)
	b.uses("smtp", "mobile-sim", own)
	b.uses("imap", "business-fixed", own) // exempt on port 25 only
	row := func(group string, affected, used, one, several int) string {
		return fmt.Sprint(ForecastRow{edge, group, begins, affected, used, one, several, 0, 0, 0, 0})
	}
	for _, c := range []struct {
		phase string
		rows  []string
		lines []string
	}{
		{"plain-counted", nil, nil},
		{"plain-ends-first", []string{row("mobile", 1, 1, 0, 1)}, []string{"mobile-sim"}},
		{"tls-only", []string{row("adsl", 2, 1, 1, 0), row("bflets", 1, 1, 1, 0), row("mobile", 1, 1, 0, 1)}, []string{"adsl-home", "business-fixed", "mobile-sim"}},
	} {
		f := b.forecast(c.phase)
		var rows []string
		for _, r := range f.Rows {
			rows = append(rows, fmt.Sprint(r))
		}
		if !slices.Equal(rows, c.rows) || f.Missing != nil {
			t.Errorf("%s: %v, want %v", c.phase, rows, c.rows)
		}
		if got := b.names(f); !slices.Equal(got, c.lines) {
			t.Errorf("%s: %v, want %v", c.phase, got, c.lines)
		}
	}
	if o, there := b.offender("adsl-home"); there {
		t.Errorf("a line that uses plain POP is listed with its activity: %+v", o)
	}
}

// TestForecastOfLeases verifies that a forecast counts separately the lines that reach own servers only by a lease after the phase, and that a phase
// without the lease stops the lines that depend on it now.
func TestForecastOfLeases(t *testing.T) {
	b := newBench(t, Config{})
	files := examples.SpinNet2022()
	// One more phase ends POP before SMTP.
	files[1].Data = bytes.Replace(files[1].Data, []byte("  - name: plain-counted\n"), []byte(`  - name: lease-ends
    effective: 2007-01-01
    ownServices: [smtp, submissions, pop3, imap, pop3s, imaps]
    rules:
      - {name: own-submission, service: submission, remote: own-servers, action: reject}
      - {name: smtp-all, service: smtp, remote: any, action: drop}

  - name: plain-counted
`), 1)
	b.apply(files)
	const own = "198.51.100.25"
	type counts struct{ affected, used, affectedByLease, usedByLease int }
	for _, c := range []struct {
		now   time.Time
		phase string
		want  map[string]counts // by line group
	}{
		{time.Date(2006, 6, 2, 0, 0, 0, 0, time.UTC), "submission-opens", map[string]counts{
			"adsl": {2, 2, 2, 2}, "mobile": {1, 0, 1, 0}, // the line of bflets is exempt, and needs no lease
		}},
		// Port 25 of others is closed too, which no lease opens.
		{time.Date(2006, 6, 2, 0, 0, 0, 0, time.UTC), "all-destinations", map[string]counts{
			"adsl": {2, 2, 0, 1}, "mobile": {1, 0, 0, 0},
		}},
		// Both phases need the lease for 587.
		{time.Date(2006, 6, 20, 0, 0, 0, 0, time.UTC), "all-destinations", map[string]counts{
			"adsl": {2, 1, 0, 0}, "mobile": {1, 0, 0, 0},
		}},
		{time.Date(2006, 10, 2, 0, 0, 0, 0, time.UTC), "lease-ends", map[string]counts{
			"adsl": {2, 2, 0, 0}, "bflets": {1, 0, 0, 0}, "mobile": {1, 0, 0, 0},
		}},
	} {
		b.now = c.now
		b.uses("submission", "adsl-home", own) // such as rejected attempts before a login
		b.uses("submission", "adsl-bot", own)
		b.tries("adsl-bot", provider)
		got := make(map[string]counts)
		for _, r := range b.forecast(c.phase).Rows {
			got[r.Group] = counts{r.Affected, r.Used, r.AffectedByLease, r.UsedByLease}
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("on %v, %s: %+v, want %+v", c.now, c.phase, got, c.want)
		}
	}
}

// TestForecastForgetsAfterAWeek verifies that a line no longer counts as a user of port 25 a week
// after its last attempt.
func TestForecastForgetsAfterAWeek(t *testing.T) {
	b := newBench(t, Config{})
	b.tries("mobile-sim", provider)
	for days, want := range map[int]int{0: 1, 6: 1, 7: 0} {
		b.now = begins.AddDate(0, 0, days)
		if f := b.forecast("all-destinations"); f.Rows[1].Used != want {
			t.Errorf("after %d days: %+v, want %d used", days, f.Rows[1], want)
		}
	}
}

// TestForecastScope verifies that a scope limits a forecast, and that a switch of another
// controller is listed as missing.
func TestForecastScope(t *testing.T) {
	b := newBench(t, Config{})
	b.tries("mobile-sim", provider)
	f, err := b.Forecast(b.in, "all-destinations", policy.Scope{Groups: []string{"mobile"}}, b.now)
	if err != nil || len(f.Rows) != 1 || f.Rows[0].Group != "mobile" || f.Rows[0].Used != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	b.Follow(edge, false)
	if f := b.forecast("all-destinations"); len(f.Rows) != 0 || !slices.Equal(f.Missing, []string{edge}) {
		t.Errorf("%+v, want the switch missing", f)
	}
	for _, c := range []struct {
		phase string
		scope policy.Scope
		want  string
	}{
		{"all-destinations", policy.Scope{Groups: []string{"none"}}, `unknown line group "none"`},
		{"all-destinations", policy.Scope{Switches: []string{"none"}}, `unknown switch "none"`},
		{"none", policy.Scope{}, `unknown phase "none"`},
	} {
		if _, err := b.Forecast(b.in, c.phase, c.scope, b.now); !errors.Is(err, policy.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestForecastBeforeTheFirstPhase verifies that a switch without a phase in force is listed as
// missing.
func TestForecastBeforeTheFirstPhase(t *testing.T) {
	b := newBench(t, Config{})
	b.now = time.Date(2006, 5, 1, 0, 0, 0, 0, time.UTC)
	if f := b.forecast("before"); !slices.Equal(f.Missing, []string{edge}) {
		t.Errorf("%+v, want the switch missing", f)
	}
}

// TestForecastDocuments verifies which lines other documents newly stop: those of a changed rule, of another line group, and without their exemption,
// of which nothing is recorded.
func TestForecastDocuments(t *testing.T) {
	b := newBench(t, Config{})
	b.tries("adsl-home", provider, provider)
	b.tries("adsl-bot", provider)
	for _, c := range []struct {
		name, old, new, phase string
		used, unseen          int
	}{
		{"a title", "Our own mail relays", "Our relays", "before", 0, 0},
		{"a rule", "remote: any, action: monitor", "remote: any, action: drop", "before", 2, 0},
		{"a rule for some", "{name: smtp-all, service: smtp, remote: any, action: monitor}", "{name: smtp-adsl, groups: [adsl], service: smtp, remote: any, action: drop}\n      - {name: smtp-all, service: smtp, remote: any, action: monitor}", "before", 2, 0},
		{"an exemption", "review: 2006-12-31\n    expires: 2007-03-31", "expires: 2006-01-01", "all-destinations", 0, 1},
	} {
		files := examples.SpinNet2006()
		for i := range files {
			files[i].Data = bytes.ReplaceAll(files[i].Data, []byte(c.old), []byte(c.new))
		}
		p, err := b.book.Propose(within(t), files)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		a := policy.Activation{ID: 99, Phase: c.phase, At: b.now}
		old, next := b.in.Activated(a), p.Activated(a)
		f, err := b.ForecastDocuments(old, next, nil, b.now)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		used, unseen := 0, 0
		for _, r := range f.Rows {
			used, unseen = used+r.Used, unseen+r.Unseen
		}
		if used != c.used || unseen != c.unseen {
			t.Errorf("%s: %d lines newly stopped and %d unseen, want %d and %d: %+v", c.name, used, unseen, c.used, c.unseen, f.Rows)
		}
		if back, err := b.ForecastDocuments(next, old, nil, b.now); err != nil || len(back.Rows) > 0 {
			t.Errorf("%s: the way back newly stops %+v, %v", c.name, back, err)
		}
	}
}
