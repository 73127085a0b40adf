package openconfig

import "slices"

// A selection contains the leaves of one shape that a subscription selects, in the order of the tree. Equal subscriptions share a selection.
type selection struct {
	leaves []*node
	depths []uint8 // for each leaf, the depth of the selected node at or above it
}

// These constants limit the number of selections that one shape stores, and the number of their leaves, which take 9 bytes each. Selections
// above the limits are not shared.
const (
	maxSelections = 64
	maxSelected   = 1_000_000
)

// A picker selects the leaves that match a pattern, a leafSet and the client's models.
type picker struct {
	pattern *pattern
	set     leafSet
	models  modelSet
}

// in returns the picker's selection in a shape.
func (p *picker) in(s *shape) *selection {
	id := string(rune(p.set)) + p.models.text + p.pattern.text
	s.mu.Lock()
	defer s.mu.Unlock()
	if sel := s.selecting[id]; sel != nil {
		return sel
	}
	sel := &selection{}
	for _, top := range p.pattern.find(s.root) {
		depth := 0
		if top.place != nil {
			depth = len(top.place.path) + 1
		}
		top.eachLeaf(p.set, func(l *node) {
			if p.models.has(l.schema) {
				sel.leaves = append(sel.leaves, l)
				sel.depths = append(sel.depths, uint8(depth))
			}
		})
	}
	sel.leaves, sel.depths = slices.Clip(sel.leaves), slices.Clip(sel.depths)
	if len(s.selecting) < maxSelections && s.selected+len(sel.leaves) <= maxSelected {
		if s.selecting == nil {
			s.selecting = make(map[string]*selection)
		}
		s.selecting[id] = sel
		s.selected += len(sel.leaves)
	}
	return sel
}
