package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
)

// sampleEvery is the pause between two reads of a switch.
const sampleEvery = 20 * time.Millisecond

// A record contains the true history: the contents of every switch, read without the controllers, and the changes of the intent.
type record struct {
	contract *pipeline.Contract

	mu      sync.Mutex // guards the fields below
	samples map[string][]sample
	changes []changed
	outages []outage
	news    chan struct{} // closed and replaced for each sample
	judged  map[judgedKey]bool
}

// A sample is one read of a switch. Consecutive samples with equal contents share a pointer.
type sample struct {
	began, ended time.Time
	content      *[]pipeline.Entry // nil if the switch did not answer
}

// A changed is a change of the intent that was stored between began and ended.
type changed struct {
	*intent.Intent
	store        string // the store's identity
	began, ended time.Time
}

// An outage is a period in which no etcd member ran, or a replacement of the store.
type outage struct {
	began, ended time.Time
	store        string // the identity of the new store; empty if the store was not replaced
}

type judgedKey struct {
	content *[]pipeline.Entry
	id, sw  string
}

// keepRecord reads every switch continuously until stop is called or the test ends.
func keepRecord(p *plant) (r *record, stop func()) {
	r = &record{
		contract: p.contract, samples: map[string][]sample{}, news: make(chan struct{}), judged: map[judgedKey]bool{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	for _, e := range p.switches {
		reading.Go(func() { r.read(ctx, e) })
	}
	stop = sync.OnceFunc(func() { cancel(); reading.Wait() })
	p.t.Cleanup(stop)
	return r, stop
}

func (r *record) read(ctx context.Context, e *edge) {
	var reader *p4rt.Reader
	defer func() {
		if reader != nil {
			_ = reader.Close()
		}
	}()
	var last map[pipeline.Key]pipeline.Value
	var content *[]pipeline.Entry
	for ctx.Err() == nil {
		began := time.Now()
		entries, err := []pipeline.Entry(nil), error(nil)
		if reader == nil {
			reader, err = p4rt.DialReader(ctx, p4rt.Config{Addr: e.addr, DeviceID: e.id})
		}
		if err == nil {
			within, cancel := context.WithTimeout(ctx, 10*time.Second)
			entries, err = reconcile.Read(within, reader)
			cancel()
		}
		s := sample{began: began, ended: time.Now()}
		if err == nil {
			now := make(map[pipeline.Key]pipeline.Value, len(entries))
			for _, x := range entries {
				now[x.Key] = x.Value
			}
			if content == nil || !maps.Equal(now, last) {
				last, content = now, &entries
			}
			s.content = content
		} else if reader != nil {
			_ = reader.Close()
			reader = nil
		}
		if ctx.Err() == nil {
			r.sampled(e.name, s)
		}
		select {
		case <-time.After(sampleEvery):
		case <-ctx.Done():
		}
	}
}

func (r *record) sampled(sw string, s sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples[sw] = append(r.samples[sw], s)
	close(r.news)
	r.news = make(chan struct{})
}

// stored records a change of the intent.
func (r *record) stored(c changed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, c)
}

// await waits until a read that begins after the call finds a switch in the state of an intent.
func (r *record) await(t testing.TB, sw string, in *intent.Intent) {
	t.Helper()
	ctx, from := generous(t), time.Now()
	for {
		r.mu.Lock()
		news := r.news
		if all := r.samples[sw]; len(all) > 0 {
			if last := all[len(all)-1]; last.began.After(from) && r.heldLocked(last, sw, in) {
				r.mu.Unlock()
				return
			}
		}
		r.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			t.Fatalf("%s never was in revision %d (%s): %v", sw, in.Number, in.ID, context.Cause(ctx))
		}
	}
}

// heldLocked reports whether a sample shows the state of an intent. Rules that are not in force are ignored.
func (r *record) heldLocked(s sample, sw string, in *intent.Intent) bool {
	if s.content == nil {
		return false
	}
	key := judgedKey{s.content, in.ID, sw}
	held, known := r.judged[key]
	if !known {
		held = r.same(*s.content, sw, in)
		r.judged[key] = held
	}
	return held
}

func (r *record) same(have []pipeline.Entry, sw string, in *intent.Intent) bool {
	want, err := in.Compile(sw, time.Now())
	if err != nil {
		return false
	}
	want.State.Staged = nil
	plan, err := reconcile.Make(have, &want.State, r.contract, reconcile.Options{})
	return err == nil && len(plan.Steps) == 0
}

// held reports whether a switch may have been in the state of an intent at some time between from and to. It checks the reads in this
// period, the last read before it and the first reads after it, because the state between two reads is not known.
func (r *record) held(sw string, in *intent.Intent, from, to time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.samples[sw]
	first := max(slices.IndexFunc(all, func(s sample) bool { return s.ended.After(from) }), 0)
	for first > 0 && all[first-1].content == nil { // a switch that does not answer has either ended or kept its state
		first--
	}
	first = max(first-1, 0)
	after := 0
	for _, s := range all[first:] {
		if r.heldLocked(s, sw, in) {
			return true
		}
		if s.began.After(to) && s.content != nil {
			if after++; after == 2 {
				break
			}
		}
	}
	return false
}

// find returns the intents of a revision by its id, or by its number if id is empty. A number can have several intents, because two stores
// may have used it.
func (r *record) find(id string, number uint64) (all []*intent.Intent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.changes {
		if id != "" && c.ID == id || id == "" && c.Number == number {
			all = append(all, c.Intent)
		}
	}
	return all
}

// newest returns the number of the newest revision that was stored before a time, and the store that existed then.
func (r *record) newest(before time.Time) (number uint64, store string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.changes {
		if c.ended.Before(before) {
			number, store = c.Number, c.store
		}
	}
	for _, o := range r.outages {
		if o.store != "" && o.began.Before(before) && o.store != store { // the revisions of the replaced store are gone
			return 0, o.store
		}
	}
	return number, store
}

// down reports whether etcd had been down for at least a second at the time from, and stayed down until the time to.
func (r *record) down(from, to time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.outages, func(o outage) bool { return o.began.Add(time.Second).Before(from) && to.Before(o.ended) })
}

// A claim states that a switch was in the state of a revision at some time between from and to.
type claim struct {
	surface, sw string
	id          string
	number      uint64
	store       string
	asked       time.Time // the time of the request
	from, to    time.Time
	newest      bool // whether the revision is also claimed to be the newest
}

func (c claim) String() string {
	return fmt.Sprintf("%s: %s in revision %d (%.8s) of store %.8s between %s and %s", c.surface, c.sw, c.number, c.id, c.store,
		c.from.Format("15:04:05.000"), c.to.Format("15:04:05.000"))
}

// wrong returns what is wrong with a claim, or "" if the claim is true.
func (r *record) wrong(c claim) string {
	may := r.find(c.id, c.number)
	if len(may) == 0 {
		return fmt.Sprintf("%v: nobody stored that revision", c)
	}
	if !slices.ContainsFunc(may, func(in *intent.Intent) bool { return r.held(c.sw, in, c.from, c.to) }) {
		return fmt.Sprintf("%v: the switch was not", c)
	}
	if number, store := r.newest(c.asked); c.newest && (c.store == "" || c.store == store) && c.number < number {
		return fmt.Sprintf("%v, as the newest: revision %d had been stored before that was asked", c, number)
	}
	return ""
}
