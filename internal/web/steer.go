package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// The verbs of the rollout, as they are in the path.
const (
	verbPause  = "pause"
	verbResume = "resume"
	verbAbort  = "abort"
)

// allows reports whether a rollout in a state can be paused, resumed or aborted.
func allows(s op25bv1.RolloutState, verb string) bool {
	paused := s == op25bv1.RolloutState_ROLLOUT_STATE_PAUSED
	switch {
	case ended(s) || s == op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK:
		return false
	case verb == verbResume:
		return paused || s == op25bv1.RolloutState_ROLLOUT_STATE_HELD
	}
	return verb == verbAbort || !paused
}

// steerData has what a command would do to the rollout, and the question for its reason.
type steerData struct {
	base
	Verb       string
	Rollout    string   // a sentence that names it
	Words      []string // what the command does
	Accepted   []findingRow
	Missing    []findingRow // what the command cannot accept
	Behind     []behind     // the switches that lose the change later
	MoreBehind int
	Since      string // the time since which the rollout has the state that is shown, in nanoseconds since 1970
	Accepts    string // the gates that the command accepts, with commas
	Doing      string // what the button does
	Reason     string
	Problem    said
}

var errSteer = errors.New("the rollout is in another state")

// steerCommand returns the command of a path. It returns false if there is no such command.
func steerCommand(verb string) (op25bv1.RolloutCommand, bool) {
	c, known := map[string]op25bv1.RolloutCommand{
		verbPause:  op25bv1.RolloutCommand_ROLLOUT_COMMAND_PAUSE,
		verbResume: op25bv1.RolloutCommand_ROLLOUT_COMMAND_RESUME,
		verbAbort:  op25bv1.RolloutCommand_ROLLOUT_COMMAND_ABORT,
	}[verb]
	return c, known
}

// askSteer shows what a command would do to the rollout, and asks for a reason.
func (s *Site) askSteer(v *visit) error {
	d := steerData{Verb: v.r.PathValue("verb")}
	if _, known := steerCommand(d.Verb); !known {
		return errNoPage
	}
	if !v.MayOperate() {
		return v.mayNot()
	}
	return s.showSteer(v, d, http.StatusOK)
}

func (s *Site) showSteer(v *visit, d steerData, code int) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	if err := v.inZone(ctx); err != nil {
		return err
	}
	shown, err := v.rollout.Show(ctx, connect.NewRequest(&op25bv1.ShowRolloutRequest{}))
	if err != nil {
		return err
	}
	r := shown.Msg.Rollout
	if !allows(r.State, d.Verb) {
		text := v.T("steer not", r.Id, v.RolloutState(r.State))
		return connect.NewError(connect.CodeFailedPrecondition, translated{text, errSteer})
	}
	v.Section, v.Title = "rollout", v.steerTitle(d.Verb)
	d.base = v.base
	d.Rollout = v.T("steer rollout", r.Id, v.changeOf(r), v.RolloutState(r.State), v.At(r.Since.AsTime()))
	d.Since, d.Doing = strconv.FormatInt(r.Since.AsTime().UnixNano(), 10), v.Title
	switch d.Verb {
	case verbPause:
		d.Words = v.pauseWords(r)
	case verbResume:
		d.resume(r)
	default:
		d.Words = v.abortWords(r)
		fleet, err := v.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{}))
		if err != nil {
			return err
		}
		d.Behind = v.behind(fleet.Msg, switchesOf(has(r)))
		d.MoreBehind = max(0, len(d.Behind)-maxBehind)
		d.Behind = d.Behind[:len(d.Behind)-d.MoreBehind]
	}
	v.render(code, "steer.html", d)
	return nil
}

// steer gives the command that a question was asked for. The API refuses it if the rollout is no longer what was shown.
func (s *Site) steer(v *visit) error {
	if !v.session.allows(v.r) {
		return connect.NewError(connect.CodePermissionDenied, errOldForm)
	}
	d := steerData{Verb: v.r.PathValue("verb"), Reason: strings.TrimSpace(v.r.PostFormValue("reason"))}
	command, known := steerCommand(d.Verb)
	if !known {
		return errNoPage
	}
	since, err := strconv.ParseInt(v.r.PostFormValue("since"), 10, 64)
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, errOldForm)
	}
	if d.Reason == "" {
		d.Problem = v.said(v.T("reason needed"), "")
		return s.showSteer(v, d, http.StatusBadRequest)
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	_, err = v.rollout.Steer(ctx, connect.NewRequest(&op25bv1.SteerRolloutRequest{
		Command: command, Reason: d.Reason, Since: timestamppb.New(time.Unix(0, since)), Accepts: fields(v.r.PostFormValue("accepts")),
	}))
	switch {
	case err == nil:
		http.Redirect(v.w, v.r, "/rollout", http.StatusSeeOther)
		return nil
	case connect.CodeOf(err) == connect.CodeAborted: // the question is asked again, for the rollout as it is now
		d.Problem = v.foreign(messageOf(err))
		return s.showSteer(v, d, http.StatusConflict)
	}
	return v.outcome(err)
}

// steerTitle returns what a command does, in a few words.
func (b base) steerTitle(verb string) string {
	switch verb {
	case verbPause:
		return b.T("do pause")
	case verbResume:
		return b.T("do resume")
	}
	return b.T("do abort")
}

// having says which rings have the change, or are being given it.
func (b base) having(r *op25bv1.Rollout) string {
	rings := has(r)
	if len(rings) == 0 {
		return b.T("steer none")
	}
	return b.T("steer having", b.switches(len(switchesOf(rings))), strings.Join(ringNames(rings), b.T("comma")))
}

func (b base) pauseWords(r *op25bv1.Rollout) []string {
	return []string{b.having(r), b.T("pause stays"), b.T("pause gates"), b.T("pause then")}
}

func (b base) abortWords(r *op25bv1.Rollout) []string {
	rings := has(r)
	if len(rings) == 0 {
		return []string{b.T("steer none"), b.T("abort none"), b.T("abort then")}
	}
	return []string{b.T("abort takes", b.switches(len(switchesOf(rings))), strings.Join(ringNames(rings), b.T("comma"))), b.T("abort all"), b.T("abort then")}
}

// resume says what a rollout goes on with, and which gates are accepted for that.
func (d *steerData) resume(r *op25bv1.Rollout) {
	var accepts []string
	for _, f := range r.Findings {
		switch row := d.finding(f); f.Verdict {
		case op25bv1.FindingVerdict_FINDING_VERDICT_HOLD:
			d.Accepted = append(d.Accepted, row)
			if !slices.Contains(accepts, f.Gate) {
				accepts = append(accepts, f.Gate)
			}
		default:
			d.Missing = append(d.Missing, row)
		}
	}
	d.Accepts = strings.Join(accepts, ",")
	hand := ""
	if int(r.Ring) < len(r.Rings) {
		hand = r.Rings[r.Ring].Name
		if r.Resumes == op25bv1.RolloutState_ROLLOUT_STATE_SOAKING || r.Resumes == op25bv1.RolloutState_ROLLOUT_STATE_ADVANCING {
			d.Words = append(d.Words, d.T("resume soaks", hand, d.lasting(r.Rings[r.Ring].Soak.AsDuration())))
		}
	}
	d.Words = append([]string{d.T("resume goes on", d.RolloutState(r.Resumes), hand)}, d.Words...)
	if len(accepts) > 0 {
		d.Doing = d.T("do accept", strings.Join(accepts, d.T("comma")))
	}
	if len(r.Accepted) > 0 {
		d.Words = append(d.Words, d.T("resume accepted", hand, strings.Join(r.Accepted, d.T("comma"))))
	}
	if after := len(r.Rings) - 1 - int(r.Ring); after > 0 {
		d.Words = append(d.Words, d.T("resume then", prose.Number(after)))
	}
}
