package e2e

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/e2e/p4fuzz"
)

// aGroup returns an update that is valid on every switch that has a program.
func aGroup(id uint32) *p4v1.Update {
	return &p4v1.Update{Type: p4v1.Update_INSERT, Entity: &p4v1.Entity{Entity: &p4v1.Entity_PacketReplicationEngineEntry{
		PacketReplicationEngineEntry: &p4v1.PacketReplicationEngineEntry{Type: &p4v1.PacketReplicationEngineEntry_MulticastGroupEntry{
			MulticastGroupEntry: &p4v1.MulticastGroupEntry{MulticastGroupId: id, Replicas: []*p4v1.Replica{{PortKind: &p4v1.Replica_Port{Port: []byte{1}}}}},
		}},
	}}}
}

// TestP4FuzzWithoutStream writes to every switch before the switch has a program, and while no controller has a stream open.
func TestP4FuzzWithoutStream(t *testing.T) {
	onFuzzed(t, func(t *testing.T, f *fuzzed) {
		write := func(m p4fuzz.Mutation, election *p4v1.Uint128, u *p4v1.Update) {
			t.Helper()
			_, err := f.Client.Write(t.Context(), &p4v1.WriteRequest{DeviceId: 1, ElectionId: election, Updates: []*p4v1.Update{u}})
			if status.Code(err) != f.answers[m] {
				t.Errorf("%q: answered with %v, want %v", m, err, f.answers[m])
			}
		}
		write(p4fuzz.BeforePush, f.Election, aGroup(1))
		if _, err := f.fresh(t.Context(), fuzzPrograms(t, f.name)[0]); err != nil {
			t.Fatal(err)
		}
		if err := f.session.Close(); err != nil {
			t.Fatal(err)
		}
		write(p4fuzz.Unarbitrated, f.Election, aGroup(1))
		write(p4fuzz.Anonymous, nil, aGroup(1))
	})
}

// limitEntry returns an entry of the table connection_limit.
func limitEntry(line byte, c *p4v1.MeterConfig) *p4v1.TableEntry {
	exact := func(id uint32, b byte) *p4v1.FieldMatch {
		return &p4v1.FieldMatch{FieldId: id, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: []byte{b}}}}
	}
	return &p4v1.TableEntry{
		TableId: 0x0200000e, Match: []*p4v1.FieldMatch{exact(1, line), exact(2, 0)}, MeterConfig: c,
		Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{ActionId: 0x01000010}}},
	}
}

func rate(n int64) *p4v1.MeterConfig { return &p4v1.MeterConfig{Cir: n, Cburst: 9, Pir: n, Pburst: 9} }

// TestBMv2Meters demonstrates bmv2's faults with meters. They are the reason why the fuzzer avoids two mutations, and why the model has
// habits. If the test no longer finds one of the faults, remove the warning about that fault from docs/targets.md.
func TestBMv2Meters(t *testing.T) {
	path, reason := findBMv2()
	wants(t, "bmv2", reason)
	f := fuzzedAt(t, &fuzzed{name: "bmv2", addr: startBMv2(t, path, 1, nil, nil), answers: bmv2Answers(), habits: bmv2Habits})
	program := fuzzPrograms(t, f.name)[0]
	fresh := func() {
		t.Helper()
		if _, err := f.fresh(t.Context(), program); err != nil {
			t.Fatal(err)
		}
	}
	write := func(kind p4v1.Update_Type, e *p4v1.TableEntry) codes.Code {
		t.Helper()
		u := &p4v1.Update{Type: kind, Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: e}}}
		_, err := f.Client.Write(t.Context(), &p4v1.WriteRequest{DeviceId: 1, ElectionId: f.Election, Updates: []*p4v1.Update{u}})
		for _, d := range status.Convert(err).Details() {
			return codes.Code(d.(*p4v1.Error).GetCanonicalCode())
		}
		return status.Code(err)
	}
	shown := func() (*p4v1.MeterConfig, error) {
		got, err := f.session.Read(t.Context(), &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{
			TableEntry: &p4v1.TableEntry{TableId: 0x0200000e, MeterConfig: &p4v1.MeterConfig{}},
		}})
		if err != nil || len(got) != 1 {
			return nil, err
		}
		return got[0].GetTableEntry().GetMeterConfig(), nil
	}

	t.Run("a new entry has the meter of one that was deleted", func(t *testing.T) {
		fresh()
		insert, remove := p4v1.Update_INSERT, p4v1.Update_DELETE
		for _, c := range []codes.Code{write(insert, limitEntry(1, rate(100))), write(remove, limitEntry(1, nil)), write(insert, limitEntry(2, nil))} {
			if c != codes.OK {
				t.Fatal(c)
			}
		}
		if got, err := shown(); err != nil || got.GetCir() != 100 {
			t.Errorf("the meter is %v, %v; want the old one", got, err)
		}
	})
	t.Run("a rate comes back as another", func(t *testing.T) {
		for asked, want := range map[int64]int64{248: 248, 249: 248, 1000: 1000, 1001: 1000} {
			fresh()
			if c := write(p4v1.Update_INSERT, limitEntry(1, rate(asked))); c != codes.OK {
				t.Fatal(c)
			}
			if got, err := shown(); err != nil || got.GetCir() != want || got.GetPir() != want {
				t.Errorf("a rate of %d is shown as %v, %v; want %d", asked, got, err, want)
			}
		}
	})
	t.Run("an entry refused for its meter stays and makes the table unreadable", func(t *testing.T) {
		fresh()
		c := rate(100)
		c.Pir = 50
		if got := write(p4v1.Update_INSERT, limitEntry(1, c)); got != f.answers[p4fuzz.PeakBelow] {
			t.Errorf("answered with %v, want %v", got, f.answers[p4fuzz.PeakBelow])
		}
		if got, err := shown(); err == nil || !strings.Contains(err.Error(), "out-of-sync") {
			t.Errorf("the meter is %v, %v; want no answer", got, err)
		}
		if got := write(p4v1.Update_DELETE, limitEntry(1, nil)); got != codes.NotFound {
			t.Errorf("taking the entry away: answered with %v, want NotFound", got)
		}
		fresh() // a push repairs the table
		if got, err := shown(); got != nil || err != nil {
			t.Errorf("after a push: %v, %v", got, err)
		}
	})
}

// A hiding client omits one multicast group from every read.
type hiding struct {
	p4v1.P4RuntimeClient
	group uint32
}

type hidingStream struct {
	p4v1.P4Runtime_ReadClient
	group uint32
}

func (h hiding) Read(ctx context.Context, in *p4v1.ReadRequest, opts ...grpc.CallOption) (p4v1.P4Runtime_ReadClient, error) {
	s, err := h.P4RuntimeClient.Read(ctx, in, opts...)
	return hidingStream{s, h.group}, err
}

func (s hidingStream) Recv() (*p4v1.ReadResponse, error) {
	m, err := s.P4Runtime_ReadClient.Recv()
	out := &p4v1.ReadResponse{}
	for _, e := range m.GetEntities() {
		if e.GetPacketReplicationEngineEntry().GetMulticastGroupEntry().GetMulticastGroupId() != s.group {
			out.Entities = append(out.Entities, e)
		}
	}
	return out, err
}

// TestP4FuzzFinds verifies that the fuzzer detects a switch that does not return one multicast group, and shrinks the sequence to the
// single update that is necessary.
func TestP4FuzzFinds(t *testing.T) {
	wants(t, "embedded", "")
	f := fuzzedAt(t, &fuzzed{name: "embedded", addr: startEmbedded(t).P4Runtime, answers: embeddedAnswers()})
	f.Client = hiding{f.Client, 7}
	program := fuzzPrograms(t, f.name)[2]
	m, err := f.fresh(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	d := p4fuzz.NewDrawer(rand.New(rand.NewPCG(25, 0)), m)
	var steps []p4fuzz.Step
	for err == nil {
		if steps = append(steps, d.Step()); len(steps) > 1000 {
			t.Fatal("not found out")
		}
		err = f.Play(t.Context(), m, steps[len(steps)-1], nil)
	}
	short := p4fuzz.Shrink(steps, 400, func(s []p4fuzz.Step) bool { return f.replay(t.Context(), program, s) != nil })
	if len(short) != 1 || len(short[0].Updates) != 1 || short[0].Updates[0].GetType() != p4v1.Update_INSERT {
		t.Errorf("%v\nshortened to:\n%s", err, p4fuzz.Describe(short))
	}
	if err := f.replay(t.Context(), program, short); err == nil || !strings.Contains(err.Error(), "missing: multicast group 7") {
		t.Errorf("%v", err)
	}
}

// TestBMv2Ranges demonstrates why the fuzzer draws no range from 0 to 255: bmv2 refuses it as a range of all values, also in a field of 16 bits. If
// the test fails, remove the condition from the fuzzer, and the line from docs/targets.md.
func TestBMv2Ranges(t *testing.T) {
	path, reason := findBMv2()
	wants(t, "bmv2", reason)
	f := fuzzedAt(t, &fuzzed{name: "bmv2", addr: startBMv2(t, path, 1, nil, nil), answers: bmv2Answers(), habits: bmv2Habits})
	for _, program := range fuzzPrograms(t, f.name) {
		if program.name != "objects" {
			continue
		}
		if _, err := f.fresh(t.Context(), program); err != nil {
			t.Fatal(err)
		}
	}
	for high, want := range map[byte]codes.Code{254: codes.OK, 255: codes.InvalidArgument} {
		e := &p4v1.TableEntry{
			TableId: 37765464, Priority: int32(high),
			Match: []*p4v1.FieldMatch{
				{FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: []byte{1}}}},
				{FieldId: 3, FieldMatchType: &p4v1.FieldMatch_Range_{Range: &p4v1.FieldMatch_Range{Low: []byte{0}, High: []byte{high}}}},
			},
			Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{ActionId: 21257015}}},
		}
		u := &p4v1.Update{Type: p4v1.Update_INSERT, Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: e}}}
		_, err := f.Client.Write(t.Context(), &p4v1.WriteRequest{DeviceId: 1, ElectionId: f.Election, Updates: []*p4v1.Update{u}})
		got := status.Code(err)
		for _, d := range status.Convert(err).Details() {
			got = codes.Code(d.(*p4v1.Error).GetCanonicalCode())
		}
		if got != want {
			t.Errorf("a range from 0 to %d: answered with %v, want %v", high, err, want)
		}
	}
}
