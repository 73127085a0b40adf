package pipeline

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	"google.golang.org/protobuf/proto"

	"op25b/p4src"
)

func contract(t *testing.T) *Contract {
	t.Helper()
	c, err := NewContract(p4src.P4Info())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTheContractAllowsWhatAStateCanHold verifies that the program's restrictions allow everything that a
// valid State can contain.
func TestTheContractAllowsWhatAStateCanHold(t *testing.T) {
	s := &State{
		Ports:        map[Port]PortRole{0: Access, MaxPort: Network},
		Lines:        map[LineKey]Line{{MaxPort, MaxVID, MaxVID, 0}: {255, MaxLineIndex}, {0, 0, 0, MaxSession}: {0, 1}},
		Services:     map[ServiceKey]ServiceValue{{SrcPort: PortMatch{25, true}, Handshake: SYNACK}: {UpSrc, LastService, 1}, {DstPort: PortMatch{0, true}}: {UpDst, 1, 9}},
		Remotes:      map[netip.Prefix]Class{netip.MustParsePrefix("0.0.0.0/1"): 1, netip.MustParsePrefix("2001:db8::1/128"): 255},
		Subscribers:  map[netip.Prefix]Subscriber{netip.MustParsePrefix("192.0.2.1/32"): {255, MaxLineIndex, MaxClockSecond}, netip.MustParsePrefix("::/1"): {1, 0, 0}},
		SourceChecks: map[LineGroup]SourceCheck{0: SourceMonitor, 255: SourceDrop},
		Sources:      map[SourceKey]struct{}{{1, netip.MustParsePrefix("::/1")}: {}, {MaxLineIndex, netip.MustParsePrefix("192.0.2.0/24")}: {}},
		Limits:       map[LimitKey]Rate{{1, Access}: {1, 1}, {MaxLineIndex, Network}: {9, 9}},
		RejectFrom:   RejectFrom{IPv4: netip.MustParseAddr("192.0.2.1")},
		Bridge:       map[MAC]BridgePort{{2}: {MaxPort, Access}, {4}: {0, Network}},
		LinePorts:    map[VLANKey]Port{{1, 0}: 0, {0, MaxVID}: MaxPort},
		Verdicts: map[VerdictKey]Verdict{
			{Priority: 1}: {Permit, FirstRule},
			{Priority: 2, Group: Exactly[LineGroup](0), Leg: Exactly(UpSrc), Service: Exactly[Service](1), RemoteClass: Exactly[Class](0)}: {Reject, LastRule},
			{Priority: 3, Service: Exactly(ServiceUndetermined)}:                                                                           {Monitor, RuleUndetermined},
			{Priority: 4, Service: Exactly(ServiceLaterFragment)}:                                                                          {Drop, RuleLaterFragment},
			{Priority: 5, SubscriberClass: Exactly[Class](0)}:                                                                              {Limit, LastRule},
		},
		AllPorts: []Port{0, MaxPort},
	}
	for _, epoch := range []Epoch{1, 255} {
		all, err := s.Entries()
		if err != nil {
			t.Fatal(err)
		}
		rules, err := RuleEntries(s.Verdicts, epoch)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rules...)
		if err := contract(t).Allows(append(all, EpochEntry(epoch, true))); err != nil {
			t.Error(err)
		}
	}
}

// TestTheContractRefuses verifies that the program's restrictions refuse entries that have valid types but
// no meaning. No State produces such entries, but another controller could write them.
func TestTheContractRefuses(t *testing.T) {
	line := func(port, session uint64) Entry {
		table, key := lineTable, linePortKey
		if session != 0 {
			table, key = sessionTable, sessionPortKey
		}
		e := Entry{Key: Key{table: table}}
		e.Key.exactly(key, port)
		if session != 0 {
			e.Key.exactly(sessionSessionKey, session)
		}
		return e
	}
	rule := func(epoch uint64) Entry {
		e := Entry{Key: Key{table: verdictTable, priority: 1}}
		e.Key.exactly(verdictEpochKey, epoch)
		return e
	}
	does := func(e Entry, a Action, params ...uint64) Entry {
		e.Value.does(a, params...)
		return e
	}
	source := Entry{Key: Key{table: sourceV4Table}}
	source.Key.within(sourceV4PrefixKey, netip.MustParsePrefix("192.0.2.0/24"))
	subscriber := Entry{Key: Key{table: subscriberV4Table}}
	subscriber.Key.within(subscriberV4PrefixKey, netip.MustParsePrefix("192.0.2.0/24"))
	half := rule(1)
	half.Key.masked(verdictLegKey, 1, 1)
	for name, test := range map[string]struct {
		entry Entry
		want  string
	}{
		"a line at no port":           {does(line(510, 0), setLineAction, 1, 1), "port < 510"},
		"a line without index":        {does(line(1, 0), setLineAction, 1, 0), "line_index != 0"},
		"an exemption for everybody":  {does(Entry{Key: Key{table: subscriberV4Table}}, setSubscriberClassAction, 1, 0, 0), "prefix::prefix_length > 0"},
		"an end past the clock":       {does(subscriber, setSubscriberClassAction, 1, 0, 1<<28), "until < 0x10000000"},
		"a rule of the program's own": {does(rule(1), permitAction, 1), "rule >= 2"},
		"a rule set of epoch 0":       {does(rule(0), permitAction, 2), "epoch != 0"},
		"half a leg":                  {does(half, permitAction, 2), "leg::mask"},
		"a service of every port":     {does(Entry{Key: Key{table: serviceTable, priority: 1}}, setServiceAction, 1, 1), "src_port::mask != 0"},
		"an address of no line":       {does(source, boundAction), "line != 0"},
		"a reserved session":          {does(line(1, 0xffff), setLineAction, 1, 1), "session < 65535"},
	} {
		t.Run(name, func(t *testing.T) {
			err := contract(t).Allows([]Entry{test.entry})
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want ErrInvalid with %q", err, test.want)
			}
		})
	}
}

func TestAContractThatCannotBeRead(t *testing.T) {
	other := proto.CloneOf(p4src.P4Info())
	other.PkgInfo.Version = "7.0.0"
	broken := proto.CloneOf(p4src.P4Info())
	for _, x := range broken.GetTables() {
		if x.GetPreamble().GetAlias() == "line" {
			x.Preamble.Annotations = []string{`@entry_restriction("prot < 511")`}
		}
	}
	for want, info := range map[string]*configv1.P4Info{`version "7.0.0"`: other, `"prot"`: broken} {
		if _, err := NewContract(info); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want ErrMismatch with %q", err, want)
		}
	}
}
