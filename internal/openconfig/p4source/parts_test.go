package p4source

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/openconfig"
)

// answers is a switch that answers every Read request with the same entities.
type answers []*p4v1.Entity

func (a answers) read(context.Context, []*p4v1.Entity) ([]*p4v1.Entity, error) { return a, nil }

func lineLayout() Layout {
	l := layout
	l.Lines = &LineLayout{CounterID: 9, CounterName: "c.lines", OutcomeBits: 2, Size: 16}
	return l
}

func legLayout() Layout {
	l := layout
	l.Legs = &LegLayout{
		TableID: 7, TableName: "c.verdict", CounterName: "c.counts",
		Epoch: Field{1, "epoch"}, Leg: Field{3, "leg"}, Rule: map[uint32]Param{21: {"c.permit", 2, "rule"}, 22: {"c.drop", 1, "rule"}},
	}
	return l
}

func snapshotOf(t *testing.T, read ReadFunc, l Layout, parts openconfig.Parts) (*openconfig.State, error) {
	t.Helper()
	s := newSource(t, Config{Read: read})
	if err := s.SetLayout(l, time.Now()); err != nil {
		t.Fatal(err)
	}
	return s.Snapshot(t.Context(), parts)
}

// TestLines verifies that lines with counts are served, and that all cells are read in one request.
func TestLines(t *testing.T) {
	cells := answers{entity(9, 0, 0), entity(9, 4, 1), entity(9, 5, 2), entity(9, 6, 3), entity(9, 7, 4), entity(9, 15, 9)}
	asked := 0
	st, err := snapshotOf(t, func(_ context.Context, e []*p4v1.Entity) ([]*p4v1.Entity, error) {
		asked++
		if c := e[0].GetCounterEntry(); len(e) != 1 || c.GetCounterId() != 9 || c.GetIndex() != nil {
			t.Errorf("asked for %v, want all cells of counter 9", e)
		}
		return cells, nil
	}, lineLayout(), openconfig.PartLines)
	if err != nil {
		t.Fatal(err)
	}
	n := func(packets uint64) openconfig.Tally {
		return openconfig.Tally{Packets: packets, Octets: 100 * packets}
	}
	want := []openconfig.Line{{ID: 1, Passed: n(1), Monitored: n(2), Stopped: n(3), Unsolicited: n(4)}, {ID: 3, Unsolicited: n(9)}}
	if d := cmp.Diff(want, st.Lines); d != "" || asked != 1 {
		t.Errorf("%d requests; want - got +:\n%s", asked, d)
	}
	for _, parts := range []openconfig.Parts{0, openconfig.PartLegs} {
		if _, err := snapshotOf(t, func(context.Context, []*p4v1.Entity) ([]*p4v1.Entity, error) {
			t.Error("cells were read that were not asked for")
			return nil, nil
		}, lineLayout(), parts); err != nil {
			t.Error(err)
		}
	}
}

func entry(priority int32, epoch, leg, action byte, param uint32, rule byte) *p4v1.TableEntry {
	e := &p4v1.TableEntry{TableId: 7, Priority: priority, Match: []*p4v1.FieldMatch{
		{FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: []byte{epoch}}}},
	}}
	if leg != 0 {
		e.Match = append(e.Match, &p4v1.FieldMatch{FieldId: 3, FieldMatchType: &p4v1.FieldMatch_Ternary_{Ternary: &p4v1.FieldMatch_Ternary{Value: []byte{leg}, Mask: []byte{7}}}})
	}
	e.Action = &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{
		ActionId: uint32(action), Params: []*p4v1.Action_Param{{ParamId: param, Value: []byte{rule}}},
	}}}
	return e
}

func counted(e *p4v1.TableEntry, packets int64) *p4v1.Entity {
	d := &p4v1.DirectCounterEntry{TableEntry: &p4v1.TableEntry{TableId: e.TableId, Priority: e.Priority, Match: e.Match}}
	if packets > 0 {
		d.Data = &p4v1.CounterData{PacketCount: packets, ByteCount: 100 * packets}
	}
	return &p4v1.Entity{Entity: &p4v1.Entity_DirectCounterEntry{DirectCounterEntry: d}}
}

func ofTable(e *p4v1.TableEntry) *p4v1.Entity {
	return &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: e}}
}

// TestLegs verifies that the entries with the same epoch, leg and rule are summed, whatever else they match. The counters arrive in another
// order than the entries.
func TestLegs(t *testing.T) {
	a, b, c, d, e := entry(1, 5, 1, 21, 2, 9), entry(2, 5, 1, 22, 1, 9), entry(1, 5, 0, 21, 2, 9), entry(1, 4, 4, 22, 1, 9), entry(3, 5, 1, 23, 1, 9)
	gone := entry(9, 5, 1, 21, 2, 9) // removed between the two reads
	st, err := snapshotOf(t, answers{
		ofTable(a), ofTable(b), ofTable(c), ofTable(d), ofTable(e), // e has no rule
		counted(e, 50), counted(gone, 60), counted(d, 0), counted(c, 3), counted(b, 2), counted(a, 1),
	}.read, legLayout(), openconfig.PartLegs)
	if err != nil {
		t.Fatal(err)
	}
	want := []openconfig.LegEntry{
		{Epoch: 4, Leg: openconfig.LegUpSrc, SequenceID: 9},
		{Epoch: 5, Leg: openconfig.LegAny, SequenceID: 9, Matched: openconfig.Tally{Packets: 3, Octets: 300}},
		{Epoch: 5, Leg: openconfig.LegUpDst, SequenceID: 9, Matched: openconfig.Tally{Packets: 3, Octets: 300}},
	}
	if d := cmp.Diff(want, st.Legs); d != "" {
		t.Errorf("want - got +:\n%s", d)
	}
}

func TestLegSumLeavesOutLargeValues(t *testing.T) {
	var sum LegSum
	large := []byte{1, 0}
	sum.Add(large, []byte{1}, []byte{1}, openconfig.Tally{})
	sum.Add([]byte{1}, large, []byte{1}, openconfig.Tally{})
	sum.Add([]byte{1}, []byte{1}, []byte{1, 0, 0, 0, 0}, openconfig.Tally{})
	sum.Add([]byte{1}, []byte{1}, []byte{1, 0, 0, 0, 0, 0, 0, 0, 1}, openconfig.Tally{})
	if got := sum.Entries(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	sum.Add([]byte{0, 1}, nil, []byte{0, 0, 0, 0, 2}, openconfig.Tally{})
	if got := sum.Entries(); len(got) != 1 || got[0].Epoch != 1 || got[0].SequenceID != 2 {
		t.Errorf("leading zeros: %v", got)
	}
}

func TestBadParts(t *testing.T) {
	negative := counted(entry(1, 5, 1, 21, 2, 9), 1)
	negative.GetDirectCounterEntry().Data.ByteCount = -1
	for _, tc := range []struct {
		name   string
		layout Layout
		answer answers
		want   string
	}{
		{"another counter", lineLayout(), answers{entity(8, 0, 1)}, `counter "c.lines" with 16 cells: got`},
		{"beyond the counter", lineLayout(), answers{entity(9, 16, 1)}, `counter "c.lines" with 16 cells: got`},
		{"a count below 0", lineLayout(), answers{entity(9, 3, -1)}, `counter "c.lines": cell 3: -1 packets and -100 bytes; they must be 0 or more`},
		{"another entity", legLayout(), answers{entity(9, 3, 1)}, `table "c.verdict" with counter "c.counts": got`},
		{"another table", legLayout(), answers{ofTable(&p4v1.TableEntry{TableId: 8})}, `table "c.verdict" with counter "c.counts": got`},
		{"a direct count below 0", legLayout(), answers{negative}, `counter "c.counts": 1 packets and -1 bytes; they must be 0 or more`},
	} {
		_, err := snapshotOf(t, tc.answer.read, tc.layout, openconfig.AllParts&^openconfig.PartACL)
		if !errors.Is(err, ErrRead) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
	gone := func(context.Context, []*p4v1.Entity) ([]*p4v1.Entity, error) { return nil, errors.New("switch gone") }
	for part, want := range map[openconfig.Parts]string{openconfig.PartLines: `counter "c.lines": switch gone`, openconfig.PartLegs: `table "c.verdict" with counter "c.counts": switch gone`} {
		both := lineLayout()
		both.Legs = legLayout().Legs
		if _, err := snapshotOf(t, gone, both, part); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestBootTime verifies that the boot-time changes with the program, and when a counter has decreased.
func TestBootTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cells{packets: map[int64]int64{1<<2 | 3: 8}}
		s := newSource(t, Config{Ports: map[uint32]string{1: "a"}, Read: c.read, Hostname: "edge-1", Version: "x 1"})
		boot := func() time.Time {
			t.Helper()
			st, err := s.Snapshot(t.Context(), openconfig.PartACL)
			if err != nil {
				t.Fatal(err)
			}
			if sys := st.System; sys.Hostname != "edge-1" || sys.SoftwareVersion != "x 1" || !sys.Clock.Equal(time.Now()) {
				t.Errorf("system %+v", sys)
			}
			return st.System.BootTime
		}
		if got := boot(); !got.IsZero() {
			t.Errorf("before a program the counters began at %v", got)
		}
		start := time.Now()
		if err := s.SetLayout(layout, time.Now()); err != nil {
			t.Fatal(err)
		}
		for _, packets := range []int64{8, 9, 9} {
			time.Sleep(time.Second)
			c.packets[1<<2|3] = packets
			if got := boot(); !got.Equal(start) {
				t.Errorf("with %d packets the counters began at %v, want %v", packets, got, start)
			}
		}
		time.Sleep(time.Second)
		c.packets[1<<2|3] = 1
		if got := boot(); !got.Equal(start.Add(4 * time.Second)) {
			t.Errorf("after a restart the counters began at %v", got)
		}
		time.Sleep(time.Second)
		if got := boot(); !got.Equal(start.Add(4 * time.Second)) {
			t.Errorf("the time moved to %v", got)
		}
	})
}

// TestBootTimeOfLines verifies that a restart is also detected by the counters of lines.
func TestBootTimeOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packets := int64(7)
		s := newSource(t, Config{Read: func(context.Context, []*p4v1.Entity) ([]*p4v1.Entity, error) {
			return []*p4v1.Entity{entity(9, 4, packets)}, nil
		}})
		if err := s.SetLayout(lineLayout(), time.Now()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for second, value := range []int64{7, 8, 3} {
			packets = value
			st, err := s.Snapshot(t.Context(), openconfig.PartLines)
			if err != nil {
				t.Fatal(err)
			}
			want := start
			if value == 3 {
				want = start.Add(2 * time.Second)
			}
			if !st.System.BootTime.Equal(want) {
				t.Errorf("second %d: the counters began at %v, want %v", second, st.System.BootTime, want)
			}
			time.Sleep(time.Second)
		}
	})
}

// moving is a link whose state a test changes.
type moving struct {
	link    Link
	changed chan struct{}
	err     error
}

func (m *moving) Link(context.Context, string) (Link, bool, error) { return m.link, true, nil }

func (m *moving) Watch(ctx context.Context, changed func()) error {
	changed()
	for {
		select {
		case <-ctx.Done():
			return m.err
		case <-m.changed:
			changed()
		}
	}
}

// TestTransitions verifies that transitions to and from UP, as openconfig-interfaces defines them, are counted while the source follows its
// links, even if nobody reads.
func TestTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		links := &moving{link: Link{Index: 3, Oper: openconfig.OperUp}, changed: make(chan struct{}), err: errors.New("ended")}
		s := newSource(t, Config{Ports: map[uint32]string{1: "a"}, Read: (&cells{}).read, Links: links})
		if got := snapshot(t, s).Interfaces[0].Transitions; got != nil {
			t.Errorf("%d transitions before the source follows its links", *got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Follow(ctx) }()
		synctest.Wait()
		for _, oper := range []openconfig.OperStatus{openconfig.OperDown, openconfig.OperLowerLayerDown, openconfig.OperUp, openconfig.OperUp} {
			links.link.Oper = oper
			links.changed <- struct{}{}
			synctest.Wait()
		}
		if got := snapshot(t, s).Interfaces[0].Transitions; got == nil || *got != 2 {
			t.Errorf("transitions %v, want one from UP and one to UP", got)
		}
		cancel()
		if err := <-done; err == nil || err.Error() != "ended" {
			t.Errorf("got %v, want the error of the links", err)
		}
		if got := snapshot(t, s).Interfaces[0].Transitions; got != nil {
			t.Errorf("%d transitions after the end", *got)
		}
		unlinked, stop := context.WithCancel(t.Context())
		stop()
		if err := newSource(t, Config{Read: (&cells{}).read}).Follow(unlinked); err != nil {
			t.Error(err)
		}
	})
}
