package telemetry

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"op25b/e2e/gnmifault"
)

// TestFaultsThatEndASession verifies the reason for each fault that ends a session, and that a new session begins after the fault.
func TestFaultsThatEndASession(t *testing.T) {
	for name, tc := range map[string]struct {
		faults gnmifault.Faults
		reason Reason
		err    error // nil means any error
	}{
		"garbage":           {gnmifault.Faults{Garbage: []byte{0xff}}, ReasonInvalid, ErrMessage},
		"a message of 64MB": {gnmifault.Faults{Pad: maxMessage}, ReasonInvalid, nil},
		"no sync response":  {gnmifault.Faults{NoSync: true}, ReasonSilent, ErrNoSync},
		"mute from the start, so that the capabilities do not come": {gnmifault.Faults{Mute: true}, ReasonUnreachable, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newFaultPath(t, true)
			defer p.end()
			p.c.until("edge-1", in(Synced))
			p.m.count("acl a 3", 5)
			p.proxy.Disturb(tc.faults)
			p.proxy.Cut()
			began := time.Now()
			_, st := p.c.until("edge-1", func(_ *Reading, st Status) bool { return st.State == Disconnected && st.Reason == tc.reason })
			if tc.err != nil && !errors.Is(st.Err, tc.err) {
				t.Errorf("%s: %v, want %v", name, st.Err, tc.err)
			}
			if took := time.Since(began); took > p.c.cfg.syncWithin()+faultBackoff {
				t.Errorf("%s: it took %v", name, took)
			}
			if err := p.settle(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// TestSubscriptionThatStops verifies that a subscription that stops without ending becomes stale after two and a half samples, and is
// replaced after Config.Silence.
func TestSubscriptionThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFaultPath(t, true)
		defer p.end()
		p.c.until("edge-1", in(Synced))
		time.Sleep(2*faultInterval + time.Second) // the third sample is due in a second
		synctest.Wait()
		_, st, _ := p.c.Read("edge-1")
		last := st.Updated
		p.proxy.Disturb(gnmifault.Faults{Mute: true})
		time.Sleep(time.Until(last.Add(p.c.cfg.staleAfter() + 1)))
		if _, st, _ = p.c.Read("edge-1"); st.State != Stale || !st.Updated.Equal(last) {
			t.Errorf("%+v, want stale since the sample of %v", st, last)
		}
		_, st = p.c.until("edge-1", in(Disconnected))
		if !errors.Is(st.Err, ErrSilent) || st.Since.Sub(last) != p.c.cfg.Silence {
			t.Errorf("after %v: %v, want %v after %v", st.Since.Sub(last), st.Err, ErrSilent, p.c.cfg.Silence)
		}
		if err := p.settle(); err != nil {
			t.Error(err)
		}
	})
}

// TestHugeMessage verifies that a huge message is read. It contains all values of the target and a megabyte of an unknown field.
func TestHugeMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFaultPath(t, true)
		defer p.end()
		for _, counter := range machineCounters {
			p.m.count(counter, 7)
		}
		p.proxy.Disturb(gnmifault.Faults{Merge: true, Pad: 1 << 20})
		p.proxy.Cut()
		p.c.until("edge-1", in(Synced))
		if err := p.settle(); err != nil {
			t.Error(err)
		}
	})
}

// TestStateOutOfOrder verifies that an interface state is ignored if a newer one has overtaken it.
func TestStateOutOfOrder(t *testing.T) {
	r := newRecorder(t)
	for _, tc := range []struct {
		at   int64
		oper string
	}{{10, "UP"}, {30, "DOWN"}, {20, "UP"}} {
		r.take(noteOf(t, tc.at, "/interfaces/interface[name=a]/state/oper-status", tc.oper), tc.at)
	}
	if got := r.series.reading().Interface("a").Oper; got != "DOWN" {
		t.Errorf("the interface is %s, want DOWN", got)
	}
}

// TestBootTimeOutOfOrder verifies that a repeated boot-time that is older than the current one does not restart the counters.
func TestBootTimeOutOfOrder(t *testing.T) {
	r := newRecorder(t)
	at := time.Unix(1e9, 0).UnixNano()
	boot := func(at, ns int64) {
		n := noteOf(t, at, "/system/state/boot-time", "")
		n.Update[0].Val = number(uint64(ns))
		r.take(n, at/1e9)
	}
	pkts := func(at int64, n uint64) uint64 {
		n2 := noteOf(t, at, "/interfaces/interface[name=a]/state/counters/in-pkts", "")
		n2.Update[0].Val = number(n)
		r.take(n2, at/1e9)
		return r.series.reading().Interface("a").Counters[InPkts]
	}
	second := int64(time.Second)
	boot(at, at-10*second)
	pkts(at, 100)
	boot(at+5*second, at+3*second)
	pkts(at+5*second, 7) // 107
	boot(at+2*second, at-10*second)
	if n := pkts(at+6*second, 8); n != 108 {
		t.Errorf("%d frames after an old boot-time, want 108", n)
	}
	if n := pkts(at+2*second, 100); n != 108 { // the last sample before the restart
		t.Errorf("%d frames after an old sample, want 108", n)
	}
}
