package engine

// The values of standard_metadata.instance_type in simple_switch.
const (
	instNormal       = 0
	instIngressClone = 1
	instEgressClone  = 2
	instRecirculated = 4
	instReplica      = 5
	instResubmitted  = 6
)

// A program contains the compiled parser, pipelines, checksums and deparser, and the positions of the standard metadata. After Load, only
// the contents of its tables and the code of inlined tables change.
type program struct {
	actions []*action
	nodes   []ctlNode
	code    []instr // code of the parser states and pipelines; changes only while all workers are stopped
	entry   []int32 // position of each node in code

	// run executes the code in place of the interpreter, or is nil; see Native. It changes only while all workers are stopped.
	run func(p *packet, at int)

	firstState                                                  int32
	noError, tooShort, outOfBounds, headerTooShort, badArgument uint64
	timeout                                                     uint64
	errNames                                                    map[uint64]string
	verify, update                                              []*checksum
	ingress, egress                                             int32 // first node of each pipeline
	emits                                                       []*header
	before                                                      []instr // primitives that run before the headers are written

	in   intrinsics
	head int // largest size of the headers that the deparser emits, in bytes

	scratch, keyMax, bufMax int
}

// A metaField is a standard metadata field that simple_switch itself uses. If the program does not have the field, the metaField is
// absent.
type metaField struct {
	slot int
	mask uint64
}

var absent = metaField{slot: -1}

func (m metaField) set(p *packet, v uint64) {
	if m.slot >= 0 {
		p.s[m.slot] = v & m.mask
	}
}

func (m metaField) get(p *packet) uint64 {
	if m.slot < 0 {
		return 0
	}
	return p.s[m.slot]
}

// intrinsics holds the metadata fields that simple_switch itself reads and writes.
type intrinsics struct {
	ingressPort, packetLength, instanceType, egressSpec, egressPort metaField
	parserError, checksumError                                      metaField
	ingressTime, egressTime                                         metaField
	mcastGrp, egressRid, priority                                   metaField
	enqTime, enqDepth, deqDelta, deqDepth, qid                      metaField
	queueing                                                        bool
}

func (c *compiler) intrinsics(in *intrinsics) {
	get := func(hdr, name string) metaField {
		r, ok := c.l.standard(hdr, name)
		if !ok || r.f.variable {
			return absent
		}
		r.h.hot[r.f] = true
		return metaField{r.slot() + r.f.words - 1, ones(min(64, r.f.width))}
	}
	must := func(name string) metaField {
		m := get("standard_metadata", name)
		if m.slot < 0 {
			c.fail(ErrProgram, "no field standard_metadata.%s: this is not a v1model program", name)
		}
		return m
	}
	in.ingressPort, in.packetLength = must("ingress_port"), must("packet_length")
	in.instanceType, in.egressSpec, in.egressPort = must("instance_type"), must("egress_spec"), must("egress_port")
	in.parserError, in.checksumError = get("standard_metadata", "parser_error"), get("standard_metadata", "checksum_error")
	in.ingressTime = get("intrinsic_metadata", "ingress_global_timestamp")
	in.egressTime = get("intrinsic_metadata", "egress_global_timestamp")
	in.mcastGrp, in.egressRid = get("intrinsic_metadata", "mcast_grp"), get("intrinsic_metadata", "egress_rid")
	in.priority = get("intrinsic_metadata", "priority")
	in.enqTime, in.enqDepth = get("queueing_metadata", "enq_timestamp"), get("queueing_metadata", "enq_qdepth")
	in.deqDelta, in.deqDepth = get("queueing_metadata", "deq_timedelta"), get("queueing_metadata", "deq_qdepth")
	in.qid = get("queueing_metadata", "qid")
	in.queueing = in.enqTime.slot >= 0 && in.enqDepth.slot >= 0 && in.deqDelta.slot >= 0 && in.deqDepth.slot >= 0
}

// process runs a received frame, and all packets made from it, through the program.
func (w *Worker) process(port uint32, frame []byte, emit func(port uint32, frame []byte)) {
	w.count(&w.stats.In)
	switch {
	case len(frame) == 0:
		w.count(&w.stats.Empty)
		return
	case len(frame) > MaxFrame:
		w.count(&w.stats.Oversize)
		return
	}
	w.emit, w.passes, w.now = emit, 0, w.e.nowNanos()
	p := w.take()
	p.data = frame
	p.start(port, len(frame))
	in := &w.prog.in
	in.ingressTime.set(p, w.micros())
	w.ingress.put(p)
	for {
		if p := w.egress.get(); p != nil {
			w.runEgress(p)
		} else if p := w.ingress.get(); p != nil {
			w.runIngress(p)
		} else {
			break
		}
	}
	w.emit = nil
}

// micros returns the current timestamp, in microseconds since Load.
func (w *Worker) micros() uint64 { return uint64(w.now / 1000) }

// start sets the metadata of a packet that enters ingress. The packet may be received, resubmitted or recirculated.
func (p *packet) start(port uint32, length int) {
	copy(p.s, p.w.e.lay.initial)
	in := &p.w.prog.in
	p.port, p.inLen, p.length, p.cut = port, length, length, maxInt
	p.exit = false
	p.cloneTo, p.digest, p.resubmit, p.recirculate = nil, nil, nil, nil
	p.at = 0
	in.ingressPort.set(p, uint64(port))
	in.packetLength.set(p, uint64(length))
}

const maxInt = int(^uint(0) >> 1)

// pass counts a run of a packet through a pipeline. If the count exceeds MaxPasses, pass drops the packet and returns false.
func (w *Worker) pass(p *packet) bool {
	if w.passes++; w.passes > MaxPasses {
		w.count(&w.stats.Looped)
		w.give(p)
		return false
	}
	return true
}

// runIngress parses a packet, runs ingress, and then carries out the program's requests in the same order as simple_switch: clone, digest,
// resubmit, multicast, drop, unicast.
func (w *Worker) runIngress(p *packet) {
	if !w.pass(p) {
		return
	}
	pr := w.prog
	in := &pr.in
	length := p.length
	if w.trace != nil {
		w.trace.add(Event{Kind: EventReceived, Port: ptr(p.port), Bytes: len(p.data)})
	}
	pr.parse(p)
	if p.failed != pr.noError {
		w.count(&w.stats.ParserErrors)
	}
	in.parserError.set(p, p.failed)
	bad := uint64(0)
	if p.badSum {
		bad = 1
		w.count(&w.stats.ChecksumErrors)
	}
	in.checksumError.set(p, bad)
	if w.trace != nil {
		w.trace.add(Event{Kind: EventPipeline, Name: "ingress"})
	}
	pr.apply(p, pr.ingress)
	p.exit = false

	if l := p.cloneTo; l != nil {
		p.cloneTo = nil
		w.cloneIngress(p, l, length)
	}
	if l := p.digest; l != nil {
		p.learn(l)
	}
	if l := p.resubmit; l != nil {
		if w.trace != nil {
			w.trace.add(Event{Kind: EventAgain, Name: "resubmit"})
		}
		q := w.copyData(p.data)
		q.start(0, length)
		q.port, q.inLen = p.port, p.inLen
		l.copyTo(q, p)
		in.instanceType.set(q, instResubmitted)
		in.packetLength.set(q, uint64(length))
		w.give(p)
		w.ingress.put(q)
		return
	}
	if g := uint32(in.mcastGrp.get(p)); g != 0 {
		if w.trace != nil {
			w.trace.add(Event{Kind: EventMulticast, Index: ptr(uint64(g))})
		}
		in.instanceType.set(p, instReplica)
		w.replicate(p, w.e.groups[g])
		w.give(p)
		return
	}
	port := uint32(in.egressSpec.get(p))
	if port == DropPort {
		if w.trace != nil {
			w.trace.add(Event{Kind: EventDrop, Name: "ingress"})
		}
		w.count(&w.stats.IngressDrops)
		w.give(p)
		return
	}
	in.instanceType.set(p, instNormal)
	w.enqueue(p, port)
}

// cloneIngress creates clones of the packet as it was received. Each clone is parsed again. The fields in the list keep the values that
// ingress gave them.
func (w *Worker) cloneIngress(p *packet, l *fieldList, length int) {
	if w.trace != nil {
		w.trace.add(Event{Kind: EventClone, Index: ptr(uint64(p.cloneSession))})
	}
	s, ok := w.e.sessions[p.cloneSession]
	if !ok || len(s.Replicas) == 0 {
		w.count(&w.stats.NoReplica)
		return
	}
	pr := w.prog
	q := w.copyData(p.data)
	q.start(p.port, length)
	q.inLen = p.inLen
	pr.parse(q)
	q.resetMetadata()
	l.copyTo(q, p)
	pr.in.instanceType.set(q, instIngressClone)
	if s.TruncateBytes > 0 {
		q.cut = s.TruncateBytes
	}
	w.replicate(q, s.Replicas)
	w.give(q)
}

// resetMetadata sets all metadata to zero.
func (p *packet) resetMetadata() {
	for _, h := range p.w.e.lay.order {
		if h.metadata {
			clear(p.s[h.base+1 : h.base+h.typ.words])
		}
	}
}

// replicate sends copies of a packet to egress.
func (w *Worker) replicate(p *packet, to []Replica) {
	if len(to) == 0 {
		w.count(&w.stats.NoReplica)
	}
	in := &w.prog.in
	for _, r := range to {
		q := w.copyState(p)
		in.egressRid.set(q, uint64(r.Instance))
		w.enqueue(q, r.Port)
	}
}

// enqueue passes a packet to egress. The engine has no queues, so the queue depths in the metadata are zero.
func (w *Worker) enqueue(p *packet, port uint32) {
	in := &w.prog.in
	if in.priority.get(p) >= uint64(w.e.o.PriorityQueues) {
		w.count(&w.stats.NoQueue)
		w.give(p)
		return
	}
	if in.queueing {
		in.enqTime.set(p, w.micros())
		in.enqDepth.set(p, 0)
	}
	p.outPort = port
	w.egress.put(p)
}

// runEgress runs egress on a packet and carries out the program's requests.
func (w *Worker) runEgress(p *packet) {
	if !w.pass(p) {
		return
	}
	pr := w.prog
	in := &pr.in
	in.egressTime.set(p, w.micros())
	if in.queueing {
		in.deqDelta.set(p, 0)
		in.deqDepth.set(p, 0)
		in.qid.set(p, in.priority.get(p))
	}
	in.egressPort.set(p, uint64(p.outPort))
	in.egressSpec.set(p, DropPort+1)
	in.packetLength.set(p, uint64(p.length))
	if w.trace != nil {
		w.trace.add(Event{Kind: EventPipeline, Name: "egress", Port: ptr(p.outPort)})
	}
	pr.apply(p, pr.egress)

	if l := p.cloneTo; l != nil {
		p.cloneTo = nil
		w.cloneEgress(p, l)
	}
	if in.egressSpec.get(p) == DropPort {
		if w.trace != nil {
			w.trace.add(Event{Kind: EventDrop, Name: "egress", Port: ptr(p.outPort)})
		}
		w.count(&w.stats.EgressDrops)
		w.give(p)
		return
	}
	if w.trace != nil {
		pr.told(p)
	}
	out, ok := w.deparse(p)
	if !ok {
		w.count(&w.stats.Oversize)
		w.give(p)
		return
	}
	if l := p.recirculate; l != nil {
		if w.trace != nil {
			w.trace.add(Event{Kind: EventAgain, Name: "recirculate"})
		}
		w.recirculate(p, l, out)
		return
	}
	port := p.outPort
	w.give(p)
	w.count(&w.stats.Out)
	if w.trace != nil {
		w.trace.add(Event{Kind: EventSend, Port: ptr(port), Bytes: len(out)})
	}
	w.emit(port, out)
}

// cloneEgress creates clones of the packet as it is after egress.
func (w *Worker) cloneEgress(p *packet, l *fieldList) {
	if w.trace != nil {
		w.trace.add(Event{Kind: EventClone, Index: ptr(uint64(p.cloneSession))})
	}
	s, ok := w.e.sessions[p.cloneSession]
	if !ok || len(s.Replicas) == 0 {
		w.count(&w.stats.NoReplica)
		return
	}
	q := w.copyState(p)
	q.resetMetadata()
	l.copyTo(q, p)
	w.prog.in.instanceType.set(q, instEgressClone)
	if s.TruncateBytes > 0 {
		q.cut = s.TruncateBytes
	}
	w.replicate(q, s.Replicas)
	w.give(q)
}

// recirculate sends the deparser's output through ingress again as a new packet.
func (w *Worker) recirculate(p *packet, l *fieldList, out []byte) {
	if len(out) == 0 || len(out) > MaxFrame {
		w.count(&w.stats.Oversize)
		w.give(p)
		return
	}
	q := w.copyData(out)
	q.start(0, len(out))
	q.port = p.port
	l.copyTo(q, p)
	w.prog.in.instanceType.set(q, instRecirculated)
	w.prog.in.packetLength.set(q, uint64(len(out)))
	w.give(p)
	w.ingress.put(q)
}
