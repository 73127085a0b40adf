// Package desk answers the questions of a support desk about the revisions of an intent.
//
// The package passes questions about connections to check and questions about mailboxes to mailbox. It keeps pipelines for a few revisions
// loaded.
package desk

import (
	"context"
	"net"
	"sync"
	"time"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
)

// kept is the number of revisions that stay loaded: the current revision, and one revision to compare it with.
const kept = 2

// A Resolver finds the addresses of hosts and the mail exchangers of domains. *net.Resolver implements it.
type Resolver interface {
	check.Resolver
	mailbox.MXResolver
}

var _ Resolver = (*net.Resolver)(nil)

// Options are the dependencies of a Desk. The zero value is usable.
type Options struct {
	// Directory lists mail providers. If Directory is nil, no provider is known.
	Directory *mailbox.Directory
	// Resolver may be nil. Questions must then name servers by address.
	Resolver Resolver
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// A Source has the documents and activations that a question is about.
type Source struct {
	check.Source
	// Revision is the number of the documents in the store, or 0 if they are not stored. Pipelines for revision 0 are not kept loaded.
	Revision uint64
}

// A Desk answers questions. It is safe for concurrent use.
type Desk struct {
	opts Options

	mu     sync.Mutex // guards everything that follows
	loaded []revision // the most recently loaded first
}

// A revision is a loaded checker with the number of its revision.
type revision struct {
	number  uint64
	checker *check.Checker
}

// New returns a desk. The desk loads pipelines only when a question needs them.
func New(o Options) *Desk {
	if o.Directory == nil {
		o.Directory = &mailbox.Directory{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Desk{opts: o}
}

// Connection answers how a switch treats a connection. Its errors are those of check.Checker.Ask.
func (d *Desk) Connection(ctx context.Context, s Source, q check.Question) (*check.Answer, error) {
	return d.checker(s).Ask(ctx, q)
}

// Mailbox answers how closing port 25 affects a mailbox. Its errors are those of mailbox.Checker.Ask.
func (d *Desk) Mailbox(ctx context.Context, s Source, q mailbox.Question) (*mailbox.Answer, error) {
	c := mailbox.Checker{Directory: d.opts.Directory, Connections: d.checker(s), Policy: s.Bundle.Policy}
	if d.opts.Resolver != nil {
		c.MX = d.opts.Resolver
	}
	return c.Ask(ctx, q)
}

// checker returns the checker for a source. It reuses the checker of a loaded revision.
func (d *Desk) checker(s Source) *check.Checker {
	if s.Revision == 0 {
		return d.load(s)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, r := range d.loaded {
		if r.number == s.Revision {
			copy(d.loaded[1:i+1], d.loaded[:i])
			d.loaded[0] = r
			return r.checker
		}
	}
	r := revision{s.Revision, d.load(s)}
	d.loaded = append([]revision{r}, d.loaded[:min(len(d.loaded), kept-1)]...)
	return r.checker
}

func (d *Desk) load(s Source) *check.Checker {
	o := check.Options{Now: d.opts.Now}
	if d.opts.Resolver != nil {
		o.Resolver = d.opts.Resolver
	}
	return check.New(s.Source, o)
}
