package intent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"op25b/internal/policy"
	"op25b/internal/store"
)

// Calendar is the author, in the history and in the audit chain, of changes that are caused by a date.
const Calendar = "calendar"

// Limits on the records of dates.
const (
	// MaxDated is the number of Dated records that are kept. The audit chain keeps all records. A policy has a few dates a year.
	MaxDated = 1000
	// maxEnded is the maximum number of exemptions that a Dated lists.
	maxEnded = 50
	// maxGap is the maximum number of revisions that are read to find the dates that passed while no controller was running.
	maxGap = 50
)

// A DatedKind is the kind of a change that is caused by a date.
type DatedKind string

// The kinds of changes that are caused by a date.
const (
	PhaseBegan      DatedKind = "phase"
	ExemptionsEnded DatedKind = "exemptions"
)

// A Dated is a change that is caused by a date. The controllers together record each change once. If no controller is running at the date,
// the change is recorded later.
type Dated struct {
	Kind DatedKind `json:"kind"`
	// At is the date. By is the controller that recorded the change, and Recorded is the time of the record.
	At       time.Time `json:"at"`
	Recorded time.Time `json:"recorded"`
	By       string    `json:"by"`
	// Revision is the revision that was in force at the date.
	Revision uint64 `json:"revision"`
	// Phase is the phase that began. Turned lists the lines for which it replaced another phase. Turned is empty if activations override
	// the phase for all lines.
	Phase  string   `json:"phase,omitempty"`
	Turned []Turned `json:"turned,omitempty"`
	// Ended lists the exemptions that expired, up to a limit. Count is the number of all exemptions that expired.
	Ended []Ended `json:"ended,omitempty"`
	Count int     `json:"count,omitempty"`
}

// A Turned is a set of lines whose phase changed.
type Turned struct {
	From      string   `json:"from,omitempty"` // empty if no phase was in force before
	To        string   `json:"to"`
	Groups    []string `json:"groups,omitempty"`
	ByDefault bool     `json:"byDefault,omitempty"` // also lines without a group
	EveryLine bool     `json:"everyLine,omitempty"`
	Switches  []string `json:"switches"`
}

// An Ended is an exemption that expired.
type Ended struct {
	Line   string `json:"line,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	Owner  string `json:"owner,omitempty"`
	Ticket string `json:"ticket,omitempty"`
}

// Dated returns the changes caused by dates after the time after and up to the time until, in order. It assumes that this intent was in
// force during the whole period.
func (in *Intent) Dated(after, until time.Time) []Dated {
	var all []Dated
	for i, of := range in.Contents() {
		for _, d := range in.dated(of.Bundle.Policy, after, until) {
			if i == 0 || !slices.ContainsFunc(all, func(x Dated) bool { return x.name() == d.name() }) { // both contents may have the date
				all = append(all, d)
			}
		}
	}
	slices.SortFunc(all, func(a, b Dated) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.name(), b.name())) })
	return all
}

// dated returns the changes caused by the dates of one policy, in any order.
func (in *Intent) dated(p *policy.Policy, after, until time.Time) (all []Dated) {
	comes := func(at time.Time) bool { return at.After(after) && !at.After(until) }
	for _, b := range p.Beginnings() {
		if comes(b.At) {
			all = append(all, Dated{Kind: PhaseBegan, At: b.At.UTC(), Revision: in.Number, Phase: b.Phase.Name, Turned: slices.DeleteFunc(in.turned(b.At), func(t Turned) bool { return t.To != b.Phase.Name })})
		}
	}
	ends := make(map[time.Time]*Dated)
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		at := p.Ends(e).UTC()
		if !comes(at) {
			continue
		}
		if ends[at] == nil {
			ends[at] = &Dated{Kind: ExemptionsEnded, At: at, Revision: in.Number}
		}
		d := ends[at]
		if d.Count++; d.Count <= maxEnded {
			ended := Ended{Line: e.Line, Owner: e.Owner, Ticket: e.Ticket}
			if e.Prefix.IsValid() {
				ended.Prefix = e.Prefix.String()
			}
			d.Ended = append(d.Ended, ended)
		}
	}
	for _, d := range ends {
		all = append(all, *d)
	}
	return all
}

// turned returns the lines whose phase changes at the given time.
func (in *Intent) turned(at time.Time) []Turned {
	var all []Turned
	for _, sw := range in.Switches() {
		name, of := sw.Name, in.For(sw.Name)
		groups := of.Bundle.Policy.LineGroups
		before, _ := of.Bundle.Policy.InForceAt(of.Activations, name, at.Add(-1))
		after, ok := of.Bundle.Policy.InForceAt(of.Activations, name, at)
		if !ok {
			continue
		}
		var here []Turned
		turn := func(from, to string) *Turned {
			i := slices.IndexFunc(here, func(t Turned) bool { return t.From == from && t.To == to })
			if i < 0 {
				i, here = len(here), append(here, Turned{From: from, To: to})
			}
			return &here[i]
		}
		if before.Default != after.Default {
			turn(before.Default, after.Default).ByDefault = true
		}
		for _, g := range groups {
			if from, to := before.Phase(g.Name), after.Phase(g.Name); from != to {
				t := turn(from, to)
				t.Groups = append(t.Groups, g.Name)
			}
		}
		for _, t := range here {
			t.EveryLine = t.ByDefault && len(t.Groups) == len(groups)
			i := slices.IndexFunc(all, func(x Turned) bool {
				return x.From == t.From && x.To == t.To && x.ByDefault == t.ByDefault && slices.Equal(x.Groups, t.Groups)
			})
			if i < 0 {
				i, all = len(all), append(all, t)
			}
			all[i].Switches = append(all[i].Switches, name)
		}
	}
	return all
}

// name returns the name under which the record is stored. The name is unique for each date and change.
func (d *Dated) name() string {
	return fmt.Sprintf("%s %s %s", d.At.UTC().Format(time.RFC3339), d.Kind, d.Phase)
}

// audit returns the audit record of the change.
func (d *Dated) audit() (store.AuditRecord, error) {
	r := store.AuditRecord{Who: Calendar, Verb: "begin", Object: "phase " + d.Phase, Time: d.Recorded, Reason: "its date came at " + d.At.Format(time.RFC3339)}
	if d.Kind == ExemptionsEnded {
		r.Verb, r.Object = "end", "exemption of "+d.Ended[0].of()
		if d.Count > 1 {
			r.Object = fmt.Sprintf("%d exemptions", d.Count)
		}
	}
	detail, err := json.Marshal(d)
	r.Detail = string(detail)
	if len(r.Detail) > store.MaxDetail {
		short := *d
		short.Turned = nil
		detail, err = json.Marshal(short)
		r.Detail = string(detail)
	}
	return r, err
}

func (e Ended) of() string {
	if e.Line != "" {
		return "line " + e.Line
	}
	return e.Prefix
}

// A page stores the time up to which dates are recorded.
type page struct {
	Through time.Time `json:"through"`
}

const (
	datedKind = "dated"
	pageKind  = "calendar"
	pageName  = "through"
)

// WatchDated sends all Dated records, and then every change of these records, until ctx ends.
func (b *Book) WatchDated(ctx context.Context) <-chan []store.Event[Dated] {
	return store.JSON[Dated](b.store, datedKind).Watch(ctx)
}

// AllDated returns all Dated records in order. There are at most about MaxDated records.
func (b *Book) AllDated(ctx context.Context) ([]Dated, error) {
	records, err := store.JSON[Dated](b.store, datedKind).List(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Dated, len(records))
	for i, r := range records {
		all[i] = r.Value
	}
	return all, nil
}

// WriteDates records all dates up to the time until that are not recorded yet, each with an audit record. in must be the newest revision;
// otherwise WriteDates does nothing. Several controllers may call WriteDates at the same time.
func (b *Book) WriteDates(ctx context.Context, in *Intent, until time.Time, by string) error {
	head, err := b.store.Revisions().Head(ctx)
	if err != nil || head.Number != in.Number { // the caller will receive the newer revision soon
		return err
	}
	pages := store.JSON[page](b.store, pageKind)
	at, err := pages.Get(ctx, pageName)
	switch {
	case errors.Is(err, store.ErrNotFound): // nothing is recorded yet; dates before the documents were stored need no record
		at.Value.Through = slices.MinFunc([]time.Time{in.Time, until}, time.Time.Compare)
	case err != nil:
		return err
	}
	through := at.Value.Through
	spans, err := b.spans(ctx, in, through)
	if err != nil {
		return err
	}
	for i, s := range spans {
		end := until
		if i+1 < len(spans) {
			end = slices.MinFunc([]time.Time{until, spans[i+1].Time}, time.Time.Compare)
		}
		if !s.Time.After(until) { // otherwise another controller's clock was fast, and the revision's dates are still in the future
			through = slices.MaxFunc([]time.Time{through, s.Time}, time.Time.Compare)
		}
		for _, d := range s.Dated(through, end) {
			if err := b.write(ctx, d, by); err != nil {
				return err
			}
			through = d.At
		}
	}
	if at.Version != 0 && !through.After(at.Value.Through) {
		return nil
	}
	_, err = pages.PutIf(ctx, pageName, at.Version, page{Through: through})
	if errors.Is(err, store.ErrConflict) { // another controller has recorded the same dates
		return nil
	}
	return err
}

// spans returns the revisions that have been in force since the given time, the newest last. Usually in is the only one.
func (b *Book) spans(ctx context.Context, in *Intent, since time.Time) ([]*Intent, error) {
	spans := []*Intent{in}
	if !in.Time.After(since) {
		return spans, nil
	}
	revisions, err := b.History(ctx, in.Number, maxGap)
	if err != nil {
		return nil, err
	}
	for _, r := range revisions {
		older, err := b.At(ctx, r.Number)
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		spans = append([]*Intent{older}, spans...)
		if !r.Time.After(since) {
			break
		}
	}
	return spans, nil
}

// write records a change unless it is recorded already.
func (b *Book) write(ctx context.Context, d Dated, by string) error {
	d.Recorded, d.By = b.now().UTC(), by
	record, err := d.audit()
	if err != nil {
		return err
	}
	records := store.JSON[Dated](b.store, datedKind)
	err = records.PutRecorded(ctx, d.name(), 0, d, record)
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := records.List(ctx)
	if err != nil || len(all) <= MaxDated {
		return err
	}
	return records.Delete(ctx, all[0].Name, all[0].Version)
}
