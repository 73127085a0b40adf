package strict

import (
	"context"
	"fmt"
	"strings"
)

// A Collector collects the faults that checks find. A Collector ends the checks, even deep in nested lists, after MaxFaults faults or when
// its context ends.
type Collector struct {
	ctx    context.Context // nil never ends
	faults Faults
}

// NewCollector returns a collector that ends its checks with ctx.
func NewCollector(ctx context.Context) Collector { return Collector{ctx: ctx} }

// Run calls the checks in order. Run returns the context's cause if the context has ended. Otherwise it returns a Faults sorted by
// position, or nil.
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

// Add adds a fault. Only a function that Run called may call it.
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

// abandoned is the panic value by which Add ends the checks. attempt recovers it.
type abandoned struct{}

// attempt calls f and returns early if f is abandoned.
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

// goOn abandons the checks if the context has ended.
func (c *Collector) goOn() {
	if c.ctx != nil && c.ctx.Err() != nil {
		panic(abandoned{})
	}
}

// cut shortens a text to maxFaultText.
func cut(text string) string {
	if len(text) <= maxFaultText {
		return text
	}
	return strings.ToValidUTF8(text[:maxFaultText], "") + "..."
}
