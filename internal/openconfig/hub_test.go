package openconfig

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
)

// slow is a source whose Snapshot takes a second.
type slow struct {
	reads atomic.Int64
	fails atomic.Bool
}

func (s *slow) Snapshot(ctx context.Context, _ Parts) (*State, error) {
	n := s.reads.Add(1)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second):
	}
	if s.fails.Load() {
		return nil, errors.New("gone")
	}
	return onePort(uint64(n), 0), nil
}

func (s *slow) Watch(context.Context, func()) error { return nil }

func hubOf(t *testing.T, src Source) *hub {
	t.Helper()
	s, err := NewServer(src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, leave := s.enter(src)
	t.Cleanup(func() {
		leave()
		if len(s.hubs) != 0 {
			t.Error("the readings are kept after the last call")
		}
	})
	return h
}

// TestReadingsAreShared verifies that calls that arrive while a reading is in progress share the next
// reading.
func TestReadingsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &slow{}
		h := hubOf(t, src)
		var all sync.WaitGroup
		var mu sync.Mutex // guards shapes
		shapes := map[*shape]int{}
		read := func() {
			r, err := h.read(t.Context(), 0, 0)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			shapes[r.shape]++
		}
		all.Go(read)
		synctest.Wait()
		start := time.Now()
		for range 20 {
			all.Go(read)
		}
		all.Wait()
		if n := src.reads.Load(); n != 2 || time.Since(start) != 2*time.Second {
			t.Errorf("%d readings in %v, want one for the first call and one for the 20 after it", n, time.Since(start))
		}
		if len(shapes) != 1 {
			t.Errorf("%d shapes of equal trees: %v", len(shapes), shapes)
		}
	})
}

// TestReadingsOfAnAge verifies that a call uses an existing reading within the given age, and not an
// older one.
func TestReadingsOfAnAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &slow{}
		h := hubOf(t, src)
		read := func(age time.Duration) {
			if _, err := h.read(t.Context(), 0, age); err != nil {
				t.Error(err)
			}
		}
		read(time.Minute)
		read(time.Minute)
		if n := src.reads.Load(); n != 1 {
			t.Errorf("%d readings within the age, want 1", n)
		}
		time.Sleep(time.Minute)
		read(time.Minute) // the first reading began a minute and a second ago
		read(0)
		if n := src.reads.Load(); n != 3 {
			t.Errorf("%d readings, want 3", n)
		}
		src.fails.Store(true)
		time.Sleep(time.Second)
		for range 2 { // a failed reading is not reused
			if _, err := h.read(t.Context(), 0, time.Second); err == nil {
				t.Error("no error")
			}
		}
		src.fails.Store(false)
		read(time.Minute)
	})
}

// TestReaderGoesAway verifies that the calls that wait for a reading run another one if the call that
// runs the reading is cancelled.
func TestReaderGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &slow{}
		h := hubOf(t, src)
		leader, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			_, err := h.read(leader, 0, 0)
			wantStatus(t, err, codes.Canceled, "context canceled")
		})
		synctest.Wait()
		waiter, stop := context.WithCancel(t.Context())
		all.Go(func() {
			_, err := h.read(waiter, 0, time.Minute)
			wantStatus(t, err, codes.Canceled, "context canceled")
		})
		for range 3 {
			all.Go(func() {
				if _, err := h.read(t.Context(), 0, time.Minute); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		stop()
		synctest.Wait()
		cancel()
		all.Wait()
		if n := src.reads.Load(); n != 2 {
			t.Errorf("%d readings, want the one that was given up and another one", n)
		}
	})
}

// TestSamplesShareAReading verifies that fifty simultaneous samples are sent from one reading.
func TestSamplesShareAReading(t *testing.T) {
	bubble(t, onePort(1, 0), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
		var all []*subscriber
		for range 50 {
			all = append(all, subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, sample(time.Second, inPkts))))
		}
		for _, s := range all {
			s.initial()
		}
		before := src.readCount()
		time.Sleep(3*time.Second + time.Millisecond)
		synctest.Wait()
		if n := src.readCount() - before; n != 3 {
			t.Errorf("%d readings in three seconds, want 3", n)
		}
		for _, s := range all {
			for range 3 {
				s.wantNext(map[string]string{inPktsA: "1"})
			}
		}
	})
}

// TestIncomparableSource verifies that a Source whose type is not comparable is refused, because its
// readings could not be shared.
func TestIncomparableSource(t *testing.T) {
	if _, err := NewServer(incomparable{nil}, Options{}); !errors.Is(err, ErrOptions) || err.Error() !=
		"bad option of the gNMI server: a source of type openconfig.incomparable: it must be comparable, such as a pointer" {
		t.Errorf("got %v", err)
	}
	_, err := serveTargets(t, two{"edge-1": incomparable{nil}}).Get(t.Context(), &gpb.GetRequest{Prefix: &gpb.Path{Target: "edge-1"}, Path: []*gpb.Path{at()}})
	wantStatus(t, err, codes.Internal, `prefix.target "edge-1": its source has the type openconfig.incomparable, which is not comparable`)
}

type incomparable struct{ states []*State }

func (incomparable) Snapshot(context.Context, Parts) (*State, error) { return &State{}, nil }

func (incomparable) Watch(context.Context, func()) error { return nil }
