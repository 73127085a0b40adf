package p4rtserver

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
)

// MaxDigestList is the largest number of digests in a list. It applies even if max_list_size is 0 (no limit) or larger. 4,096 digests of
// about 50 bytes each are well below gRPC's default message limit of 4 MiB.
const MaxDigestList = 4096

// maxUnacked is the largest number of digests that an instance remembers after it has sent them and before they are acknowledged. Above
// this number, the oldest list is forgotten. In the worst case, its digests are sent once more.
const maxUnacked = 1 << 16

// Limits in bytes. maxDigestBytes limits the digests of all instances that are buffered, or that are sent and not yet acknowledged.
// maxDigestListBytes limits one list.
const (
	maxDigestBytes     = 32 << 20
	maxDigestListBytes = 1 << 20
)

// digestCost returns the memory that a digest takes for its key, its fields and the overhead.
func digestCost(key string) int { return 256 + 3*len(key) }

// A digester collects digests from the data plane into lists for the primary and removes duplicates. It remembers the digests of a sent
// list until the list is acknowledged or ack_timeout_ns has passed (spec 9.8, "DigestEntry").
//
// A digest instance sends nothing until a DigestEntry configures it.
type digester struct {
	now func() time.Time
	// deliver sends a list. It reports whether the list was queued for any controller.
	deliver func(*p4v1.DigestList) bool
	wake    chan struct{} // signals that the next deadline may have become earlier; capacity 1

	// unsent counts the digests that were dropped because there was no primary or no room.
	unsent atomic.Uint64

	// instances and byName hold every digest of the P4Info. Both maps are complete before the digester starts, and do not change
	// afterwards.
	instances map[uint32]*digestInstance
	byName    map[string]uint32 // the digest's id by its name in the program

	// mu guards everything below, and all fields of the instances except digest.
	mu    sync.Mutex
	bytes int // memory of the digests in all known maps
}

type digestInstance struct {
	digest *digest
	config *p4v1.DigestEntry_Config // nil if the digest is not enabled

	buffer  []*p4v1.P4Data
	keys    []string        // keys of the digests in buffer
	bytes   int             // memory of the digests in buffer
	first   time.Time       // arrival time of the first digest in buffer
	known   map[string]bool // keys of the digests that are buffered, or sent and not yet acknowledged
	sent    []digestSent    // sent lists, oldest first
	unacked int             // number of digests in all lists of sent
	lastID  uint64
}

type digestSent struct {
	id   uint64
	at   time.Time
	keys []string
}

func newDigester(now func() time.Time, deliver func(*p4v1.DigestList) bool) *digester {
	return &digester{now: now, deliver: deliver, wake: make(chan struct{}, 1), instances: map[uint32]*digestInstance{}, byName: map[string]uint32{}}
}

// add registers a digest instance of the P4Info, which is not enabled at first.
func (d *digester) add(g *digest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.instances[g.id] = &digestInstance{digest: g, known: map[string]bool{}}
	d.byName[g.learn] = g.id
}

// take receives digests from the data plane until stop is closed.
func (d *digester) take(from <-chan *engine.Digest, stop <-chan struct{}) {
	for {
		select {
		case in := <-from:
			// A digest is dropped if it is not in the P4Info or not enabled.
			if id, ok := d.byName[in.Name]; ok && d.entry(id) != nil {
				key := string(slices.Concat(in.Values...)) // the lengths are fixed, so different values have different keys
				// The values are copied, because the engine reuses the digest's bytes while the message still needs them.
				values, rest := make([][]byte, len(in.Values)), []byte(key)
				for i, v := range in.Values {
					values[i], rest = rest[:len(v):len(v)], rest[len(v):]
				}
				data, _ := d.instances[id].digest.data.encode(values)
				d.learn(id, key, data)
			}
			in.Release()
		case <-stop:
			return
		}
	}
}

// forget clears the record of sent digests. It is called when there is a new primary, which has not received them.
func (d *digester) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, in := range d.instances {
		for len(in.sent) > 0 {
			d.forgetOldestLocked(in)
		}
	}
}

func (d *digester) dropLocked(in *digestInstance, keys []string) {
	for _, k := range keys {
		delete(in.known, k)
		d.bytes -= digestCost(k)
	}
}

func (d *digester) forgetOldestLocked(in *digestInstance) {
	d.dropLocked(in, in.sent[0].keys)
	in.unacked -= len(in.sent[0].keys)
	in.sent = in.sent[1:]
}

// configure enables a digest instance for INSERT, changes it for MODIFY, and disables it for DELETE.
func (d *digester) configure(op p4v1.Update_Type, e *p4v1.DigestEntry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, err := d.instanceLocked(e.DigestId)
	if err != nil {
		return err
	}
	switch op {
	case p4v1.Update_INSERT:
		if in.config != nil {
			return status.Errorf(codes.AlreadyExists, "digest %q: already enabled; MODIFY changes it", in.digest.name)
		}
	default:
		if in.config == nil {
			return status.Errorf(codes.NotFound, "digest %q: not enabled; INSERT enables it", in.digest.name)
		}
	}
	if op == p4v1.Update_DELETE {
		for k := range in.known {
			d.bytes -= digestCost(k)
		}
		*in = digestInstance{digest: in.digest, known: map[string]bool{}, lastID: in.lastID}
		return nil
	}
	c := e.Config
	if c == nil {
		c = &p4v1.DigestEntry_Config{}
	}
	if c.MaxTimeoutNs < 0 || c.MaxListSize < 0 || c.AckTimeoutNs < 0 {
		return invalidf("digest %q: config: max_timeout_ns %d, max_list_size %d, ack_timeout_ns %d: none may be negative", in.digest.name, c.MaxTimeoutNs, c.MaxListSize, c.AckTimeoutNs)
	}
	// The config is copied, because the request's config may contain unknown fields.
	in.config = &p4v1.DigestEntry_Config{MaxTimeoutNs: c.MaxTimeoutNs, MaxListSize: c.MaxListSize, AckTimeoutNs: c.AckTimeoutNs}
	d.poke()
	return nil
}

func (d *digester) instanceLocked(id uint32) (*digestInstance, error) {
	in, ok := d.instances[id]
	if !ok {
		return nil, invalidf("digest id %d: not in the P4Info", id)
	}
	return in, nil
}

// entry returns the configuration of an instance, or nil if the instance is not enabled.
func (d *digester) entry(id uint32) *p4v1.DigestEntry {
	d.mu.Lock()
	defer d.mu.Unlock()
	if in := d.instances[id]; in != nil && in.config != nil {
		return &p4v1.DigestEntry{DigestId: id, Config: in.config}
	}
	return nil
}

// learn processes a digest from the data plane. Equal values have equal keys.
func (d *digester) learn(id uint32, key string, data *p4v1.P4Data) {
	d.mu.Lock()
	defer d.mu.Unlock()
	in := d.instances[id]
	if in == nil || in.config == nil {
		return
	}
	now := d.now()
	d.expireLocked(in, now)
	if in.known[key] {
		return
	}
	if d.bytes+digestCost(key) > maxDigestBytes {
		d.unsent.Add(1)
		return
	}
	in.known[key] = true
	d.bytes += digestCost(key)
	if len(in.buffer) == 0 {
		in.first = now
	}
	in.buffer, in.keys = append(in.buffer, data), append(in.keys, key)
	in.bytes += digestCost(key)
	if in.config.MaxTimeoutNs == 0 || len(in.buffer) >= in.limit() || in.bytes >= maxDigestListBytes {
		d.flushLocked(id, in, now)
	} else if len(in.buffer) == 1 {
		d.poke()
	}
}

func (in *digestInstance) limit() int {
	if n := int(in.config.MaxListSize); n > 0 {
		return min(n, MaxDigestList)
	}
	return MaxDigestList
}

// expireLocked forgets the lists whose acknowledgement is overdue.
func (d *digester) expireLocked(in *digestInstance, now time.Time) {
	for len(in.sent) > 0 && now.Sub(in.sent[0].at) >= time.Duration(in.config.AckTimeoutNs) {
		d.forgetOldestLocked(in)
	}
}

func (d *digester) flushLocked(id uint32, in *digestInstance, now time.Time) {
	list := &p4v1.DigestList{DigestId: id, ListId: in.lastID + 1, Data: in.buffer, Timestamp: now.UnixNano()}
	keys := in.keys
	in.buffer, in.keys, in.bytes = nil, nil, 0
	if !d.deliver(list) {
		d.unsent.Add(uint64(len(keys)))
		d.dropLocked(in, keys)
		return
	}
	in.lastID++
	if in.config.AckTimeoutNs == 0 { // without a timeout, sent digests are not remembered
		d.dropLocked(in, keys)
		return
	}
	in.sent = append(in.sent, digestSent{id: list.ListId, at: now, keys: keys})
	in.unacked += len(keys)
	for in.unacked > maxUnacked {
		d.forgetOldestLocked(in)
	}
}

// ack forgets an acknowledged list, so that its digests are sent again when they occur again. An unknown list is not an error, because it
// may have timed out.
func (d *digester) ack(id uint32, list uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, err := d.instanceLocked(id)
	if err != nil {
		return err
	}
	for i, s := range in.sent {
		if s.id == list {
			d.dropLocked(in, s.keys)
			in.unacked -= len(s.keys)
			in.sent = append(in.sent[:i:i], in.sent[i+1:]...)
			break
		}
	}
	return nil
}

// poke makes run recompute the next deadline.
func (d *digester) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run sends each list when its oldest digest has waited for max_timeout_ns, until stop is closed.
func (d *digester) run(stop <-chan struct{}) { atDeadlines(stop, d.wake, d.due) }

// due sends the lists that are due. If there is a next deadline, pending is true and wait is the time until it.
func (d *digester) due() (wait time.Duration, pending bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for id, in := range d.instances {
		if in.config == nil || len(in.buffer) == 0 {
			continue
		}
		left := in.first.Add(time.Duration(in.config.MaxTimeoutNs)).Sub(now)
		if left <= 0 {
			d.flushLocked(id, in, now)
			continue
		}
		if !pending || left < wait {
			wait, pending = left, true
		}
	}
	return wait, pending
}
