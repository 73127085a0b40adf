package softswitch

import (
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/p4src"
)

// TestTwinReportsWhatAFrameMet verifies that a twin reports the entry that a frame hits, the misses, and, after the entry was removed, a miss in
// its place. The frame is a SYN to port 25 from an unnamed line, and the entry is one of the table line (0x02000001).
func TestTwinReportsWhatAFrameMet(t *testing.T) {
	twin, err := NewTwin(p4src.DeviceConfig(), p4src.P4Info())
	if err != nil {
		t.Fatal(err)
	}
	syn := []byte("\x02\x00\x00\x00\x02\x01\x02\x00\x00\x00\x01\x01\x08\x00\x45\x00\x00\x28\x00\x00\x40\x00\x40\x06\x00\x00\xc0\x00\x02\x01\xcb\x00\x71\x01" +
		"\xc0\x00\x00\x19\x00\x00\x00\x01\x00\x00\x00\x00\x50\x02\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	exact := func(id uint32, value string) *p4v1.FieldMatch {
		return &p4v1.FieldMatch{FieldId: id, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: []byte(value)}}}
	}
	entry := &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{
		TableId: 0x02000001, Match: []*p4v1.FieldMatch{exact(1, "\x01"), exact(2, "\x00"), exact(3, "\x00")},
		Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{
			ActionId: 0x01000001, Params: []*p4v1.Action_Param{{ParamId: 1, Value: []byte("\x03")}, {ParamId: 2, Value: []byte("\x07")}},
		}}},
	}}}
	meets := func(wantHit bool) {
		t.Helper()
		if out := twin.Play(1, syn, nil); len(out) != 0 {
			t.Fatalf("%d frames left the switch", len(out))
		}
		found := false
		for _, l := range twin.Looks(nil) {
			if l.Table != "SwitchIngress.filter.line" {
				if l.Hit {
					t.Errorf("the frame hits an entry of %s, which is empty", l.Table)
				}
				continue
			}
			found = true
			if l.Hit != wantHit || wantHit && l.ID != 41 {
				t.Errorf("the table line answers %+v, want hit=%v with id 41", l, wantHit)
			}
		}
		if !found {
			t.Errorf("the table line is not among %+v", twin.Looks(nil))
		}
	}
	meets(false)
	if err := twin.Write(&p4v1.Update{Type: p4v1.Update_INSERT, Entity: entry}, 41); err != nil {
		t.Fatal(err)
	}
	meets(true)
	if err := twin.Write(&p4v1.Update{Type: p4v1.Update_INSERT, Entity: entry}, 41); err == nil {
		t.Error("the twin accepts an entry twice")
	}
	if err := twin.Write(&p4v1.Update{Type: p4v1.Update_DELETE, Entity: entry}, 0); err != nil {
		t.Fatal(err)
	}
	meets(false)
}

// BenchmarkTwin measures a frame with its look-ups, without entries.
func BenchmarkTwin(b *testing.B) {
	twin, err := NewTwin(p4src.DeviceConfig(), p4src.P4Info())
	if err != nil {
		b.Fatal(err)
	}
	syn := []byte("\x02\x00\x00\x00\x02\x01\x02\x00\x00\x00\x01\x01\x08\x00\x45\x00\x00\x28\x00\x00\x40\x00\x40\x06\x00\x00\xc0\x00\x02\x01\xcb\x00\x71\x01" +
		"\xc0\x00\x00\x19\x00\x00\x00\x01\x00\x00\x00\x00\x50\x02\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	var out []Frame
	var looks []Look
	for b.Loop() {
		out = twin.Play(1, syn, out[:0])
		looks = twin.Looks(looks[:0])
	}
}

// BenchmarkNewTwin measures loading the program.
func BenchmarkNewTwin(b *testing.B) {
	for b.Loop() {
		if _, err := NewTwin(p4src.DeviceConfig(), p4src.P4Info()); err != nil {
			b.Fatal(err)
		}
	}
}
