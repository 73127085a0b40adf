package openconfig

// A memory holds the values that were last sent for the leaves of a selection, in the same order.
type memory struct {
	known   []bool
	numbers []uint64 // a numeric value, or the position of a text in texts
	texts   []string
}

func newMemory(of *selection) memory {
	m := memory{known: make([]bool, len(of.leaves)), numbers: make([]uint64, len(of.leaves))}
	texts := 0
	for i, l := range of.leaves {
		if !l.schema.typ.numeric() {
			m.numbers[i] = uint64(texts)
			texts++
		}
	}
	m.texts = make([]string, texts)
	return m
}

// set remembers the value of leaf i.
func (m *memory) set(i int, leaf *node, r *reading) {
	m.known[i] = true
	if leaf.schema.typ.numeric() {
		m.numbers[i] = r.number(leaf)
		return
	}
	m.texts[m.numbers[i]] = r.text(leaf)
}

// equal reports whether the value of leaf i equals the value that was last sent.
func (m *memory) equal(i int, leaf *node, r *reading) bool {
	if leaf.schema.typ.numeric() {
		return m.numbers[i] == r.number(leaf)
	}
	return m.texts[m.numbers[i]] == r.text(leaf)
}

// moved returns a memory for the selection now. It keeps the values of the leaves that were also in the selection
// before.
func (m *memory) moved(before, now *selection) memory {
	out := newMemory(now)
	same := 0 // most leaves keep their positions
	for same < len(before.leaves) && same < len(now.leaves) && before.leaves[same] == now.leaves[same] {
		out.take(same, now.leaves[same], m, same)
		same++
	}
	at := make(map[*node]int, len(before.leaves)-same)
	for i, l := range before.leaves[same:] {
		at[l] = same + i
	}
	for i, l := range now.leaves[same:] {
		if from, ok := at[l]; ok {
			out.take(same+i, l, m, from)
		}
	}
	return out
}

// take copies the value of leaf from in another memory to leaf i.
func (m *memory) take(i int, leaf *node, other *memory, from int) {
	m.known[i] = other.known[from]
	if leaf.schema.typ.numeric() {
		m.numbers[i] = other.numbers[from]
		return
	}
	m.texts[m.numbers[i]] = other.texts[other.numbers[from]]
}
