package abuse

import (
	"net/netip"
	"slices"
	"time"

	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A knownLine is a line of the inventory with its ID under the current key.
type knownLine struct {
	id      ID
	watched bool
}

// An index has the lines and remote classes of one revision of the intent. It exists in memory only.
type index struct {
	in      *intent.Intent
	next    *index // of the next documents, while a rollout brings them to some switches; nil otherwise
	zone    *time.Location
	watched map[string]bool // the line groups that opted in
	remotes *remotes
	own     map[pipeline.Class]bool                     // the classes of own servers
	lines   map[string]map[pipeline.LineIndex]knownLine // by switch; built when it is first needed
}

func newIndex(in *intent.Intent) *index {
	x := &index{
		in: in, zone: in.Bundle.Policy.UTCOffset.Location(), watched: make(map[string]bool), remotes: newRemotes(in),
		own: make(map[pipeline.Class]bool), lines: make(map[string]map[pipeline.LineIndex]knownLine),
	}
	for _, g := range in.Bundle.Policy.LineGroups {
		x.watched[g.Name] = g.WatchInfected
	}
	for _, r := range in.Bundle.Policy.Remotes {
		if r.Ours() {
			x.own[pipeline.Class(in.Numbers.Remotes[r.Name].Number)] = true
		}
	}
	if next := in.Next(); next != nil {
		x.next = newIndex(next)
	}
	return x
}

// on returns the index of the documents that a switch is to have.
func (x *index) on(switchName string) *index {
	if x.next != nil && slices.Contains(x.in.Split().Switches, switchName) {
		return x.next
	}
	return x
}

// of returns the lines of a switch by their line index.
func (x *index) of(k *key, switchName string) map[pipeline.LineIndex]knownLine {
	if lines, made := x.lines[switchName]; made {
		return lines
	}
	lines, docs := make(map[pipeline.LineIndex]knownLine), x.on(switchName)
	x.each(switchName, func(l *policy.Line) {
		number := docs.in.Numbers.Lines[switchName][l.Name].Number
		lines[pipeline.LineIndex(number)] = knownLine{k.line(switchName, l.Name), docs.watched[l.Group]}
	})
	x.lines[switchName] = lines
	return lines
}

// each calls do with every line of a switch.
func (x *index) each(switchName string, do func(*policy.Line)) {
	sw, there := x.in.Switch(switchName)
	if !there {
		return
	}
	for i := range sw.Lines {
		do(&sw.Lines[i])
	}
}

// remotes finds the class of a server in the same way as the tables remote_v4 and remote_v6. The address is not needed after
// that.
type remotes struct {
	classes map[netip.Prefix]pipeline.Class
	v4, v6  []int // the prefix lengths, longest first
}

func newRemotes(in *intent.Intent) *remotes {
	r := &remotes{classes: make(map[netip.Prefix]pipeline.Class)}
	for _, remote := range in.Bundle.Policy.RemotesWithNAT64() {
		class := pipeline.Class(in.Numbers.Remotes[remote.Name].Number)
		for _, p := range remote.Prefixes {
			r.classes[p.Masked()] = class
			lengths := &r.v6
			if p.Addr().Is4() {
				lengths = &r.v4
			}
			if !slices.Contains(*lengths, p.Bits()) {
				*lengths = append(*lengths, p.Bits())
			}
		}
	}
	for _, lengths := range [][]int{r.v4, r.v6} {
		slices.SortFunc(lengths, func(a, b int) int { return b - a })
	}
	return r
}

// class returns the class of an address, or 0 if it is in no class.
func (r *remotes) class(a netip.Addr) pipeline.Class {
	lengths := r.v6
	if a.Is4() {
		lengths = r.v4
	}
	for _, bits := range lengths {
		if p, err := a.Prefix(bits); err == nil {
			if class, found := r.classes[p]; found {
				return class
			}
		}
	}
	return 0
}
