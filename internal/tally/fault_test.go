package tally

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"pgregory.net/rapid"

	"op25b/e2e/gnmifault"
	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/openconfig"
	"op25b/internal/policy"
	"op25b/internal/telemetry"
)

// fixed is a book with one intent that never changes.
type fixed struct{ in *intent.Intent }

func (f fixed) Watch(ctx context.Context, _ uint64) <-chan intent.Update {
	updates := make(chan intent.Update, 1)
	updates <- intent.Update{Intent: f.in}
	context.AfterFunc(ctx, func() { close(updates) })
	return updates
}

// A ledger is a switch with a boot-time. It counts the packets of rules by interface, and for some rules by leg.
type ledger struct {
	mu      sync.Mutex // guards everything below
	boot    time.Time
	acl     map[string]map[uint32]uint64 // by interface and rule
	legs    map[telemetry.LegKey]uint64
	plugged map[string]bool
	sent    map[uint32]uint64 // all packets that were ever sent, by rule
	changed func()
}

// These are the rules of a ledger. A rule with legs counts on every leg, and the other rules on none.
var (
	ledgerPorts = []string{"access-1", "access-2"}
	plainRules  = []uint32{1, 2}
	legRules    = []uint32{5, 6}
)

func newLedger() *ledger {
	l := &ledger{boot: time.Now().Add(-time.Hour), plugged: map[string]bool{}, sent: map[uint32]uint64{}}
	l.clear()
	for _, name := range ledgerPorts {
		l.plugged[name] = true
	}
	return l
}

func (l *ledger) clear() {
	l.acl, l.legs = map[string]map[uint32]uint64{}, map[telemetry.LegKey]uint64{}
	for _, name := range ledgerPorts {
		l.acl[name] = map[uint32]uint64{}
	}
}

func (l *ledger) count(name string, rule uint32, up bool, packets uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acl[name][rule] += packets
	l.sent[rule] += packets
	for _, r := range legRules {
		if r == rule {
			leg := openconfig.LegDownSrc
			if up {
				leg = openconfig.LegUpDst
			}
			l.legs[telemetry.LegKey{Epoch: 1, Leg: leg.String(), Rule: rule}] += packets
		}
	}
}

func (l *ledger) change(do func()) {
	l.mu.Lock()
	do()
	changed := l.changed
	l.mu.Unlock()
	if changed != nil {
		changed()
	}
}

func (l *ledger) Snapshot(context.Context, openconfig.Parts) (*openconfig.State, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := &openconfig.State{ACLSet: "op25b", System: &openconfig.System{BootTime: l.boot}}
	for i, name := range ledgerPorts {
		if !l.plugged[name] {
			continue
		}
		in := openconfig.Interface{Name: name, Port: uint32(i + 1), Oper: openconfig.OperUp}
		for rule := range uint32(8) {
			if n := l.acl[name][rule]; n > 0 {
				in.ACL = append(in.ACL, openconfig.ACLEntry{SequenceID: rule, MatchedPackets: n, MatchedOctets: 60 * n})
			}
		}
		st.Interfaces = append(st.Interfaces, in)
	}
	for _, leg := range []openconfig.Leg{openconfig.LegUpDst, openconfig.LegDownSrc} {
		for _, rule := range legRules {
			n := l.legs[telemetry.LegKey{Epoch: 1, Leg: leg.String(), Rule: rule}]
			st.Legs = append(st.Legs, openconfig.LegEntry{Epoch: 1, Leg: leg, SequenceID: rule, Matched: openconfig.Tally{Packets: n, Octets: 60 * n}})
		}
	}
	return st, nil
}

func (l *ledger) Watch(ctx context.Context, changed func()) error {
	l.mu.Lock()
	l.changed = changed
	l.mu.Unlock()
	changed()
	<-ctx.Done()
	return nil
}

// A bench is a tally that reads a ledger through a proxy. All three run in one bubble of synctest.
type bench struct {
	l       *ledger
	proxy   *gnmifault.Proxy
	tally   *Tally
	shown   map[Key]telemetry.Count
	missing map[uint32]uint64 // the packets that were lost in restarts, by rule
	end     func()
}

const benchInterval = 2 * time.Second

// ledgerIntent returns an intent with the switch of a bench and the names of its rules.
func ledgerIntent() *intent.Intent {
	in := &intent.Intent{
		Bundle:  &policy.Bundle{Inventory: &policy.Inventory{Switches: []policy.Switch{{Name: "edge-1", GNMI: "passthrough:///front"}}}},
		Numbers: &compile.Numbers{Rules: compile.Given{}},
	}
	for _, rule := range append(plainRules, legRules...) {
		in.Numbers.Rules[fmt.Sprint("phase/rule-", rule)] = compile.Numbered{Number: uint16(rule)}
	}
	return in
}

func listenAt(lis *bufconn.Listener) grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) })
}

func newBench(t *testing.T, in *intent.Intent, f gnmifault.Faults) *bench {
	t.Helper()
	b := &bench{l: newLedger(), shown: map[Key]telemetry.Count{}, missing: map[uint32]uint64{}}
	server, err := openconfig.NewServer(b.l, openconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}
	back, front := bufconn.Listen(1<<16), bufconn.Listen(1<<16)
	g := grpc.NewServer()
	gpb.RegisterGNMIServer(g, server)
	const again = 100 * time.Millisecond
	conn, err := grpc.NewClient("passthrough:///back", listenAt(back), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: again, Multiplier: 1, MaxDelay: again}, MinConnectTimeout: again}))
	if err != nil {
		t.Fatal(err)
	}
	b.proxy = gnmifault.New(conn)
	b.proxy.Disturb(f)
	proxy := b.proxy.NewServer()
	b.tally, err = New(Config{Book: fixed{in}, Telemetry: telemetry.Config{
		Interval: benchInterval, LineInterval: benchInterval, MaxBackoff: 4 * time.Second, CallTimeout: 3 * time.Second, Silence: 10 * time.Second,
		DialOptions: []grpc.DialOption{listenAt(front)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = g.Serve(back) })
	running.Go(func() { _ = proxy.Serve(front) })
	running.Go(func() { b.tally.Run(ctx) })
	b.tally.Follow("edge-1", true, 1, "")
	b.end = func() {
		cancel()
		proxy.Stop()
		conn.Close()
		g.Stop()
		running.Wait()
	}
	return b
}

// check compares the totals with the packets that were sent. No total may fall, and the totals of a rule must not exceed its packets.
func (b *bench) check() error {
	synctest.Wait()
	for _, s := range b.tally.Read("edge-1") {
		now, of := map[Key]telemetry.Count{}, map[string]telemetry.Count{}
		for _, n := range s.Totals {
			now[n.Key] = n.Count
			of[n.Rule] = of[n.Rule].Plus(n.Count)
		}
		for k, was := range b.shown {
			if now[k].Packets < was.Packets || now[k].Octets < was.Octets {
				return fmt.Errorf("%+v fell from %+v to %+v", k, was, now[k])
			}
		}
		b.shown = now
		names := b.tally.Rules()
		for rule, sent := range b.l.sent {
			if n := of[names[rule]]; n.Packets > sent || n.Octets > 60*sent {
				return fmt.Errorf("rule %s has %+v, and only %d packets were sent", names[rule], n, sent)
			}
		}
	}
	return nil
}

// total returns the packets of a rule.
func (b *bench) total(rule uint32) (packets uint64) {
	for k, n := range b.shown {
		if k.Rule == b.tally.Rules()[rule] {
			packets += n.Packets
		}
	}
	return packets
}

func (b *bench) settle() error {
	b.proxy.Disturb(gnmifault.Faults{})
	b.l.change(func() {
		for _, name := range ledgerPorts {
			b.l.plugged[name] = true
		}
	})
	for range 75 {
		time.Sleep(benchInterval)
		if err := b.check(); err != nil {
			return err
		}
	}
	for rule, sent := range b.l.sent {
		if n := b.total(rule); n+b.missing[rule] < sent {
			return fmt.Errorf("rule %d has %d of %d packets after the faults, and restarts explain only %d", rule, n, sent, b.missing[rule])
		}
	}
	return nil
}

// drawBenchStep draws a step of the property test.
func drawBenchStep(t *rapid.T) (string, func(*bench) error) {
	switch rapid.IntRange(0, 7).Draw(t, "step") {
	case 0, 1, 2:
		name := rapid.SampledFrom(ledgerPorts).Draw(t, "interface")
		rule := rapid.SampledFrom(append(plainRules, legRules...)).Draw(t, "rule")
		up, n := rapid.Bool().Draw(t, "up"), rapid.Uint64Range(1, 1000).Draw(t, "packets")
		return fmt.Sprintf("%d packets of rule %d", n, rule), func(b *bench) error { b.l.count(name, rule, up, n); return nil }
	case 3:
		d := time.Duration(rapid.IntRange(1, 9000).Draw(t, "ms")) * time.Millisecond
		return fmt.Sprint("wait ", d), func(*bench) error { time.Sleep(d); return nil }
	case 4:
		every := func(name string) int { return max(0, rapid.IntRange(-3, 3).Draw(t, name)) }
		f := gnmifault.Faults{
			Swap: every("swap"), Repeat: every("repeat"), Replay: every("replay"), Merge: rapid.Bool().Draw(t, "merge"),
			NoSync: rapid.Bool().Draw(t, "no sync"), Mute: rapid.IntRange(0, 5).Draw(t, "mute") == 0,
			Stop: max(0, rapid.IntRange(-10, 20).Draw(t, "stop")),
		}
		return fmt.Sprintf("faults %+v", f), func(b *bench) error { b.proxy.Disturb(f); return nil }
	case 5:
		return "cut", func(b *bench) error { b.proxy.Cut(); return nil }
	case 6:
		return "another program", func(b *bench) error {
			time.Sleep(1001 * time.Millisecond)
			err := b.check()
			for rule, sent := range b.l.sent {
				b.missing[rule] = sent - b.total(rule)
			}
			b.l.change(func() { b.l.clear(); b.l.boot = time.Now() })
			return err
		}
	default:
		name, there := rapid.SampledFrom(ledgerPorts).Draw(t, "interface"), rapid.Bool().Draw(t, "there")
		return fmt.Sprintf("%s there: %v", name, there), func(b *bench) error {
			b.l.change(func() { b.l.plugged[name] = there })
			return nil
		}
	}
}

// TestTotalsUnderFaults verifies that the totals by rule, leg and phase neither fall nor exceed the packets that were sent. After the faults
// they are complete, except for the packets between the last sample and a restart.
func TestTotalsUnderFaults(t *testing.T) {
	in := ledgerIntent()
	rapid.Check(t, func(rt *rapid.T) {
		var names []string
		var steps []func(*bench) error
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			name, step := drawBenchStep(rt)
			names, steps = append(names, name), append(steps, step)
		}
		names, steps = append(names, "settle"), append(steps, (*bench).settle)
		var failure error
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, in, gnmifault.Faults{})
			defer b.end()
			for i, step := range steps {
				err := step(b)
				if err == nil {
					err = b.check()
				}
				if err != nil {
					failure = fmt.Errorf("step %d (%s): %w", i, names[i], err)
					return
				}
			}
		})
		if failure != nil {
			rt.Fatal(failure)
		}
	})
}

// TestReadingInTheMiddleOfASample verifies that a rule on legs is not taken for one without legs while the counts of its legs are still
// arriving.
func TestReadingInTheMiddleOfASample(t *testing.T) {
	for stop := 1; stop < 20; stop++ {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, ledgerIntent(), gnmifault.Faults{Stop: stop})
			defer b.end()
			b.l.count("access-1", 5, true, 100)
			b.l.count("access-2", 5, false, 10)
			b.l.count("access-2", 1, false, 1)
			for range 5 {
				time.Sleep(time.Second)
				if err := b.check(); err != nil {
					t.Errorf("after %d notifications: %v", stop, err)
				}
			}
			if err := b.settle(); err != nil {
				t.Errorf("after %d notifications and then all: %v", stop, err)
			}
		})
	}
}
