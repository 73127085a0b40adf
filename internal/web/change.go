package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/auth"
	"op25b/internal/view"
	"op25b/internal/view/prose"
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
	Text             string   // the preview as op25b phase prints it
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
	var b bytes.Buffer
	if err := view.Table(&b, view.Options{Now: v.site.cfg.Now, Location: v.Zone, Language: v.Lang}).Preview(r.Msg); err != nil {
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
	}
	v.Section, v.Title = "programme", v.T("roll back")
	if d.Phase != "" {
		v.Title = v.T("activate") + " " + d.Phase
	}
	d.base, d.Base, d.Text, d.Request = v.base, r.Msg.Revision, b.String(), rand.Text()
	d.Shown = strconv.FormatInt(r.Msg.Time.AsTime().UnixNano(), 10)
	v.render(code, "change.html", d)
	return nil
}

// activationNotes says what a reader should know before an activation, in addition to the phases that it replaces.
func (v *visit) activationNotes(ctx context.Context, phase string, phases []*op25bv1.Phase, r *op25bv1.PreviewResponse, fleet *op25bv1.ListSwitchesResponse) (notes []string) {
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
	switch lines, known := linesOfChange(r, fleet); {
	case known && lines == 1:
		notes = append(notes, v.T("concerns line"))
	case known && lines > 0:
		notes = append(notes, v.T("concerns lines", prose.Number(lines)))
	}
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

// change performs the activation or rollback that a preview has shown, and then shows the overview, which follows the switches. The API
// refuses the change if something has changed since the preview.
func (s *Site) change(v *visit) error {
	if !v.session.allows(v.r) {
		return connect.NewError(connect.CodePermissionDenied, errOldForm)
	}
	d := changeData{
		Phase: v.r.PostFormValue("phase"), Groups: v.r.PostFormValue("groups"), Switches: v.r.PostFormValue("switches"),
		Reason: strings.TrimSpace(v.r.PostFormValue("reason")), Request: v.r.PostFormValue("request"),
	}
	revision, err := strconv.ParseUint(v.r.PostFormValue("base"), 10, 64)
	shown, err2 := strconv.ParseInt(v.r.PostFormValue("shown"), 10, 64)
	if err != nil || err2 != nil {
		return connect.NewError(connect.CodeInvalidArgument, errOldForm)
	}
	if d.Reason == "" {
		d.Problem = v.T("reason needed")
		return s.showPreview(v, d, http.StatusBadRequest)
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	var stream *connect.ServerStreamForClient[op25bv1.Progress]
	if d.Phase == "" {
		stream, err = v.phase.Rollback(ctx, connect.NewRequest(&op25bv1.RollbackRequest{
			Groups: fields(d.Groups), Switches: fields(d.Switches), Base: revision, Reason: d.Reason, NoWait: true, RequestId: d.Request,
			Shown: timestamppb.New(time.Unix(0, shown)),
		}))
	} else {
		stream, err = v.phase.Activate(ctx, connect.NewRequest(&op25bv1.ActivateRequest{
			Phase: d.Phase, Groups: fields(d.Groups), Switches: fields(d.Switches), Base: revision, Reason: d.Reason, NoWait: true, RequestId: d.Request,
		}))
	}
	stored := false
	if err == nil {
		for stream.Receive() {
			stored = stored || stream.Msg().GetStored() != nil
		}
		err = stream.Err()
		_ = stream.Close()
	}
	switch code := connect.CodeOf(err); {
	case stored, err == nil:
		http.Redirect(v.w, v.r, "/", http.StatusSeeOther)
		return nil
	case code == connect.CodeUnavailable, code == connect.CodeDeadlineExceeded, code == connect.CodeCanceled, code == connect.CodeUnknown:
		return connect.NewError(connect.CodeUnavailable, translated{v.T("outcome unknown"), err})
	}
	return err
}

// MayOperate reports whether the person may activate phases.
func (b base) MayOperate() bool { return auth.Role(b.Role).May(auth.Operator) }
