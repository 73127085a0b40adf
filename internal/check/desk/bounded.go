package desk

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// Limits on look-ups in the DNS.
const (
	// LookupWithin is the longest time of a look-up. A visitor waits for it.
	LookupWithin = 2 * time.Second
	// LookedFor is the time for which a Bounded keeps the result of a look-up.
	LookedFor = time.Minute
	// failedFor is the time for which it keeps the failure of a look-up.
	failedFor = 5 * time.Second
	// maxLookups is the number of look-ups at a time, and maxNames the number of results that are kept.
	maxLookups = 64
	maxNames   = 4096
	// maxResults is the number of addresses or mail exchangers of a name that are used.
	maxResults = 8
)

var (
	// ErrBusy is returned if too many look-ups are in progress.
	ErrBusy = errors.New("too many look-ups at a time")
	// ErrDNS is returned if the DNS could not be asked for a server's name, and the answer depends on the server.
	ErrDNS = errors.New("our DNS could not be asked")

	errReserved = &net.DNSError{Err: "the name is reserved (RFC 6761 section 6.4)", IsNotFound: true}
)

// Failed reports whether a look-up failed for now, so that nothing is known of the name. If it is false for an error, the name has no address.
func Failed(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return !dns.IsNotFound
	}
	return errors.Is(err, ErrBusy) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

type lookupsKey struct{}

// WithLookups returns a context that records whether a Bounded was asked for a name. looked reports it.
func WithLookups(ctx context.Context) (_ context.Context, looked func() bool) {
	any := &atomic.Bool{}
	return context.WithValue(ctx, lookupsKey{}, any), any.Load
}

// A Bounded is a Resolver that bounds the look-ups of another resolver in time and number, and keeps the results for a minute.
type Bounded struct {
	next   Resolver
	now    func() time.Time
	room   chan struct{}
	flight singleflight.Group

	mu    sync.Mutex // guards names
	names map[string]looked
}

type looked struct {
	value any
	err   error
	until time.Time
}

var _ Resolver = (*Bounded)(nil)

// NewBounded returns a resolver that asks next.
func NewBounded(next Resolver) *Bounded {
	return &Bounded{next: next, now: time.Now, room: make(chan struct{}, maxLookups), names: map[string]looked{}}
}

// LookupNetIP returns the addresses of a host.
func (r *Bounded) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return look(ctx, r, network+" "+host, host, func(ctx context.Context) ([]netip.Addr, error) { return r.next.LookupNetIP(ctx, network, host) })
}

// LookupMX returns the mail exchangers of a domain.
func (r *Bounded) LookupMX(ctx context.Context, domain string) ([]*net.MX, error) {
	return look(ctx, r, "mx "+domain, domain, func(ctx context.Context) ([]*net.MX, error) { return r.next.LookupMX(ctx, domain) })
}

// look looks a name up once for all callers that wait for it. Its context is not a caller's, because the look-up goes on for the others when
// one of them leaves.
func look[T any](ctx context.Context, r *Bounded, key, name string, do func(context.Context) ([]T, error)) ([]T, error) {
	if strings.HasSuffix("."+strings.ToLower(strings.TrimSuffix(name, ".")), ".invalid") {
		return nil, errReserved
	}
	if asked, ok := ctx.Value(lookupsKey{}).(*atomic.Bool); ok {
		asked.Store(true)
	}
	r.mu.Lock()
	found, known := r.names[key]
	r.mu.Unlock()
	if !known || r.now().After(found.until) {
		done := r.flight.DoChan(key, func() (any, error) {
			select {
			case r.room <- struct{}{}:
				defer func() { <-r.room }()
			default:
				return nil, ErrBusy
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), LookupWithin)
			defer cancel()
			all, err := do(ctx)
			if len(all) > maxResults {
				all = all[:maxResults]
			}
			keep := LookedFor
			if Failed(err) {
				keep = failedFor
			}
			r.keep(key, looked{all, err, r.now().Add(keep)})
			return all, err
		})
		select {
		case result := <-done:
			found = looked{value: result.Val, err: result.Err}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	all, _ := found.value.([]T)
	return all, found.err
}

func (r *Bounded) keep(key string, x looked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.names) >= maxNames {
		clear(r.names)
	}
	r.names[key] = x
}
