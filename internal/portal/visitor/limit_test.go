package visitor

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// TestLimits verifies the rates of an address, of an IPv6 network and of all, and when a request may be repeated.
func TestLimits(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := NewLimiter(Rate{2, 3}, Rate{1000, 1000}, func() time.Time { return now })
	a, b := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8")
	for range 3 {
		if x := l.Allow(a); x != nil {
			t.Fatalf("within the burst: %+v", x)
		}
	}
	if x := l.Allow(a); x == nil || x.Limit != "address" || x.After != time.Second {
		t.Errorf("beyond the burst: %+v", x)
	}
	if x := l.Allow(b); x != nil {
		t.Errorf("another address: %+v", x)
	}
	now = now.Add(time.Second)
	for range 2 {
		if x := l.Allow(a); x != nil {
			t.Errorf("a second later: %+v", x)
		}
	}
	if l.Allow(a) == nil {
		t.Error("three requests after a second")
	}

	v6 := func(text string) netip.Addr { return netip.MustParseAddr(text) }
	for i := range 3 {
		l.Allow(v6([]string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff"}[i]))
	}
	if l.Allow(v6("2001:db8::3")) == nil {
		t.Error("the addresses of one /64 have a burst each")
	}
	if l.Allow(v6("2001:db8:0:1::1")) != nil {
		t.Error("another /64 is limited")
	}

	l = NewLimiter(Rate{10, 10}, Rate{0.25, 2}, func() time.Time { return now })
	l.Allow(a)
	l.Allow(b)
	if x := l.Allow(v6("2001:db8::1")); x == nil || x.Limit != "all" || x.After != 4*time.Second {
		t.Errorf("beyond the limit of all: %+v", x)
	}
}

// TestLimiterIsBounded verifies that the memory of a limiter does not grow with the number of addresses, and that an address that keeps asking
// is not forgotten meanwhile.
func TestLimiterIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := NewLimiter(Rate{0.001, 1}, Rate{1e9, 1e9}, func() time.Time { return now })
	l.kept = 100
	one := netip.MustParseAddr("198.51.100.7")
	if l.Allow(one) != nil {
		t.Fatal("the first request is refused")
	}
	addr := netip.MustParseAddr("10.0.0.0")
	for i := range 10_000 {
		addr = addr.Next()
		l.Allow(addr)
		if i%50 == 0 && l.Allow(one) == nil {
			t.Fatalf("the limit was forgotten after %d other addresses", i)
		}
		if n := len(l.recent) + len(l.older); n > 2*l.kept {
			t.Fatalf("%d addresses are kept", n)
		}
	}
	x := &Limiter{each: Rate{1, 1}, kept: 1, recent: map[netip.Prefix]*rate.Limiter{}}
	if first := x.of(netip.Addr{}); x.of(netip.Addr{}) != first {
		t.Error("requests without an address have no common limit")
	}
}
