package compile

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// TestLeaseEntries verifies the entries of leases, that an entry is recognised as the line's, and which entries a switch keeps.
func TestLeaseEntries(t *testing.T) {
	b := sessionBundle(t)
	p := b.Policy
	p.Remotes = append(p.Remotes, policy.Remote{Name: "mail", Own: true, Prefixes: prefixes("198.51.100.64/28")})
	p.Leases = []policy.Lease{
		{Name: "pop", Opens: []string{"mail"}, For: policy.MinLease, Cap: policy.MaxLease, Groups: []string{"adsl"}},
		{Name: "all", Opens: []string{"mail"}, For: policy.MinLease, Cap: policy.MaxLease},
	}
	b.Policy.Exemptions = slices.DeleteFunc(p.Exemptions, func(e policy.Exemption) bool { return e.Line == "business-fixed" })
	c, err := NewCompiler(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.SessionLines("edge-1", october)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		line, lease string
		prefixes    []netip.Prefix
		want        []string
	}{
		{"adsl-bot", "pop", prefixes("192.0.2.78/32", "2001:db8:7::/56"), []string{
			"subscriber_v4 prefix=192.0.2.78/32 => set_subscriber_class class_id=2 line_index=2 until=77",
			"subscriber_v6 prefix=2001:db8:7::/56 => set_subscriber_class class_id=2 line_index=2 until=77",
		}},
		{"adsl-bot", "all", prefixes("192.0.2.78/32"), []string{"subscriber_v4 prefix=192.0.2.78/32 => set_subscriber_class class_id=3 line_index=2 until=77"}},
		{"adsl-bot", "pop", nil, nil},                          // it has no address
		{"adsl-bot", "pop", prefixes("203.0.113.200/32"), nil}, // the surrounding prefix is exempt on every line
		{"adsl-bot", "imap", prefixes("192.0.2.78/32"), nil},   // there is no such lease
		{"adsl-home", "pop", prefixes("192.0.2.77/32"), nil},   // it is exempt
		{"nobody", "pop", prefixes("192.0.2.77/32"), nil},      //
		{"business-fixed", "all", prefixes("192.0.2.13/32"), []string{ // the address is in the inventory
			"subscriber_v4 prefix=192.0.2.13/32 => set_subscriber_class class_id=3 line_index=3 until=77",
			"subscriber_v6 prefix=2001:db8:1::13/128 => set_subscriber_class class_id=3 line_index=3 until=77",
		}},
	} {
		entries := s.LeaseEntries(x.line, x.prefixes, x.lease, 77)
		if got := texts(entries); !slices.Equal(got, x.want) {
			t.Errorf("%s %s %v:\n got %q\nwant %q", x.line, x.lease, x.prefixes, got, x.want)
		}
		kept := s.Held(entries)
		for _, e := range entries {
			line, is := s.LeaseOf(e)
			if of, ok := s.Line(e); !is || !ok || line != x.line || of != x.line || !s.Covers(x.line, x.prefixes, e) {
				t.Errorf("%s: is of line %q", e, line)
			}
			if s.Text(e) != e.Table()+" of line "+x.line {
				t.Errorf("%s has the text %q", e, s.Text(e))
			}
			if !slices.ContainsFunc(kept, func(k pipeline.Entry) bool { return k.Key == e.Key && k.Value == e.Value }) {
				t.Errorf("%s is not kept", e)
			}
		}
	}
	if all := s.LeaseEntries("adsl-bot", prefixes("192.0.2.78/32"), "pop", 0); all != nil {
		t.Errorf("a lease without an end has the entries %q", texts(all))
	}
	endless, err := pipeline.SubscriberEntry(prefixes("192.0.2.78/32")[0], pipeline.Subscriber{Class: 2, Line: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.Held([]pipeline.Entry{endless}) {
		if e.Key == endless.Key {
			t.Errorf("%s, which never ends, is kept", e)
		}
	}
	compiled, err := c.Compile("edge-1", policy.Everywhere("all-destinations"), october)
	if err != nil {
		t.Fatal(err)
	}
	own, err := compiled.State.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range own {
		if line, is := s.LeaseOf(e); is {
			t.Errorf("%s, which the documents have, is of the lease of %s", e, line)
		}
	}
	// An entry of a lease for every line, as another hand may write it, is not of a lease.
	e, err := pipeline.SubscriberEntry(netip.MustParsePrefix("192.0.2.78/32"), pipeline.Subscriber{Class: 2, Until: 77})
	if err != nil {
		t.Fatal(err)
	}
	if line, is := s.LeaseOf(e); is {
		t.Errorf("%s is of the lease of %q", e, line)
	}
	if !s.UsesLeases() || !s.Leased("business-fixed") || s.Leased("adsl-home") || s.HasSessions("business-fixed") || !s.HasSessions("adsl-bot") {
		t.Error("which lines can have leases or sessions is wrong")
	}
	// After its exemption, adsl-home can have a lease.
	later, err := c.SessionLines("edge-1", october.Add(10*365*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !later.Leased("adsl-home") || len(later.LeaseEntries("adsl-home", prefixes("192.0.2.77/32"), "pop", 77)) != 1 {
		t.Error("adsl-home cannot have a lease after its exemption")
	}
}
