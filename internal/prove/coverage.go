package prove

import (
	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/softswitch"
)

// A Table says which part of a table the packets of a proof have met.
type Table struct {
	Name         string
	Entries, Hit int
	// Missed is true if a packet was looked up and hit no entry, so that the default action ran.
	Missed bool
}

// An Unhit is an entry that no packet has hit.
type Unhit struct {
	Entry, Why string
	// Never is true if no packet can hit the entry while the others are as they are, whatever the proof tries.
	Never bool
}

// MaxUnhit is the number of entries that a proof names because no packet has hit them. Others are only counted.
const MaxUnhit = 20

// coverage records what packets meet on a twin.
type coverage struct {
	hit    []bool // by the id of the entry
	missed map[string]bool
	isRule map[string]bool
}

func newCoverage() coverage {
	return coverage{missed: make(map[string]bool), isRule: make(map[string]bool)}
}

// met records look-ups. It reports whether a rule was hit.
func (c *coverage) met(looks []softswitch.Look) (rule bool) {
	for i := range looks {
		l := &looks[i]
		if !l.Hit {
			c.missed[l.Table] = true
			continue
		}
		for int(l.ID) >= len(c.hit) {
			c.hit = append(c.hit, make([]bool, max(1024, len(c.hit)))...)
		}
		c.hit[l.ID] = true
		is, known := c.isRule[l.Table]
		if !known {
			is = pipeline.Alias(l.Table) == pipeline.RuleTables()[0].String()
			c.isRule[l.Table] = is
		}
		rule = rule || is
	}
	return rule
}

// tables returns the coverage of the twin's present entries, without the rules of epochs that are not in force. If touched is not nil, it counts only
// those entries. limit is the number of packets to which the proof was limited, or 0.
func (c *coverage) tables(t *twin, j *compile.Compiled, running pipeline.Epoch, touched map[pipeline.Key]bool, limit int) (all []Table, unhit []Unhit, n int) {
	because := newReasons(j, running)
	at := make(map[string]int)
	for _, table := range pipeline.Tables() {
		if table.IsGroups() {
			continue
		}
		at[table.String()] = len(all)
		all = append(all, Table{Name: table.String()})
	}
	for full := range c.missed {
		if i, ok := at[pipeline.Alias(full)]; ok {
			all[i].Missed = true
		}
	}
	for id := range t.entries {
		e := &t.entries[id]
		i, ok := at[e.Table()]
		if e.IsZero() || !ok || touched != nil && !touched[e.Key] {
			continue
		}
		if epoch, rule := e.Epoch(); rule && epoch != running {
			continue
		}
		all[i].Entries++
		if id < len(c.hit) && c.hit[id] {
			all[i].Hit++
			continue
		}
		if n++; len(unhit) < MaxUnhit {
			why, never := because.of(e, limit)
			unhit = append(unhit, Unhit{e.String(), why, never})
		}
	}
	return all, unhit, n
}
