package engine

// A packet is the state of one packet in progress. Packets are preallocated and reused.
type packet struct {
	w    *Worker
	s    []uint64 // slots of all headers and metadata; see the type layout
	vb   []byte   // bytes of the variable fields of all headers
	args []uint64 // arguments of the running action

	data []byte // the received packet; its first at bytes have been parsed
	at   int    // the number of bytes that have been parsed
	own  []byte // backing memory of data if the packet is a copy

	port    uint32 // ingress port
	inLen   int    // length at ingress; counters and meters count it
	length  int    // length that the program reads at egress as standard_metadata.packet_length
	cut     int    // largest length of the sent frame, set by truncate
	states  int    // number of parser states entered
	failed  uint64 // the parser's error code
	badSum  bool   // whether a verified checksum was wrong
	exit    bool
	outPort uint32 // egress port of a copy that is waiting for egress

	// The fields below are the program's requests, which are carried out at the end of the pipeline.

	cloneTo      *fieldList // nil if no clone is requested
	cloneSession uint32
	digest       *learnList
	resubmit     *fieldList
	recirculate  *fieldList
}

// take returns a packet from the pool, or a new packet if the pool is empty. The fields still contain the values of the
// previous packet.
func (w *Worker) take() *packet {
	if n := len(w.free); n > 0 {
		p := w.free[n-1]
		w.free = w.free[:n-1]
		return p
	}
	return &packet{w: w, s: make([]uint64, w.e.lay.slots), vb: make([]byte, w.e.lay.varBytes)}
}

// give returns a packet to the pool.
func (w *Worker) give(p *packet) {
	p.data = nil
	w.free = append(w.free, p)
}

// copyData returns a packet that contains a copy of data. The other fields of the packet are not initialized.
func (w *Worker) copyData(data []byte) *packet {
	q := w.take()
	q.own = append(q.own[:0], data...)
	q.data = q.own
	return q
}

// copyState returns a copy of a parsed packet without the program's requests.
func (w *Worker) copyState(p *packet) *packet {
	q := w.copyData(p.data)
	copy(q.s, p.s)
	copy(q.vb, p.vb)
	q.at, q.port, q.inLen, q.length, q.cut = p.at, p.port, p.inLen, p.length, p.cut
	q.failed, q.badSum, q.exit = p.failed, p.badSum, false
	q.cloneTo, q.digest, q.resubmit, q.recirculate = nil, nil, nil, nil
	return q
}

// A fifo is a queue of packets that reuses its memory.
type fifo struct {
	q    []*packet
	head int
}

func (f *fifo) put(p *packet) { f.q = append(f.q, p) }

// get removes and returns the first packet. If the queue is empty, get returns nil.
func (f *fifo) get() *packet {
	if f.head == len(f.q) {
		return nil
	}
	p := f.q[f.head]
	f.q[f.head] = nil
	f.head++
	if f.head == len(f.q) {
		f.q, f.head = f.q[:0], 0
	}
	return p
}
