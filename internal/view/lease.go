package view

import (
	"fmt"
	"io"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Leases shows the leases of lines and addresses, without the addresses.
func (t *table) Leases(r *op25bv1.ListLeasesResponse) error {
	z := t.zone(r.UtcOffset)
	as := fmt.Sprintf("as of %s on %s.", z.moment(r.Time), plain(r.Controller))
	if len(r.Leases) == 0 {
		_, err := io.WriteString(t.w, wrapped("", "No lease, "+as, 4))
		return err
	}
	g := grid{head: []string{"LINE", "SWITCH", "LEASE", "SINCE", "UNTIL"}, shrink: []int{0, 1, 2}}
	for _, l := range r.Leases {
		line := l.Line
		if line == "" {
			line = "(an address)"
		}
		g.add(line, l.Switch, l.Lease, z.moment(l.Granted), z.moment(l.End))
	}
	text := fmt.Sprintf("%s, %s", prose.Count(r.Total, "lease"), as)
	if more := int(r.Total) - len(r.Leases); more > 0 {
		text = fmt.Sprintf("%s of %s, %s", prose.Number(len(r.Leases)), prose.Count(r.Total, "lease"), as)
	}
	_, err := io.WriteString(t.w, g.text(t, "")+wrapped("", text, 4))
	return err
}

// holder returns the name of the line of a lease, as at the beginning of a sentence and within one. Without a line, the lease is of an address.
func holder(line string) (begins, within string) {
	if line == "" {
		return "The address", "the address"
	}
	return "Line " + plain(line), "line " + plain(line)
}

// LeaseGranted shows the lease of a line or an address after a grant.
func (t *table) LeaseGranted(r *op25bv1.GrantLeaseResponse) error {
	l := r.GetLease()
	begins, within := holder(l.GetLine())
	name, end := plain(l.GetLease()), t.zone("").moment(l.GetEnd())
	text := fmt.Sprintf("%s keeps the lease %s until %s.", begins, name, end)
	switch r.Outcome {
	case op25bv1.LeaseOutcome_LEASE_OUTCOME_GRANTED:
		text = fmt.Sprintf("%s has the lease %s until %s.", begins, name, end)
	case op25bv1.LeaseOutcome_LEASE_OUTCOME_RENEWED:
		text = fmt.Sprintf("The lease %s of %s is renewed until %s.", name, within, end)
	}
	_, err := io.WriteString(t.w, wrapped("", text, 4))
	return err
}

// LeaseRevoked shows whether a line had a lease; an empty line means an address.
func (t *table) LeaseRevoked(line string, r *op25bv1.RevokeLeaseResponse) error {
	begins, _ := holder(line)
	text := begins + " had no lease."
	if r.Revoked {
		text = fmt.Sprintf("%s lost the lease %s, due to end at %s.", begins, plain(r.GetLease().GetLease()), t.zone("").moment(r.GetLease().GetEnd()))
	}
	_, err := io.WriteString(t.w, wrapped("", text, 4))
	return err
}
