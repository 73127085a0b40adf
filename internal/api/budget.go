package api

import (
	"fmt"
	"sync"
)

// A budget bounds the memory of all requests together: received bytes, inflated bytes, and decoded messages.
type budget struct {
	most int64 // bytes

	mu   sync.Mutex // guards what follows
	held int64
}

// A claim is the part of a budget that one request holds. It is not safe for concurrent use, except for end.
type claim struct {
	of *budget

	mu   sync.Mutex // guards what follows
	held int64
}

// take adds n bytes to the claim. It is called before they are allocated. It returns errBusy if the budget has too few left.
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

// give returns bytes that were taken.
func (c *claim) give(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveLocked(min(n, c.held))
}

// end returns everything that the claim still holds.
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
