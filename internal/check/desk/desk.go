// Package desk answers the questions of a support desk about any revision of an intent.
//
// The package passes questions about connections to package check and questions about mailboxes to package mailbox. It keeps the pipelines
// of a few revisions loaded.
package desk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
)

// kept is the number of revisions that stay loaded: the current revision, and one revision with which to compare it.
const kept = 2

// A Resolver finds the addresses of hosts and the mail exchangers of domains. *net.Resolver implements it.
type Resolver interface {
	check.Resolver
	mailbox.MXResolver
}

var _ Resolver = (*net.Resolver)(nil)

// Options are the dependencies of a Desk. The zero value is usable.
type Options struct {
	// Directory lists mail providers. If Directory is nil, all providers are unknown.
	Directory *mailbox.Directory
	// Resolver finds addresses and mail exchangers. If Resolver is nil, questions must name servers by address.
	Resolver Resolver
	// Now returns the current time. If Now is nil, time.Now is used.
	Now func() time.Time
}

// A Source contains the documents and activations to which a question refers.
type Source struct {
	check.Source
	// Revision is the number of the revision that contains the documents, or 0 if they are not stored. The pipelines of revision 0 are not
	// kept loaded.
	Revision uint64
}

// A Desk answers questions. It is safe for concurrent use.
type Desk struct {
	opts Options

	mu     sync.Mutex // guards the fields below
	loaded []revision // the most recently used revision comes first
}

// A revision is the checker of a loaded revision, with the revision's number and documents. Two sources may have the same number, if one of
// them contains the published documents of the revision.
type revision struct {
	number  uint64
	bundle  *policy.Bundle
	checker *check.Checker
	servers func() []mailbox.Representative // computed on the first call
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

// Connection answers a question about a connection. If the DNS could not be asked for the server's name, and the outcome is the same for every
// server, the answer is about an example server, and a note says so. If the outcome depends on the server, the error is ErrDNS. Connection also
// returns the errors of check.Checker.Ask.
func (d *Desk) Connection(ctx context.Context, s Source, q check.Question) (*check.Answer, error) {
	a, err := d.connection(ctx, s, q)
	if err == nil || ctx.Err() != nil || !errors.Is(err, check.ErrResolve) || !Failed(err) {
		return a, err
	}
	why := "it did not answer in time"
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		why = dns.Err
	} else if errors.Is(err, ErrBusy) {
		why = ErrBusy.Error()
	}
	if a, err = d.anywhere(ctx, s, q); err != nil {
		return nil, err
	}
	if a == nil {
		return nil, fmt.Errorf("%w about %q: %s: give the server's address instead of its name", ErrDNS, q.To, why)
	}
	a.Notes = append(a.Notes, fmt.Sprintf("our DNS could not be asked about %q: the outcome is the same for every server, and %v stands for it (%s)", q.To, a.Results[0].To, why))
	a.To = q.To
	return a, nil
}

func (d *Desk) connection(ctx context.Context, s Source, q check.Question) (*check.Answer, error) {
	return d.of(s).checker.Ask(ctx, q)
}

// Mailbox answers a question about a mailbox. It returns the errors of mailbox.Checker.Ask.
func (d *Desk) Mailbox(ctx context.Context, s Source, q mailbox.Question) (*mailbox.Answer, error) {
	r := d.of(s)
	c := mailbox.Checker{Directory: d.opts.Directory, Connections: r.checker, Policy: s.Bundle.Policy, Servers: r.servers()}
	if d.opts.Resolver != nil {
		c.MX = d.opts.Resolver
	}
	return c.Ask(ctx, q)
}

// Subject returns the names of the line and the switch that a question is about, as check.Checker.Subject does.
func (d *Desk) Subject(s Source, q check.Question) (line, sw string, err error) {
	return d.of(s).checker.Subject(q)
}

// of returns the revision of a source. If it is loaded, of returns the same revision as before.
func (d *Desk) of(s Source) revision {
	if s.Revision == 0 {
		return d.load(s)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, r := range d.loaded {
		if r.number == s.Revision && r.bundle == s.Bundle {
			copy(d.loaded[1:i+1], d.loaded[:i])
			d.loaded[0] = r
			return r
		}
	}
	r := d.load(s)
	d.loaded = append([]revision{r}, d.loaded[:min(len(d.loaded), kept-1)]...)
	return r
}

func (d *Desk) load(s Source) revision {
	o := check.Options{Now: d.opts.Now}
	if d.opts.Resolver != nil {
		o.Resolver = d.opts.Resolver
	}
	servers := sync.OnceValue(func() []mailbox.Representative { return mailbox.Representatives(s.Bundle.Policy) })
	return revision{s.Revision, s.Bundle, check.New(s.Source, o), servers}
}
