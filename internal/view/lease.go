package view

import (
	"fmt"
	"io"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Leases shows the leases of lines.
func (t *table) Leases(r *op25bv1.ListLeasesResponse) error {
	z := t.zone(r.UtcOffset)
	as := fmt.Sprintf("as of %s on %s.", z.moment(r.Time), plain(r.Controller))
	if len(r.Leases) == 0 {
		_, err := io.WriteString(t.w, wrapped("", "No lease, "+as, 4))
		return err
	}
	g := grid{head: []string{"LINE", "SWITCH", "LEASE", "SINCE", "UNTIL"}, shrink: []int{0, 1, 2}}
	for _, l := range r.Leases {
		g.add(l.Line, l.Switch, l.Lease, z.moment(l.Granted), z.moment(l.End))
	}
	text := fmt.Sprintf("%s, %s", prose.Count(r.Total, "lease"), as)
	if more := int(r.Total) - len(r.Leases); more > 0 {
		text = fmt.Sprintf("%s of %s, %s", prose.Number(len(r.Leases)), prose.Count(r.Total, "lease"), as)
	}
	_, err := io.WriteString(t.w, g.text(t, "")+wrapped("", text, 4))
	return err
}

// LeaseGranted shows the lease of a line after a grant.
func (t *table) LeaseGranted(r *op25bv1.GrantLeaseResponse) error {
	l := r.GetLease()
	form := "Line %[1]s keeps the lease %[2]s until %[3]s."
	switch r.Outcome {
	case op25bv1.LeaseOutcome_LEASE_OUTCOME_GRANTED:
		form = "Line %[1]s has the lease %[2]s until %[3]s."
	case op25bv1.LeaseOutcome_LEASE_OUTCOME_RENEWED:
		form = "The lease %[2]s of line %[1]s is renewed until %[3]s."
	}
	_, err := io.WriteString(t.w, wrapped("", fmt.Sprintf(form, plain(l.GetLine()), plain(l.GetLease()), t.zone("").moment(l.GetEnd())), 4))
	return err
}

// LeaseRevoked shows whether a line had a lease.
func (t *table) LeaseRevoked(line string, r *op25bv1.RevokeLeaseResponse) error {
	text := fmt.Sprintf("Line %s had no lease.", plain(line))
	if r.Revoked {
		text = fmt.Sprintf("Line %s lost the lease %s, due to end at %s.", plain(line), plain(r.GetLease().GetLease()), t.zone("").moment(r.GetLease().GetEnd()))
	}
	_, err := io.WriteString(t.w, wrapped("", text, 4))
	return err
}
