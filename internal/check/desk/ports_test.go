package desk

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/policy"
)

// A names is a resolver with fixed answers. A name without one is not answered until the context ends.
type names struct {
	of    map[string]string // addresses, or an error
	asked int
}

func (n *names) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	n.asked++
	switch text, ok := n.of[host]; {
	case !ok:
		<-ctx.Done()
		return nil, ctx.Err()
	case text == "no such host":
		return nil, &net.DNSError{Err: text, Name: host, IsNotFound: true}
	case text == "server misbehaving":
		return nil, &net.DNSError{Err: text, Name: host, IsTemporary: true}
	default:
		var all []netip.Addr
		for _, addr := range strings.Fields(text) {
			all = append(all, netip.MustParseAddr(addr))
		}
		return all, nil
	}
}

func (n *names) LookupMX(context.Context, string) ([]*net.MX, error) {
	return nil, errors.New("nobody asks for mail exchangers")
}

// A server's name is looked up only if the outcome on a port depends on its address. What does not depend on it is answered even if nothing
// is known of the name.
func TestPorts(t *testing.T) {
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	source := Source{check.Source{Bundle: b}, 1}
	for _, c := range []struct {
		at, to string
		asked  int    // the number of look-ups
		want   string // the outcomes, or the error
	}{
		{"2006-12-01", "203.0.113.25", 0, "blocked delivered delivered"},
		{"2006-12-01", "198.51.100.25", 0, "delivered delivered delivered"},
		{"2006-12-01", "[2001:db8:25::25]", 0, "delivered delivered delivered"},
		{"2006-12-01", "smtp.example", 1, "blocked delivered delivered"},
		{"2006-12-01", "relay.example.", 1, "delivered delivered delivered"},
		{"2006-12-01", "both.example", 1, "blocked delivered delivered"}, // the worst of several addresses
		{"2006-12-01", "slow.example", 1, "host not found delivered delivered"},
		{"2006-12-01", "broken.example", 1, "host not found delivered delivered"},
		{"2006-12-01", "none.example", 1, "host not found"},
		{"2006-12-01", "local.example", 1, "host not found"}, // a loopback address is no server's
		{"2006-12-01", "x.invalid", 0, "host not found"},
		{"2006-12-01", "no name", 0, "invalid question"},
		{"2006-12-01", "", 0, "invalid question"},
		{"2006-12-01", "127.0.0.1", 0, "invalid question"},
		{"2006-12-01", "224.0.0.1", 0, "invalid question"},
	} {
		synctest.Test(t, func(t *testing.T) {
			at, err := time.Parse(time.DateOnly, c.at)
			if err != nil {
				t.Fatal(err)
			}
			r := &names{of: map[string]string{
				"smtp.example": "203.0.113.129 2001:db8:99::25", "relay.example": "198.51.100.25", "both.example": "198.51.100.25 203.0.113.129",
				"none.example": "no such host", "broken.example": "server misbehaving", "local.example": "127.0.0.1",
			}}
			d := New(Options{Resolver: NewBounded(r), Now: func() time.Time { return at }})
			began := time.Now()
			all, err := d.Ports(t.Context(), source, check.Question{Line: "adsl-home", To: c.to}, 25, 465, 587)
			got := ""
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), ":")
			}
			for _, p := range all {
				switch {
				case p.Err != nil:
					text, _, _ := strings.Cut(p.Err.Error(), ":")
					got += " " + text
				default:
					got += " " + string(p.Result.Outcome)
				}
			}
			if got = strings.TrimSpace(got); got != c.want || r.asked != c.asked {
				t.Errorf("%s: %q after %d look-ups, want %q after %d", c.to, got, r.asked, c.want, c.asked)
			}
			if waited := time.Since(began); waited > LookupWithin {
				t.Errorf("%s: waited for %v", c.to, waited)
			}
		})
	}
}

// If the outcome is the same for all servers on every port, nothing is looked up.
func TestPortsAnywhere(t *testing.T) {
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	r := &names{}
	d := New(Options{Resolver: NewBounded(r), Now: func() time.Time { return time.Date(2006, 12, 1, 0, 0, 0, 0, time.UTC) }})
	all, err := d.Ports(t.Context(), Source{check.Source{Bundle: b}, 1}, check.Question{Line: "adsl-home", To: "smtp.example"}, 465, 587)
	if err != nil || len(all) != 2 || all[0].Result.Outcome != check.Delivered || all[1].Result.Rule.Name != "submission" || r.asked != 0 {
		t.Errorf("%+v, %v, %d look-ups", all, err, r.asked)
	}
	// A line without IPv6 does not reach an IPv6 server.
	sw := &b.Inventory.Switches[0]
	sw.Lines[0].Prefixes = sw.Lines[0].Prefixes[:1]
	all, err = d.Ports(t.Context(), Source{check.Source{Bundle: b}, 2}, check.Question{Line: "adsl-home", To: "2001:db8:99::25"}, 25, 587)
	if err != nil || len(all) != 2 || !errors.Is(all[0].Err, check.ErrFamily) || !errors.Is(all[1].Err, check.ErrFamily) {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestConnectionWithoutDNS verifies that a DNS that cannot be asked is not reported as a server that does not exist, and that what does not
// depend on the server is answered all the same.
func TestConnectionWithoutDNS(t *testing.T) {
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	d := New(Options{Resolver: NewBounded(&names{of: map[string]string{"broken.example": "server misbehaving", "none.example": "no such host"}})})
	ask := func(to string, port uint16) (*check.Answer, error) {
		at := time.Date(2006, 12, 1, 0, 0, 0, 0, time.UTC)
		return d.Connection(t.Context(), Source{check.Source{Bundle: b}, 1}, check.Question{Line: "adsl-home", To: to, Port: port, At: at})
	}
	_, err = ask("broken.example", 25)
	const want = `our DNS could not be asked about "broken.example": server misbehaving: give the server's address instead of its name`
	if !errors.Is(err, ErrDNS) || errors.Is(err, check.ErrResolve) || err.Error() != want {
		t.Errorf("port 25: %v, want %s", err, want)
	}
	const note = `our DNS could not be asked about "broken.example": the outcome is the same for every server, and 192.88.99.254 stands for it (server misbehaving)`
	a, err := ask("broken.example", 587)
	if err != nil || a.Outcome != check.Delivered || a.To != "broken.example" || !slices.Contains(a.Notes, note) {
		t.Errorf("port 587: %+v, %v", a, err)
	}
	if _, err = ask("none.example", 587); !errors.Is(err, check.ErrResolve) || errors.Is(err, ErrDNS) {
		t.Errorf("a name that does not exist: %v", err)
	}
}
