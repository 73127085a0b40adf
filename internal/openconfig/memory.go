package openconfig

// A memory holds the values that were sent of the leaves of a selection, in the same order.
type memory struct {
	known   []bool
	numbers []uint64
	texts   []string // nil if no leaf is a text
}

func newMemory(of *selection) memory {
	m := memory{known: make([]bool, len(of.leaves)), numbers: make([]uint64, len(of.leaves))}
	for _, l := range of.leaves {
		if !l.schema.typ.numeric() {
			m.texts = make([]string, len(of.leaves))
			break
		}
	}
	return m
}

// set remembers the value of leaf i.
func (m *memory) set(i int, leaf *node, r *reading) {
	m.known[i] = true
	if leaf.schema.typ.numeric() {
		m.numbers[i] = r.number(leaf)
		return
	}
	m.texts[i] = r.text(leaf)
}

// equal reports whether leaf i has the value that was sent.
func (m *memory) equal(i int, leaf *node, r *reading) bool {
	if leaf.schema.typ.numeric() {
		return m.numbers[i] == r.number(leaf)
	}
	return m.texts[i] == r.text(leaf)
}

// moved returns the memory of the selection now, with the values of the leaves that were in the selection before.
func (m *memory) moved(before, now *selection) memory {
	out := newMemory(now)
	same := 0 // most leaves are where they were
	for same < len(before.leaves) && same < len(now.leaves) && before.leaves[same] == now.leaves[same] {
		out.take(same, m, same)
		same++
	}
	at := make(map[*node]int, len(before.leaves)-same)
	for i, l := range before.leaves[same:] {
		at[l] = same + i
	}
	for i, l := range now.leaves[same:] {
		if from, ok := at[l]; ok {
			out.take(same+i, m, from)
		}
	}
	return out
}

// take copies the value of leaf from of another memory.
func (m *memory) take(i int, other *memory, from int) {
	m.known[i], m.numbers[i] = other.known[from], other.numbers[from]
	if m.texts != nil && other.texts != nil {
		m.texts[i] = other.texts[from]
	}
}
