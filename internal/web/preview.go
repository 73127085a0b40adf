package web

import (
	"context"
	"crypto/rand"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// changeData has the preview of an activation or a rollback, and the question that op25b phase asks.
type changeData struct {
	base
	Phase            string // empty for a rollback
	Groups, Switches string
	Base             uint64
	Shown            string // the time of the preview, in nanoseconds since 1970
	Request          string
	Words            []said   // the preview
	Notes            []string // sentences about the change: its date, its lines, open connections, and how to undo it
	Doing            string   // what the button does
	BehindTitle      string   // empty if every switch gets the change at once
	Behind           []behind
	MoreBehind       int // the number of these switches that are not listed
	Reason           string
	Problem          string
}

// maxBehind is the number of switches that a preview lists because they do not get the change at once.
const maxBehind = 20

// preview shows the effect that an activation or a rollback would have.
func (s *Site) preview(v *visit) error {
	if !v.session.allows(v.r) {
		return connect.NewError(connect.CodePermissionDenied, errOldForm)
	}
	d := changeData{Phase: v.r.PostFormValue("phase"), Groups: scopeField(v.r.PostForm, "groups"), Switches: scopeField(v.r.PostForm, "switches")}
	return s.showPreview(v, d, http.StatusOK)
}

func (s *Site) showPreview(v *visit, d changeData, code int) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	phases, err := v.phases(ctx)
	if err != nil {
		return err
	}
	r, err := v.phase.Preview(ctx, connect.NewRequest(&op25bv1.PreviewRequest{Phase: d.Phase, Groups: fields(d.Groups), Switches: fields(d.Switches)}))
	if err != nil {
		return err
	}
	fleet, err := v.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{}))
	if err != nil {
		return err
	}
	scope := scopeSwitches(r.Msg)
	if d.Behind = v.behind(fleet.Msg, scope); len(d.Behind) > 0 {
		d.BehindTitle, d.MoreBehind = v.behindTitle(len(d.Behind), len(scope)), max(0, len(d.Behind)-maxBehind)
		d.Behind = d.Behind[:len(d.Behind)-d.MoreBehind]
	}
	d.Doing = v.doing(d, r.Msg)
	if d.Phase != "" {
		d.Notes = v.activationNotes(ctx, d.Phase, phases, r.Msg, fleet.Msg)
	} else {
		d.Notes = v.rollbackNotes(ctx, r.Msg, fleet.Msg)
	}
	v.Section, v.Title = "programme", v.T("roll back")
	if d.Phase != "" {
		v.Title = v.T("activate") + " " + d.Phase
	}
	d.base, d.Base, d.Words, d.Request = v.base, r.Msg.Revision, v.previewWords(r.Msg), rand.Text()
	d.Shown = strconv.FormatInt(r.Msg.Time.AsTime().UnixNano(), 10)
	v.render(code, "change.html", d)
	return nil
}

// activationNotes says what a reader should know before an activation, in addition to the phases that it replaces.
func (v *visit) activationNotes(
	ctx context.Context, phase string, phases []*op25bv1.Phase, r *op25bv1.PreviewResponse, fleet *op25bv1.ListSwitchesResponse,
) (notes []string) {
	at := slices.IndexFunc(phases, func(p *op25bv1.Phase) bool { return p.Name == phase })
	if at >= 0 && phases[at].Begins != nil {
		if early := phases[at].Begins.AsTime().Sub(v.Now); early > 0 {
			date := phases[at].Begins.AsTime().In(v.Zone).Format(time.DateOnly)
			if days := int(early.Hours()) / 24; days > 1 {
				notes = append(notes, v.T("days before date", days, date))
			} else {
				notes = append(notes, v.T("before date", v.lasting(early), date))
			}
		}
	}
	notes = append(notes, v.concerned(r, fleet)...)
	notes = append(notes, v.consequences(ctx, r)...)
	if at >= 0 && !phases[at].SynOnly {
		shown, err := v.phase.ShowPhase(ctx, connect.NewRequest(&op25bv1.ShowPhaseRequest{Phase: phase}))
		if err == nil && stopsAny(shown.Msg.Rules) { // the preview is useful without this sentence
			notes = append(notes, v.T("cuts open"))
		}
	}
	return append(notes, v.T("how to undo"))
}

// linesOfChange returns the number of lines whose phase a previewed change replaces. It is not known if the change is for some line groups only,
// because switches do not report how many lines a group has.
func linesOfChange(r *op25bv1.PreviewResponse, fleet *op25bv1.ListSwitchesResponse) (lines int, known bool) {
	if fleet.Revision != r.Revision {
		return 0, false
	}
	of := make(map[string]int)
	for _, st := range fleet.Switches {
		of[st.Switch] = int(st.Lines)
	}
	for _, c := range r.Changes {
		switch {
		case c.From == c.To:
			continue
		case !c.EveryLine:
			return 0, false
		}
		for _, name := range c.Switches {
			lines += of[name]
		}
	}
	return lines, true
}

// scopeSwitches returns the switches to which a previewed change applies.
func scopeSwitches(r *op25bv1.PreviewResponse) []string {
	names := make(map[string]bool)
	for _, c := range r.Changes {
		for _, name := range c.Switches {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// doing says what the button below a preview does, and on how many switches.
func (b base) doing(d changeData, r *op25bv1.PreviewResponse) string {
	on := b.switches(len(scopeSwitches(r)))
	groups := b.names(fields(d.Groups))
	switch {
	case d.Phase == "":
		return b.T("do roll back", r.Undoes.GetPhase(), on)
	case groups == "" && d.Switches == "" && r.Switches > 1:
		return b.T("do activate everywhere", d.Phase, r.Switches)
	case groups == "":
		return b.T("do activate", d.Phase, on)
	}
	return b.T("do activate for", d.Phase, groups, on)
}

// switches returns a number of switches in words.
func (b base) switches(n int) string {
	if n == 1 {
		return b.T("one switch")
	}
	return b.T("some switches", n)
}

// A behind is a switch that does not get a change at once, with its state and the reason.
type behind struct{ Name, State, Why string }

// behind returns the switches of a list that do not get a change at once, because they cannot be reached or no controller owns them.
func (b base) behind(fleet *op25bv1.ListSwitchesResponse, names []string) (all []behind) {
	for _, s := range fleet.Switches {
		switch {
		case !slices.Contains(names, s.Switch):
		case s.Owner == "":
			all = append(all, behind{s.Switch, b.State(s.State), b.T("owned by nobody")})
		case waits(s.State):
			all = append(all, behind{s.Switch, b.State(s.State), view.Reason(b.Lang, s.Reason)})
		}
	}
	return all
}

// waits reports whether a change does not reach a switch in this state.
func waits(state op25bv1.SwitchState) bool {
	switch state {
	case op25bv1.SwitchState_SWITCH_STATE_UNSPECIFIED, op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, op25bv1.SwitchState_SWITCH_STATE_CONNECTING,
		op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, op25bv1.SwitchState_SWITCH_STATE_BACKUP:
		return true
	}
	return false
}

// behindTitle says how many switches of a scope do not get a change at once.
func (b base) behindTitle(behind, all int) string {
	if all == 1 {
		return b.T("behind one")
	}
	return b.T("behind", behind, all)
}
