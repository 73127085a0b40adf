// Package api is the northbound API: intent, switches, phases, questions and the audit chain, over gRPC, gRPC-Web and Connect (JSON over
// HTTP) on one port, with health, readiness, metrics and reflection beside it.
//
// It decides who may what, writes down what was changed and what was refused, and says errors so that a caller can act on them. What a
// change means and does is intent's, plan's and fleet's.
package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"op25b/internal/clock"
	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// Limits of requests.
const (
	// MaxFiles is the most bytes of all files of a request together: a fleet of 1,000 switches with 8,192 lines each is 1.3 GB and is not
	// sent whole by anybody, one of 400,000 lines is.
	MaxFiles = 64 << 20
	// MinFiles is the least that the bound on files can be set to: a few thousand lines.
	MinFiles = 1 << 20
	// MaxFileCount is the most files of a request: a policy and an inventory are two, and each switch may have one beside them.
	MaxFileCount = 4096
	// MaxList is the most revisions or records of an answer.
	MaxList = 1000
	// DefaultList is how many there are if the request does not say.
	DefaultList = 50
)

// A Planner plans; a *plan.Planner is one.
type Planner interface {
	Make(ctx context.Context, r plan.Request) (*op25bv1.Plan, error)
	Fits(ctx context.Context, in *intent.Intent) error
}

var _ Planner = (*plan.Planner)(nil)

// Switches says where the switches stand.
type Switches interface {
	// List returns all that have a status, in the order of their names.
	List(ctx context.Context) ([]*op25bv1.SwitchStatus, error)
	// Watch tells all of them at first and after every change; a slow receiver gets the newest. The channel is closed when ctx ends, or when
	// there is nothing more to be told.
	Watch(ctx context.Context) <-chan []*op25bv1.SwitchStatus
}

// Deps are what the API takes from its surroundings.
type Deps struct {
	Store    *store.Store
	Book     *intent.Book
	Switches Switches
	Plan     Planner
	// Check may be nil: then questions are not answered.
	Check Questions
	Auth  Auth
	// Name is this controller's.
	Name string
	// Clock says up to which moment dates are in force; nil is as Now says.
	Clock *clock.Clock
	// MaxFiles is the most bytes of all files of a request together, from MinFiles on; MaxFiles if 0.
	MaxFiles int64
	// Now is the clock; Clock's if nil, or time.Now.
	Now func() time.Time
	// Logger may be nil.
	Logger *zap.Logger
	// Metrics is what /metrics serves, and where the API's own metrics are registered; one of its own if nil.
	Metrics *prometheus.Registry
	// Stopping, if not nil, ends streams when it is done: their callers are told to come again.
	Stopping context.Context
}

// A server is what all services have in common.
type server struct {
	Deps
	guard   *guard
	joined  joined
	changes fan[intent.Update] // of the intent, for all who watch
}

// New returns the handler of everything. It starts nothing.
func New(d Deps) http.Handler {
	if d.MaxFiles == 0 {
		d.MaxFiles = MaxFiles
	}
	if d.Now == nil && d.Clock != nil {
		d.Now = d.Clock.Trusted
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Logger == nil {
		d.Logger = zap.NewNop()
	}
	if d.Metrics == nil {
		d.Metrics = prometheus.NewRegistry()
	}
	if d.Stopping == nil {
		d.Stopping = context.Background()
	}
	d.Switches = newShared(d.Switches)
	s := &server{Deps: d}
	s.changes.watch = func(ctx context.Context) <-chan intent.Update { return d.Book.Watch(ctx, 0) }
	s.guard = &guard{auth: d.Auth, now: d.Now, log: d.Logger, audit: d.Store.Audit(), refusals: newRefusals(d.Now)}
	observe := newOnlooker(d.Logger, d.Metrics)
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(maxQuestion), // of what the door leaves to be read: reflection and the health check
		connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}),
		// The outermost is the first: what the others refuse, and what panics, is logged and counted too.
		connect.WithInterceptors(observe, &recoverer{d.Logger}, taker{}, s.guard, limiter{}, newUsher()),
	}
	mux := http.NewServeMux()
	mux.Handle(op25bv1connect.NewIntentServiceHandler(intentService{s}, options...))
	mux.Handle(op25bv1connect.NewCheckServiceHandler(checkService{s}, options...))
	mux.Handle(op25bv1connect.NewFleetServiceHandler(fleetService{s}, options...))
	mux.Handle(op25bv1connect.NewPhaseServiceHandler(phaseService{s}, options...))
	mux.Handle(op25bv1connect.NewAuditServiceHandler(auditService{s}, options...))
	mux.Handle(op25bv1connect.NewStoreServiceHandler(newStoreService(s), options...))
	reflector := grpcreflect.NewStaticReflector(Services()...)
	mux.Handle(grpcreflect.NewHandlerV1(reflector, options...))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, options...))
	mux.Handle(grpchealth.NewHandler(health{&joint[error]{ask: d.Store.Ready}}, options...))
	s.plainPages(mux)
	calls, err := callsOf(d.MaxFiles)
	if err != nil {
		panic(fmt.Sprintf("api: a call that the generated code does not have: %v", err)) // of this program, met by every test
	}
	return &door{
		next: mux, calls: calls, guard: s.guard, onlooker: observe, doorLog: newDoorLog(d.Logger, d.Metrics, d.Now), budget: budget{most: maxHeld},
		origin: http.NewCrossOriginProtection(), errors: connect.NewErrorWriter(options...), within: bodyWithin, large: largeTurns(), probes: make(chan struct{}, maxProbes),
	}
}

// Services are the names of all services.
func Services() []string {
	return []string{
		op25bv1connect.IntentServiceName, op25bv1connect.FleetServiceName, op25bv1connect.PhaseServiceName,
		op25bv1connect.CheckServiceName, op25bv1connect.AuditServiceName, op25bv1connect.StoreServiceName,
	}
}
