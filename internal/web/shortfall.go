package web

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

const (
	// sameRecord is the difference up to which two switches count as recorded for the same time. Controllers take switches over one after the other.
	sameRecord = 2 * time.Minute
	// maxCompared is the largest number of switches whose records are compared, because each is read from the history.
	maxCompared = 100
)

// A record is how much of a time was recorded of each switch.
type record struct {
	whole, most time.Duration
	of          []switchRecord
}

type switchRecord struct {
	name     string
	recorded time.Duration
}

// records asks how much was recorded of each switch of the controller since a time. It returns nil for a single switch, for too many of them, and if
// that is not known.
func (v *visit) records(ctx context.Context, s *op25bv1.ListSeriesResponse, since time.Time) *record {
	length := v.Now.Sub(since)
	if s.Switches < 2 || s.Switches > maxCompared || length < time.Minute {
		return nil
	}
	r, err := v.telemetry.ListCounters(ctx, connect.NewRequest(&op25bv1.ListCountersRequest{Since: durationpb.New(length)}))
	if err != nil {
		return nil
	}
	all := &record{whole: length}
	for _, c := range r.Msg.Switches {
		if c.Counted == nil {
			continue
		}
		one := switchRecord{c.Switch, c.Counted.Recorded.AsDuration()}
		all.whole = max(all.whole, c.Counted.To.AsTime().Sub(c.Counted.From.AsTime())) // whole minutes, as on the page of a switch
		all.of, all.most = append(all.of, one), max(all.most, one.recorded)
	}
	if len(all.of) == 0 {
		return nil
	}
	return all
}

// among says how much of a time was recorded, and names the switches of which less was recorded than of others. The mean over the switches, which
// series give, would hide them.
func (b base) among(when string, r *record, s *op25bv1.ListSeriesResponse, from int) string {
	var short []string
	for _, one := range r.shorter() {
		text := b.T("nothing recorded")
		if one.recorded > 0 {
			text = b.lasting(one.recorded.Round(time.Minute))
		}
		short = append(short, b.T("in brackets", one.name, text))
	}
	if len(short) == 0 {
		return b.recordedOf(when, s, from)
	}
	more := len(short) - maxNamed
	named := strings.Join(short[:min(len(short), maxNamed)], b.T("comma"))
	if more > 0 {
		named = b.T("names and more", named, prose.Number(more))
	}
	most := b.T("recorded best", when, b.lasting(r.most.Round(time.Minute)), b.lasting(r.whole.Round(time.Minute)))
	if r.whole-r.most < sameRecord {
		most = b.T("recorded best all", when)
	}
	return b.sentences(most, b.T("recorded less", named))
}

// shorter returns the switches of which less was recorded than of others.
func (r *record) shorter() (all []switchRecord) {
	if r == nil {
		return nil
	}
	for _, one := range r.of {
		if r.most-one.recorded > sameRecord || one.recorded == 0 && r.most > 0 {
			all = append(all, one)
		}
	}
	return all
}
