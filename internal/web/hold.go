package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// The verbs of a switch, as they are in the path.
const (
	verbHold    = "hold"
	verbRelease = "release"
	verbProve   = "prove"
)

// holdData has what a hold of a switch, or its end, means, and the question for the reason.
type holdData struct {
	base
	Switch, Verb string
	Words        []string
	Doing        string // what the button does
	Optional     bool   // the reason may be empty
	Reason       string
	Problem      said
}

// askSwitch shows what a hold of a switch, or its end, means, and asks for a reason.
func (s *Site) askSwitch(v *visit) error {
	d := holdData{Switch: v.r.PathValue("switch"), Verb: v.r.PathValue("verb")}
	switch d.Verb {
	case verbHold, verbRelease:
	default:
		return errNoPage
	}
	if !v.MayOperate() {
		return v.mayNot()
	}
	return s.showHold(v, d, http.StatusOK)
}

// doSwitch holds or releases a switch, or asks it about packets.
func (s *Site) doSwitch(v *visit) error {
	if !v.session.allows(v.r) {
		return connect.NewError(connect.CodePermissionDenied, errOldForm)
	}
	d := holdData{Switch: v.r.PathValue("switch"), Verb: v.r.PathValue("verb"), Reason: strings.TrimSpace(v.r.PostFormValue("reason"))}
	switch d.Verb {
	case verbHold, verbRelease:
		return s.hold(v, d)
	case verbProve:
		return s.prove(v, d.Switch)
	}
	return errNoPage
}

func (s *Site) showHold(v *visit, d holdData, code int) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	if err := v.inZone(ctx); err != nil {
		return err
	}
	r, err := v.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{Switches: []string{d.Switch}}))
	if err != nil {
		return err
	}
	st := r.Msg.Switches[0]
	v.Section = "overview"
	if d.Verb == verbHold {
		v.Title, d.Words = v.T("do hold", st.Switch), v.holdWords(ctx, st)
	} else {
		v.Title, d.Words, d.Optional = v.T("do release", st.Switch), v.releaseWords(st), true
	}
	d.base, d.Doing = v.base, v.Title
	v.render(code, "hold.html", d)
	return nil
}

// hold holds or releases a switch. The switch's page shows the hold once its controller has confirmed it.
func (s *Site) hold(v *visit, d holdData) (err error) {
	if d.Reason == "" && d.Verb == verbHold {
		d.Problem = v.said(v.T("reason needed"), "")
		return s.showHold(v, d, http.StatusBadRequest)
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	if d.Verb == verbHold {
		_, err = v.fleet.HoldSwitch(ctx, connect.NewRequest(&op25bv1.HoldSwitchRequest{Switch: d.Switch, Reason: d.Reason}))
	} else {
		_, err = v.fleet.ReleaseSwitch(ctx, connect.NewRequest(&op25bv1.ReleaseSwitchRequest{Switch: d.Switch, Reason: d.Reason}))
	}
	if err != nil {
		return v.outcome(err)
	}
	http.Redirect(v.w, v.r, switchPath(d.Switch)+"?asked="+d.Verb, http.StatusSeeOther)
	return nil
}

// holdWords says what a hold of a switch means.
func (v *visit) holdWords(ctx context.Context, st *op25bv1.SwitchStatus) []string {
	words := []string{v.T("hold writes"), v.T("hold keeps")}
	if st.Lines > 0 {
		words = append(words, v.T("hold lines", prose.Number(st.Lines)))
	}
	r, err := v.rollout.Show(ctx, connect.NewRequest(&op25bv1.ShowRolloutRequest{}))
	if err == nil && !ended(r.Msg.Rollout.State) { // the question is useful without this
		for _, ring := range r.Msg.Rollout.Rings {
			if slices.Contains(ring.Switches, st.Switch) {
				words = append(words, v.T("hold rollout", r.Msg.Rollout.Id, ring.Name))
			}
		}
	}
	return append(words, v.T("hold then"))
}

// releaseWords says what the end of a hold means.
func (b base) releaseWords(st *op25bv1.SwitchStatus) []string {
	var words []string
	if h := st.Hold; h != nil {
		words = append(words, b.T("held by", h.Who, b.At(h.Since.AsTime()), h.Reason))
	}
	if st.Revision == st.Wanted {
		return append(words, b.T("release same", st.Wanted))
	}
	return append(words, b.T("release brings", st.Wanted, st.Revision))
}
