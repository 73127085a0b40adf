package api

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"op25b/internal/auth"
	"op25b/internal/lease"
	"op25b/internal/lease/ledger"
	"op25b/internal/policy"
	op25bv1 "op25b/proto/op25b/v1"
)

// someLeases has leases of the lines line-0 to line-2, and refuses all other lines.
type someLeases struct{ granted, revoked []string }

func leaseOf(line string) ledger.Held {
	return ledger.Held{Lease: lease.Lease{Holder: lease.Holder{Line: line}, Name: "pop", Granted: time.Unix(1000, 0), End: time.Unix(1600, 0)}, Switch: "edge-1"}
}

func (s *someLeases) Grant(_ context.Context, line, name string) (ledger.Held, lease.Outcome, error) {
	s.granted = append(s.granted, line+" "+name)
	switch line {
	case "line-0":
		return leaseOf(line), lease.Granted, nil
	case "exempt":
		return ledger.Held{}, "", fmt.Errorf("%w: it needs none", ledger.ErrExempt)
	case "full":
		return ledger.Held{}, "", fmt.Errorf("%w: there are 9", lease.ErrFull)
	}
	return ledger.Held{}, "", fmt.Errorf("%w: the inventory has no line %q", ledger.ErrNoLine, line)
}

func (s *someLeases) Revoke(_ context.Context, line string) (ledger.Held, bool, error) {
	s.revoked = append(s.revoked, line)
	return leaseOf(line), line == "line-0", nil
}

// GrantAddress grants a lease to 203.0.113.200, and to no other address.
func (s *someLeases) GrantAddress(_ context.Context, a netip.Addr, name string) (ledger.Held, lease.Outcome, error) {
	s.granted = append(s.granted, a.String()+" "+name)
	switch a.String() {
	case "203.0.113.200":
		h := leaseOf("")
		h.Holder.Address, h.Switch = a, ""
		return h, lease.Granted, nil
	case "192.0.2.13":
		return ledger.Held{}, "", fmt.Errorf("%w: grant the lease to the line", ledger.ErrOfLine)
	case "198.51.100.17":
		return ledger.Held{}, "", fmt.Errorf("%w: it is ours", policy.ErrNotCustomer)
	case "203.0.113.1":
		return ledger.Held{}, "", fmt.Errorf("%w: it needs none", ledger.ErrExemptAddress)
	case "203.0.113.2":
		return ledger.Held{}, "", ledger.ErrNoKey
	}
	return ledger.Held{}, "", policy.ErrNoAddressLease
}

func (s *someLeases) RevokeAddress(_ context.Context, a netip.Addr) (ledger.Held, bool, error) {
	s.revoked = append(s.revoked, a.String())
	return leaseOf(""), a.String() == "203.0.113.200", nil
}

func (s *someLeases) List(most int, keep func(ledger.Held) bool) (some []ledger.Held, total int, err error) {
	for i := range 60 {
		h := leaseOf(fmt.Sprint("line-", i))
		if h.Switch = fmt.Sprint("edge-", i%2); keep(h) {
			some = append(some, h)
		}
	}
	return some[:min(most, len(some))], len(some), nil
}

// TestLeaseRoles verifies who may grant, revoke and list leases, and which of the calls the audit chain has: each of an operator, and one an hour of
// a program.
func TestLeaseRoles(t *testing.T) {
	tokens := make(map[string]string)
	access, err := auth.Open(accessFile(t, tokens, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	leases := &someLeases{}
	w := newWorld(t, func(d *Deps) { d.Auth.Access, d.Leases = access, leases })
	w.put(spinnet(t)) // audit record 1
	c := op25bv1.NewLeaseServiceClient(w.dial())
	as := func(role string) context.Context {
		return metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+tokens[role])
	}
	for _, role := range []string{"lease", "operator", "lease", "viewer", "reporter", "portal"} {
		may := role == "lease" || role == "operator"
		r, err := c.Grant(as(role), &op25bv1.GrantLeaseRequest{Line: "line-0", Lease: "pop"})
		if may != (err == nil) || !may && status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s grants: %v", role, err)
		}
		if may && (r.Outcome != op25bv1.LeaseOutcome_LEASE_OUTCOME_GRANTED || r.Lease.Line != "line-0" || r.Lease.Switch != "edge-1" || r.Lease.End.AsTime().Unix() != 1600) {
			t.Errorf("%s grants: %v", role, r)
		}
		if _, err := c.Revoke(as(role), &op25bv1.RevokeLeaseRequest{Line: "line-0"}); may != (err == nil) {
			t.Errorf("%s revokes: %v", role, err)
		}
		if _, err := c.List(as(role), &op25bv1.ListLeasesRequest{}); (role == "operator") != (err == nil) {
			t.Errorf("%s lists: %v", role, err)
		}
	}
	if len(leases.granted) != 3 || len(leases.revoked) != 3 {
		t.Errorf("%v, %v", leases.granted, leases.revoked)
	}
	var got []string
	for _, r := range w.lookups(2) {
		if !strings.Contains(r, "|refused ") {
			got = append(got, r)
		}
	}
	want := []string{
		"lease-bot|lease|lease|lines||grants and revokes leases",
		"operator-bot|operator|grant lease|line line-0||pop", "operator-bot|operator|revoke lease|line line-0||",
	}
	if !slices.Equal(got, want) {
		t.Errorf("records %q; want %q", got, want)
	}
	w.now = w.now.Add(reportRecordEvery)
	if _, err := c.Grant(as("lease"), &op25bv1.GrantLeaseRequest{Line: "line-0", Lease: "pop"}); err != nil {
		t.Error(err)
	}
	if all := w.lookups(2); all[len(all)-1] != want[0] {
		t.Errorf("%q after an hour", all[len(all)-1])
	}
}

// TestLeaseCalls verifies the answers and errors of each call.
func TestLeaseCalls(t *testing.T) {
	w := newWorld(t, func(d *Deps) { d.Name, d.Leases = "noc-1", &someLeases{} })
	w.put(spinnet(t))
	c := op25bv1.NewLeaseServiceClient(w.dial())
	for _, test := range []struct {
		line, lease string
		code        codes.Code
		message     string
	}{
		{"", "pop", codes.InvalidArgument, "line: no line is given; must be the name of a line in the inventory, unless an address is given"},
		{"line-0", "", codes.InvalidArgument, "lease: no lease is given; must be the name of a lease in the policy"},
		{"nowhere", "pop", codes.NotFound, `no such line: the inventory has no line "nowhere"`},
		{"exempt", "pop", codes.FailedPrecondition, "the line is exempt: it needs none"},
		{"full", "pop", codes.ResourceExhausted, "too many leases: there are 9"},
	} {
		_, err := c.Grant(within(t), &op25bv1.GrantLeaseRequest{Line: test.line, Lease: test.lease})
		if status.Code(err) != test.code || status.Convert(err).Message() != test.message {
			t.Errorf("%s %s: %v; want %s", test.line, test.lease, err, test.message)
		}
	}
	for _, test := range []struct {
		line, address string
		code          codes.Code
		message       string
	}{
		{"line-0", "203.0.113.200", codes.InvalidArgument, "address: both a line and an address are given; must be one of the two"},
		{"", "203.0.113.0/24", codes.InvalidArgument, "address: the address is invalid; must be an IPv4 or IPv6 address, such as 192.0.2.11"},
		{"", "fe80::1%eth0", codes.InvalidArgument, "address: the address is invalid; must be an IPv4 or IPv6 address, such as 192.0.2.11"},
		{"", "192.0.2.13", codes.FailedPrecondition, "a line has the address: grant the lease to the line"},
		{"", "198.51.100.17", codes.FailedPrecondition, "the address is of no customer: it is ours"},
		{"", "203.0.113.1", codes.FailedPrecondition, "the address is exempt: it needs none"},
		{"", "203.0.113.2", codes.FailedPrecondition, "this controller stores no addresses: start it with --session-key"},
		{"", "203.0.113.3", codes.FailedPrecondition, "no lease is for addresses outside all lines"},
	} {
		_, err := c.Grant(within(t), &op25bv1.GrantLeaseRequest{Line: test.line, Address: test.address, Lease: "pop"})
		if status.Code(err) != test.code || status.Convert(err).Message() != test.message {
			t.Errorf("%s %s: %v; want %s", test.line, test.address, err, test.message)
		}
	}
	if r, err := c.Grant(within(t), &op25bv1.GrantLeaseRequest{Address: "::ffff:203.0.113.200", Lease: "pop"}); err != nil || strings.Contains(r.String(), "203") || r.Lease.Lease != "pop" {
		t.Errorf("%v, %v", r, err)
	}
	if r, err := c.Revoke(within(t), &op25bv1.RevokeLeaseRequest{Address: "203.0.113.200"}); err != nil || !r.Revoked || r.Lease.Line != "" {
		t.Errorf("%v, %v", r, err)
	}
	for _, r := range w.lookups(2) {
		if strings.Contains(r, "203.0.113.200") {
			t.Errorf("the audit chain has %s", r)
		}
	}
	if r, err := c.Revoke(within(t), &op25bv1.RevokeLeaseRequest{Line: "line-1"}); err != nil || r.Revoked || r.Lease != nil {
		t.Errorf("%v, %v", r, err)
	}
	for _, test := range []struct {
		q           *op25bv1.ListLeasesRequest
		some, total int
	}{
		{&op25bv1.ListLeasesRequest{}, DefaultList, 60},
		{&op25bv1.ListLeasesRequest{Limit: 55}, 55, 60},
		{&op25bv1.ListLeasesRequest{Switch: "edge-1", Limit: MaxList}, 30, 30},
		{&op25bv1.ListLeasesRequest{Line: "line-7"}, 1, 1},
		{&op25bv1.ListLeasesRequest{Line: "line-7", Switch: "edge-0"}, 0, 0},
	} {
		r, err := c.List(within(t), test.q)
		if err != nil || len(r.Leases) != test.some || int(r.Total) != test.total || r.Controller != "noc-1" || r.UtcOffset != "+09:00" {
			t.Errorf("%v: %d of %d, %v", test.q, len(r.GetLeases()), r.GetTotal(), err)
		}
	}
	if _, err := c.List(within(t), &op25bv1.ListLeasesRequest{Limit: MaxList + 1}); status.Convert(err).Message() != "limit: the limit is 1001; must be at most 1000" {
		t.Error(err)
	}
	none := op25bv1.NewLeaseServiceClient(newWorld(t, nil).dial())
	if _, err := none.List(within(t), &op25bv1.ListLeasesRequest{}); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
	if _, err := none.Grant(within(t), &op25bv1.GrantLeaseRequest{Line: "line-0", Lease: "pop"}); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
}
