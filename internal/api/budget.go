package api

import (
	"fmt"
	"sync"
)

// A budget bounds the bytes that requests hold in memory together: what was received, what was inflated, and the messages made of it.
type budget struct {
	most int64

	mu   sync.Mutex // guards what follows
	held int64
}

// A claim is what one request holds of a budget. It is not safe for concurrent use, except for end.
type claim struct {
	of *budget

	mu   sync.Mutex // guards what follows
	held int64
}

// take adds bytes to the claim before they are allocated. It returns errBusy if the budget does not have them.
func (c *claim) take(n int64) error {
	c.of.mu.Lock()
	free := c.of.most - c.of.held
	if n <= free {
		c.of.held += n
	}
	c.of.mu.Unlock()
	if n > free {
		return fmt.Errorf("%w: the requests under way hold %d MiB together, which is the limit", errBusy, c.of.most>>20)
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
