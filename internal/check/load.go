package check

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"

	"op25b/internal/compile"
	"op25b/internal/softswitch"
	"op25b/p4src"
)

// MaxLoaded is the number of recently used pipelines that stay loaded. Each pipeline uses about 10 MB in addition to its
// entries.
const MaxLoaded = 32

// A place is a switch with the phases and exemptions in force. Each place has its own loaded pipeline.
type place struct {
	sw, in  string // the switch's name and the result of InForce.String
	expired int    // the number of exemptions that have ended
	lease   string // the lease that all subscribers have, except exempt ones; "" if none has a lease
}

// A loaded is a pipeline that contains the entries of one place.
type loaded struct {
	once     sync.Once
	compiled *compile.Compiled
	play     *softswitch.Rehearsal
	err      error

	mu       sync.Mutex // guards verdicts
	verdicts map[flow]verdict
}

// at returns the pipeline for a place. The first caller loads the pipeline, and concurrent callers wait.
func (c *Checker) at(p place, compile func() (*compile.Compiled, error)) (*loaded, error) {
	c.mu.Lock()
	l, ok := c.loaded[p]
	if !ok {
		l = &loaded{}
		c.loaded[p] = l
	}
	c.used++
	c.lastUse[p] = c.used
	if len(c.loaded) > MaxLoaded {
		c.forgetLocked()
	}
	c.mu.Unlock()
	l.once.Do(func() {
		if l.compiled, l.err = compile(); l.err == nil {
			l.play, l.err = Rehearse(&l.compiled.State, append(leased(l.compiled, p.lease), l.compiled.Sessions.Held(nil)...)...)
		}
	})
	return l, l.err
}

// forgetLocked drops the least recently used place.
func (c *Checker) forgetLocked() {
	oldest, when := place{}, ^uint64(0)
	for p, used := range c.lastUse {
		if used < when {
			oldest, when = p, used
		}
	}
	delete(c.loaded, oldest)
	delete(c.lastUse, oldest)
}

// Rehearse loads a state into the embedded pipeline, with further entries, and puts its verdicts in force.
func Rehearse(state *pipeline.State, layer ...pipeline.Entry) (*softswitch.Rehearsal, error) {
	const epoch = 1
	entries, err := state.Entries()
	rules, rulesErr := pipeline.RuleEntries(state.Verdicts, epoch)
	if err := errors.Join(err, rulesErr); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLoad, err)
	}
	entities := make([]*p4v1.Entity, 0, len(entries)+len(rules)+1)
	for _, e := range slices.Concat(pipeline.Merge(entries, layer), rules) {
		entities = append(entities, p4rt.Entity(e))
	}
	entities = append(entities, p4rt.Entity(pipeline.EpochEntry(epoch, state.SynOnly)))
	play, err := softswitch.NewRehearsal(p4src.DeviceConfig(), p4src.P4Info(), entities)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLoad, err)
	}
	return play, nil
}
