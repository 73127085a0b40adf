package api

import (
	"fmt"
	"sync"
)

// A budget limits the total memory of all requests: received bytes, inflated bytes, and decoded messages.
type budget struct {
	most int64 // the limit in bytes

	mu   sync.Mutex // guards the fields below
	held int64
}

// A claim is the part of a budget that one request uses. Apart from end, its methods are not safe for concurrent use.
type claim struct {
	of *budget

	mu   sync.Mutex // guards the fields below
	held int64
}

// take adds n bytes to the claim. Callers must call take before they allocate the memory. take returns errBusy if the budget has fewer
// than n bytes left.
func (c *claim) take(n int64) error {
	c.of.mu.Lock()
	free := c.of.most - c.of.held
	if n <= free {
		c.of.held += n
	}
	c.of.mu.Unlock()
	if n > free {
		return fmt.Errorf("%w: the requests in progress use %d MiB together, which is the limit", errBusy, c.of.most>>20)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held += n
	return nil
}

// give returns n bytes from the claim to the budget.
func (c *claim) give(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveLocked(min(n, c.held))
}

// end returns all remaining bytes of the claim to the budget.
func (c *claim) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveLocked(c.held)
}

func (c *claim) giveLocked(n int64) {
	c.held -= n
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.held -= n
}
