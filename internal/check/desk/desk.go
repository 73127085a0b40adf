// Package desk answers the questions of a support desk about the revisions of an intent.
//
// It chooses between check, for a connection, and mailbox, for a mailbox, and keeps the pipelines loaded for the revisions used last. It
// decides nothing, and it knows neither messages nor text.
package desk

import (
	"context"
	"net"
	"sync"
	"time"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
)

// kept is how many revisions stay loaded: the current one, and one that it is compared with.
const kept = 2

// A Resolver finds the addresses of hosts and the mail exchangers of domains; a *net.Resolver is one.
type Resolver interface {
	check.Resolver
	mailbox.MXResolver
}

var _ Resolver = (*net.Resolver)(nil)

// Options are the dependencies of a Desk. The zero value is usable.
type Options struct {
	// Directory lists mail providers. Without it only the mail exchangers of a domain identify its provider.
	Directory *mailbox.Directory
	// Resolver may be nil: then questions can name servers by address only.
	Resolver Resolver
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// A Source is the documents and activations that a question is about.
type Source struct {
	check.Source
	// Revision is their number in the store; 0 for documents that are not stored, which are not kept loaded.
	Revision uint64
}

// A Desk answers questions. It is safe for concurrent use.
type Desk struct {
	opts Options

	mu     sync.Mutex // guards everything that follows
	loaded []revision // the one used last is the first
}

// A revision is a loaded checker with the number of its revision.
type revision struct {
	number  uint64
	checker *check.Checker
}

// New returns a desk. It loads a pipeline when the first question needs it.
func New(o Options) *Desk {
	if o.Directory == nil {
		o.Directory = &mailbox.Directory{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Desk{opts: o}
}

// Connection answers what a switch does with a connection. Its errors are those of check.Checker.Ask.
func (d *Desk) Connection(ctx context.Context, s Source, q check.Question) (*check.Answer, error) {
	return d.checker(s).Ask(ctx, q)
}

// Mailbox answers what the closing of port 25 means for a mailbox. Its errors are those of mailbox.Checker.Ask.
func (d *Desk) Mailbox(ctx context.Context, s Source, q mailbox.Question) (*mailbox.Answer, error) {
	c := mailbox.Checker{Directory: d.opts.Directory, Connections: d.checker(s), Policy: s.Bundle.Policy}
	if d.opts.Resolver != nil {
		c.MX = d.opts.Resolver
	}
	return c.Ask(ctx, q)
}

// checker is the checker of a source: a loaded one if the source is a revision used lately.
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
