package vectors

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// A fake is a switch that behaves as the vectors expect. spoil can change each result.
type fake struct {
	loads []string // the phases that were loaded
	want  map[string]Want
	spoil func(out *[]Output, c *Counters)
	// misjudge can change the answer to each probe.
	misjudge func(*Probed)
	c        Counters
}

func newFake(all []Vector) *fake {
	f := &fake{want: map[string]Want{}, c: Counters{map[RuleCell]Count{}, map[LineCell]uint64{}}}
	for _, v := range all {
		for _, s := range v.Steps {
			f.want[string(s.Frame)] = s.Want
		}
	}
	return f
}

func (f *fake) Name() string { return "fake" }

func (f *fake) Load(phase string, _ []Subscriber) error {
	f.loads = append(f.loads, phase)
	return nil
}

func (f *fake) Probe(_ uint32, frame []byte) (Probed, error) {
	w := f.want[string(frame)]
	got := Probed{Ports: w.Ports, Rule: w.Rule, Leg: w.Leg, Line: w.Line}
	if f.misjudge != nil {
		f.misjudge(&got)
	}
	return got, nil
}

func (f *fake) Process(port uint32, frame []byte) (out []Output, err error) {
	w := f.want[string(frame)]
	for _, p := range w.Ports {
		out = append(out, Output{p, w.Frame})
	}
	if w.Rule != "" {
		was := f.c.Rules[RuleCell{port, w.Rule}]
		f.c.Rules[RuleCell{port, w.Rule}] = Count{was.Packets + 1, was.Bytes + uint64(len(frame))}
		f.c.Lines[LineCell{w.Line, w.Outcome}]++
	}
	if f.spoil != nil {
		f.spoil(&out, &f.c)
	}
	return out, nil
}

func (f *fake) Counters() (Counters, error) {
	c := Counters{map[RuleCell]Count{}, map[LineCell]uint64{}}
	for k, v := range f.c.Rules {
		c.Rules[k] = v
	}
	for k, v := range f.c.Lines {
		c.Lines[k] = v
	}
	return c, nil
}

func readText(t *testing.T, text string) []Vector {
	t.Helper()
	all, err := Read(fstest.MapFS{"f.txt": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const oneDrop = head + "vector a : a title\n  in 1 eth home>home type=0x88b5\n  -> 11: same ; rule=r leg=up_dst line=l outcome=monitored\n"

func nothingLimited(string) bool { return false }

// TestRunSeesWhatIsNotAsWritten verifies that Run detects and reports each kind of difference.
func TestRunSeesWhatIsNotAsWritten(t *testing.T) {
	for _, test := range []struct {
		what  string
		spoil func(out *[]Output, c *Counters)
		want  string // a part of the expected message; "" if no difference is expected
	}{
		{"nothing", nil, ""},
		{"not sent", func(out *[]Output, _ *Counters) { *out = nil }, "it came out of ports []"},
		{"another port", func(out *[]Output, _ *Counters) { (*out)[0].Port = 12 }, "it came out of ports [12]"},
		{"twice", func(out *[]Output, _ *Counters) { *out = append(*out, (*out)[0]) }, "it came out of ports [11,11]"},
		{"another frame", func(out *[]Output, _ *Counters) { (*out)[0].Frame = []byte{1} }, "port 11 sent raw 0x01"},
		{"another rule too", func(_ *[]Output, c *Counters) { c.Rules[RuleCell{1, "s"}] = Count{1, 14} }, "rule s counted 1 packets of 14 bytes on port 1, not 0 of 0"},
		{"another port's counter", func(_ *[]Output, c *Counters) { c.Rules[RuleCell{11, "r"}] = Count{1, 14} }, "rule r counted 1 packets of 14 bytes on port 11, not 0 of 0"},
		{"other bytes", func(_ *[]Output, c *Counters) { c.Rules[RuleCell{1, "r"}] = Count{1, 15} }, "rule r counted 1 packets of 15 bytes on port 1, not 1 of 14"},
		{"not counted", func(_ *[]Output, c *Counters) { clear(c.Rules) }, "rule r counted 0 packets of 0 bytes on port 1, not 1 of 14"},
		{"another outcome", func(_ *[]Output, c *Counters) { c.Lines[LineCell{"l", Stopped}]++ }, "line l counted 1 frames stopped, not 0"},
		{"another line", func(_ *[]Output, c *Counters) { c.Lines[LineCell{"m", Monitored}]++ }, "line m counted 1 frames monitored, not 0"},
		{"unsolicited", func(_ *[]Output, c *Counters) { c.Lines[LineCell{"l", Unsolicited}]++ }, "line l counted 1 frames unsolicited, not 0"},
	} {
		all := readText(t, oneDrop)
		f := newFake(all)
		f.spoil = test.spoil
		passed, err := Run(f, all, nothingLimited)
		if test.want == "" {
			if err != nil || passed != 1 {
				t.Errorf("%s: %d passed, %v", test.what, passed, err)
			}
			continue
		}
		if !errors.Is(err, ErrVector) || passed != 0 || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "f.txt:7:3: vector a: a title") {
			t.Errorf("%s: %d passed, %v\nwant %s", test.what, passed, err, test.want)
		}
	}
}

// TestRunSeesWrongAnswersToProbes verifies that Run compares the answers to probes, except where the outcome depends on frames before.
func TestRunSeesWrongAnswersToProbes(t *testing.T) {
	for _, test := range []struct {
		misjudge func(*Probed)
		want     string // a part of the expected message; "" if no difference is expected
	}{
		{func(*Probed) {}, ""},
		{func(p *Probed) { p.Ports = []uint32{12} }, "a probe says that it would come out of ports [12]"},
		{func(p *Probed) { p.Ports, p.Undecided = []uint32{12}, true }, ""},
		{func(p *Probed) { p.Rule = "s" }, "a probe says rule=s leg=up_dst line=l"},
		{func(p *Probed) { p.Leg = UpSrc }, "a probe says rule=r leg=up_src line=l"},
		{func(p *Probed) { p.Line = "m" }, "a probe says rule=r leg=up_dst line=m"},
	} {
		all := readText(t, oneDrop)
		f := newFake(all)
		f.misjudge = test.misjudge
		if _, err := Run(f, all, nothingLimited); (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

// TestRoundsKeepVectorsApart verifies that no vector depends on a bucket that another vector has used up, and that each vector
// is played once, in its phase.
func TestRoundsKeepVectorsApart(t *testing.T) {
	all := golden(t)
	limited := func(line string) bool { return strings.HasPrefix(line, "limit-") }
	lists := rounds(all, limited)
	seen := map[string]int{}
	for _, list := range lists {
		buckets, answers := map[bucket]int{}, map[string]int{}
		for _, v := range list {
			seen[v.ID]++
			if v.Phase != list[0].Phase {
				t.Fatalf("phases %s and %s in one round", v.Phase, list[0].Phase)
			}
			mine := map[bucket]bool{}
			for _, s := range v.Steps {
				w := s.Want
				if limited(w.Line) {
					mine[bucket{w.Line, w.Leg.Up()}] = true
				}
				if w.Rule == "reject" && w.Leg.Up() && len(v.Steps) == 1 {
					answers[w.Line]++
				}
			}
			for b := range mine {
				buckets[b]++
			}
		}
		for b, n := range buckets {
			if n > 1 {
				t.Errorf("%d vectors of a round share the bucket of %v", n, b)
			}
		}
		for line, n := range answers {
			if n > maxRejects {
				t.Errorf("a round wants %d answers for line %s, which gets %d a second", n, line, maxRejects)
			}
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d vectors are played, want %d", len(seen), len(all))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("vector %s is played %d times", id, n)
		}
	}
	if n := len(rounds(Playable(&fake{}, all), limited)); n > 40 {
		t.Errorf("%d rounds; each costs a start of bmv2", n)
	}
}

// A clocked is a fake whose clock can be set.
type clocked struct {
	*fake
	seconds []uint32
}

var _ Clocked = (*clocked)(nil)

func (c *clocked) SetSecond(second uint32) error {
	c.seconds = append(c.seconds, second)
	return nil
}

// TestTimedVectorsNeedAClock verifies that a vector with seconds is played, with a load of its own, only where the clock can be set.
func TestTimedVectorsNeedAClock(t *testing.T) {
	const step = "  in 1 eth home>home type=0x88b5\n  -> 11: same\n"
	all := readText(t, head+"vector a : t\n"+step+"vector b : t\n  at 7\n"+step+step+"vector c : t\n  at 3\n"+step)
	f := newFake(all)
	if playable := Playable(f, all); len(playable) != 1 || playable[0].ID != "a" {
		t.Errorf("%d vectors can be played without a clock, want a alone", len(playable))
	}
	c := &clocked{fake: f}
	passed, err := Run(c, Playable(c, all), nothingLimited)
	if err != nil || passed != 3 || !slices.Equal(c.seconds, []uint32{7, 7, 3}) || len(f.loads) != 3 {
		t.Errorf("%d passed, %v; seconds %v, want 7, 7, 3; %d loads, want 3", passed, err, c.seconds, len(f.loads))
	}
}

// TestSameSecondIsTriedAgain verifies that a vector that may fail because a clock second ended is loaded and played again, and
// that other vectors are not.
func TestSameSecondIsTriedAgain(t *testing.T) {
	for head, loads := range map[string][]string{"a": {"all"}, "a samesecond": {"all", "all", "all"}} {
		all := readText(t, strings.Replace(oneDrop, "vector a", "vector "+head, 1))
		f := newFake(all)
		f.spoil = func(out *[]Output, _ *Counters) { *out = nil }
		if _, err := Run(f, all, nothingLimited); !errors.Is(err, ErrVector) {
			t.Errorf("vector %s: %v, want %v", head, err, ErrVector)
		}
		if !slices.Equal(f.loads, loads) {
			t.Errorf("vector %s: loaded %v, want %v", head, f.loads, loads)
		}
	}
}
