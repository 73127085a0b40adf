package web_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"op25b/internal/auth"
	"op25b/internal/web"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// A fakeAPI is an API with fixed responses, behind the real in-process transport. Tests use it only for states that no real controller can
// reach in a test: 1,000 switches, a forecast of lines that used port 25, and counts of a whole day.
type fakeAPI struct {
	op25bv1connect.UnimplementedFleetServiceHandler
	op25bv1connect.UnimplementedPhaseServiceHandler
	op25bv1connect.UnimplementedIntentServiceHandler
	op25bv1connect.UnimplementedTelemetryServiceHandler
	op25bv1connect.UnimplementedAbuseServiceHandler
	op25bv1connect.UnimplementedCheckServiceHandler

	proof    *op25bv1.ProveResponse // the answer of Prove
	held     []string               // the switches and reasons of HoldSwitch and ReleaseSwitch
	refused  error                  // the error of both, or nil
	rollouts *fakeRollouts          // nil means that the controller has no rollouts

	list     *op25bv1.ListSwitchesResponse
	phases   *op25bv1.ListPhasesResponse
	dates    *op25bv1.ListDatesResponse
	year     *op25bv1.ListDatesResponse // the answer for a year; nil means that it is dates
	counters func(*op25bv1.ListCountersRequest) (*op25bv1.ListCountersResponse, error)
	forecast func(*op25bv1.ForecastRequest) (*op25bv1.ForecastResponse, error)
	series   func(*op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) // nil means that there is no history
	rules    []*op25bv1.PhaseRule                                                  // of every phase

	stateChanges []*op25bv1.StateChange
	certificates *op25bv1.ListCertificatesResponse // nil means that the controller does not own the switch

	preview    *op25bv1.PreviewResponse // nil means that there is nothing to undo
	previewing *op25bv1.PreviewRequest  // the last request
	activated  error                    // the result of an activation

	answer      *op25bv1.CheckResponse
	mailAnswer  *op25bv1.CheckMailResponse
	refusal     error                 // the error of Check, or nil
	stored      *op25bv1.Revision     // nil means that revisions cannot be read
	activations []*op25bv1.Activation // of every revision

	changes chan *op25bv1.SwitchStatus // changes to send to watchers; nil if nothing changes
	now     func() time.Time           // the page's clock; nil means time.Now

	mu      sync.Mutex // guards the fields below, and the switches in list
	watched chan struct{}
	lists   int   // the number of calls of ListSwitches
	failing error // the error of Current, or nil
}

// siteOf returns a site whose visitors are administrators on this host.
func siteOf(t testing.TB, f *fakeAPI) *web.Site {
	t.Helper()
	f.watched = make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle(op25bv1connect.NewFleetServiceHandler(f))
	mux.Handle(op25bv1connect.NewPhaseServiceHandler(f))
	mux.Handle(op25bv1connect.NewIntentServiceHandler(f))
	mux.Handle(op25bv1connect.NewTelemetryServiceHandler(f))
	mux.Handle(op25bv1connect.NewAbuseServiceHandler(f))
	mux.Handle(op25bv1connect.NewCheckServiceHandler(f))
	if f.rollouts != nil {
		mux.Handle(op25bv1connect.NewRolloutServiceHandler(f.rollouts))
	}
	site, err := web.New(web.Config{
		API: mux, Name: "noc-1", Now: f.now, Identify: func(*http.Request) (auth.Caller, error) { return auth.Caller{Who: "local", Role: auth.Admin}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func (f *fakeAPI) ListSwitches(context.Context, *connect.Request[op25bv1.ListSwitchesRequest]) (*connect.Response[op25bv1.ListSwitchesResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	return connect.NewResponse(f.list), nil
}

func (f *fakeAPI) Prove(context.Context, *connect.Request[op25bv1.ProveRequest]) (*connect.Response[op25bv1.ProveResponse], error) {
	if f.proof == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("the switch is not in the wanted state"))
	}
	return connect.NewResponse(f.proof), nil
}

func (f *fakeAPI) HoldSwitch(_ context.Context, r *connect.Request[op25bv1.HoldSwitchRequest]) (*connect.Response[op25bv1.HoldSwitchResponse], error) {
	f.held = append(f.held, "hold "+r.Msg.Switch+": "+r.Msg.Reason)
	return connect.NewResponse(&op25bv1.HoldSwitchResponse{}), f.refused
}

func (f *fakeAPI) ReleaseSwitch(_ context.Context, r *connect.Request[op25bv1.ReleaseSwitchRequest]) (*connect.Response[op25bv1.ReleaseSwitchResponse], error) {
	f.held = append(f.held, "release "+r.Msg.Switch+": "+r.Msg.Reason)
	return connect.NewResponse(&op25bv1.ReleaseSwitchResponse{}), f.refused
}

func (f *fakeAPI) Current(context.Context, *connect.Request[op25bv1.CurrentRequest]) (*connect.Response[op25bv1.CurrentResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return connect.NewResponse(&op25bv1.CurrentResponse{}), f.failing
}

func (f *fakeAPI) ListDates(_ context.Context, r *connect.Request[op25bv1.ListDatesRequest]) (*connect.Response[op25bv1.ListDatesResponse], error) {
	switch {
	case r.Msg.Within != nil && f.year != nil:
		return connect.NewResponse(f.year), nil
	case f.dates == nil:
		return connect.NewResponse(&op25bv1.ListDatesResponse{UtcOffset: f.phases.UtcOffset}), nil
	}
	return connect.NewResponse(f.dates), nil
}

func (f *fakeAPI) WatchSwitches(ctx context.Context, _ *connect.Request[op25bv1.WatchSwitchesRequest], out *connect.ServerStream[op25bv1.WatchSwitchesResponse]) error {
	f.mu.Lock()
	err := out.Send(&op25bv1.WatchSwitchesResponse{Revision: f.list.Revision, Notices: f.list.Notices, Switches: f.list.Switches})
	close(f.watched)
	f.mu.Unlock()
	for err == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-f.changes:
			err = out.Send(&op25bv1.WatchSwitchesResponse{Revision: f.list.Revision, Notices: f.list.Notices, Switches: []*op25bv1.SwitchStatus{s}})
		}
	}
	return err
}

// awaitWatch waits until the site follows the switches.
func (f *fakeAPI) awaitWatch(t testing.TB) {
	t.Helper()
	select {
	case <-f.watched:
	case <-t.Context().Done():
		t.Fatal("the site does not follow the switches")
	}
}

// change makes a switch unreachable, with a detail.
func (f *fakeAPI) change(i int, detail string) {
	f.mu.Lock()
	s := proto.CloneOf(f.list.Switches[i])
	f.mu.Unlock()
	s.State, s.Reason = op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE
	s.Converged, s.Detail = false, detail
	f.changes <- s
}

func (f *fakeAPI) ListPhases(context.Context, *connect.Request[op25bv1.ListPhasesRequest]) (*connect.Response[op25bv1.ListPhasesResponse], error) {
	return connect.NewResponse(f.phases), nil
}

func (f *fakeAPI) ShowPhase(_ context.Context, r *connect.Request[op25bv1.ShowPhaseRequest]) (*connect.Response[op25bv1.ShowPhaseResponse], error) {
	return connect.NewResponse(&op25bv1.ShowPhaseResponse{Phase: &op25bv1.Phase{Name: r.Msg.Phase}, Rules: f.rules}), nil
}

func (f *fakeAPI) Activate(context.Context, *connect.Request[op25bv1.ActivateRequest], *connect.ServerStream[op25bv1.Progress]) error {
	return f.activated
}

func (f *fakeAPI) Preview(_ context.Context, r *connect.Request[op25bv1.PreviewRequest]) (*connect.Response[op25bv1.PreviewResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.previewing = r.Msg; f.preview == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("no phase to go back to: nothing was activated"))
	}
	return connect.NewResponse(f.preview), nil
}

func (f *fakeAPI) ListCounters(_ context.Context, r *connect.Request[op25bv1.ListCountersRequest]) (*connect.Response[op25bv1.ListCountersResponse], error) {
	m, err := f.counters(r.Msg)
	return connect.NewResponse(m), err
}

func (f *fakeAPI) ListSeries(_ context.Context, r *connect.Request[op25bv1.ListSeriesRequest]) (*connect.Response[op25bv1.ListSeriesResponse], error) {
	if f.series == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("no history"))
	}
	m, err := f.series(r.Msg)
	return connect.NewResponse(m), err
}

func (f *fakeAPI) ListStateChanges(context.Context, *connect.Request[op25bv1.ListStateChangesRequest]) (*connect.Response[op25bv1.ListStateChangesResponse], error) {
	return connect.NewResponse(&op25bv1.ListStateChangesResponse{Changes: f.stateChanges}), nil
}

func (f *fakeAPI) ListCertificates(context.Context, *connect.Request[op25bv1.ListCertificatesRequest]) (*connect.Response[op25bv1.ListCertificatesResponse], error) {
	if f.certificates == nil {
		return connect.NewResponse(&op25bv1.ListCertificatesResponse{}), nil
	}
	return connect.NewResponse(f.certificates), nil
}

func (f *fakeAPI) Forecast(_ context.Context, r *connect.Request[op25bv1.ForecastRequest]) (*connect.Response[op25bv1.ForecastResponse], error) {
	m, err := f.forecast(r.Msg)
	return connect.NewResponse(m), err
}

func (f *fakeAPI) CheckMail(context.Context, *connect.Request[op25bv1.CheckMailRequest]) (*connect.Response[op25bv1.CheckMailResponse], error) {
	return connect.NewResponse(f.mailAnswer), nil
}

func (f *fakeAPI) Check(context.Context, *connect.Request[op25bv1.CheckRequest]) (*connect.Response[op25bv1.CheckResponse], error) {
	if f.refusal != nil {
		return nil, f.refusal
	}
	return connect.NewResponse(f.answer), nil
}

func (f *fakeAPI) Show(context.Context, *connect.Request[op25bv1.ShowRequest]) (*connect.Response[op25bv1.ShowResponse], error) {
	if f.stored == nil {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no such revision"))
	}
	return connect.NewResponse(&op25bv1.ShowResponse{Revision: f.stored, Activations: f.activations}), nil
}
