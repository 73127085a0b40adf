package compile

import (
	"net/netip"
	"slices"
	"testing"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// TestAddressEntries verifies the entries of leases of addresses outside all lines, that they are recognised without an address in their text, and
// which of them a switch keeps.
func TestAddressEntries(t *testing.T) {
	b := leaseBundle(t) // its lease pop is for addresses, and mobile-pop is not
	b.Policy.Exemptions = append(b.Policy.Exemptions, policy.Exemption{
		Prefix: netip.MustParsePrefix("203.0.113.192/28"), Owner: "noc@isp.example", Reason: "laboratory", Expires: b.Policy.Exemptions[0].Expires,
	})
	sw := &b.Inventory.Switches[0]
	lines := func(b *policy.Bundle) *SessionLines {
		c, err := NewCompiler(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.SessionLines("edge-1", october)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	addr := netip.MustParseAddr
	if s := lines(b); s.LeasesAddresses() || s.AddressEntries(addr("203.0.113.77"), "pop", 9) != nil {
		t.Error("a switch without addressLeases has leases of addresses")
	}
	sw.AddressLeases = true
	s := lines(b)
	if !s.LeasesAddresses() || !s.UsesLeases() {
		t.Error("the switch has no leases of addresses")
	}
	for _, x := range []struct {
		addr, lease string
		until       pipeline.ClockSecond
		want        string // "" for none
	}{
		{"203.0.113.77", "pop", 9, "subscriber_v4 prefix=203.0.113.77/32 => set_subscriber_class class_id=2 line_index=0 until=9"},
		{"2001:db8:7::5", "pop", 9, "subscriber_v6 prefix=2001:db8:7::5/128 => set_subscriber_class class_id=2 line_index=0 until=9"},
		{"203.0.113.77", "pop", 0, ""},        // it would not end
		{"203.0.113.77", "mobile-pop", 9, ""}, // it is for lines only
		{"203.0.113.77", "imap", 9, ""},       // there is no such lease
		{"203.0.113.200", "pop", 9, ""},       // it is exempt
		{"192.0.2.11", "pop", 9, ""},          // adsl-home has it
		{"2001:db8:1::11", "pop", 9, ""},      // likewise
	} {
		entries := s.AddressEntries(addr(x.addr), x.lease, x.until)
		if x.want == "" {
			if entries != nil {
				t.Errorf("%+v: %q", x, texts(entries))
			}
			continue
		}
		if got := texts(entries); !slices.Equal(got, []string{x.want}) {
			t.Errorf("%+v:\n got %q", x, got)
			continue
		}
		e := entries[0]
		a, is := s.Address(e)
		_, line := s.Line(e)
		_, lease := s.LeaseOf(e)
		if !is || line || lease || a != addr(x.addr) || !s.Owns(e) || s.Text(e) != e.Table()+" of an address outside all lines" {
			t.Errorf("%s is of %v, %v, %v, %v: %q", e, a, is, line, lease, s.Text(e))
		}
		if kept := s.Held(entries); !slices.ContainsFunc(kept, func(k pipeline.Entry) bool { return k == e }) {
			t.Errorf("%s is not kept", e)
		}
	}
	entry := func(prefix string, sub pipeline.Subscriber) pipeline.Entry {
		e, err := pipeline.SubscriberEntry(netip.MustParsePrefix(prefix), sub)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	// What another hand wrote, or what remains from other documents, is recognised and not kept.
	for _, e := range []pipeline.Entry{
		entry("203.0.113.77/32", pipeline.Subscriber{Class: 2}),            // without an end
		entry("203.0.113.77/32", pipeline.Subscriber{Class: 3, Until: 9}),  // of a lease for lines only
		entry("203.0.113.200/32", pipeline.Subscriber{Class: 2, Until: 9}), // exempt
		entry("192.0.2.11/32", pipeline.Subscriber{Class: 2, Until: 9}),    // of a line
	} {
		if _, is := s.Address(e); !is || slices.ContainsFunc(s.Held([]pipeline.Entry{e}), func(k pipeline.Entry) bool { return k.Key == e.Key }) {
			t.Errorf("%s: recognised %v, or kept", e, is)
		}
	}
	for _, e := range []pipeline.Entry{
		entry("203.0.113.0/24", pipeline.Subscriber{Class: 2, Until: 9}),           // no address
		entry("203.0.113.77/32", pipeline.Subscriber{Class: SubscriberExempt}),     // an exemption
		entry("203.0.113.77/32", pipeline.Subscriber{Class: 9, Until: 9}),          // of no lease
		entry("203.0.113.77/32", pipeline.Subscriber{Class: 2, Line: 1, Until: 9}), // of a line's lease
	} {
		if a, is := s.Address(e); is {
			t.Errorf("%s is of the lease of %v", e, a)
		}
	}
	compiled, err := Compile(b, nil, "edge-1", policy.Everywhere("all-destinations"), october)
	if err != nil {
		t.Fatal(err)
	}
	own, err := compiled.State.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range own {
		if _, is := s.Address(e); is {
			t.Errorf("%s, which the documents have, is of the lease of an address", e)
		}
	}
}
