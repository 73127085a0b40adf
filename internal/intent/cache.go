package intent

import (
	"context"
	"slices"
	"sync"

	"op25b/internal/store"
)

// Bounds of the revisions that a Book keeps in memory besides the newest one.
const (
	// MaxCached is the largest number of revisions. After a change or a restart, the switches hold a few different revisions.
	MaxCached = 7
	// MaxCachedBytes is the largest total size of their documents as text. Documents that several revisions share count once. The revision
	// used last is kept whatever its size, because after a restart all switches need the same revision.
	MaxCachedBytes = 8 << 20
)

// A cache holds the most recently used revisions of one generation of the store. Revisions are identified by their ids, which are unique
// over all stores.
type cache struct {
	mu         sync.Mutex // guards everything that follows
	generation uint64
	newest     *Intent
	older      []*Intent                // the most recently used revision is last
	reading    map[string]chan struct{} // reads in progress, by id; the channel is closed when the read ends
}

// enterLocked drops the revisions of another generation.
func (c *cache) enterLocked(g *store.Generation) {
	if c.generation != g.Number() {
		c.generation, c.newest, c.older = g.Number(), nil, nil
	}
}

// find returns a revision, or nil.
func (c *cache) find(g *store.Generation, r store.Revision) *Intent {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enterLocked(g)
	if c.newest.is(r) {
		return c.newest
	}
	i := slices.IndexFunc(c.older, func(in *Intent) bool { return in.is(r) })
	if i < 0 {
		return nil
	}
	in := c.older[i]
	c.older = append(slices.Delete(c.older, i, i+1), in)
	return in
}

// all returns everything in the cache, the newest revision first.
func (c *cache) all(g *store.Generation) []*Intent {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enterLocked(g)
	if c.newest == nil {
		return slices.Clone(c.older)
	}
	return append([]*Intent{c.newest}, c.older...)
}

// put adds a revision. It becomes the newest one unless the cache has a revision with a higher number.
func (c *cache) put(g *store.Generation, in *Intent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enterLocked(g)
	c.older = slices.DeleteFunc(c.older, func(other *Intent) bool { return other.ID == in.ID })
	switch {
	case c.newest == nil || c.newest.Number <= in.Number:
		if c.newest != nil && c.newest.ID != in.ID {
			c.older = append(c.older, c.newest)
		}
		c.newest = in
	default:
		c.older = append(c.older, in)
	}
	for len(c.older) > MaxCached || len(c.older) > 1 && c.bytesLocked() > MaxCachedBytes {
		c.older = slices.Delete(c.older, 0, 1)
	}
}

func (c *cache) bytesLocked() (n int64) {
	for i, in := range c.older {
		if !in.SameDocuments(c.newest) && !slices.ContainsFunc(c.older[:i], in.SameDocuments) {
			n += in.Bytes
		}
	}
	return n
}

// read returns a revision from the cache, or reads it. Callers who ask for the same revision share one read.
func (c *cache) read(ctx context.Context, g *store.Generation, r store.Revision, read func() (*Intent, error)) (*Intent, error) {
	for {
		if in := c.find(g, r); in != nil {
			return in, nil
		}
		c.mu.Lock()
		other, reading := c.reading[r.ID]
		if !reading {
			if c.reading == nil {
				c.reading = make(map[string]chan struct{})
			}
			c.reading[r.ID] = make(chan struct{})
		}
		c.mu.Unlock()
		if !reading {
			break
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		close(c.reading[r.ID])
		delete(c.reading, r.ID)
	}()
	in, err := read()
	if in != nil && err == nil {
		c.put(g, in)
	}
	return in, err
}
