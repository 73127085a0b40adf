package web

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	op25bv1 "op25b/proto/op25b/v1"
)

// aYear is the longest time for which the API lists exemptions that end. allExemptions is the largest number that it lists.
const (
	aYear         = 366 * 24 * time.Hour
	allExemptions = 1000
)

// An exemption is one that ends.
type exemption struct {
	Of, Owner, Reason, Ticket string
	Last, Review              string // days
	Ends                      time.Time
}

func exemptionsOf(r *op25bv1.ListDatesResponse) (all []exemption) {
	for _, e := range r.GetExemptions() {
		all = append(all, exemption{cmp.Or(e.Line, e.Prefix), e.Owner, e.Reason, e.Ticket, e.Expires, e.Review, e.Ends.AsTime()})
	}
	return all
}

// exemptionsData has the exemptions that end within a year.
type exemptionsData struct {
	base
	Exemptions []exemption
	More       int // the number of exemptions that are not listed
}

// exemptions shows all exemptions that end within a year.
func (s *Site) exemptions(v *visit) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	r, err := v.phase.ListDates(ctx, connect.NewRequest(&op25bv1.ListDatesRequest{Within: durationpb.New(aYear), Limit: allExemptions}))
	if err != nil {
		return err
	}
	v.Title, v.Section, v.Zone = v.T("exemptions in a year"), "overview", zone(r.Msg.UtcOffset)
	d := exemptionsData{base: v.base, Exemptions: exemptionsOf(r.Msg)}
	d.More = int(r.Msg.Ending) - len(d.Exemptions)
	v.render(http.StatusOK, "exemptions.html", d)
	return nil
}
