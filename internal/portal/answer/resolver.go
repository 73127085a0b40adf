package answer

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

	"op25b/internal/check/desk"
)

// Limits on look-ups in the DNS.
const (
	// lookupWithin is the longest time of a look-up. A visitor waits for it.
	lookupWithin = 2 * time.Second
	// lookedFor is the time for which the result of a look-up, and an answer that depends on it, are kept.
	lookedFor = time.Minute
	// maxLookups is the number of look-ups at a time, and maxNames the number of results that are kept.
	maxLookups = 64
	maxNames   = 4096
	// maxResults is the number of addresses or mail exchangers of a name that are used.
	maxResults = 8
)

var (
	errBusy     = errors.New("too many look-ups at a time")
	errReserved = errors.New("the name is reserved")
)

// lookups records whether a question needed a look-up.
type lookups struct{ any atomic.Bool }

type lookupsKey struct{}

// A Resolver bounds the look-ups of another resolver in time and number, and keeps the results for a minute.
type Resolver struct {
	next   desk.Resolver
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

var _ desk.Resolver = (*Resolver)(nil)

// NewResolver returns a resolver that asks next.
func NewResolver(next desk.Resolver) *Resolver {
	return &Resolver{next: next, now: time.Now, room: make(chan struct{}, maxLookups), names: map[string]looked{}}
}

// LookupNetIP returns the addresses of a host.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return look(ctx, r, network+" "+host, host, func(ctx context.Context) ([]netip.Addr, error) { return r.next.LookupNetIP(ctx, network, host) })
}

// LookupMX returns the mail exchangers of a domain.
func (r *Resolver) LookupMX(ctx context.Context, domain string) ([]*net.MX, error) {
	return look(ctx, r, "mx "+domain, domain, func(ctx context.Context) ([]*net.MX, error) { return r.next.LookupMX(ctx, domain) })
}

// look looks a name up once for all callers that wait for it. Its context is not a caller's, because the look-up goes on for the others when
// one of them leaves.
func look[T any](ctx context.Context, r *Resolver, key, name string, do func(context.Context) ([]T, error)) ([]T, error) {
	if strings.HasSuffix("."+strings.ToLower(strings.TrimSuffix(name, ".")), ".invalid") {
		return nil, errReserved
	}
	if asked, ok := ctx.Value(lookupsKey{}).(*lookups); ok {
		asked.any.Store(true)
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
				return nil, errBusy
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupWithin)
			defer cancel()
			all, err := do(ctx)
			if len(all) > maxResults {
				all = all[:maxResults]
			}
			r.keep(key, looked{all, err, r.now().Add(lookedFor)})
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

func (r *Resolver) keep(key string, x looked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.names) >= maxNames {
		clear(r.names)
	}
	r.names[key] = x
}
