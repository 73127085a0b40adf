package p4rt

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"op25b/internal/pipeline"
	"op25b/p4src"
)

// oneOfEach returns an entry of every table and both multicast groups. One of the groups is so large that its length
// takes two bytes.
func oneOfEach(t testing.TB) []pipeline.Entry {
	t.Helper()
	p4, p6 := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")
	s := &pipeline.State{
		Ports: map[pipeline.Port]pipeline.PortRole{11: pipeline.Network},
		Lines: map[pipeline.LineKey]pipeline.Line{
			{Port: 1, OuterVID: 100}:               {Group: 2, Index: 300},
			{Port: 1, OuterVID: 100, Session: 0x7}: {Group: 2, Index: 301},
		},
		Services: map[pipeline.ServiceKey]pipeline.ServiceValue{
			{DstPort: pipeline.PortMatch{Port: 25, Exact: true}, Handshake: pipeline.SYN}: {Leg: pipeline.UpDst, Service: 1, Priority: 1},
		},
		Remotes:     map[netip.Prefix]pipeline.Class{p4: 2, p6: 2},
		Subscribers: map[netip.Prefix]pipeline.Subscriber{p4: {Class: 1, Line: 300, Until: pipeline.MaxClockSecond}, p6: {Class: 1}},
		Verdicts: map[pipeline.VerdictKey]pipeline.Verdict{
			{Group: pipeline.Exactly[pipeline.LineGroup](0), Leg: pipeline.Exactly(pipeline.UpDst), Priority: 7}: {Action: pipeline.Drop, Rule: 5},
			{Priority: 1 << 30}: {Action: pipeline.Permit, Rule: 2},
		},
		SourceChecks: map[pipeline.LineGroup]pipeline.SourceCheck{2: pipeline.SourceDrop},
		Sources:      map[pipeline.SourceKey]struct{}{{Line: 300, Prefix: p4}: {}, {Line: 300, Prefix: p6}: {}},
		Limits:       map[pipeline.LimitKey]pipeline.Rate{{Line: 300, From: pipeline.Network}: {PerSecond: 249, Burst: 10}},
		RejectFrom:   pipeline.RejectFrom{IPv6: netip.MustParseAddr("2001:db8::1")},
		Bridge:       map[pipeline.MAC]pipeline.BridgePort{{2, 0, 0, 0, 1, 1}: {Port: 1}},
		LinePorts:    map[pipeline.VLANKey]pipeline.Port{{OuterVID: 100, InnerVID: 7}: 1},
		NetworkPorts: []pipeline.Port{0, 11},
	}
	for port := range pipeline.MaxPort + 1 {
		s.AllPorts = append(s.AllPorts, port)
	}
	all, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := pipeline.RuleEntries(s.Verdicts, 3)
	if err != nil {
		t.Fatal(err)
	}
	all = append(append(all, rules...), pipeline.EpochEntry(3, true))
	for _, table := range pipeline.TablesByRank() {
		if !slices.ContainsFunc(all, func(e pipeline.Entry) bool { return e.Key.Table() == table }) {
			t.Errorf("no entry of %v", table)
		}
	}
	return all
}

func same(a, b pipeline.Entry) bool {
	return a.Key == b.Key && a.Value == b.Value && a.String() == b.String()
}

// An entry that is encoded by hand is identical, byte for byte, to the encoding by protobuf. Decoding it returns the same
// entry.
func TestEntriesAreMessages(t *testing.T) {
	for _, e := range oneOfEach(t) {
		u := entries{{Kind: pipeline.Insert, Entry: &e}}
		m := u.message(0)
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil || string(encoded) != string(u.encoded(0)) {
			t.Errorf("%v is encoded as\n%x, protobuf has\n%x, %v", e, u.encoded(0), encoded, err)
		}
		back, err := EntryOf(m.GetEntity())
		if err != nil || !same(back, e) || m.GetType() != p4v1.Update_INSERT {
			t.Errorf("%v comes back as %v, %v, of %v", e, back, err, m)
		}
	}
}

// A switch may return an entry in another form: with another order of the matches, padded bytes or counters. The decoded
// entry must still be the same.
func TestReadBackIsTheSameEntry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := pipeline.VerdictKey{
			Group:           pipeline.Exactly(pipeline.LineGroup(rapid.Byte().Draw(t, "group"))),
			Leg:             pipeline.Exactly(pipeline.Leg(rapid.IntRange(1, 4).Draw(t, "leg"))),
			Service:         pipeline.Exactly(pipeline.Service(rapid.IntRange(1, 255).Draw(t, "service"))),
			RemoteClass:     pipeline.Exactly(pipeline.Class(rapid.Byte().Draw(t, "remote"))),
			SubscriberClass: pipeline.Exactly(pipeline.Class(rapid.Byte().Draw(t, "subscriber"))),
			Priority:        rapid.Int32Range(1, 1<<20).Draw(t, "priority"),
		}
		rules := map[pipeline.VerdictKey]pipeline.Verdict{key: {Action: pipeline.Permit, Rule: pipeline.RuleID(rapid.IntRange(2, 247).Draw(t, "rule"))}}
		written, err := pipeline.RuleEntries(rules, pipeline.Epoch(rapid.IntRange(1, 255).Draw(t, "epoch")))
		if err != nil {
			t.Fatal(err)
		}
		returned := Entity(written[0])
		entry := returned.GetTableEntry()
		entry.CounterData = &p4v1.CounterData{PacketCount: 5}
		entry.Match[0], entry.Match[3] = entry.GetMatch()[3], entry.GetMatch()[0]
		for _, m := range entry.GetMatch() {
			if x := m.GetTernary(); x != nil {
				x.Value = append([]byte{0}, x.GetValue()...)
			}
		}
		read, err := EntryOf(returned)
		if err != nil {
			t.Fatal(err)
		}
		if !same(read, written[0]) {
			t.Errorf("read back as %s, written as %s", read, written[0])
		}
	})
}

func TestForeignEntities(t *testing.T) {
	info := p4src.P4Info()
	id := func(name string) uint32 {
		for _, x := range info.GetTables() {
			if x.GetPreamble().GetAlias() == name {
				return x.GetPreamble().GetId()
			}
		}
		for _, x := range info.GetActions() {
			if x.GetPreamble().GetAlias() == name {
				return x.GetPreamble().GetId()
			}
		}
		t.Fatalf("no table and no action %q", name)
		return 0
	}
	exactly := func(field uint32, v ...byte) *p4v1.FieldMatch {
		return &p4v1.FieldMatch{FieldId: field, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: v}}}
	}
	call := func(id uint32, params ...byte) *p4v1.TableAction {
		a := &p4v1.Action{ActionId: id}
		for i, p := range params {
			a.Params = append(a.Params, &p4v1.Action_Param{ParamId: uint32(i + 1), Value: []byte{p}})
		}
		return &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: a}}
	}
	table := func(e *p4v1.TableEntry) *p4v1.Entity {
		return &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: e}}
	}
	for want, e := range map[string]*p4v1.Entity{
		"an entity of kind 7":   {Entity: &p4v1.Entity_CounterEntry{CounterEntry: &p4v1.CounterEntry{}}},
		"an empty entity":       {},
		"table 0x2ffffff":       table(&p4v1.TableEntry{TableId: 0x02ffffff}),
		"no key field 9":        table(&p4v1.TableEntry{TableId: id("line"), Match: []*p4v1.FieldMatch{exactly(9, 1)}}),
		"unknown action":        table(&p4v1.TableEntry{TableId: id("line"), Action: call(0x01ffffff)}),
		"has no parameter 2":    table(&p4v1.TableEntry{TableId: id("verdict"), Action: call(id("drop"), 1, 2)}),
		"is not matched as LPM": table(&p4v1.TableEntry{TableId: id("remote_v4"), Match: []*p4v1.FieldMatch{exactly(1, 1)}}),
		"has more than 9 bits":  table(&p4v1.TableEntry{TableId: id("line"), Match: []*p4v1.FieldMatch{exactly(1, 1, 2, 3)}}),
		"a prefix length of 33": table(&p4v1.TableEntry{TableId: id("remote_v4"), Match: []*p4v1.FieldMatch{{
			FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Lpm{Lpm: &p4v1.FieldMatch_LPM{Value: []byte{1}, PrefixLen: 33}},
		}}}),
		"an action profile's": table(&p4v1.TableEntry{TableId: id("line"), Action: &p4v1.TableAction{Type: &p4v1.TableAction_ActionProfileMemberId{ActionProfileMemberId: 1}}}),
		"no multicast group": {Entity: &p4v1.Entity_PacketReplicationEngineEntry{PacketReplicationEngineEntry: &p4v1.PacketReplicationEngineEntry{
			Type: &p4v1.PacketReplicationEngineEntry_CloneSessionEntry{CloneSessionEntry: &p4v1.CloneSessionEntry{SessionId: 1}},
		}}},
	} {
		if _, err := EntryOf(e); !errors.Is(err, pipeline.ErrForeign) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error is %v, want ErrForeign with %q", e, err, want)
		}
	}
}

// FuzzEntity verifies that every entry that the decoder accepts can be encoded and decoded without loss.
func FuzzEntity(f *testing.F) {
	for _, e := range oneOfEach(f) {
		encoded, _ := proto.Marshal(Entity(e))
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(p4v1.Entity)
		if proto.Unmarshal(data, m) != nil {
			return
		}
		got, err := EntryOf(m)
		if err != nil {
			return
		}
		again, err := EntryOf(Entity(got))
		if err != nil || !same(again, got) {
			t.Errorf("%v is written as %v, and read back as %v, %v", m, got, again, err)
		}
	})
}

// ReadEntries sends one request for each table and skips unknown fields in the answers.
func TestReadEntries(t *testing.T) {
	all := oneOfEach(t)
	unknown := &p4v1.ReadResponse{}
	unknown.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), "of a later version"))
	fake := &fakeSwitch{read: func(r *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
		if len(r.GetEntities()) != 1 || r.GetDeviceId() != testDevice {
			t.Errorf("asked for %v", r)
		}
		asked := r.GetEntities()[0]
		if err := stream.Send(unknown); err != nil {
			return err
		}
		for _, e := range all {
			m := Entity(e)
			if m.GetTableEntry().GetTableId() != asked.GetTableEntry().GetTableId() || m.GetTableEntry().GetIsDefaultAction() != asked.GetTableEntry().GetIsDefaultAction() {
				continue
			}
			if err := stream.Send(&p4v1.ReadResponse{Entities: []*p4v1.Entity{m}}); err != nil {
				return err
			}
		}
		return stream.Send(&p4v1.ReadResponse{})
	}}
	r := dialedReader(t, fake.serve(t))
	var got []pipeline.Entry
	take := func(e pipeline.Entry) error {
		got = append(got, e)
		return nil
	}
	if err := r.ReadEntries(t.Context(), pipeline.TablesByRank(), take); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(all) {
		t.Errorf("%d entries, want %d", len(got), len(all))
	}
	for _, e := range all {
		if !slices.ContainsFunc(got, func(x pipeline.Entry) bool { return same(x, e) }) {
			t.Errorf("%v was not read", e)
		}
	}
	rules := pipeline.RuleTables()
	enough := errors.New("enough")
	if err := r.ReadEntries(t.Context(), rules, func(pipeline.Entry) error { return enough }); err != enough {
		t.Errorf("the error of fn came back as %v", err)
	}
	fake.read = func(*p4v1.ReadRequest, p4v1.P4Runtime_ReadServer) error {
		return grpcstatus.Error(codes.FailedPrecondition, "no program")
	}
	if err := r.ReadEntries(t.Context(), rules, take); !errors.Is(err, ErrNoPipeline) || !strings.Contains(err.Error(), "read verdict:") {
		t.Errorf("without a program: %v", err)
	}
	for want, answer := range map[string][]byte{
		"the answer is no ReadResponse": {0x0a, 0x05, 0x00}, // the length of the entity is five bytes, but only one byte follows
		"not an entry of this pipeline": {0x0a, 0x00},
	} {
		broken := &p4v1.ReadResponse{}
		broken.ProtoReflect().SetUnknown(answer)
		fake.read = func(_ *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error { return stream.Send(broken) }
		if err := r.ReadEntries(t.Context(), rules, take); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of a broken answer: %v, want %q", err, want)
		}
	}
}

// WriteEntries writes entries in batches that stay within the limits.
func TestWriteEntries(t *testing.T) {
	all := oneOfEach(t)
	updates := make([]pipeline.Update, len(all))
	for i := range all {
		updates[i] = pipeline.Update{Kind: pipeline.Insert, Entry: &all[i]}
	}
	var sent []*p4v1.Update
	requests := 0
	fake := &fakeSwitch{write: func(_ context.Context, r *p4v1.WriteRequest) error {
		requests++
		sent = append(sent, r.GetUpdates()...)
		if r.GetDeviceId() != testDevice || !proto.Equal(r.GetElectionId(), testElection.proto()) || len(r.GetUpdates()) > 4 {
			t.Errorf("sent %v", r)
		}
		return nil
	}}
	cfg := fake.serve(t)
	cfg.BatchSize, cfg.MaxBatchBytes = 4, 300
	s := dialed(t, cfg)
	if err := s.WriteEntries(t.Context(), updates); err != nil {
		t.Fatal(err)
	}
	if len(sent) != len(all) || requests <= (len(all)+3)/4 {
		t.Fatalf("%d of %d updates in %d requests, want more than the batch size alone makes", len(sent), len(all), requests)
	}
	for i, u := range sent {
		if e, err := EntryOf(u.GetEntity()); err != nil || !same(e, all[i]) {
			t.Errorf("update %d is %v, %v, want %v", i, e, err, all[i])
		}
	}
}

// MailFlows decodes each member of a mail flow. It refuses digests that do not belong to this program.
func TestMailFlows(t *testing.T) {
	list := func(id uint32, values ...[]byte) *p4v1.DigestList {
		s := &p4v1.P4StructLike{}
		for _, v := range values {
			s.Members = append(s.Members, &p4v1.P4Data{Data: &p4v1.P4Data_Bitstring{Bitstring: v}})
		}
		return &p4v1.DigestList{DigestId: id, Data: []*p4v1.P4Data{{Data: &p4v1.P4Data_Struct{Struct: s}}}}
	}
	got, err := MailFlows(list(pipeline.MailFlowDigest, []byte{1, 44}, []byte{2}, []byte{7}, []byte{5}, []byte{3}, []byte{1}, []byte{1}, []byte{1}, []byte{10, 0, 0, 2}, []byte{10, 0, 0, 1}))
	if err != nil || len(got) != 1 || got[0].Line != 300 || got[0].Subscriber != netip.MustParseAddr("10.0.0.2") {
		t.Errorf("%+v, %v", got, err)
	}
	for want, l := range map[string]*p4v1.DigestList{
		"digest 0x17000001":                 list(0x17000001),
		"a mail flow of 1 members, want 10": list(pipeline.MailFlowDigest, []byte{1}),
	} {
		if _, err := MailFlows(l); !errors.Is(err, pipeline.ErrForeign) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want ErrForeign with %q", err, want)
		}
	}
}
