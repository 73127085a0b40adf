package softswitch

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"

	"op25b/internal/openconfig"
	"op25b/internal/softswitch/engine"
	"op25b/p4src"
)

// The counters begin with the switch, and again with each push of a program.
func TestSystemState(t *testing.T) {
	var clock atomic.Int64
	s, err := New(Options{DeviceID: 1, Hostname: "edge-1", Version: "x 1", Clock: func() time.Time { return time.Unix(clock.Load(), 0) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	services := serve(t, s)
	wantSystem := func(program string, boot, now int64) {
		t.Helper()
		clock.Store(now)
		st, err := s.Source().Snapshot(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		want := openconfig.System{Hostname: "edge-1", SoftwareVersion: "x 1" + program, BootTime: time.Unix(boot, 0), Clock: time.Unix(now, 0)}
		if *st.System != want {
			t.Errorf("got  %+v\nwant %+v", *st.System, want)
		}
	}
	wantSystem("", 0, 5)
	clock.Store(7)
	push(t, services.Addrs.P4Runtime)
	pkg := p4src.P4Info().GetPkgInfo()
	wantSystem(", "+pkg.GetName()+" "+pkg.GetVersion(), 7, 9)
}

func TestTransitions(t *testing.T) {
	s := newSwitch(t)
	if err := s.Name(1, "access-1"); err != nil {
		t.Fatal(err)
	}
	for _, up := range []bool{true, false, false, true, false} {
		s.setUp(1, up)
	}
	st, err := s.Source().Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := st.Interfaces[0].Transitions; n == nil || *n != 3 {
		t.Errorf("transitions %v, want down, up, down", n)
	}
}

// A program whose annotations are wrong, or name what it does not have, runs without counters.
func TestFindCountersRefuses(t *testing.T) {
	e, err := engine.Load(p4src.DeviceConfig(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*configv1.P4Info){
		`bad annotation`: func(i *configv1.P4Info) {
			i.Counters[0].Preamble.Annotations = []string{"@openconfig_acl"}
		},
		`table "elsewhere" with counter "SwitchIngress.filter.verdict_counter" is not in the program`: func(i *configv1.P4Info) {
			i.Tables[verdictTable(i)].Preamble.Name = "elsewhere"
		},
		`the program has no match field "age" or "leg"`: func(i *configv1.P4Info) {
			i.Tables[verdictTable(i)].MatchFields[0].Name = "age"
			i.DirectCounters[0].Preamble.Annotations = []string{`@op25b_legs("epoch=age,leg=leg,rule=rule")`}
		},
	} {
		info := p4src.P4Info()
		change(info)
		if c, err := findCounters(e, info); err == nil || !strings.Contains(err.Error(), want) || c.acl != nil {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func verdictTable(i *configv1.P4Info) int {
	for n, t := range i.Tables {
		if t.Preamble.Alias == "verdict" {
			return n
		}
	}
	return -1
}

// BenchmarkSnapshot is one reading of 64 ports with the reference program, by parts.
func BenchmarkSnapshot(b *testing.B) {
	e, err := engine.Load(p4src.DeviceConfig(), engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{DeviceID: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	s.commit(e, p4src.P4Info())
	for i := range uint32(64) {
		if err := s.Name(i+1, "port"); err != nil {
			b.Fatal(err)
		}
	}
	for name, parts := range map[string]openconfig.Parts{"interfaces": 0, "acl": openconfig.PartACL, "lines": openconfig.PartLines, "legs": openconfig.PartLegs} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Source().Snapshot(b.Context(), parts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
