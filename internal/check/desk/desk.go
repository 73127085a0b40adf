// Package desk answers the API's questions: what a switch does with a connection, and what that means for a mailbox.
//
// It is check and mailbox in the API's own messages, and keeps what they have loaded for the revisions that are asked about. It decides
// nothing of what it says.
package desk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/intent"
	op25bv1 "op25b/proto/op25b/v1"
)

// kept is how many revisions stay loaded: the current one, and one that it is compared with.
const kept = 2

// A Resolver finds the addresses of hosts and the hosts that take a domain's mail; a *net.Resolver is one.
type Resolver interface {
	check.Resolver
	mailbox.MXResolver
}

var _ Resolver = (*net.Resolver)(nil)

// Options are what a Desk takes from its surroundings. The zero value is usable.
type Options struct {
	// Directory is what is known of mail providers; without it only the MX hosts of a domain say whose it is.
	Directory *mailbox.Directory
	// Resolver may be nil: then servers can be asked about by address alone.
	Resolver Resolver
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// A Desk answers questions. It is safe for concurrent use.
type Desk struct {
	opts Options

	mu     sync.Mutex // guards everything that follows
	loaded []revision // the one used last is the first
}

// A revision is the checker of one.
type revision struct {
	number  uint64
	checker *check.Checker
}

// New returns a desk. It loads a pipeline when the first question wants it.
func New(o Options) *Desk {
	if o.Directory == nil {
		o.Directory = &mailbox.Directory{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Desk{opts: o}
}

// Check says what becomes of a connection under an intent.
func (d *Desk) Check(ctx context.Context, in *intent.Intent, q *op25bv1.CheckRequest) (*op25bv1.CheckResponse, error) {
	return d.connection(ctx, d.of(in), q)
}

// CheckMail says what the closing of port 25 means for a mailbox under an intent.
func (d *Desk) CheckMail(ctx context.Context, in *intent.Intent, q *op25bv1.CheckMailRequest) (*op25bv1.CheckMailResponse, error) {
	return d.mailbox(ctx, d.of(in), source(in), q)
}

// CheckFrom is Check for documents that are in no store.
func (d *Desk) CheckFrom(ctx context.Context, s check.Source, q *op25bv1.CheckRequest) (*op25bv1.CheckResponse, error) {
	return d.connection(ctx, d.checker(s), q)
}

// CheckMailFrom is CheckMail for documents that are in no store.
func (d *Desk) CheckMailFrom(ctx context.Context, s check.Source, q *op25bv1.CheckMailRequest) (*op25bv1.CheckMailResponse, error) {
	return d.mailbox(ctx, d.checker(s), s, q)
}

func source(in *intent.Intent) check.Source {
	return check.Source{Bundle: in.Bundle, Numbers: in.Numbers, Activations: in.Activations}
}

func (d *Desk) checker(s check.Source) *check.Checker {
	o := check.Options{Now: d.opts.Now}
	if d.opts.Resolver != nil {
		o.Resolver = d.opts.Resolver
	}
	return check.New(s, o)
}

// of is the checker of an intent: a new one for a proposal, which has no number.
func (d *Desk) of(in *intent.Intent) *check.Checker {
	if in.Number == 0 {
		return d.checker(source(in))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, r := range d.loaded {
		if r.number == in.Number {
			copy(d.loaded[1:i+1], d.loaded[:i])
			d.loaded[0] = r
			return r.checker
		}
	}
	r := revision{in.Number, d.checker(source(in))}
	d.loaded = append([]revision{r}, d.loaded[:min(len(d.loaded), kept-1)]...)
	return r.checker
}

func (d *Desk) connection(ctx context.Context, c *check.Checker, q *op25bv1.CheckRequest) (*op25bv1.CheckResponse, error) {
	if q.Port == 0 || q.Port > 65535 {
		return nil, coded(fmt.Errorf("%w: port %d: TCP ports are 1 to 65535, as in 25, 465 or 587", check.ErrQuestion, q.Port))
	}
	who, err := asking(q.From)
	if err != nil {
		return nil, coded(err)
	}
	who.To, who.Port, who.Trace = q.To, uint16(q.Port), q.Trace
	answer, err := c.Ask(ctx, who)
	if err != nil {
		return nil, coded(err)
	}
	return answerMessage(answer)
}

func (d *Desk) mailbox(ctx context.Context, c *check.Checker, s check.Source, q *op25bv1.CheckMailRequest) (*op25bv1.CheckMailResponse, error) {
	who, err := asking(q.From)
	if err != nil {
		return nil, coded(err)
	}
	desk := mailbox.Desk{Directory: d.opts.Directory, Check: c, Policy: s.Bundle.Policy}
	if d.opts.Resolver != nil {
		desk.MX = d.opts.Resolver
	}
	answer, err := desk.Ask(ctx, mailbox.Question{
		Address: q.Address, Line: who.Line, From: who.From, Switch: who.Switch, At: who.At, Phase: who.Phase,
	})
	if err != nil {
		return nil, coded(err)
	}
	return mailMessage(answer, q.Language)
}

// asking is who asks, and about when.
func asking(f *op25bv1.CheckFrom) (check.Question, error) {
	q := check.Question{Line: f.GetLine(), Switch: f.GetSwitch(), Phase: f.GetPhase()}
	if text := strings.TrimSpace(f.GetFrom()); text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return q, fmt.Errorf("%w: from %q: must be an IPv4 or IPv6 address, such as 192.0.2.11", check.ErrQuestion, text)
		}
		q.From = addr
	}
	if at := f.GetAt(); at != nil {
		if err := at.CheckValid(); err != nil {
			return q, fmt.Errorf("%w: at: %w", check.ErrQuestion, err)
		}
		q.At = at.AsTime()
	}
	return q, nil
}

// codes are what errors mean for who asked. What is not among them, such as an unknown phase, is for the API to say.
var codes = []struct {
	kind error
	code connect.Code
}{
	{check.ErrUnknownLine, connect.CodeNotFound},
	{check.ErrNoPhase, connect.CodeFailedPrecondition},
	{check.ErrQuestion, connect.CodeInvalidArgument},
	{check.ErrShared, connect.CodeInvalidArgument},
	{check.ErrFamily, connect.CodeInvalidArgument},
	{check.ErrResolve, connect.CodeNotFound},
	{mailbox.ErrAddress, connect.CodeInvalidArgument},
}

func coded(err error) error {
	for _, c := range codes {
		if errors.Is(err, c.kind) {
			return connect.NewError(c.code, err)
		}
	}
	return err
}
