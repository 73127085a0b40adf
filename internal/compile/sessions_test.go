package compile

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// october is a day on which the exemptions hold.
var october = time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC)

// sessionBundle returns the worked example, in which adsl-home is exempt and has a source check, adsl-bot has only the check, and business-fixed has
// a static exemption.
func sessionBundle(t *testing.T) *policy.Bundle {
	b := policytest.Example(t)
	sw := &b.Inventory.Switches[0]
	sw.Identify = policy.IdentifyCircuitID
	b.Policy.LineGroup("adsl").SourceCheck = policy.SourceDrop
	for i := range sw.Lines[:2] {
		sw.Lines[i].Prefixes = nil
	}
	e := b.Policy.Exemptions[0]
	e.Line = "adsl-home"
	b.Policy.Exemptions = append(b.Policy.Exemptions, e)
	e.Line, e.Prefix = "", netip.MustParsePrefix("203.0.113.192/28")
	b.Policy.Exemptions = append(b.Policy.Exemptions, e)
	return b
}

func prefixes(all ...string) (list []netip.Prefix) {
	for _, p := range all {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

func texts(entries []pipeline.Entry) (all []string) {
	for _, e := range entries {
		all = append(all, e.String())
	}
	slices.Sort(all)
	return all
}

// TestSessionLines verifies the entries of sessions, that an entry is recognised as the line's, and which entries a switch keeps.
func TestSessionLines(t *testing.T) {
	b := sessionBundle(t)
	c, err := NewCompiler(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("edge-1", policy.Everywhere("all-destinations"), october)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.SessionLines("edge-1", october)
	if err != nil {
		t.Fatal(err)
	}
	if got := compiled.State.Sessions; got != (pipeline.SessionRoom{Sources: 4, Subscribers: 2}) {
		t.Errorf("%+v", got)
	}
	wide := []string{"source_v4 line=1 prefix=0.0.0.0/1 => bound", "source_v4 line=1 prefix=128.0.0.0/1 => bound", "source_v6 line=1 prefix=8000::/1 => bound", "source_v6 line=1 prefix=::/1 => bound"}
	for _, x := range []struct {
		line     string
		prefixes []netip.Prefix
		want     []string
	}{
		{"adsl-home", nil, wide},
		{"adsl-home", prefixes("192.0.2.77/32"), append([]string{
			"source_v4 line=1 prefix=192.0.2.77/32 => bound",
		}, append(slices.Clone(wide[2:]), "subscriber_v4 prefix=192.0.2.77/32 => set_subscriber_class class_id=1 line_index=1 until=0")...)},
		// The surrounding prefix is exempt on every line.
		{"adsl-home", prefixes("203.0.113.200/32"), append([]string{"source_v4 line=1 prefix=203.0.113.200/32 => bound"}, wide[2:]...)},
		{"adsl-bot", prefixes("192.0.2.78/32", "2001:db8:7::/56"), []string{"source_v4 line=2 prefix=192.0.2.78/32 => bound", "source_v6 line=2 prefix=2001:db8:7::/56 => bound"}},
		{"mobile-sim", prefixes("192.0.2.79/32"), nil},
		{"business-fixed", prefixes("192.0.2.80/32"), nil}, // its address is static
		{"nobody", prefixes("192.0.2.80/32"), nil},
	} {
		entries := s.Entries(x.line, x.prefixes)
		if got := texts(entries); !slices.Equal(got, x.want) {
			t.Errorf("%s %v:\n got %q\nwant %q", x.line, x.prefixes, got, x.want)
		}
		for _, e := range entries {
			if line, is := s.Line(e); !is || line != x.line {
				t.Errorf("%s: is of line %q", e, line)
			}
		}
		kept := s.Held(entries)
		for _, e := range entries {
			if !slices.ContainsFunc(kept, func(k pipeline.Entry) bool { return k.Key == e.Key && k.Value == e.Value }) {
				t.Errorf("%s is not kept", e)
			}
		}
	}
	own, err := compiled.State.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range own {
		if line, is := s.Line(e); is {
			t.Errorf("%s, which the documents have, is of the session of %s", e, line)
		}
	}
	if got := len(s.Held(own)); got != 8 {
		t.Errorf("%d entries for an empty layer, want all addresses of 2 lines", got)
	}
	// The exemption ended.
	later, err := c.SessionLines("edge-1", october.AddDate(10, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range later.Held(s.Entries("adsl-home", prefixes("192.0.2.77/32"))) {
		if !e.IsSource() {
			t.Errorf("%s outlives the exemption", e)
		}
	}
	if _, err := c.SessionLines("edge-9", october); err == nil {
		t.Error("an unknown switch has lines")
	}
}

// TestOutlasts verifies that an exempt line has an entry for every line inside a prefix that is exempt on every line and ends earlier, that such an
// entry is recognised and kept, and that other entries are not taken for one.
func TestOutlasts(t *testing.T) {
	b := sessionBundle(t)
	day := func(e *policy.Exemption, month time.Month) {
		e.Expires, e.Review = policy.Date{Year: 2006, Month: month, Day: 20}, policy.Date{}
	}
	last := len(b.Policy.Exemptions) - 1 // 203.0.113.192/28
	host := b.Policy.Exemptions[last]
	host.Prefix = netip.MustParsePrefix("203.0.113.201/32")
	b.Policy.Exemptions = append(b.Policy.Exemptions, host)
	for _, x := range []struct {
		name         string
		line, prefix time.Month // the months in which the exemptions of the line and the prefix end
		address      string
		want         bool
	}{
		{"the prefix ends earlier", 12, 11, "203.0.113.200/32", true},
		{"a part of it", 12, 11, "203.0.113.200/31", true},
		{"both end together", 11, 11, "203.0.113.200/32", false},
		{"the line ends earlier", 11, 12, "203.0.113.200/32", false},
		{"the prefix itself", 12, 11, "203.0.113.192/28", false},
		{"another exempt prefix inside it", 12, 11, "203.0.113.201/32", false},
		{"a prefix around it", 12, 11, "203.0.113.128/25", false},
	} {
		for i := range b.Policy.Exemptions {
			switch e := &b.Policy.Exemptions[i]; {
			case e.Line == "adsl-home":
				day(e, x.line)
			case e.Line == "":
				day(e, x.prefix)
			}
		}
		c, err := NewCompiler(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.SessionLines("edge-1", october)
		if err != nil {
			t.Fatal(err)
		}
		var got []pipeline.Entry
		for _, e := range s.Entries("adsl-home", prefixes(x.address)) {
			if class, is := e.IsSubscriber(); is && class == SubscriberExempt && e.Home() == 0 {
				got = append(got, e.WithUntil(7))
			}
		}
		if (len(got) == 1) != x.want {
			t.Errorf("%s: %v", x.name, texts(got))
			continue
		}
		e, err := pipeline.SubscriberEntry(netip.MustParsePrefix(x.address), pipeline.Subscriber{Class: SubscriberExempt, Until: 7})
		if err != nil {
			t.Fatal(err)
		}
		inside := x.address != "203.0.113.192/28" && x.address != "203.0.113.128/25" && x.address != "203.0.113.201/32"
		if s.Outlasts(e) != inside || s.Owns(e) != inside || len(s.Held([]pipeline.Entry{e})) != len(s.Held(nil))+map[bool]int{true: 1}[inside] {
			t.Errorf("%s: it outlasts %v, is owned %v, held %v", x.name, s.Outlasts(e), s.Owns(e), texts(s.Held([]pipeline.Entry{e})))
		}
		if _, line := s.Line(e); line || s.Outlasts(e.WithUntil(0)) {
			t.Errorf("%s: it is of a line, or needs no end", x.name)
		}
	}
}
