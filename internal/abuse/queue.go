package abuse

import (
	"slices"
	"sync"
	"time"
	"unsafe"

	"op25b/internal/pipeline"
)

// flowSize is the size of a flow in the queue, including its two addresses.
const flowSize = int(unsafe.Sizeof(pipeline.MailFlow{}))

// A batch is a list of mail flows of one switch and their arrival time.
type batch struct {
	at         time.Time
	switchName string
	flows      []pipeline.MailFlow
}

func (b batch) bytes() int {
	return int(unsafe.Sizeof(b)) + len(b.switchName) + len(b.flows)*flowSize
}

// A queue passes mail flows from the sessions to the ledger. Its size in bytes is limited, and it never blocks a
// session.
type queue struct {
	most int           // the limit in bytes
	wake chan struct{} // has room for one token, which means that a batch is waiting

	// mu guards everything below.
	mu      sync.Mutex
	batches []batch
	held    int // bytes
}

func newQueue(most int) *queue { return &queue{most: most, wake: make(chan struct{}, 1)} }

// offer adds a copy of the flows, or returns false if there is no room.
func (q *queue) offer(at time.Time, switchName string, flows []pipeline.MailFlow) bool {
	b := batch{at, switchName, flows}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held+b.bytes() > q.most {
		return false
	}
	b.flows = slices.Clone(flows)
	q.batches, q.held = append(q.batches, b), q.held+b.bytes()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// take removes all batches and returns them in order.
func (q *queue) take() []batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.batches
	q.batches, q.held = nil, 0
	return all
}
