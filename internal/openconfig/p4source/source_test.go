package p4source

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/goleak"

	"op25b/internal/openconfig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cells is a P4 counter that has packets of 100 bytes by index.
type cells struct {
	mu      sync.Mutex // guards the fields below in tests that watch
	packets map[int64]int64
	asked   []int
	err     error
	spoil   func([]*p4v1.Entity) []*p4v1.Entity
}

func (c *cells) read(_ context.Context, entities []*p4v1.Entity) ([]*p4v1.Entity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, len(entities))
	if c.err != nil {
		return nil, c.err
	}
	out := make([]*p4v1.Entity, 0, len(entities))
	for _, e := range entities {
		i := e.GetCounterEntry().GetIndex().GetIndex()
		out = append(out, entity(e.GetCounterEntry().GetCounterId(), i, c.packets[i]))
	}
	if c.spoil != nil {
		out = c.spoil(out)
	}
	return out, nil
}

func entity(id uint32, index, packets int64) *p4v1.Entity {
	e := &p4v1.CounterEntry{CounterId: id, Index: &p4v1.Index{Index: index}}
	if packets != 0 { // a zero cell is sent without data
		e.Data = &p4v1.CounterData{PacketCount: packets, ByteCount: 100 * packets}
	}
	return &p4v1.Entity{Entity: &p4v1.Entity_CounterEntry{CounterEntry: e}}
}

// fakeLinks are interfaces that a test adds and removes.
type fakeLinks map[string]Link

func (f fakeLinks) Link(_ context.Context, name string) (Link, bool, error) {
	if name == "broken" {
		return Link{}, false, errors.New("no netlink")
	}
	l, ok := f[name]
	return l, ok, nil
}

func (f fakeLinks) Watch(ctx context.Context, changed func()) error {
	changed()
	<-ctx.Done()
	return nil
}

var layout = Layout{ACL: &ACLLayout{CounterID: 302, CounterName: "c.rules", Set: "op25b", RuleBits: 2, Size: 16}}

// entries builds an ACL from triples of sequence id, packets and octets.
func entries(values ...uint64) (acl []openconfig.ACLEntry) {
	for v := range slices.Chunk(values, 3) {
		acl = append(acl, openconfig.ACLEntry{SequenceID: uint32(v[0]), MatchedPackets: v[1], MatchedOctets: v[2]})
	}
	return acl
}

func newSource(t *testing.T, cfg Config) *Source {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func snapshot(t *testing.T, s *Source) *openconfig.State {
	t.Helper()
	st, err := s.Snapshot(t.Context(), openconfig.PartACL)
	if err != nil {
		t.Fatal(err)
	}
	st.System = nil // other tests check the System
	return st
}

func TestSnapshot(t *testing.T) {
	c := &cells{packets: map[int64]int64{1<<2 | 3: 8, 1 << 2: 2, 2<<2 | 1: 99}} // rules 3 and 0 on port 1; port 2 is not configured
	links := fakeLinks{"veth0": {Index: 7, Oper: openconfig.OperUp, Counters: &openconfig.InterfaceCounters{InPkts: 5}}, "veth6": {}}
	s := newSource(t, Config{Ports: map[uint32]string{3: "veth6", 1: "veth0", 0: "gone"}, Read: c.read, Links: links})
	counted := links["veth0"].Counters
	gone := openconfig.Interface{Name: "gone", Oper: openconfig.OperNotPresent}
	if d := cmp.Diff(&openconfig.State{Interfaces: []openconfig.Interface{
		gone,
		{Name: "veth0", Port: 1, IfIndex: 7, Oper: openconfig.OperUp, Counters: counted},
		{Name: "veth6", Port: 3},
	}}, snapshot(t, s)); d != "" {
		t.Errorf("without a program: want - got +:\n%s", d)
	}
	if len(c.asked) != 0 {
		t.Errorf("cells were read without a layout")
	}
	if err := s.SetLayout(layout, time.Now()); err != nil {
		t.Fatal(err)
	}
	want := &openconfig.State{ACLSet: "op25b", Interfaces: []openconfig.Interface{
		gone,
		{Name: "veth0", Port: 1, IfIndex: 7, Oper: openconfig.OperUp, Counters: counted, ACL: entries(0, 2, 200, 3, 8, 800)},
		{Name: "veth6", Port: 3},
	}}
	if d := cmp.Diff(want, snapshot(t, s)); d != "" {
		t.Errorf("want - got +:\n%s", d)
	}
	if !slices.Equal(c.asked, []int{4, 4, 4}) {
		t.Errorf("reads of %v cells; want the 4 cells of each of the 3 ports", c.asked)
	}
	// A counter that is reset keeps its entry, and a counter that has never counted has no entry. Another program begins without
	// entries.
	c.packets = map[int64]int64{1<<2 | 3: 1}
	want.Interfaces[1].ACL = entries(0, 0, 0, 3, 1, 100)
	if d := cmp.Diff(want, snapshot(t, s)); d != "" {
		t.Errorf("after a reset: want - got +:\n%s", d)
	}
	if err := s.SetLayout(layout, time.Now()); err != nil {
		t.Fatal(err)
	}
	want.Interfaces[1].ACL = want.Interfaces[1].ACL[1:]
	if d := cmp.Diff(want, snapshot(t, s)); d != "" {
		t.Errorf("after another program: want - got +:\n%s", d)
	}
}

// TestInterfaceMadeAnew verifies that an interface that is removed and created anew is reported with its state, the time of its last
// change, and the time when its counters restarted.
func TestInterfaceMadeAnew(t *testing.T) {
	links := fakeLinks{"veth0": {Index: 7, Oper: openconfig.OperUp}}
	s := newSource(t, Config{Ports: map[uint32]string{1: "veth0"}, Read: (&cells{}).read, Links: links})
	look := func() openconfig.Interface { return snapshot(t, s).Interfaces[0] }
	if got := look(); !got.LastChange.IsZero() || !got.LastClear.IsZero() {
		t.Errorf("at first: %+v, want no times: nothing was seen to change", got)
	}
	delete(links, "veth0")
	before := time.Now()
	got := look()
	if got.Oper != openconfig.OperNotPresent || got.LastChange.Before(before) || got.IfIndex != 0 || !got.LastClear.IsZero() {
		t.Errorf("while it is away: %+v", got)
	}
	links["veth0"] = Link{Index: 9, Oper: openconfig.OperUp}
	before = time.Now()
	got = look()
	if got.Oper != openconfig.OperUp || got.LastChange.Before(before) || got.IfIndex != 9 || got.LastClear.Before(before) {
		t.Errorf("made anew: %+v", got)
	}
	if again := look(); again.LastChange != got.LastChange || again.LastClear != got.LastClear {
		t.Errorf("the times moved: %+v", again)
	}
}

func TestNewRefusals(t *testing.T) {
	read := (&cells{}).read
	for want, cfg := range map[string]Config{
		"no read function":                                  {Ports: map[uint32]string{1: "a"}},
		"port 4 has no interface name":                      {Ports: map[uint32]string{4: ""}, Read: read},
		`interface "a" is both port 1 and port 2`:           {Ports: map[uint32]string{2: "a", 1: "a"}, Read: read},
		"rescan interval -1s: it must be > 0, or 0 for 10s": {Read: read, Rescan: -time.Second},
	} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	s := newSource(t, Config{Ports: map[uint32]string{3: "a", 4: "b"}, Read: read})
	err := s.SetLayout(layout, time.Now())
	if want := `port 4 (b): counter "c.rules" has 16 cells, 4 a port: ports 0 to 3 fit`; !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if st := snapshot(t, s); st.ACLSet != "" {
		t.Errorf("a layout that was refused is served: %+v", st)
	}
}

func TestBadAnswers(t *testing.T) {
	gone := errors.New("switch gone")
	for name, c := range map[string]*cells{
		"an error":        {err: gone},
		"a missing cell":  {spoil: func(e []*p4v1.Entity) []*p4v1.Entity { return e[1:] }},
		"a cell twice":    {packets: map[int64]int64{4: 1}, spoil: func(e []*p4v1.Entity) []*p4v1.Entity { return append(e, e[0]) }},
		"another counter": {spoil: func(e []*p4v1.Entity) []*p4v1.Entity { return append(e[1:], entity(303, 4, 1)) }},
		"another port":    {spoil: func(e []*p4v1.Entity) []*p4v1.Entity { return append(e[1:], entity(302, 8, 1)) }},
		"a count below 0": {spoil: func(e []*p4v1.Entity) []*p4v1.Entity { return append(e[1:], entity(302, 4, -1)) }},
		"another entity":  {spoil: func(e []*p4v1.Entity) []*p4v1.Entity { return append(e[1:], &p4v1.Entity{}) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t, Config{Ports: map[uint32]string{1: "a"}, Read: c.read})
			if err := s.SetLayout(layout, time.Now()); err != nil {
				t.Fatal(err)
			}
			want := ErrRead
			if c.err != nil {
				want = c.err
			}
			_, err := s.Snapshot(t.Context(), openconfig.AllParts)
			if !errors.Is(err, want) || !strings.Contains(err.Error(), `counter "c.rules" of port 1 (a)`) {
				t.Errorf("got %v, want %v with the counter and the port", err, want)
			}
		})
	}
	s := newSource(t, Config{Ports: map[uint32]string{1: "broken"}, Read: (&cells{}).read, Links: fakeLinks{}})
	if _, err := s.Snapshot(t.Context(), openconfig.AllParts); err == nil || err.Error() != `interface "broken": no netlink` {
		t.Errorf("got %v", err)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cells{packets: make(map[int64]int64)}
		s := newSource(t, Config{Ports: map[uint32]string{1: "a"}, Read: c.read, Links: fakeLinks{"a": {}}})
		ctx, cancel := context.WithCancel(t.Context())
		var told atomic.Int64
		done := make(chan error, 1)
		go func() { done <- s.Watch(ctx, func() { told.Add(1) }) }()
		wantTold := func(what string, want int64) {
			t.Helper()
			synctest.Wait()
			if got := told.Load(); got != want {
				t.Fatalf("%s: told %d times, want %d", what, got, want)
			}
		}
		count := func(index, packets int64) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.packets[index] = packets
		}
		wantTold("at the start, by the source and by the links", 2)
		if err := s.SetLayout(layout, time.Now()); err != nil {
			t.Fatal(err)
		}
		wantTold("of a program", 3)
		count(1<<2|2, 1)
		snapshot(t, s)
		wantTold("of a rule that is met for the first time", 4)
		count(1<<2|2, 50)
		snapshot(t, s)
		wantTold("of a counter that runs", 4)
		count(1<<2|3, 1) // nobody reads
		time.Sleep(2 * DefaultRescan)
		wantTold("of a rule that no reader has met", 5)
		c.mu.Lock()
		c.err = errors.New("switch gone")
		c.mu.Unlock()
		time.Sleep(3 * DefaultRescan)
		wantTold("of an error", 5)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.SetLayout(Layout{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		wantTold("after the end", 5)
	})
}
