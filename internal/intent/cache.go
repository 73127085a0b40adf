package intent

import (
	"context"
	"slices"
	"sync"

	"op25b/internal/store"
)

// The limits on the revisions that a Book keeps in memory in addition to the newest one.
const (
	// MaxCached is the maximum number of revisions. After a change or a restart, the switches have only a few different revisions.
	MaxCached = 7
	// MaxCachedBytes is the maximum total size of their documents in text form. Documents that several revisions share count once. The
	// revision that was used last is kept whatever its size, because after a restart all switches need the same revision.
	MaxCachedBytes = 8 << 20
)

// A cache contains the most recently used revisions of one generation of the store. It identifies revisions by their ids, which are unique
// across stores.
type cache struct {
	mu         sync.Mutex // guards the fields below
	generation uint64
	newest     *Intent
	older      []*Intent                // in order of use, the most recently used revision last
	reading    map[string]chan struct{} // the reads in progress, by revision id; a channel is closed when its read ends
}

// enterLocked drops all revisions if they belong to another generation.
func (c *cache) enterLocked(g *store.Generation) {
	if c.generation != g.Number() {
		c.generation, c.newest, c.older = g.Number(), nil, nil
	}
}

// find returns a cached revision, or nil if the cache does not have it.
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

// all returns all cached revisions; the newest revision is first.
func (c *cache) all(g *store.Generation) []*Intent {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enterLocked(g)
	if c.newest == nil {
		return slices.Clone(c.older)
	}
	return append([]*Intent{c.newest}, c.older...)
}

// put adds a revision. The revision becomes the newest unless the cache has one with a higher number.
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
		if !in.sameContents(c.newest) && !slices.ContainsFunc(c.older[:i], in.sameContents) {
			n += in.Bytes
		}
	}
	return n
}

// read returns a revision from the cache, or calls the function read and caches its result. Concurrent callers for the same revision share
// one call.
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
