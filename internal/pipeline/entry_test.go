package pipeline

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func entries(t *testing.T, s *State) []string {
	t.Helper()
	all, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := RuleEntries(s.Verdicts, 3)
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, rules...)
	slices.SortFunc(all, compareEntries)
	texts := make([]string, len(all))
	for i, e := range all {
		texts[i] = e.String()
	}
	return texts
}

// TestEntryText verifies the text of entries in plans, and the order of entries.
func TestEntryText(t *testing.T) {
	got := entries(t, &State{
		Ports: map[Port]PortRole{11: Network},
		Lines: map[LineKey]Line{
			{Port: 1, OuterVID: 100}:                               {Group: 2, Index: 300},
			{Port: 1, OuterVID: 100, InnerVID: 7, Session: 0x1001}: {Group: 2, Index: 301},
		},
		Services:    map[ServiceKey]ServiceValue{{DstPort: PortMatch{25, true}, Handshake: SYN}: {Leg: UpDst, Service: 1, Priority: 1}},
		Remotes:     map[netip.Prefix]Class{netip.MustParsePrefix("203.0.113.0/26"): 2, netip.MustParsePrefix("2001:db8:ca::/48"): 2},
		Subscribers: map[netip.Prefix]Subscriber{netip.MustParsePrefix("192.0.2.13/32"): {Class: 1, Line: 300, Until: MaxClockSecond}},
		Verdicts: map[VerdictKey]Verdict{
			{Group: Exactly[LineGroup](0), Leg: Exactly(UpDst), RemoteClass: Exactly[Class](2), Priority: 7}: {Action: Drop, Rule: 5},
		},
		SourceChecks: map[LineGroup]SourceCheck{2: SourceDrop},
		Sources:      map[SourceKey]struct{}{{300, netip.MustParsePrefix("192.0.2.0/24")}: {}, {300, netip.MustParsePrefix("2001:db8::/56")}: {}},
		Limits:       map[LimitKey]Rate{{300, Network}: {PerSecond: 2, Burst: 10}},
		RejectFrom:   RejectFrom{IPv6: netip.MustParseAddr("2001:db8::1")},
		Bridge:       map[MAC]BridgePort{{2, 0, 0, 0, 1, 1}: {Port: 1, Role: Access}},
		LinePorts:    map[VLANKey]Port{{100, 7}: 1},
		NetworkPorts: []Port{12, 11},
	})
	want := []string{
		"port_role port=11 => set_role role=1",
		"connection_limit line=300 role=1 => meter_connection per_second=2 burst=10",
		"line port=1 outer_vid=100 inner_vid=0 => set_line line_group=2 line_index=300",
		"session port=1 outer_vid=100 inner_vid=7 session=4097 => set_line line_group=2 line_index=301",
		"service role=0 dst_port=25&65535 handshake=1&3 priority=1 => set_service traffic_leg=1 mail_service=1",
		"remote_v4 prefix=203.0.113.0/26 => set_remote_class class_id=2",
		"remote_v6 prefix=2001:db8:ca::/48 => set_remote_class class_id=2",
		"subscriber_v4 prefix=192.0.2.13/32 => set_subscriber_class class_id=1 line_index=300 until=268435455",
		"verdict epoch=3 line_group=0&255 leg=1&7 remote_class=2&255 priority=7 => drop rule=5",
		"reject_source default => set_reject_source v4=0.0.0.0 v6=2001:db8::1",
		"bridge dst_addr=02:00:00:00:01:01 => forward_to_access port=1",
		"line_port outer_vid=100 inner_vid=7 => set_line_port port=1",
		"source_v4 line=300 prefix=192.0.2.0/24 => bound",
		"source_v6 line=300 prefix=2001:db8::/56 => bound",
		"source_check line_group=2 => drop_source",
		"multicast_group id=1 => ports [11 12]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("entries are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestStateThatThePipelineCannotHold(t *testing.T) {
	mac := MAC{2, 0, 0, 0, 0, 1}
	for name, test := range map[string]struct {
		state State
		want  string
	}{
		"port role":       {State{Ports: map[Port]PortRole{510: Network}}, "port 510 of role 1: the port must be at most 509"},
		"port":            {State{Lines: map[LineKey]Line{{Port: 510}: {Index: 1}}}, "the port must be at most 509"},
		"vlan":            {State{Lines: map[LineKey]Line{{OuterVID: 4095}: {Index: 1}}}, "VLAN ids at most 4094"},
		"session":         {State{Lines: map[LineKey]Line{{Session: 0xffff}: {Index: 1}}}, "the session at most 65534"},
		"line index 0":    {State{Lines: map[LineKey]Line{{Port: 1}: {}}}, "the index 1 to 16383"},
		"line index":      {State{Lines: map[LineKey]Line{{Port: 1}: {Index: 1 << 14}}}, "the index 1 to 16383"},
		"service 0":       {State{Services: map[ServiceKey]ServiceValue{{DstPort: PortMatch{25, true}}: {Leg: UpDst, Priority: 1}}}, "the service 1 to 247"},
		"built-in":        {State{Services: map[ServiceKey]ServiceValue{{DstPort: PortMatch{25, true}}: {Leg: UpDst, Service: 255, Priority: 1}}}, "the service 1 to 247"},
		"no leg":          {State{Services: map[ServiceKey]ServiceValue{{DstPort: PortMatch{25, true}}: {Service: 1, Priority: 1}}}, "the leg 1 to 4"},
		"no port":         {State{Services: map[ServiceKey]ServiceValue{{}: {Leg: UpDst, Service: 1, Priority: 1}}}, "and a port given"},
		"host bits":       {State{Remotes: map[netip.Prefix]Class{netip.MustParsePrefix("192.0.2.1/24"): 1}}, "remote prefix 192.0.2.1/24 of class 1: must be a masked"},
		"class 0":         {State{Remotes: map[netip.Prefix]Class{netip.MustParsePrefix("192.0.2.0/24"): 0}}, "and a class of 1 or more"},
		"everybody":       {State{Subscribers: map[netip.Prefix]Subscriber{netip.MustParsePrefix("0.0.0.0/0"): {Class: 1}}}, "of length 1 or more"},
		"handshake":       {State{Services: map[ServiceKey]ServiceValue{{DstPort: PortMatch{25, true}, Handshake: 3}: {UpDst, 1, 1}}}, "the handshake at most 2"},
		"exempt line":     {State{Subscribers: map[netip.Prefix]Subscriber{netip.MustParsePrefix("192.0.2.1/32"): {1, 1 << 14, 0}}}, "the line must be at most 16383"},
		"end":             {State{Subscribers: map[netip.Prefix]Subscriber{netip.MustParsePrefix("192.0.2.1/32"): {1, 0, 1 << 28}}}, "subscriber prefix 192.0.2.1/32 until clock second 268435456: the second must be at most 268435455"},
		"mapped":          {State{Subscribers: map[netip.Prefix]Subscriber{netip.MustParsePrefix("::ffff:0:0/96"): {Class: 1}}}, "must be a masked IPv4 or IPv6 prefix"},
		"rule 1":          {State{Verdicts: map[VerdictKey]Verdict{{Priority: 1}: {Action: Drop, Rule: 1}}}, "the rule 2 to 247"},
		"rule 248":        {State{Verdicts: map[VerdictKey]Verdict{{Priority: 1}: {Action: Drop, Rule: 248}}}, "the rule 2 to 247"},
		"reject built-in": {State{Verdicts: map[VerdictKey]Verdict{{Priority: 1}: {Action: Reject, Rule: RuleUndetermined}}}, "the rule 2 to 247"},
		"leg 5":           {State{Verdicts: map[VerdictKey]Verdict{{Priority: 1, Leg: Exactly(Leg(5))}: {Action: Drop, Rule: 2}}}, "leg and service at least 1 if set"},
		"service none":    {State{Verdicts: map[VerdictKey]Verdict{{Priority: 1, Service: Exactly(Service(0))}: {Action: Drop, Rule: 2}}}, "leg and service at least 1 if set"},
		"no action":       {State{Verdicts: map[VerdictKey]Verdict{{Priority: 1}: {Rule: 2}}}, "the action must be permit, monitor, drop, limit or reject"},
		"no priority":     {State{Verdicts: map[VerdictKey]Verdict{{}: {Action: Drop, Rule: 2}}}, "the priority at least 1"},
		"source check":    {State{SourceChecks: map[LineGroup]SourceCheck{1: 0}}, "source check 0 of line group 1: must be monitor (2) or drop (3)"},
		"source":          {State{Sources: map[SourceKey]struct{}{{1, netip.MustParsePrefix("::/0")}: {}}}, "source ::/0 of line 1: must be a masked"},
		"source of none":  {State{Sources: map[SourceKey]struct{}{{0, netip.MustParsePrefix("2001:db8::/32")}: {}}}, "a line of 1 to 16383"},
		"rate":            {State{Limits: map[LimitKey]Rate{{Line: 1}: {Burst: 1}}}, "rate and burst at least 1"},
		"reject from":     {State{RejectFrom: RejectFrom{IPv4: netip.MustParseAddr("::1")}}, "must be an IPv4 and an IPv6 address"},
		"line port":       {State{LinePorts: map[VLANKey]Port{{}: 1}}, "there must be a tag"},
		"multicast":       {State{Bridge: map[MAC]BridgePort{{1}: {}}}, "must be a unicast address"},
		"bridge port":     {State{Bridge: map[MAC]BridgePort{mac: {Port: 600}}}, "at a port of at most 509"},
		"twice":           {State{AllPorts: []Port{3, 3}}, "each must be at most 509 and stand once"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.state.Entries()
			if err == nil {
				_, err = RuleEntries(test.state.Verdicts, 1)
			}
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want ErrInvalid with %q", err, test.want)
			}
		})
	}
	if _, err := RuleEntries(nil, 0); !errors.Is(err, ErrInvalid) {
		t.Errorf("epoch 0: error is %v, want ErrInvalid", err)
	}
}

func TestEpochs(t *testing.T) {
	running, ok := EpochEntry(7, true).IsRunningEpoch()
	if !ok || running != 7 {
		t.Errorf("EpochEntry(7) is epoch %d, %v", running, ok)
	}
	all, err := RuleEntries(map[VerdictKey]Verdict{{Priority: 1}: {Action: Drop, Rule: 2}}, 9)
	if err != nil {
		t.Fatal(err)
	}
	if in, ok := all[0].Epoch(); !ok || in != 9 {
		t.Errorf("verdict stands in epoch %d, %v, want 9", in, ok)
	}
	if _, ok := EpochEntry(7, false).Epoch(); ok {
		t.Error("the running epoch is no verdict")
	}
}

// TestShared verifies that an entry of the state replaces a shared entry with the same key, and that all
// entries are in one order.
func TestShared(t *testing.T) {
	near, far := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")
	shared := &Shared{State: State{Subscribers: map[netip.Prefix]Subscriber{near: {Class: 1}, far: {Class: 1}}, Remotes: map[netip.Prefix]Class{far: 2}}}
	s := &State{Shared: shared, Subscribers: map[netip.Prefix]Subscriber{near: {Class: 1, Line: 7}}}
	got := entries(t, s)
	want := []string{
		"remote_v4 prefix=198.51.100.0/24 => set_remote_class class_id=2",
		"subscriber_v4 prefix=192.0.2.0/24 => set_subscriber_class class_id=1 line_index=7 until=0",
		"subscriber_v4 prefix=198.51.100.0/24 => set_subscriber_class class_id=1 line_index=0 until=0",
		"reject_source default => set_reject_source v4=0.0.0.0 v6=::",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("entries are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := (&State{Shared: &Shared{State: State{Remotes: map[netip.Prefix]Class{far: 0}}}}).Entries(); !errors.Is(err, ErrInvalid) {
		t.Errorf("a fault in what is shared: error is %v, want ErrInvalid", err)
	}
}

// TestRatesThatASwitchCannotHold verifies that a rate equals the rate that bmv2 reports for it, which may
// be one less, but no other rate.
func TestRatesThatASwitchCannotHold(t *testing.T) {
	entry := func(rate uint32) Entry {
		all, err := (&State{Limits: map[LimitKey]Rate{{Line: 1}: {PerSecond: rate, Burst: 5}}}).Entries()
		if err != nil {
			t.Fatal(err)
		}
		return all[0]
	}
	for written, shown := range map[uint32]uint32{249: 248, 251: 250, 1001: 1000} {
		if entry(written).Value != entry(shown).Value {
			t.Errorf("%d a second, shown as %d, is taken for another rate", written, shown)
		}
	}
	for _, other := range []uint32{247, 250} {
		if entry(249).Value == entry(other).Value {
			t.Errorf("249 and %d a second are taken for the same", other)
		}
	}
}
