package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"op25b/e2e/longform"
	"op25b/internal/bring/bringtest"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
	"op25b/p4src"
)

// with returns a copy of a state that the function more has changed.
func with(s *pipeline.State, more func(s *pipeline.State)) *pipeline.State {
	copied := *s
	copied.Services, copied.Remotes, copied.Subscribers = maps.Clone(s.Services), maps.Clone(s.Remotes), maps.Clone(s.Subscribers)
	copied.Lines, copied.Verdicts, copied.Bridge = maps.Clone(s.Lines), maps.Clone(s.Verdicts), maps.Clone(s.Bridge)
	more(&copied)
	return &copied
}

// looking returns a copy of a state with the given number of service ports.
func looking(s *pipeline.State, ports int) *pipeline.State {
	return with(s, func(s *pipeline.State) {
		for port := uint16(2000); len(s.Services) < ports; port++ {
			s.Services[pipeline.ServiceKey{DstPort: pipeline.PortMatch{Port: port, Exact: true}}] = pipeline.ServiceValue{Leg: pipeline.UpDst, Service: 9, Priority: 1}
		}
	})
}

// fullFrames returns frames of a filtered line: mail of an exempt subscriber, mail of another subscriber, mail to a relay, and submission.
func fullFrames(t *testing.T) []sent {
	t.Helper()
	relay, other := netip.MustParseAddr("172.16.0.5"), netip.MustParseAddr("203.0.113.129")
	return []sent{
		{accessPort, segment(t, v4(10<<24), other, 25)},
		{accessPort, segment(t, v4(192<<24|2<<8|11), other, 25)},
		{accessPort, segment(t, v4(192<<24|2<<8|12), relay, 25)},
		{accessPort, segment(t, v4(192<<24|2<<8|13), other, 587)},
	}
}

// TestI10LoudFull verifies I10. Once a table is full, further entries must be refused before the first write, with an error that names the
// table, its size and the need. Nothing may be evicted, and frames must get the same verdicts as before. If a switch has less room than its
// program promises, the error must name the table, and the table's entries must stay.
func TestI10LoudFull(t *testing.T) {
	const size = 81920 // SUBSCRIBER_V4_SIZE
	on := map[string]bool{}
	refused := 0
	small := looking(filtering(8, 0, 1), 64) // SERVICE_SIZE
	onEveryTarget(t, small, func(t *testing.T, d *device) {
		on[d.name] = true
		c := takeOver(t, d, 2, nil)
		before := content(t, c)
		// stays verifies that the switch has exactly the entries that it had before, and gives the same verdicts.
		stays := func(what string) {
			t.Helper()
			now := content(t, c)
			for key, value := range before {
				if was, left := now[key]; !left || was != value {
					t.Fatalf("%s: an entry that was there is other, or there no more", what)
				}
			}
			if len(now) != len(before) {
				t.Errorf("%s: the switch has %d entries, and had %d", what, len(now), len(before))
			}
			if passed := d.pass(t, fullFrames(t)); !slices.Equal(passed, []bool{true, false, true, true}) {
				t.Errorf("%s: of an exempt line's frame, another's, one to a relay and submission pass %v", what, passed)
			}
		}
		refuses := func(state *pipeline.State, table, size, need string) {
			t.Helper()
			_, _, err := reconcile.Apply(t.Context(), c, state, contract(t), reconcile.Options{})
			want := fmt.Sprintf("table %q: no room: %s entries, %s wanted", table, size, need)
			if !errors.Is(err, reconcile.ErrNoRoom) || !strings.Contains(err.Error(), want) || c.writes != 0 {
				t.Errorf("%d writes, %v, want %q", c.writes, err, want)
			}
			refused++
		}
		refuses(looking(small, 65), "service", "64", "65")
		refuses(with(small, func(s *pipeline.State) {
			for i := range 10240 {
				s.Remotes[netip.PrefixFrom(v4(172<<24|32<<16|i<<4), 28)] = relayClass
			}
		}), "remote_v4", "10240", "10241")
		refuses(with(small, func(s *pipeline.State) {
			for i := range 10240 {
				s.Lines[pipeline.LineKey{Port: 2 + pipeline.Port(i>>11), OuterVID: pipeline.VID(1 + i&0x7ff)}] = pipeline.Line{Group: 1, Index: pipeline.LineIndex(2 + i)}
			}
		}), "line", "10240", "10241")
		refuses(with(small, func(s *pipeline.State) {
			for i := range 1024 {
				s.Verdicts[pipeline.VerdictKey{Service: pipeline.Exactly(pipeline.Service(1 + i%200)), Priority: int32(10 + i)}] = pipeline.Verdict{Action: pipeline.Permit, Rule: 9}
			}
		}), "verdict", "1024", "1032")
		stays("refused")

		info := proto.CloneOf(p4src.P4Info())
		for _, table := range info.GetTables() {
			table.Size *= 2
		}
		promised, err := pipeline.NewContract(info)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = reconcile.Apply(t.Context(), c, looking(small, 70), promised, reconcile.Options{})
		if err == nil || !strings.Contains(err.Error(), `table "service": `) || d.name == "embedded" && !errors.Is(err, reconcile.ErrNoRoom) {
			t.Errorf("70 ports in a switch with room for 64: %v", err)
		}
		refused++
		stays("less room than promised")

		if d.name == "bmv2" && !longform.On() {
			return // bmv2 needs no full table here, because the controller refuses before the first write on any switch
		}
		full := filtering(size, 0, 1)
		_ = c.Close()
		c = takeOverIn(t, d, 3, p4rt.DefaultBatchSize, nil)
		if _, err := bringtest.Converge(t.Context(), c.Session, full); err != nil {
			t.Fatal(err)
		}
		c.writes = 0
		before = content(t, c)
		more := with(full, func(s *pipeline.State) {
			s.Subscribers[netip.MustParsePrefix("192.0.2.11/32")] = pipeline.Subscriber{Class: exemptClass}
		})
		refuses(more, "subscriber_v4", "81920", "81921")
		if longform.On() { // the total is the same as before, but the new entry must be added before another is removed
			delete(more.Subscribers, netip.MustParsePrefix("10.0.0.7/32"))
			refuses(more, "subscriber_v4", "81920", "81921")
		}
		stays("filled")
	})
	fmt.Printf("I10 LoudFull: %v: %d intents that did not fit refused, %d entries in a full table, nothing evicted\n", slices.Sorted(maps.Keys(on)), refused, size)
}
