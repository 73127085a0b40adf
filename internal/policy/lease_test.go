package policy

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"op25b/internal/strict"
)

// TestDuration verifies that a duration is read and written in the same words, and that only whole positive seconds are read.
func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"10m": 10 * time.Minute, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "24h": 24 * time.Hour, "1h0m1s": time.Hour + time.Second} {
		d, err := ParseDuration(text)
		if err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(d), err)
		}
		again, err := ParseDuration(d.String())
		if err != nil || again != d {
			t.Errorf("%s is written as %v, which is read as %v, %v", text, d, again, err)
		}
	}
	for d, want := range map[time.Duration]string{10 * time.Minute: "10m", 90 * time.Second: "1m30s", 90 * time.Minute: "1h30m", 24 * time.Hour: "24h", 0: "0s", 50 * time.Second: "50s"} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v is written as %q, want %q", d, got, want)
		}
	}
	for _, text := range []string{"", "10", "ten minutes", "-10m", "0s", "1500ms", "10 m", "1d"} {
		if d, err := ParseDuration(text); !errors.Is(err, ErrDuration) {
			t.Errorf("%q is read as %v, %v", text, d, err)
		}
	}
}

// TestLeaseIsWrittenAsRead verifies that the words of a lease and of a rule for leased subscribers survive strict.Encode.
func TestLeaseIsWrittenAsRead(t *testing.T) {
	b := example(t)
	b.Policy.Leases = []Lease{{Name: "login", Opens: []string{"own-relay"}, For: Duration(10 * time.Minute), Cap: Duration(30 * time.Minute), Groups: []string{"adsl"}, TLS: TLSRequired, Addresses: true, Except: []netip.Prefix{netip.MustParsePrefix("203.0.113.64/26")}}}
	p, err := strict.Encode(KindPolicy, b.Policy)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load([]strict.File{{Name: "policy", Data: p}, file(t, "../../examples/spinnet-2006/inventory.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	got, want := again.Policy.Leases[0], b.Policy.Leases[0]
	if got.For != want.For || got.Cap != want.Cap || got.TLS != want.TLS || got.Addresses != want.Addresses || !slices.Equal(got.Opens, want.Opens) || !slices.Equal(got.Groups, want.Groups) || !slices.Equal(got.Except, want.Except) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestHolders verifies who matches a rule for leased subscribers: the leases that open its class and are for its groups, and exempt
// subscribers of the groups of these leases.
func TestHolders(t *testing.T) {
	p := &Policy{
		LineGroups: []LineGroup{{Name: "a"}, {Name: "b"}, {Name: "c"}},
		Leases: []Lease{
			{Name: "of-a", Opens: []string{"own", "relay"}, Groups: []string{"a"}},
			{Name: "of-b-outside", Opens: []string{"own"}, Groups: []string{"b"}, Addresses: true},
			{Name: "of-all", Opens: []string{"relay"}},
		},
	}
	for _, x := range []struct {
		remote string
		groups []string
		want   map[string][]string // the groups by lease; nil for every line
	}{
		{"own", nil, map[string][]string{"": {"a", "b", ""}, "of-a": {"a"}, "of-b-outside": {"b", ""}}},
		{"own", []string{"a", "c"}, map[string][]string{"": {"a"}, "of-a": {"a"}}},
		{"own", []string{"c"}, map[string][]string{}},
		{"relay", nil, map[string][]string{"": nil, "of-a": {"a"}, "of-all": nil}},
		{"relay", []string{"c"}, map[string][]string{"": {"c"}, "of-all": {"c"}}},
		{"elsewhere", nil, map[string][]string{}},
	} {
		rule := PhaseRule{Name: "r", Subscriber: Leased, Remote: x.remote, Groups: x.groups}
		holders := p.Holders(rule)
		if len(holders) != len(x.want) {
			t.Errorf("%s %q: %d holders, want %d", x.remote, x.groups, len(holders), len(x.want))
		}
		entries := 0
		for _, l := range holders {
			want, ok := x.want[l.Name]
			among, every := l.Among(x.groups)
			if !ok || every != (want == nil) || !slices.Equal(among, want) {
				t.Errorf("%s %q: lease %q is for %q, %v; want %q", x.remote, x.groups, l.Name, among, every, want)
			}
			entries += max(1, len(want))
		}
		if got := p.leasedEntries(rule); got != entries {
			t.Errorf("%s %q: %d entries, want %d", x.remote, x.groups, got, entries)
		}
	}
}
