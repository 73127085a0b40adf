package telemetry

import (
	"testing"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	gpath "github.com/openconfig/gnmic/pkg/api/path"
	"google.golang.org/protobuf/proto"
)

// TestRaw verifies that after a restart of the switch, Raw returns the values that the switch reports,
// and Read returns totals.
func TestRaw(t *testing.T) {
	tables := newTables()
	s := newSeries(tables.entries)
	d := newDecoder(s, tables)
	report := func(boot, packets uint64) {
		t.Helper()
		update := func(path string, v uint64) *gpb.Update {
			p, err := gpath.ParsePath(path)
			if err != nil {
				t.Fatal(err)
			}
			return &gpb.Update{Path: p, Val: &gpb.TypedValue{Value: &gpb.TypedValue_UintVal{UintVal: v}}}
		}
		b, err := proto.Marshal(&gpb.SubscribeResponse{Response: &gpb.SubscribeResponse_Update{Update: &gpb.Notification{Timestamp: int64(boot) + 1, Update: []*gpb.Update{
			update("/system/state/boot-time", boot),
			update("/interfaces/interface[name=a]/state/counters/in-pkts", packets),
			update("/acl/interfaces/interface[id=a]/ingress-acl-sets/ingress-acl-set[set-name=s][type=ACL_MIXED]/acl-entries/acl-entry[sequence-id=6]/state/matched-packets", packets),
			update("/acl/acl-sets/acl-set[name=s][type=ACL_MIXED]/leg-entries/leg-entry[epoch=1][leg=UP_DST][sequence-id=6]/state/matched-packets", packets),
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.message(b, 1); err != nil {
			t.Fatal(err)
		}
	}
	report(1e18, 5)
	report(2e18, 3)
	for name, c := range map[string]struct {
		r    *Reading
		want uint64
	}{"Raw": {s.raw(), 3}, "Read": {s.reading(), 8}} {
		in := c.r.Interfaces[0]
		if in.Counters[InPkts] != c.want || in.ACL[0].Packets != c.want || c.r.Legs[0].Packets != c.want {
			t.Errorf("%s: %+v, %+v, want %d packets", name, in, c.r.Legs, c.want)
		}
		if !in.Reported[InPkts] || in.Reported[OutPkts] {
			t.Errorf("%s: reported are %v", name, in.Reported)
		}
	}
	path, err := gpath.ParsePath("/interfaces/interface[name=a]/state/counters")
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(&gpb.SubscribeResponse{Response: &gpb.SubscribeResponse_Update{Update: &gpb.Notification{Timestamp: 3e18, Delete: []*gpb.Path{path}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.message(b, 2); err != nil {
		t.Fatal(err)
	}
	if r := s.raw(); r.Interfaces[0].Reported[InPkts] {
		t.Errorf("a deleted counter is still there: %+v", r.Interfaces[0])
	}
}
