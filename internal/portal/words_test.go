package portal

import (
	"reflect"
	"testing"
	"time"

	"op25b/internal/portal/published"
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
		{"partly", true, "p", []published.State{line("p", 3, 2)}, false, "This should be in force, but is not yet confirmed everywhere: of 3 switches for such lines, 2 have confirmed it."},
		{"several kinds, partly", true, "p", []published.State{line("p", 3, 3), line("p", 3, 2)}, false, "This should be in force, but is not yet confirmed everywhere."},
		{"another phase", true, "q", []published.State{line("p", 3, 3)}, false, "This should be in force, but is not yet confirmed everywhere: of 3 switches for such lines, 0 have confirmed it."},
		{"no phase", true, "", []published.State{line("", 3, 3)}, false, "Nothing is in force for these lines yet."},
		{"no switches", true, "p", []published.State{line("p", 0, 0)}, false, "None of our switches has such lines at present, so there is nothing to confirm."},
		{"not current", false, "p", []published.State{line("p", 3, 3)}, false, "This should be in force. It cannot be confirmed at present. Last contact: 1 January 0001, 00:00 (UTC+00:00)."},
	} {
		v := &visit{base: base{Lang: "en", Current: tc.current, Zone: time.UTC}}
		if c := v.confirmed(tc.lines, tc.phase); c.Sure != tc.sure || c.Text != tc.text {
			t.Errorf("%s: %+v, want %v, %q", tc.what, c, tc.sure, tc.text)
		}
	}
}
