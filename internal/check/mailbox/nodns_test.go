package mailbox

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// counting is a resolver that has no name, and records which names were looked up.
type counting struct{ asked *[]string }

func (c counting) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	*c.asked = append(*c.asked, host)
	return nil, errors.New("no such host")
}

func (c counting) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	*c.asked = append(*c.asked, "MX "+domain)
	return nil, errors.New("no such domain")
}

// TestNoNeedlessLookups verifies that a name is looked up only if its addresses can change the answer.
func TestNoNeedlessLookups(t *testing.T) {
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	directory, err := Load(strict.File{Name: "p.yaml", Data: []byte(`apiVersion: op25b/v1
kind: Providers
providers:
  - {name: ours, kind: own, domains: [isp.example]}
  - {name: named, kind: own, domains: [named.example], submission: {host: smtp.named.example, ports: [{port: 587, tls: starttls}]}}
  - {name: web, kind: webmail, domains: [web.example]}
  - {name: other, kind: provider, domains: [other.example], submission: {host: smtp.other.example, ports: [{port: 587, tls: starttls}]}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		at       string
		q        Question
		status   Effect
		looked   string
		stopping string // the phase that began the stop
	}{
		{"2006-12-01", Question{Address: "a@web.example"}, Unaffected, "", "all-destinations"},
		{"2006-12-01", Question{Address: "a@other.example"}, Affected, "", "all-destinations"},
		{"2006-12-01", Question{Address: "a@isp.example"}, Unaffected, "", ""},
		{"2006-12-01", Question{Provider: "other"}, Affected, "", "all-destinations"},
		{"2006-12-01", Question{Provider: "ours"}, Unaffected, "", ""},
		// Only the relays' addresses would show whether the ISP's own server is one.
		{"2006-12-01", Question{Provider: "named"}, Undetermined, "smtp.named.example", ""},
		// The provider of an unknown domain is looked for by its mail exchanger.
		{"2006-12-01", Question{Address: "a@shop.example"}, Affected, "MX shop.example", "all-destinations"},
		// In the first phase, the carriers' servers are stopped and others are not.
		{"2006-07-01", Question{Provider: "other"}, Undetermined, "smtp.other.example", ""},
		{"2006-07-01", Question{Address: "a@other.example"}, Undetermined, "smtp.other.example", ""},
		// Before, nothing is stopped, but the first date differs.
		{"2006-05-20", Question{Provider: "other"}, Unaffected, "smtp.other.example", ""},
		{"2006-05-20", Question{Provider: "web"}, Unaffected, "", ""},
	} {
		var asked []string
		dns := counting{&asked}
		c := &Checker{Directory: directory, Connections: check.New(check.Source{Bundle: b}, check.Options{Resolver: dns}), Policy: b.Policy, MX: dns}
		tc.q.Line, tc.q.At = "adsl-home", day(tc.at)
		a, err := c.Ask(t.Context(), tc.q)
		if err != nil {
			t.Errorf("%+v: %v", tc.q, err)
			continue
		}
		slices.Sort(asked)
		if got := strings.Join(slices.Compact(asked), " "); got != tc.looked || a.Status != tc.status {
			t.Errorf("%s %+v: %s, looked up %q; want %s, %q", tc.at, tc.q, a.Status, got, tc.status, tc.looked)
		}
		began := ""
		if a.Stopped != nil {
			began = a.Stopped.Since.Name
		}
		if began != tc.stopping {
			t.Errorf("%s %+v: stopped by %q, want %q", tc.at, tc.q, began, tc.stopping)
		}
	}
	c := checker(t)
	if _, err := c.Ask(t.Context(), Question{Provider: "nobody", Line: "adsl-home"}); !errors.Is(err, ErrProvider) || err.Error() != `unknown provider "nobody": the directory does not have it` {
		t.Errorf("an unknown provider: %v", err)
	}
}
