package policy

import (
	"errors"
	"net/netip"
	"testing"
)

// TestAddressLeases verifies which addresses outside all lines can have which lease: the first that is for addresses and does not except them. An
// address that is no customer's can have none, and the reason does not contain it.
func TestAddressLeases(t *testing.T) {
	prefixes := func(texts ...string) (all []netip.Prefix) {
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	p := &Policy{
		Remotes: []Remote{
			{Name: "relays", Relay: true, Prefixes: prefixes("198.51.100.16/28", "2001:db8:25::/64")},
			{Name: "mailboxes", Own: true, Prefixes: prefixes("198.51.100.64/28")},
			{Name: "carrier", Prefixes: prefixes("203.0.113.0/26")},
		},
		NAT64: []NAT64{{netip.MustParsePrefix("2001:db8:64::/96")}},
		Leases: []Lease{
			{Name: "lines", Opens: []string{"relays"}},
			{Name: "first", Opens: []string{"relays"}, Addresses: true, Except: prefixes("203.0.113.64/26", "2001:db8:7::/48")},
			{Name: "second", Opens: []string{"relays"}, Addresses: true, Except: prefixes("203.0.113.64/27")},
		},
	}
	x := NewAddressLeases(p)
	const (
		special = "the address is of no customer: it is private or has a special purpose"
		relays  = `the address is of no customer: it is in class "relays" of own servers`
		boxes   = `the address is of no customer: it is in class "mailboxes" of own servers`
		nat64   = "the address is of no customer: it is in a NAT64 prefix, whose addresses stand for servers"
	)
	for text, want := range map[string]string{
		"203.0.113.200": "first", "203.0.113.5": "first", "2001:db8:8::1": "first", "8.8.8.8": "first", "2a00:1450::1": "first",
		"203.0.113.100": "second", "2001:db8:7::1": "second",
		"203.0.113.70":  `the address is of no customer: it is in except of lease "second"`,
		"198.51.100.17": relays, "2001:db8:25::1": relays, "198.51.100.64": boxes, "198.51.100.79": boxes,
		"2001:db8:64::c633:6440": boxes, "2001:db8:64::cb00:71c8": nat64, // 198.51.100.64 and 203.0.113.200 through NAT64
		"127.0.0.1": special, "::1": special, "0.0.0.0": special, "0.1.2.3": special, "::": special, "10.1.2.3": special, "172.16.0.1": special, "192.168.7.7": special,
		"fd00::1": special, "100.64.0.1": special, "169.254.1.1": special, "fe80::1": special, "224.0.0.1": special, "ff02::1": special, "ff0e::1": special,
		"240.0.0.1": special, "255.255.255.255": special, "192.0.0.2": special, "198.18.0.1": special, "198.19.255.255": special, "::192.0.2.1": special,
		"::ffff:203.0.113.200": special, "64:ff9b:1::1": special, "100::1": special,
		"100.128.0.1": "first", "172.32.0.1": "first", "198.20.0.1": "first", "192.0.1.1": "first",
	} {
		got, err := x.For(netip.MustParseAddr(text))
		switch {
		case err == nil && got.Name == want:
		case errors.Is(err, ErrNotCustomer) && err.Error() == want:
		default:
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
	other := netip.MustParseAddr("203.0.113.200")
	if err := x.Check(other, &p.Leases[0]); !errors.Is(err, ErrNoAddressLease) || err.Error() != `no lease is for addresses outside all lines: lease "lines" is for lines only` {
		t.Errorf("%v", err)
	}
	p.Leases = p.Leases[:1]
	if _, err := NewAddressLeases(p).For(other); !errors.Is(err, ErrNoAddressLease) {
		t.Errorf("%v", err)
	}
}
