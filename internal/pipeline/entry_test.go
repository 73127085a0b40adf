package pipeline

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

func entries(t *testing.T, s *State) []string {
	t.Helper()
	all, err := s.Entries(3)
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, len(all))
	for i, e := range all {
		texts[i] = e.String()
	}
	return texts
}

// What an operator reads in a plan, and the order in which it is written.
func TestEntryText(t *testing.T) {
	got := entries(t, &State{
		Lines:       map[LineKey]Line{{Port: 1, OuterVID: 100}: {Role: Access, Group: 2, Index: 300}, {Port: 11}: {Role: Network}},
		Services:    map[ServiceKey]ServiceValue{{DstPort: PortMatch{25, true}}: {Leg: UpDst, Service: 1, Priority: 1}},
		Remotes:     map[netip.Prefix]Class{netip.MustParsePrefix("203.0.113.0/26"): 2, netip.MustParsePrefix("2001:db8:ca::/48"): 2},
		Subscribers: map[netip.Prefix]Class{netip.MustParsePrefix("192.0.2.13/32"): 1},
		Verdicts: map[VerdictKey]Verdict{
			{Group: Exactly[LineGroup](0), Leg: Exactly(UpDst), RemoteClass: Exactly[Class](2), Priority: 7}: {Action: Drop, Rule: 5},
		},
		Bridge:       map[MAC]BridgePort{{2, 0, 0, 0, 1, 1}: {Port: 1, Role: Access}},
		NetworkPorts: []Port{12, 11},
	})
	want := []string{
		"line port=1 outer_vid=100 inner_vid=0 => set_line role=0 line_group=2 line_index=300",
		"line port=11 outer_vid=0 inner_vid=0 => set_line role=1 line_group=0 line_index=0",
		"service role=0 dst_port=25&65535 priority=1 => set_service traffic_leg=1 service=1",
		"remote_v4 prefix=203.0.113.0/26 => set_remote_class class_id=2",
		"remote_v6 prefix=2001:db8:ca::/48 => set_remote_class class_id=2",
		"subscriber_v4 prefix=192.0.2.13/32 => set_subscriber_class class_id=1",
		"verdict epoch=3 line_group=0&255 leg=1&7 remote_class=2&255 priority=7 => drop rule=5",
		"bridge dst_addr=02:00:00:00:01:01 => forward_to_access port=1",
		"multicast_group id=1 => ports [11 12]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("entries are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What a switch gives back in its own way (other order of the matches, padded bytes, counters) is the same entry.
func TestReadBackIsTheSameEntry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := VerdictKey{
			Group:           Exactly(LineGroup(rapid.Byte().Draw(t, "group"))),
			Leg:             Exactly(Leg(rapid.IntRange(1, 4).Draw(t, "leg"))),
			Service:         Exactly(Service(rapid.Byte().Draw(t, "service"))),
			RemoteClass:     Exactly(Class(rapid.Byte().Draw(t, "remote"))),
			SubscriberClass: Exactly(Class(rapid.Byte().Draw(t, "subscriber"))),
			Priority:        rapid.Int32Range(1, 1<<20).Draw(t, "priority"),
		}
		s := State{Verdicts: map[VerdictKey]Verdict{key: {Action: Permit, Rule: RuleID(rapid.IntRange(2, 255).Draw(t, "rule"))}}}
		written, err := s.Entries(Epoch(rapid.IntRange(1, 255).Draw(t, "epoch")))
		if err != nil {
			t.Fatal(err)
		}
		returned := proto.CloneOf(written[0].Entity)
		entry := returned.GetTableEntry()
		entry.CounterData = &p4v1.CounterData{PacketCount: 5}
		entry.Match[0], entry.Match[3] = entry.GetMatch()[3], entry.GetMatch()[0]
		for _, m := range entry.GetMatch() {
			if x := m.GetTernary(); x != nil {
				x.Value = append([]byte{0}, x.GetValue()...)
			}
		}
		read, err := FromEntity(returned)
		if err != nil {
			t.Fatal(err)
		}
		if read.Key != written[0].Key || read.Value != written[0].Value {
			t.Errorf("read back as %s, written as %s", read, written[0])
		}
	})
}

func TestStateThatThePipelineCannotHold(t *testing.T) {
	mac := MAC{2, 0, 0, 0, 0, 1}
	for name, test := range map[string]struct {
		state State
		want  string
	}{
		"port":        {State{Lines: map[LineKey]Line{{Port: 512}: {}}}, "port must be below 512 and VLAN ids below 4096"},
		"vlan":        {State{Lines: map[LineKey]Line{{OuterVID: 4096}: {}}}, "port must be below 512 and VLAN ids below 4096"},
		"service 0":   {State{Services: map[ServiceKey]ServiceValue{{}: {Leg: UpDst, Priority: 1}}}, "priority and service must be at least 1"},
		"no leg":      {State{Services: map[ServiceKey]ServiceValue{{}: {Service: 1, Priority: 1}}}, "the leg one of 1 to 4"},
		"host bits":   {State{Remotes: map[netip.Prefix]Class{netip.MustParsePrefix("192.0.2.1/24"): 1}}, "remote prefix 192.0.2.1/24: must be a masked"},
		"mapped":      {State{Subscribers: map[netip.Prefix]Class{netip.MustParsePrefix("::ffff:0:0/96"): 1}}, "must be a masked IPv4 or IPv6 prefix"},
		"rule 1":      {State{Verdicts: map[VerdictKey]Verdict{{Priority: 1}: {Action: Drop, Rule: 1}}}, "rule at least 2"},
		"no action":   {State{Verdicts: map[VerdictKey]Verdict{{Priority: 1}: {Rule: 2}}}, "action must be permit, monitor or drop"},
		"no priority": {State{Verdicts: map[VerdictKey]Verdict{{}: {Action: Drop, Rule: 2}}}, "priority at least 1"},
		"multicast":   {State{Bridge: map[MAC]BridgePort{{1}: {}}}, "must be a unicast address"},
		"bridge port": {State{Bridge: map[MAC]BridgePort{mac: {Port: 600}}}, "at a port below 512"},
		"twice":       {State{AllPorts: []Port{3, 3}}, "each must be below 512 and stand once"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.state.Entries(1)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want ErrInvalid with %q", err, test.want)
			}
		})
	}
	if _, err := (&State{}).Entries(0); !errors.Is(err, ErrInvalid) {
		t.Errorf("epoch 0: error is %v, want ErrInvalid", err)
	}
}

func TestForeignEntities(t *testing.T) {
	foreign := []*p4v1.Entity{
		{Entity: &p4v1.Entity_CounterEntry{CounterEntry: &p4v1.CounterEntry{}}},
		tableEntity(&p4v1.TableEntry{TableId: 0x02ffffff}),
		tableEntity(&p4v1.TableEntry{TableId: lineTable, Match: []*p4v1.FieldMatch{exactly(9, 1)}}),
		tableEntity(&p4v1.TableEntry{TableId: lineTable, Action: call(0x01ffffff)}),
		tableEntity(&p4v1.TableEntry{TableId: lineTable, Action: call(dropAction, 1, 2)}),
	}
	for _, e := range foreign {
		if _, err := FromEntity(e); !errors.Is(err, ErrForeign) {
			t.Errorf("%v: error is %v, want ErrForeign", e, err)
		}
	}
}

func TestEpochs(t *testing.T) {
	running, ok := EpochEntry(7).IsRunningEpoch()
	if !ok || running != 7 {
		t.Errorf("EpochEntry(7) is epoch %d, %v", running, ok)
	}
	all, err := (&State{Verdicts: map[VerdictKey]Verdict{{Priority: 1}: {Action: Drop, Rule: 2}}}).Entries(9)
	if err != nil {
		t.Fatal(err)
	}
	if in, ok := all[0].Epoch(); !ok || in != 9 {
		t.Errorf("verdict stands in epoch %d, %v, want 9", in, ok)
	}
	if _, ok := EpochEntry(7).Epoch(); ok {
		t.Error("the running epoch is no verdict")
	}
}
