package policy

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/strict"
)

var compareAddresses = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func TestPhaseAt(t *testing.T) {
	p := example(t).Policy
	for at, want := range map[string]string{
		"2006-05-17T23:59:59+09:00": "",
		"2006-05-18T00:00:00+09:00": "before",
		"2006-05-31T14:59:59Z":      "before",
		"2006-05-31T15:00:00Z":      "mobile-carriers",
		"2006-09-30T23:59:59+09:00": "mobile-carriers",
		"2006-10-01T00:00:00+09:00": "all-destinations",
		"2026-01-01T00:00:00Z":      "all-destinations",
	} {
		ph, ok := p.PhaseAt(moment(t, at))
		if got := ""; ok {
			got = ph.Name
			if got != want {
				t.Errorf("at %s: phase %q, want %q", at, got, want)
			}
		} else if want != "" {
			t.Errorf("at %s: no phase, want %q", at, want)
		}
	}
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestOffset(t *testing.T) {
	for text, minutes := range map[string]Offset{"Z": 0, "+09:00": 540, "-03:30": -210, "+14:00": 840, "-14:00": -840} {
		o, err := ParseOffset(text)
		if err != nil || o != minutes {
			t.Errorf("ParseOffset(%q) = %d, %v, want %d", text, o, err, minutes)
		}
		if o.String() != text {
			t.Errorf("Offset(%d) = %q, want %q", o, o, text)
		}
	}
	for _, text := range []string{"", "09:00", "+9", "+14:01", "-23:00", "Asia/Tokyo", "+0900", "+09:60", "+00:60"} {
		if o, err := ParseOffset(text); !errors.Is(err, ErrOffset) {
			t.Errorf("ParseOffset(%q) = %d, %v, want ErrOffset", text, o, err)
		}
	}
}

func TestDate(t *testing.T) {
	for text, want := range map[string]Date{"2006-10-01": {2006, time.October, 1}, "2008-02-29": {2008, time.February, 29}} {
		d, err := ParseDate(text)
		if err != nil || d != want || d.String() != text {
			t.Errorf("ParseDate(%q) = %v, %v, want %v", text, d, err, want)
		}
	}
	for _, text := range []string{"", "2007-02-29", "2006-1-1", "2006/10/01", "01.10.2006", "2006-10-01T00:00:00Z"} {
		if d, err := ParseDate(text); !errors.Is(err, ErrDate) {
			t.Errorf("ParseDate(%q) = %v, %v, want ErrDate", text, d, err)
		}
	}
	if got, want := (Date{2006, time.December, 31}).next(), (Date{2007, time.January, 1}); got != want {
		t.Errorf("the day after 2006-12-31 is %v, want %v", got, want)
	}
}

// TestFaultWithoutFile verifies that a fault in a policy built in Go names the path of the value instead of a line
// and column.
func TestFaultWithoutFile(t *testing.T) {
	b := example(t)
	p := *b.Policy
	p.src = strict.Document{}
	p.LineGroups = append([]LineGroup(nil), p.LineGroups...)
	p.LineGroups[1].Name = p.LineGroups[0].Name
	err := Validate(t.Context(), &p, b.Inventory)
	want := `lineGroups[1].name: line group "adsl" is listed twice; the first is at lineGroups[0].name: rename one`
	if !errors.Is(err, ErrInvalid) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestReviewsDue verifies that an exemption is due for review from its review day until it expires, and never if
// it has no review day.
func TestReviewsDue(t *testing.T) {
	p := example(t).Policy
	p.Exemptions = append(p.Exemptions, Exemption{Line: "mobile-sim", Owner: "noc", Reason: "test", Expires: Date{2007, 3, 31}})
	p.Exemptions[0].Review = Date{2006, 12, 31}
	for at, want := range map[string]int{
		"2006-12-30T23:59:59+09:00": 0,
		"2006-12-31T00:00:00+09:00": 1,
		"2007-03-31T23:59:59+09:00": 1,
		"2007-04-01T00:00:00+09:00": 0,
	} {
		if due := p.ReviewsDue(moment(t, at)); len(due) != want || want == 1 && due[0].Line != "business-fixed" {
			t.Errorf("at %s: %v is due, want %d", at, due, want)
		}
	}
}

// TestStaticLine verifies that a line with static addresses can be exempt although the other lines of its group
// have dynamic addresses.
func TestStaticLine(t *testing.T) {
	b := example(t)
	line, group := &b.Inventory.Switches[0].Lines[2], b.Policy.LineGroup("bflets")
	for _, x := range []struct {
		group, line Addressing
		valid       bool
	}{{"", "", true}, {"static", "", true}, {"dynamic", "", false}, {"dynamic", "static", true}, {"", "dynamic", false}, {"static", "dynamic", false}} {
		group.Addressing, line.Addressing = x.group, x.line
		if err := Validate(t.Context(), b.Policy, b.Inventory); (err == nil) != x.valid {
			t.Errorf("%+v: %v", x, err)
		}
	}
}

func TestMoment(t *testing.T) {
	for text, want := range map[string]Moment{
		"2006-10-01": {Date{2006, time.October, 1}, 0}, "2006-10-01T05:30": {Date{2006, time.October, 1}, 330}, "2006-10-01T23:59": {Date{2006, time.October, 1}, 1439},
	} {
		m, err := ParseMoment(text)
		if err != nil || m != want || m.String() != text {
			t.Errorf("ParseMoment(%q) = %v, %v, want %v", text, m, err, want)
		}
	}
	if m, err := ParseMoment("2006-10-01T00:00"); err != nil || m.String() != "2006-10-01" {
		t.Errorf("%v, %v", m, err)
	}
	for _, text := range []string{"", "2006-10-01T24:00", "2006-10-01T5:30", "2006-10-01 05:30", "2006-10-01T05:30:00", "2006-10-01T05:30Z", "05:30"} {
		if m, err := ParseMoment(text); !errors.Is(err, ErrDate) {
			t.Errorf("ParseMoment(%q) = %v, %v, want ErrDate", text, m, err)
		}
	}
	if got, want := (Moment{Date{2006, time.October, 1}, 330}).Start(9*60), time.Date(2006, 9, 30, 20, 30, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("it starts at %v, want %v", got, want)
	}
}
