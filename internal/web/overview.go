package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	op25bv1 "op25b/proto/op25b/v1"
)

// pageWithin is the time limit for the API responses that a page needs.
const pageWithin = 10 * time.Second

// A filter selects the switches of the grid. Empty fields select all.
type filter struct {
	Query string // a part of the name
	Show  string // the name of a state, or needsAttention
	Owner string // the name of a controller, or noOwner
}

const (
	needsAttention = "attention"
	noOwner        = "-"
	// maxOwners is the largest number of controllers that the filter offers.
	maxOwners = 100
)

// filtered has the filter's form and its result.
type filtered struct {
	base
	filter
	Many   bool // the grid has many cells
	States []choice
	Owners []choice
	Hidden int // the number of switches that the filter hides
}

// A choice is an option of a list.
type choice struct {
	Value, Text string
	Selected    bool
}

// Some reports whether the filter selects only some switches.
func (f filter) Some() bool { return f != filter{} }

// hides reports whether the filter hides a switch.
func (f filter) hides(s *op25bv1.SwitchStatus) bool {
	switch {
	case f.Query != "" && !strings.Contains(strings.ToLower(s.Switch), strings.ToLower(f.Query)):
		return true
	case f.Show == needsAttention && s.Converged, f.Show != "" && f.Show != needsAttention && f.Show != stateName(s.State):
		return true
	case f.Owner == noOwner && s.Owner != "", f.Owner != "" && f.Owner != noOwner && f.Owner != s.Owner:
		return true
	}
	return false
}

// stateName returns the name of a state in a filter, which is the same in all languages.
func stateName(s op25bv1.SwitchState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "SWITCH_STATE_"))
}

// choices sets the options of the filter: the states and controllers that some switch has, and the selected ones.
func (f *filtered) choices(drawn *drawing) {
	f.States = []choice{{"", f.T("show all"), f.Show == ""}, {needsAttention, f.T("show attention"), f.Show == needsAttention}}
	for n := range len(op25bv1.SwitchState_name) {
		if state := op25bv1.SwitchState(n); drawn.states[state] || f.Show == stateName(state) {
			f.States = append(f.States, choice{stateName(state), f.State(state), f.Show == stateName(state)})
		}
	}
	f.Owners = []choice{{"", f.T("show all"), f.Owner == ""}}
	names := drawn.owners[:min(len(drawn.owners), maxOwners)]
	if f.Owner != "" && !slices.Contains(names, f.Owner) {
		names = append(slices.Clone(names), f.Owner)
	}
	for _, name := range names {
		text := name
		if name == noOwner {
			text = f.T("no owner")
		}
		f.Owners = append(f.Owners, choice{name, text, name == f.Owner})
	}
}

// drawing returns what the site has already drawn for the open pages, which is the same for everybody who may see it, and the id of the last change.
// If the site has no recent values, it asks the API on behalf of the person, who then gets the API's error. The page then has the policy's time zone.
func (v *visit) drawing() (drawn *drawing, snapshot string, err error) {
	picture, drawn, snapshot := v.site.live.newest(v.Lang)
	if picture == nil {
		ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
		defer cancel()
		v.connect()
		if picture, err = look(ctx, v.clients); err != nil {
			return nil, "", err
		}
		drawn = v.site.draw(v.base, picture, drawn)
	}
	v.Zone = picture.zone()
	return drawn, snapshot, nil
}

// overview shows the first page.
func (s *Site) overview(v *visit) error {
	v.Section, v.Title, v.Live = "overview", v.T("overview"), true
	drawn, snapshot, err := v.drawing()
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	f := filtered{base: v.base, filter: filter{q.Get("q"), q.Get("show"), q.Get("owner")}}
	f.choices(drawn)
	f.Many = len(drawn.cells) > manyCells
	every, err := pace(v.r)
	if err != nil {
		return err
	}
	var grid []byte
	if f.Some() {
		var shown []cell
		for _, c := range drawn.cells {
			if !f.hides(c.status) {
				shown = append(shown, c)
			}
		}
		f.Hidden = len(drawn.cells) - len(shown)
		grid = gridOf(shown)
	} else {
		grid = drawn.grid()
	}
	var top, form, foot bytes.Buffer
	for _, part := range []struct {
		to   io.Writer
		name string
		data any
	}{{&top, "overview-top", struct {
		base
		Snapshot string
		Every    int
	}{v.base, snapshot, every}}, {&form, "overview-form", f}, {&foot, "overview-foot", v.base}} {
		if err := s.templates.ExecuteTemplate(part.to, part.name, part.data); err != nil {
			return err
		}
	}
	for _, view := range views {
		top.WriteString("<div data-view>\n")
		for _, id := range view {
			top.WriteString(drawn.parts[id])
		}
		top.WriteString("</div>\n")
	}
	_, _ = form.WriteTo(&top) // a bytes.Buffer returns no error
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(http.StatusOK)
	for _, part := range [][]byte{visible(top.Bytes()), grid, visible(foot.Bytes())} {
		if _, err := v.w.Write(part); err != nil {
			return nil // the client has disconnected
		}
	}
	return nil
}

// The pace of a screen on a wall, in seconds for each view. The query wall=SECONDS sets another one.
const (
	wallEvery = 20
	minWall   = 10
	maxWall   = 600
)

// manyCells is the number of cells above which a screen on a wall shows the names of only those switches that need attention.
const manyCells = 150

// pace returns the number of seconds for which a screen on a wall shows each view.
func pace(r *http.Request) (int, error) {
	text := r.URL.Query().Get("wall")
	if text == "" {
		return wallEvery, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < minWall || n > maxWall {
		return 0, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("wall %q: must be the number of seconds for each view, from %d to %d", text, minWall, maxWall))
	}
	return n, nil
}

// look asks the API for the content of the overview.
func look(ctx context.Context, c clients) (*picture, error) {
	fleet, err := c.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{}))
	if err != nil {
		return nil, err
	}
	p := &picture{switches: fleet.Msg.Switches, revision: fleet.Msg.Revision, notices: fleet.Msg.Notices}
	if p.dates, err = datesOf(ctx, c); err != nil {
		return nil, err
	}
	p.rollout, err = lookRollout(ctx, c)
	return p, err
}

// datesOf asks the API for the changes that dates will make.
func datesOf(ctx context.Context, c clients) (d dates, err error) {
	r, err := c.phase.ListDates(ctx, connect.NewRequest(&op25bv1.ListDatesRequest{Limit: maxExemptions}))
	switch {
	case connect.CodeOf(err) == connect.CodeFailedPrecondition: // there is no intent yet
		return dates{}, nil
	case err != nil:
		return dates{}, err
	}
	if d.soon = r.Msg; r.Msg.Ending > 0 {
		return d, nil
	}
	r, err = c.phase.ListDates(ctx, connect.NewRequest(&op25bv1.ListDatesRequest{Within: durationpb.New(aYear), Limit: 1}))
	if err == nil && len(r.Msg.Exemptions) > 0 {
		d.later = r.Msg.Exemptions[0]
	}
	return d, err
}

// zone returns the time zone for a policy's UTC offset, such as +09:00.
func zone(offset string) *time.Location {
	t, err := time.Parse("-07:00", offset)
	if err != nil {
		return time.UTC
	}
	_, seconds := t.Zone()
	return time.FixedZone(offset, seconds)
}
