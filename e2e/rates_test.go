package e2e

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/softswitch/engine"
)

// clockSecond is the second by which the data plane measures time: 2^20 microseconds.
const clockSecond = (1 << 20) * time.Microsecond

// rejecting returns a state with the given number of lines, each in its own VLAN, whose mail to outside servers is rejected.
func rejecting(lines int) *pipeline.State {
	s := filtering(0, 0, 1)
	for k, v := range s.Verdicts {
		if v.Rule == 5 {
			s.Verdicts[k] = pipeline.Verdict{Action: pipeline.Reject, Rule: 5}
		}
	}
	for i := range lines {
		s.Lines[pipeline.LineKey{Port: accessPort, OuterVID: pipeline.VID(i + 1)}] = pipeline.Line{Group: 1, Index: pipeline.LineIndex(i + 2)}
	}
	s.RejectFrom.IPv4 = netip.MustParseAddr("198.51.100.1")
	return s
}

// tagged returns a copy of a frame with a VLAN tag.
func tagged(f []byte, vid int) []byte {
	return append(append(append([]byte{}, f[:12]...), 0x81, 0, byte(vid>>8), byte(vid)), f[12:]...)
}

// TestRejectsAreFew verifies the limits of rejects. In each clock second, a line gets at most 3 replies and all lines together at most
// 1,000, however many connections are tried. Connections without a reply must be dropped too.
func TestRejectsAreFew(t *testing.T) {
	const lines, tries = 400, 5
	now := time.Unix(0, 0)
	worker := loadedWith(t, rejecting(lines), engine.Options{Clock: func() time.Time { return now }}).NewWorker()
	syn := tcp4(t, subscriberMAC, serverMAC, "192.0.2.11", "203.0.113.129", 40000, 25, flagSYN)
	for second := range 3 {
		answers, passed := 0, 0
		perLine := make([]int, lines)
		for range tries {
			for line := range lines {
				worker.Process(accessPort, tagged(syn, line+1), func(port uint32, _ []byte) {
					if port == accessPort {
						answers++
						perLine[line]++
					} else {
						passed++
					}
				})
			}
		}
		if answers != 1000 || passed != 0 {
			t.Errorf("second %d: %d answers and %d passed, want 1000 and none", second, answers, passed)
		}
		for line, n := range perLine {
			if n > 3 {
				t.Errorf("second %d: line %d had %d answers, want 3 at most", second, line, n)
			}
		}
		now = now.Add(clockSecond)
	}
}

// TestRegistersSideBySide verifies that ports that process packets of the same lines in parallel send no more replies than one port would,
// and no more reports of mail flows. This requires that each access reads, changes and writes a register in one atomic action.
func TestRegistersSideBySide(t *testing.T) {
	const ports, lines, tries, seconds = 4, 400, 2, 70
	var now atomic.Int64
	e := loadedWith(t, rejecting(lines), engine.Options{Clock: func() time.Time { return time.Unix(0, now.Load()) }})
	syn := tcp4(t, subscriberMAC, serverMAC, "192.0.2.11", "203.0.113.129", 40000, 25, flagSYN)
	alone, want := loadedWith(t, rejecting(lines), engine.Options{Clock: func() time.Time { return time.Unix(0, 0) }}), 0
	one := alone.NewWorker()
	for line := range lines { // a few lines share a register's index, so count the reports that one port sends
		one.Process(accessPort, tagged(syn, line+1), func(uint32, []byte) {})
		select {
		case d := <-alone.Digests():
			want++
			d.Release()
		default:
		}
	}
	flows := 0
	for second := range seconds {
		var answers [ports][lines]int
		var all sync.WaitGroup
		for port := range ports {
			all.Go(func() {
				worker := e.NewWorker()
				defer worker.Close()
				for line := range lines {
					for range tries {
						worker.Process(accessPort, tagged(syn, line+1), func(out uint32, _ []byte) {
							if out == accessPort {
								answers[port][line]++
							}
						})
					}
				}
			})
		}
		told := make(chan struct{})
		go func() {
			all.Wait()
			close(told)
		}()
		for drained := false; !drained; {
			select {
			case d := <-e.Digests():
				flows++
				d.Release()
			case <-told:
				drained = true
			}
		}
		total := 0
		for line := range lines {
			n := 0
			for port := range ports {
				n += answers[port][line]
			}
			if total += n; n > 3 {
				t.Fatalf("second %d: line %d had %d answers, want 3 at most", second, line, n)
			}
		}
		if total != 1000 {
			t.Fatalf("second %d: %d answers, want 1000", second, total)
		}
		now.Add(int64(clockSecond))
	}
	for len(e.Digests()) > 0 {
		flows++
		(<-e.Digests()).Release()
	}
	if s := e.Stats(); s.DigestsDropped != 0 || flows != 2*want { // 70 clock seconds contain two windows
		t.Errorf("%d mail flows in two windows and %d dropped, want %d in each", flows, s.DigestsDropped, want)
	}
}

// TestNoAddressNoAnswer verifies that a rejected connection is dropped without a reply if the switch has no source address of the
// connection's family.
func TestNoAddressNoAnswer(t *testing.T) {
	s := rejecting(0)
	s.RejectFrom = pipeline.RejectFrom{IPv6: netip.MustParseAddr("2001:db8::1")}
	worker := loaded(t, s).NewWorker()
	syn := tcp4(t, subscriberMAC, serverMAC, "192.0.2.11", "203.0.113.129", 40000, 25, flagSYN)
	worker.Process(accessPort, syn, func(port uint32, f []byte) { t.Errorf("port %d sent %x", port, f) })
}

// TestSYNIsRememberedAMinute verifies that a SYN-ACK from port 25 counts as solicited up to 63 clock seconds after its SYN, and as
// unsolicited from the 64th on.
func TestSYNIsRememberedAMinute(t *testing.T) {
	now := time.Unix(0, 0)
	e := loadedWith(t, watched(), engine.Options{Clock: func() time.Time { return now }})
	worker := e.NewWorker()
	counter, ok := e.Counter("SwitchIngress.filter.line_mail")
	if !ok {
		t.Fatal("no counter line_mail")
	}
	const relay, line = "172.16.0.5", "192.0.2.11"
	drop := func(uint32, []byte) {}
	for _, test := range []struct {
		later       time.Duration
		unsolicited uint64
	}{{0, 0}, {62 * clockSecond, 0}, {63 * clockSecond, 0}, {64 * clockSecond, 1}, {1000 * clockSecond, 1}} {
		worker.Process(accessPort, tcp4(t, subscriberMAC, serverMAC, line, relay, 40000, 25, flagSYN), drop)
		now = now.Add(test.later)
		before, err := counter.Read(1<<2 | int(pipeline.Unsolicited))
		if err != nil {
			t.Fatal(err)
		}
		worker.Process(networkPort, tcp4(t, serverMAC, subscriberMAC, relay, line, 25, 40000, flagSYN|flagACK), drop)
		after, _ := counter.Read(1<<2 | int(pipeline.Unsolicited))
		if got := after.Packets - before.Packets; got != test.unsolicited {
			t.Errorf("%v after its SYN %d SYN-ACKs count as unsolicited, want %d", test.later, got, test.unsolicited)
		}
	}
}

// TestFlowsAreThinned verifies that repeated attempts by a line at one server are reported once in 2^26 microseconds, and that an attempt
// at another server is reported at once.
func TestFlowsAreThinned(t *testing.T) {
	const window = (1 << 26) * time.Microsecond
	now := time.Unix(0, 0)
	e := loadedWith(t, watched(), engine.Options{Clock: func() time.Time { return now }})
	worker := e.NewWorker()
	told := func(server string) bool {
		worker.Process(accessPort, tcp4(t, subscriberMAC, serverMAC, "192.0.2.11", server, 40000, 25, flagSYN), func(uint32, []byte) {})
		select {
		case d := <-e.Digests():
			d.Release()
			return true
		default:
			return false
		}
	}
	for _, test := range []struct {
		at     time.Duration
		server string
		want   bool
	}{
		{0, "203.0.113.129", true},
		{time.Second, "203.0.113.129", false},
		{time.Second, "203.0.113.130", true},
		{window - time.Microsecond, "203.0.113.129", false},
		{window, "203.0.113.129", true},
		{window, "203.0.113.130", true},
		{2*window - time.Microsecond, "203.0.113.130", false},
	} {
		now = time.Unix(0, 0).Add(test.at)
		if got := told(test.server); got != test.want {
			t.Errorf("at %v, %s: told is %v, want %v", test.at, test.server, got, test.want)
		}
	}
}

// TestLimitIsForPorts verifies that a limit rule that matches any service passes no frame without ports. Such a rule can only come from
// another client.
func TestLimitIsForPorts(t *testing.T) {
	s := watched()
	s.Verdicts[pipeline.VerdictKey{Priority: 99}] = pipeline.Verdict{Action: pipeline.Limit, Rule: 9}
	s.Limits = map[pipeline.LimitKey]pipeline.Rate{{Line: 1, From: pipeline.Access}: {PerSecond: 1000, Burst: 1000}}
	worker := loaded(t, s).NewWorker()
	segment := func(change func(ip []byte)) (passed bool) {
		f := tcp4(t, subscriberMAC, serverMAC, "192.0.2.11", "203.0.113.129", 40000, 25, flagSYN)
		change(f[14:])
		worker.Process(accessPort, f, func(uint32, []byte) { passed = true })
		return passed
	}
	if !segment(func([]byte) {}) {
		t.Error("a segment within the rate does not pass")
	}
	if segment(func(ip []byte) { ip[0] = 0x44 }) {
		t.Error("an undetermined frame passes")
	}
	if segment(func(ip []byte) { ip[7] = 200 }) {
		t.Error("a later fragment passes")
	}
}
