package softswitch

import (
	"strings"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/softswitch/engine"
	"op25b/p4src"
)

func TestRehearsalKeepsNothing(t *testing.T) {
	r, err := NewRehearsal(p4src.DeviceConfig(), p4src.P4Info(), nil)
	if err != nil {
		t.Fatal(err)
	}
	// syn is a SYN to port 25 from an unnamed line. It is dropped, and a digest reports it once in a window of
	// 67 seconds.
	syn := []byte("\x02\x00\x00\x00\x02\x01\x02\x00\x00\x00\x01\x01\x08\x00\x45\x00\x00\x28\x00\x00\x40\x00\x40\x06\x00\x00\xc0\x00\x02\x01\xcb\x00\x71\x01" +
		"\xc0\x00\x00\x19\x00\x00\x00\x01\x00\x00\x00\x00\x50\x02\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	digests := func(p FrameResult) int {
		n := 0
		for _, e := range p.Trace {
			if e.Kind == engine.EventDigest {
				n++
			}
		}
		return n
	}
	for range 3 {
		all := r.Play(Frame{1, syn}, Frame{1, syn})
		if len(all) != 2 || len(all[0].Out) != 0 || digests(all[0]) != 1 || digests(all[1]) != 0 {
			t.Fatalf("%d passages, %d frames out, %d and %d digests: the second is to know of the first, and the next Play of neither",
				len(all), len(all[0].Out), digests(all[0]), digests(all[1]))
		}
	}
	if s := r.engine.Stats(); s.Digests != 3 || s.DigestsDropped != 0 || len(r.engine.Digests()) != 0 {
		t.Errorf("%d digests, %d dropped, %d waiting", s.Digests, s.DigestsDropped, len(r.engine.Digests()))
	}
}

func TestRehearsalRefuses(t *testing.T) {
	entity := &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{TableId: 7}}}
	for _, tc := range []struct {
		config   []byte
		entities []*p4v1.Entity
		want     string
	}{
		{[]byte("{}"), nil, "program: config.p4_device_config:"},
		{p4src.DeviceConfig(), []*p4v1.Entity{entity}, "entity 0: table id 0x7"},
	} {
		if _, err := NewRehearsal(tc.config, p4src.P4Info(), tc.entities); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %q", err, tc.want)
		}
	}
}
