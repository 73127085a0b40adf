package p4rtserver

import (
	"container/heap"
	"encoding/binary"
	"sync"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/softswitch/engine"
)

// MinIdleTimeout is the shortest effective idle timeout. A shorter timeout is stored as written, but MinIdleTimeout is used instead. Spec
// 9.1.8 allows a target to use the smallest value that it supports.
const MinIdleTimeout = 10 * time.Millisecond

// maxIdleBatch is the largest number of entries in an IdleTimeoutNotification.
const maxIdleBatch = 1000

// An idler notifies the primary of an entry that no packet has hit for the entry's idle timeout. It repeats the notification each time
// the timeout passes again. The idler sleeps until the next entry may be due, and only then queries the engine about that entry. So it
// adds no work to the processing of packets.
type idler struct {
	now    func() time.Time
	notify func(*p4v1.IdleTimeoutNotification)
	wake   chan struct{} // signals that the next deadline may have become earlier; capacity 1

	// mu guards everything below.
	mu      sync.Mutex
	watched map[string]*idleEntry
	queue   idleQueue
}

type idleEntry struct {
	key   string
	table *table
	entry engine.Entry
	since time.Time // start of the timeout: the last write, notification or hit that the idler has seen
	due   time.Time
	index int
}

func newIdler(now func() time.Time, notify func(*p4v1.IdleTimeoutNotification)) *idler {
	return &idler{now: now, notify: notify, wake: make(chan struct{}, 1), watched: map[string]*idleEntry{}}
}

// entryKey returns a map key for a table entry. Equal matches and priorities have equal keys, because matches are in canonical form.
func entryKey(t *table, m []engine.Match, priority int32) string {
	b := binary.BigEndian.AppendUint32(nil, t.id)
	b = binary.BigEndian.AppendUint32(b, uint32(priority))
	for _, x := range m {
		for _, v := range [][]byte{x.Value, x.Mask} {
			b = binary.AppendUvarint(b, uint64(len(v)))
			b = append(b, v...)
		}
		b = binary.AppendUvarint(b, uint64(x.PrefixLen))
	}
	return string(b)
}

// put starts watching an entry that was inserted or modified. If the entry has no idle timeout, put stops watching it.
func (d *idler) put(t *table, e engine.Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := entryKey(t, e.Matches, e.Priority)
	w := d.watched[key]
	if e.IdleTimeout == 0 {
		d.dropLocked(w)
		return
	}
	if w == nil {
		w = &idleEntry{key: key, table: t, since: d.now(), index: -1}
		d.watched[key] = w
	}
	w.entry = e
	w.due = w.since.Add(max(e.IdleTimeout, MinIdleTimeout))
	if w.index < 0 {
		heap.Push(&d.queue, w)
	} else {
		heap.Fix(&d.queue, w.index)
	}
	if w.index == 0 {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// remove stops watching an entry.
func (d *idler) remove(t *table, m []engine.Match, priority int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.watched) > 0 {
		d.dropLocked(d.watched[entryKey(t, m, priority)])
	}
}

func (d *idler) dropLocked(w *idleEntry) {
	if w == nil {
		return
	}
	delete(d.watched, w.key)
	heap.Remove(&d.queue, w.index)
}

// run sends notifications until stop is closed.
func (d *idler) run(stop <-chan struct{}) { atDeadlines(stop, d.wake, d.expire) }

// expire sends notifications for entries that are due. If there is a next deadline, pending is true and wait is the time until it.
func (d *idler) expire() (wait time.Duration, pending bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	var out []*p4v1.TableEntry
	for len(d.queue) > 0 {
		w := d.queue[0]
		if left := w.due.Sub(now); left > 0 {
			wait, pending = left, true
			break
		}
		idle, err := w.table.prog.SinceHit(w.entry.Matches, w.entry.Priority)
		if err != nil { // the entry no longer exists
			d.dropLocked(w)
			continue
		}
		if hit := now.Add(-idle); hit.After(w.since) {
			w.since = hit
		}
		timeout := max(w.entry.IdleTimeout, MinIdleTimeout)
		if now.Sub(w.since) >= timeout {
			e := w.table.encodeKey(w.entry)
			setMetadata(e, w.entry.Cookie)
			e.IdleTimeoutNs = int64(w.entry.IdleTimeout)
			out = append(out, e)
			w.since = now
		}
		w.due = w.since.Add(timeout)
		heap.Fix(&d.queue, 0)
	}
	for len(out) > 0 {
		n := min(len(out), maxIdleBatch)
		d.notify(&p4v1.IdleTimeoutNotification{TableEntry: out[:n:n], Timestamp: now.UnixNano()})
		out = out[n:]
	}
	return wait, pending
}

// An idleQueue is a heap of entries, ordered by the time at which they may be due.
type idleQueue []*idleEntry

func (q idleQueue) Len() int           { return len(q) }
func (q idleQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q idleQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *idleQueue) Push(x any) {
	e := x.(*idleEntry)
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *idleQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.index = -1
	return e
}
