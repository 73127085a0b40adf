package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// maxRingsText is the limit on the rings in the form, in bytes. A form has at most 64 KiB, in which a line break takes six.
const maxRingsText = 24 << 10

// startWithin is the limit on the start of a rollout, which proves both ways of the change on the twin: see plan.ProofTime.
const startWithin = 4 * time.Minute

// startData has the form of a rollout of a phase, and once it is complete, what the rollout would do.
type startData struct {
	base
	Phases                []choice
	Phase, Groups, Reason string
	RingsText             string
	Most                  int // the limit on RingsText
	Problem               said
	// The rest is of the question.
	Asks  bool
	Words []said
	Notes []string
	Rings []startRing
	Doing string
}

// A startRing is a ring that a rollout would have.
type startRing struct{ Name, Count, Switches, Soak string }

// askStart shows the form of a rollout of a phase.
func (s *Site) askStart(v *visit) error {
	if !v.MayOperate() {
		return v.mayNot()
	}
	return s.showStart(v, startData{Phase: v.r.URL.Query().Get("phase")}, http.StatusOK)
}

// start shows what a rollout of a phase would do, and starts it once the reason for that was given.
func (s *Site) start(v *visit) error {
	if !v.session.allows(v.r) {
		return connect.NewError(connect.CodePermissionDenied, errOldForm)
	}
	d := startData{
		Phase: v.r.PostFormValue("phase"), Groups: v.r.PostFormValue("groups"), RingsText: strings.ReplaceAll(v.r.PostFormValue("rings"), "\r\n", "\n"),
		Reason: strings.TrimSpace(v.r.PostFormValue("reason")),
	}
	if len(d.RingsText) > maxRingsText {
		d.Problem = v.said(v.T("rings long", prose.Number(len(d.RingsText)), prose.Number(maxRingsText)), "")
		d.RingsText = ""
		return s.showStart(v, d, http.StatusBadRequest)
	}
	if _, asked := v.r.PostForm["reason"]; !asked {
		return s.showStart(v, d.asking(), http.StatusOK)
	}
	if d.Reason == "" {
		d.Problem = v.said(v.T("reason needed"), "")
		return s.showStart(v, d.asking(), http.StatusBadRequest)
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), startWithin)
	defer cancel()
	request := d.request()
	request.Reason = d.Reason
	if _, err := v.rollout.Start(ctx, connect.NewRequest(request)); err != nil {
		return v.outcome(err)
	}
	http.Redirect(v.w, v.r, "/rollout", http.StatusSeeOther)
	return nil
}

func (d startData) asking() startData { d.Asks = true; return d }

func (d startData) request() *op25bv1.StartRolloutRequest {
	return &op25bv1.StartRolloutRequest{Phase: d.Phase, Groups: fields(d.Groups), RingsFile: "rings", Rings: []byte(d.RingsText)}
}

func (s *Site) showStart(v *visit, d startData, code int) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	phases, err := v.phases(ctx)
	if err != nil {
		return err
	}
	for _, p := range phases {
		d.Phases = append(d.Phases, choice{p.Name, p.Name, p.Name == d.Phase})
	}
	v.Section, v.Title = "rollout", v.T("start rollout")
	d.Most = maxRingsText
	if d.Asks {
		request := d.request()
		request.DryRun = true
		r, err := v.rollout.Start(ctx, connect.NewRequest(request))
		if connect.CodeOf(err) == connect.CodeInvalidArgument { // the form is shown again, with what is wrong
			d.Asks, d.Problem, code = false, v.foreign(messageOf(err)), http.StatusBadRequest
		} else if err != nil {
			return err
		} else if err := d.question(ctx, v, r.Msg.Rollout); err != nil {
			return err
		}
	}
	d.base = v.base
	v.render(code, "start.html", d)
	return nil
}

// question says what a rollout would do.
func (d *startData) question(ctx context.Context, v *visit, r *op25bv1.Rollout) error {
	preview, err := v.phase.Preview(ctx, connect.NewRequest(&op25bv1.PreviewRequest{Phase: d.Phase, Groups: fields(d.Groups)}))
	if err != nil {
		return err
	}
	fleet, err := v.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{}))
	if err != nil {
		return err
	}
	d.Words = v.previewWords(preview.Msg)
	d.Notes = append(append(v.concerned(preview.Msg, fleet.Msg), v.forecast(ctx, d.Phase, fleet.Msg)...), v.T("start measures"), v.T("start refuses"))
	for _, ring := range r.Rings {
		d.Rings = append(d.Rings, startRing{ring.Name, prose.Number(len(ring.Switches)), v.names(ring.Switches), v.lasting(ring.Soak.AsDuration())})
	}
	d.Doing = v.T("do start", v.changeOf(r), prose.Number(len(r.Rings)), v.switches(len(switchesOf(r.Rings))))
	return nil
}
