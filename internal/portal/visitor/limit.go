package visitor

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A Rate is a number of requests a second, and how many may come at once.
type Rate struct {
	PerSecond float64
	Burst     int
}

// maxKept is the number of addresses of which a Limiter keeps the rate. It takes about 20 MB.
const maxKept = 1 << 17

// A Limiter limits the rate of each address, and the rate of all together. Its memory is bounded. Its methods may be called by several
// goroutines.
//
// An IPv6 address counts as its /64, because a line has at least that.
type Limiter struct {
	each Rate
	all  *rate.Limiter
	now  func() time.Time
	kept int // the number of addresses in each of recent and older

	mu            sync.Mutex // guards the fields below
	recent, older map[netip.Prefix]*rate.Limiter
}

// NewLimiter returns a limiter. now may be nil.
func NewLimiter(each, all Rate, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{each: each, all: rate.NewLimiter(rate.Limit(all.PerSecond), all.Burst), now: now, kept: maxKept / 2, recent: map[netip.Prefix]*rate.Limiter{}}
}

// A Refusal says why a request was refused, and after which time it may be repeated.
type Refusal struct {
	// Limit is "address" or "all".
	Limit string
	After time.Duration
}

// Allow takes a request of an address. It returns nil if the request is within the limits.
func (l *Limiter) Allow(addr netip.Addr) *Refusal {
	now := l.now()
	if after, ok := take(l.of(addr), now); !ok {
		return &Refusal{"address", after}
	}
	if after, ok := take(l.all, now); !ok {
		return &Refusal{"all", after}
	}
	return nil
}

// take takes a token, or returns the time until there is one.
func take(x *rate.Limiter, now time.Time) (time.Duration, bool) {
	if x.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - x.TokensAt(now)
	seconds := math.Ceil(missing / float64(x.Limit()))
	return time.Duration(min(max(seconds, 1), 3600)) * time.Second, false
}

// of returns the limiter of an address. When the map of recent addresses is full, the addresses that did not ask since the map was last full
// are forgotten. A forgotten address has its full burst again.
func (l *Limiter) of(addr netip.Addr) *rate.Limiter {
	key := keyOf(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.recent[key]
	if x == nil {
		if x = l.older[key]; x == nil {
			x = rate.NewLimiter(rate.Limit(l.each.PerSecond), l.each.Burst)
		}
		if len(l.recent) >= l.kept {
			l.older, l.recent = l.recent, make(map[netip.Prefix]*rate.Limiter)
		}
		l.recent[key] = x
	}
	return x
}

func keyOf(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // an invalid address has the zero prefix: all of these share one limit
	return p
}
