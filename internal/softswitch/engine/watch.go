package engine

// A Lookup is the result of one look-up of a packet in a table.
type Lookup struct {
	Table *Table
	// Entry is the entry that was hit, or nil after a miss. It belongs to the engine and must not be changed.
	Entry *Entry
}

// Watch processes a frame like Process. It appends the packet's look-ups to *looked, in order, including those in tables that p4c created.
// Like Trace, Watch runs the code that omits and reorders nothing. Unlike Trace, it records no other events, so it is about as fast as
// Process.
func (w *Worker) Watch(port uint32, frame []byte, looked *[]Lookup, emit func(port uint32, frame []byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prog, w.looked = w.e.traced, looked
	defer func() { w.prog, w.looked = w.e.prog, nil }()
	w.process(port, frame, emit)
}

// watched records a look-up, if the worker is watched.
func (t *Table) watched(p *packet, en *Entry) {
	if looked := p.w.looked; looked != nil {
		*looked = append(*looked, Lookup{t, en})
	}
}

// Hidden reports whether p4c created the table to hold statements that run between the program's tables.
func (t *Table) Hidden() bool { return t.hidden }
