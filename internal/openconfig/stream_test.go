package openconfig

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// onePort returns the state of a switch with one port, which is up. The port has received frames frames, met of which were counted under
// rule 3.
func onePort(frames, met uint64) *State {
	st := &State{ACLSet: "op25b", Interfaces: []Interface{{Name: "a", Port: 1, Oper: OperUp, Counters: &InterfaceCounters{InPkts: frames}}}}
	if met > 0 {
		st.Interfaces[0].ACL = []ACLEntry{{SequenceID: 3, MatchedPackets: met, MatchedOctets: 60 * met}}
	}
	return st
}

const (
	inPktsA = "/interfaces/interface[name=a]/state/counters/in-pkts"
	statusA = "/interfaces/interface[name=a]/state/oper-status"
)

var inPkts = at("interfaces", "interface", "name=*", "state", "counters", "in-pkts")

// bubble runs f against an in-memory server in virtual time.
func bubble(t *testing.T, st *State, f func(t *testing.T, src *fakeSource, c gpb.GNMIClient)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		src := newFake(st)
		f(t, src, serveInMemory(t, src, Options{}))
	})
}

// elapsed fails unless this much time has passed since start.
func elapsed(t *testing.T, start time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(start); got != want {
		t.Fatalf("%v after the start, want %v", got, want)
	}
}

func TestSample(t *testing.T) {
	bubble(t, onePort(1, 0), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		start := time.Now()
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, sample(3*time.Second, inPkts)))
		if got := s.initial(); !maps.Equal(got, map[string]string{inPktsA: "1"}) {
			t.Fatalf("initial %v", got)
		}
		elapsed(t, start, 0)
		for i := range 3 { // the value is sent although it does not change
			got := s.next()
			if got.updates[inPktsA] != "1" || len(got.updates) != 1 {
				t.Fatalf("sample %d: %v", i, got.updates)
			}
			elapsed(t, start, time.Duration(i+1)*3*time.Second)
			if at := time.Unix(0, got.note.GetTimestamp()); !at.Equal(time.Now()) {
				t.Errorf("stamped %v at %v", at, time.Now())
			}
		}
		src.set(&State{}, true) // the change is reported, but no watch needs it, so the next sample contains it
		s.wantNext(nil, "/interfaces/interface[name=a]/state/counters/in-pkts")
		elapsed(t, start, 12*time.Second)
		src.set(onePort(9, 0), false)
		s.wantNext(map[string]string{inPktsA: "9"})
	})
}

func TestSampleAtTheLowestInterval(t *testing.T) {
	bubble(t, onePort(1, 0), func(t *testing.T, _ *fakeSource, c gpb.GNMIClient) {
		start := time.Now()
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, sample(0, inPkts)))
		s.initial()
		s.wantNext(map[string]string{inPktsA: "1"})
		elapsed(t, start, DefaultMinSample)
	})
}

func TestSuppressRedundant(t *testing.T) {
	bubble(t, onePort(1, 0), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		start := time.Now()
		sub := sample(time.Second, at("interfaces", "interface", "state"))
		sub.SuppressRedundant = true
		sub.HeartbeatInterval = uint64(5500 * time.Millisecond)
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, sub))
		all := s.initial()
		if len(all) != 3+len(counterNames) {
			t.Fatalf("initial %v", all)
		}
		time.Sleep(2100 * time.Millisecond)
		src.set(onePort(2, 0), false)
		s.wantNext(map[string]string{inPktsA: "2"}) // only the leaf that changed
		elapsed(t, start, 3*time.Second)
		beat := s.next() // nothing has changed, and the heartbeat sends everything
		elapsed(t, start, 5500*time.Millisecond)
		if all[inPktsA] = "2"; !maps.Equal(beat.updates, all) {
			t.Errorf("heartbeat %v\nwant %v", beat.updates, all)
		}
	})
}

func TestOnChange(t *testing.T) {
	bubble(t, onePort(1, 0), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		beat := onChange(at("interfaces", "interface", "state", "oper-status"))
		beat.HeartbeatInterval = uint64(time.Minute)
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, beat))
		if got := s.initial(); !maps.Equal(got, map[string]string{statusA: "UP"}) {
			t.Fatalf("initial %v", got)
		}
		start := time.Now()
		time.Sleep(10 * time.Second)
		down := onePort(5, 0)
		down.Interfaces[0].Oper = OperDown
		src.set(down, true)
		s.wantNext(map[string]string{statusA: "DOWN"})
		elapsed(t, start, 10*time.Second) // at once
		s.wantNext(map[string]string{statusA: "DOWN"})
		elapsed(t, start, time.Minute) // the heartbeat
		src.set(&State{}, true)
		s.wantNext(nil, "/interfaces/interface[name=a]/state/oper-status")
		src.set(down, true)
		s.wantNext(map[string]string{statusA: "DOWN"})
	})
}

// TestDeletesAreBranches verifies that an interface that vanishes causes one delete, of the topmost node that vanished.
func TestDeletesAreBranches(t *testing.T) {
	bubble(t, twoPorts(), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, onChange(at())))
		s.initial()
		st := twoPorts()
		st.Interfaces[0].ACL = st.Interfaces[0].ACL[:1]
		st.Interfaces = st.Interfaces[:1]
		src.set(st, true)
		s.wantNext(nil,
			"/acl/acl-sets/acl-set[name=op25b][type=ACL_MIXED]/acl-entries/acl-entry[sequence-id=7]", // no interface has counted this rule
			aclEntry("access-1", "7"),
			"/acl/interfaces/interface[id=network]",
			"/interfaces/interface[name=network]")
		st = twoPorts()
		st.Interfaces[0].ACL, st.Interfaces[0].Counters = nil, nil
		st.ACLSet = ""
		st.Interfaces = st.Interfaces[:1]
		src.set(st, true)
		s.wantNext(nil, "/acl", "/interfaces/interface[name=access-1]/state/counters")
	})
}

func TestOnChangeOfCounters(t *testing.T) {
	bubble(t, onePort(1, 1), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		start := time.Now()
		packets := aclEntry("a", "3") + "/state/matched-packets"
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, onChange(at("acl", "interfaces", "...", "matched-packets"))))
		if got := s.initial(); !maps.Equal(got, map[string]string{packets: "1"}) {
			t.Fatalf("initial %v", got)
		}
		time.Sleep(time.Second)       // until the initial reading of the watch has ended
		src.set(onePort(1, 2), false) // the counter changes without a report
		s.wantNext(map[string]string{packets: "2"})
		elapsed(t, start, DefaultCounterInterval)
		time.Sleep(time.Second)
		src.set(onePort(1, 3), true)
		s.wantNext(map[string]string{packets: "3"})
		elapsed(t, start, DefaultCounterInterval+time.Second)
	})
}

func TestTargetDefined(t *testing.T) {
	bubble(t, onePort(1, 0), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		sub := &gpb.Subscription{Path: at("interfaces", "interface", "state")}
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, sub))
		s.initial()
		start := time.Now()
		got := s.next() // all counters, and nothing else
		elapsed(t, start, DefaultCounterInterval)
		if len(got.updates) != len(counterNames) || got.updates[inPktsA] != "1" {
			t.Errorf("sample of the counters: %v", got.updates)
		}
		time.Sleep(time.Second)
		down := onePort(1, 0)
		down.Interfaces[0].Oper = OperDown
		src.set(down, true)
		s.wantNext(map[string]string{statusA: "DOWN"})
		elapsed(t, start, DefaultCounterInterval+time.Second)
	})
}

func TestUpdatesOnly(t *testing.T) {
	bubble(t, onePort(1, 0), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		l := listOf(gpb.SubscriptionList_STREAM, onChange(at("interfaces", "interface", "state")))
		l.UpdatesOnly = true
		s := subscribe(t, c, l)
		if !s.next().sync {
			t.Fatal("the sync response comes first")
		}
		src.set(onePort(2, 0), true)
		s.wantNext(map[string]string{inPktsA: "2"})
	})
}

// TestGoneAndBackBetweenReadings verifies that the whole interface is deleted when a sample finds that the counters of a removed interface
// are missing. If the interface comes back before its state was read, its state is sent again.
func TestGoneAndBackBetweenReadings(t *testing.T) {
	p, err := newPlan(newSchema(), listOf(gpb.SubscriptionList_STREAM, onChange(at("interfaces"))), Options{
		MinSample: time.Second, CounterInterval: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	root, now := newSchema(), time.Unix(0, 0)
	b := newBuilder(root)
	there := b.read(onePort(1, 0), now)
	gone := b.read(&State{}, now)
	back := b.read(onePort(1, 0), now)
	first, err := p.start(there, now, false)
	if err != nil {
		t.Fatal(err)
	}
	all := first.count()
	d := p.take(gone, now.Add(10*time.Second), false)
	if _, ok := d.deletes["/interfaces/interface[name=a]"]; !ok || len(d.deletes) != 1 {
		t.Fatalf("deletes %v", d.deletes)
	}
	d = p.take(back, now.Add(11*time.Second), true)
	if d.count() != all || len(d.deletes) != 0 {
		t.Errorf("%d leaves sent again, want all %d; deletes %v", d.count(), all, d.deletes)
	}
}

// TestNotYetThere verifies that a subscription to a path without a node sends nothing until the node appears.
func TestNotYetThere(t *testing.T) {
	bubble(t, &State{}, func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, onChange(at("interfaces", "interface", "name=a", "state", "oper-status"))))
		if got := s.initial(); len(got) != 0 {
			t.Fatalf("initial %v", got)
		}
		src.set(onePort(1, 0), true)
		s.wantNext(map[string]string{statusA: "UP"})
	})
}

// TestHalfClosed verifies that a client that has closed its side stays subscribed.
func TestHalfClosed(t *testing.T) {
	bubble(t, onePort(1, 0), func(t *testing.T, _ *fakeSource, c gpb.GNMIClient) {
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, sample(time.Second, inPkts)))
		if err := s.stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		s.initial()
		s.wantNext(map[string]string{inPktsA: "1"})
	})
}

// TestBurst verifies that a burst of changes causes two readings. The first change is read at once, and the others after the gap. The
// subscriber then has the current state.
func TestBurst(t *testing.T) {
	bubble(t, onePort(1, 0), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, onChange(inPkts)))
		s.initial()
		time.Sleep(time.Second)
		before := src.readCount()
		src.set(onePort(2, 0), true)
		s.wantNext(map[string]string{inPktsA: "2"})
		for i := range uint64(1000) {
			src.set(onePort(3+i, 0), true)
			synctest.Wait()
		}
		s.wantNext(map[string]string{inPktsA: "1002"})
		if n := src.readCount() - before; n != 2 {
			t.Errorf("%d readings for 1,001 changes, want 2", n)
		}
	})
}

// TestSlowSubscriber verifies that the source is neither blocked nor read while a subscriber does not receive. After that, the newest value
// arrives within a window of messages.
func TestSlowSubscriber(t *testing.T) {
	big := func(frames uint64) *State {
		st := &State{}
		for i := range 200 {
			st.Interfaces = append(st.Interfaces, Interface{
				Name: "access-" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Port: uint32(i + 1),
				Counters: &InterfaceCounters{InPkts: frames},
			})
		}
		return st
	}
	bubble(t, big(0), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, onChange(at("interfaces"))))
		s.initial()
		const rounds = 300
		for i := range uint64(rounds) {
			src.set(big(i+1), true)
			time.Sleep(DefaultChangeGap)
		}
		synctest.Wait()
		reads := src.readCount()
		// 200 changed leaves are about 20 kB; gRPC's windows and buffers hold some hundred kB.
		if reads > 100 {
			t.Errorf("%d readings for a subscriber who reads nothing", reads)
		}
		messages := 0
		for {
			m := s.next()
			messages++
			if m.updates["/interfaces/interface[name=access-aa]/state/counters/in-pkts"] == "300" {
				break
			}
		}
		t.Logf("%d changes while nothing was read: %d readings, then %d messages to the newest value", rounds, reads, messages)
	})
}

// TestMissedSamplesAreLeftOut verifies that a late reader gets one sample, and the next sample at its regular time. The samples in between
// are skipped.
func TestMissedSamplesAreLeftOut(t *testing.T) {
	root, start := newSchema(), time.Unix(0, 0)
	p, err := newPlan(root, listOf(gpb.SubscriptionList_STREAM, sample(10*time.Second, inPkts)), Options{MinSample: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	tree := readingOf(root, onePort(1, 0))
	if _, err := p.start(tree, start, false); err != nil {
		t.Fatal(err)
	}
	if d := p.take(tree, start.Add(35*time.Second), false); d.count() != 1 {
		t.Errorf("%d updates for three intervals, want one", d.count())
	}
	if next, ok := p.next(); !ok || !next.Equal(start.Add(40*time.Second)) {
		t.Errorf("next sample at %v, want 40 s after the start", next)
	}
	if d := p.take(tree, start.Add(39*time.Second), true); d.count()+len(d.deletes) != 0 {
		t.Errorf("a sample before its time: %v", d.updates)
	}
}
