package strict

import (
	"context"
	"fmt"
	"strings"
)

// A Collector collects the faults that checks find. It stops the checks, even deep in nested lists, after MaxFaults faults or when its
// context ends.
type Collector struct {
	ctx    context.Context // if nil, the checks never end early
	faults Faults
}

// NewCollector returns a Collector that stops its checks when ctx ends.
func NewCollector(ctx context.Context) Collector { return Collector{ctx: ctx} }

// Run calls the checks in order. If the context has ended, Run returns its cause. Otherwise Run returns all faults as a Faults sorted by
// position, or nil if there are none.
func (c *Collector) Run(checks ...func()) error {
	c.attempt(func() {
		for _, check := range checks {
			c.goOn()
			check()
		}
	})
	if c.ctx != nil && c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return c.faults.OrNil()
}

// Add adds a fault. It may be called only while Run calls a check.
func (c *Collector) Add(f Fault) {
	f.Path, f.What, f.Way = cut(f.Path), cut(f.What), cut(f.Way)
	c.faults = append(c.faults, f)
	if len(c.faults) == MaxFaults {
		c.faults = append(c.faults, Fault{Kind: f.Kind, What: fmt.Sprintf("there are at least %d faults, and these are the first", MaxFaults), Way: "correct them and try again"})
	}
	if len(c.faults) > MaxFaults {
		panic(abandoned{})
	}
	c.goOn()
}

// Len returns the number of faults so far.
func (c *Collector) Len() int { return len(c.faults) }

// abandoned is the panic value that stops the checks. attempt recovers it.
type abandoned struct{}

// attempt calls f and returns normally if f panics with abandoned.
func (c *Collector) attempt(f func()) {
	defer func() {
		if x := recover(); x != nil {
			if _, is := x.(abandoned); !is {
				panic(x)
			}
		}
	}()
	f()
}

// goOn panics with abandoned if the context has ended.
func (c *Collector) goOn() {
	if c.ctx != nil && c.ctx.Err() != nil {
		panic(abandoned{})
	}
}

// cut shortens a text to maxFaultText bytes.
func cut(text string) string {
	if len(text) <= maxFaultText {
		return text
	}
	return strings.ToValidUTF8(text[:maxFaultText], "") + "..."
}
