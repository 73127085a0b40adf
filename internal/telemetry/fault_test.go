package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"pgregory.net/rapid"

	"op25b/e2e/gnmifault"
)

// A faultPath is a collector that reads a machine through a proxy. All of them run in one bubble of synctest.
type faultPath struct {
	t       *testing.T
	m       *machine
	proxy   *gnmifault.Proxy
	c       *collecting
	machine *place
	stop    func()            // ends the machine's server; nil if no server is running
	shown   map[string]uint64 // the totals at the last check
	missing map[string]uint64 // the packets that were lost in restarts
	hasBoot bool              // the machine reports its boot-time
	lossy   bool              // more than missing may be lost
	end     func()
}

// These are the intervals of a faultPath's collector.
const (
	faultInterval = 2 * time.Second
	faultBackoff  = 4 * time.Second
	// again is the interval at which the proxy tries to reach the machine.
	again = 100 * time.Millisecond
	// bootGap is the smallest difference at which two boot-times count as different.
	bootGap = 1001 * time.Millisecond
)

func newFaultPath(t *testing.T, hasBoot bool) *faultPath {
	t.Helper()
	p := &faultPath{t: t, m: newMachine(hasBoot), hasBoot: hasBoot, machine: &place{}, shown: map[string]uint64{}, missing: map[string]uint64{}}
	conn, err := grpc.NewClient("passthrough:///machine", p.machine.dial(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: again, Multiplier: 1, MaxDelay: again}, MinConnectTimeout: again}))
	if err != nil {
		t.Fatal(err)
	}
	p.proxy = gnmifault.New(conn)
	p.start()
	front := &place{lis: bufconn.Listen(1 << 16)}
	server := p.proxy.NewServer()
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(front.lis) })
	c, err := New(Config{
		Interval: faultInterval, LineInterval: faultInterval, MaxBackoff: faultBackoff, CallTimeout: 3 * time.Second, Silence: 10 * time.Second,
		DialOptions: []grpc.DialOption{front.dial()},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var collect sync.WaitGroup
	collect.Go(func() { c.Run(ctx) })
	c.Set([]Target{edge("edge-1")})
	p.c = &collecting{Collector: c, t: t}
	p.end = func() {
		cancel()
		collect.Wait()
		server.Stop()
		serving.Wait()
		conn.Close()
		p.halt()
	}
	return p
}

func (p *faultPath) start() {
	if p.stop == nil {
		p.stop = p.machine.serve(newFaultServer(p.t, p.m))
	}
}

func (p *faultPath) halt() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// check compares the totals with the packets that were sent. The totals must neither fall nor exceed them.
func (p *faultPath) check() error {
	synctest.Wait()
	r, _, there := p.c.Read("edge-1")
	if !there {
		return nil // the collector has not begun
	}
	now := readCounts(r)
	if r.Rejected > 0 {
		return fmt.Errorf("a value was rejected: %s", r.FirstRejected)
	}
	sent := p.m.reallySent()
	if counter, wrong := compareCounts(p.shown, now, func(before, now uint64) bool { return now >= before || now == 0 }); wrong {
		return fmt.Errorf("%s fell from %d to %d", counter, p.shown[counter], now[counter])
	}
	if counter, wrong := compareCounts(now, sent, func(now, sent uint64) bool { return now <= sent }); wrong {
		return fmt.Errorf("%s is %d, and only %d were sent", counter, now[counter], sent[counter])
	}
	maps.Copy(p.shown, now) // the counters of an interface that is not reported stay as they were
	return nil
}

// all stands for an unknown number of lost packets.
const all = math.MaxInt64

// restart restarts the machine's counters. The packets after the last sample are lost. If the machine has no boot-time, the packets before
// the next sample are lost too. If an interface's counters grow above the old values in that time, all packets of that time are lost for this
// interface.
func (p *faultPath) restart(interfaces bool) {
	for counter, n := range p.m.reallySent() {
		switch {
		case interfaces && ofInterface(counter):
			p.missing[counter] = all
		case p.missing[counter] != all:
			p.missing[counter] = n - p.shown[counter]
		}
	}
	p.lossy = p.lossy || !p.hasBoot
	p.m.restart(interfaces)
}

// plug removes an interface of the machine, or brings it back. If the machine has no boot-time, the packets that were counted in the meantime
// are lost.
func (p *faultPath) plug(name string, there bool) {
	p.lossy = p.lossy || !p.hasBoot
	p.m.plug(name, there)
}

// settle ends the faults, and waits until the totals are complete.
func (p *faultPath) settle() error {
	p.start()
	p.m.plug("a", true)
	p.m.plug("b", true)
	p.proxy.Disturb(gnmifault.Faults{})
	for range 75 { // until timestamps in the future have no effect any more
		time.Sleep(faultInterval)
		if err := p.check(); err != nil {
			return err
		}
	}
	_, st, _ := p.c.Read("edge-1")
	if st.State != Synced {
		return fmt.Errorf("after the faults the target is %v (%v): %w", st.State, st.Reason, st.Err)
	}
	sent := p.m.reallySent()
	for counter := range sent {
		if n := p.shown[counter]; n+p.missing[counter] < sent[counter] && !p.lossy {
			return fmt.Errorf("after the faults %s is %d of %d, and restarts explain only %d", counter, n, sent[counter], p.missing[counter])
		}
	}
	return nil
}

// A faultStep is a step of the property test. It returns the error of check.
type faultStep struct {
	name string
	do   func(p *faultPath) error
}

// drawFaultStep draws a step for a machine with or without a boot-time. If restarts is false, no counter restarts from 0.
func drawFaultStep(t *rapid.T, hasBoot, restarts bool) faultStep {
	switch rapid.IntRange(0, 11).Draw(t, "step") {
	case 0, 1, 2:
		counter := rapid.SampledFrom(machineCounters).Draw(t, "counter")
		n := rapid.Uint64Range(1, 1000).Draw(t, "packets")
		return faultStep{fmt.Sprintf("%d packets of %s", n, counter), func(p *faultPath) error { p.m.count(counter, n); return nil }}
	case 3, 4:
		d := time.Duration(rapid.IntRange(1, 9000).Draw(t, "ms")) * time.Millisecond
		return faultStep{fmt.Sprint("wait ", d), func(p *faultPath) error { time.Sleep(d); return nil }}
	case 5, 6:
		every := func(name string) int { return max(0, rapid.IntRange(-3, 3).Draw(t, name)) }
		f := gnmifault.Faults{
			Swap: every("swap"), Repeat: every("repeat"), Replay: every("replay"),
			Merge: rapid.Bool().Draw(t, "merge"), NoSync: rapid.Bool().Draw(t, "no sync"),
			NoOnChange: rapid.Bool().Draw(t, "no on change"), Mute: rapid.IntRange(0, 5).Draw(t, "mute") == 0,
		}
		if !restarts { // a timestamp in the future hides values from before and after a restart
			f.Ahead = every("ahead")
		}
		if !restarts && hasBoot { // in other cases, a value that falls may mean that the counter restarted from 0
			f.Lower = every("lower")
		}
		if rapid.IntRange(0, 5).Draw(t, "garbage") == 0 {
			f.Garbage = []byte{0xff}
		}
		return faultStep{fmt.Sprintf("faults %+v", f), func(p *faultPath) error { p.proxy.Disturb(f); return nil }}
	case 7:
		return faultStep{"cut", func(p *faultPath) error { p.proxy.Cut(); return nil }}
	case 8:
		name, there := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "interface"), rapid.Bool().Draw(t, "there")
		return faultStep{fmt.Sprintf("interface %s there: %v", name, there), func(p *faultPath) error { p.plug(name, there); return nil }}
	case 9:
		name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "interface")
		if !restarts {
			return faultStep{"another cut", func(p *faultPath) error { p.proxy.Cut(); return nil }}
		}
		return faultStep{"another interface " + name, func(p *faultPath) error {
			time.Sleep(time.Millisecond)
			p.missing["in-pkts "+name], p.missing["in-pkts "+name+octets] = all, all
			p.m.recreate(name)
			return nil
		}}
	case 10:
		if !restarts {
			return faultStep{"cut", func(p *faultPath) error { p.proxy.Cut(); return nil }}
		}
		return faultStep{"another program", func(p *faultPath) error {
			time.Sleep(bootGap)
			err := p.check()
			p.restart(false)
			return err
		}}
	default:
		down := time.Duration(rapid.IntRange(0, 9000).Draw(t, "down for ms")) * time.Millisecond
		counts := !restarts || rapid.Bool().Draw(t, "the switch counts on")
		return faultStep{fmt.Sprint("no server for ", down, ", counts on: ", counts), func(p *faultPath) error {
			time.Sleep(bootGap)
			p.halt()
			time.Sleep(down)
			err := p.check()
			if !counts {
				p.restart(true)
			}
			p.start()
			return err
		}}
	}
}

// TestTotalsUnderFaults verifies that no fault between a switch and the collector makes a total fall or exceed the packets that were sent.
// After the faults the totals are complete, except for the packets between the last sample and a restart.
func TestTotalsUnderFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, restarts := rapid.IntRange(1, 25).Draw(rt, "steps"), rapid.Bool().Draw(rt, "restarts")
		hasBoot := rapid.Bool().Draw(rt, "boot-time")
		var steps []faultStep
		for range n {
			steps = append(steps, drawFaultStep(rt, hasBoot, restarts))
		}
		if err := playFaults(t, hasBoot, steps); err != nil {
			rt.Fatal(err)
		}
	})
}

func playFaults(t *testing.T, hasBoot bool, steps []faultStep) (err error) {
	synctest.Test(t, func(t *testing.T) {
		p := newFaultPath(t, hasBoot)
		defer p.end()
		for i, step := range append(steps, faultStep{"settle", (*faultPath).settle}) {
			if err = errors.Join(step.do(p), p.check()); err != nil {
				err = fmt.Errorf("step %d (%s): %w", i, step.name, err)
				return
			}
		}
	})
	return err
}
