// Package api implements the northbound API: intent, switches, phases, questions and the audit chain. One port serves gRPC, gRPC-Web and
// Connect (JSON over HTTP), as well as health, readiness, metrics and reflection.
//
// The API authenticates and authorises callers, records changes and refused changes in the audit chain, and returns errors that tell
// callers what to do. The packages intent, plan and fleet make the changes.
package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"op25b/internal/check/mailbox"
	"op25b/internal/clock"
	"op25b/internal/exposition"
	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/prove"
	"op25b/internal/store"
	"op25b/internal/telemetry/history"
	"op25b/internal/tlsfiles/expiry"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// Limits on requests and answers.
const (
	// MaxFiles is the limit on the total size of a request's files, in bytes. It allows documents with 400,000 lines, but not the documents
	// of 1,000 switches with 8,192 lines each, which are 1.3 GB.
	MaxFiles = 64 << 20
	// MinFiles is the minimum value of Deps.MaxFiles. It allows a few thousand lines.
	MinFiles = 1 << 20
	// MaxFileCount is the limit on the number of files in a request. It allows a policy, an inventory, and one file for each switch.
	MaxFileCount = 4096
	// MaxList is the limit on the number of revisions or records in an answer.
	MaxList = 1000
	// DefaultList is the number of revisions or records in an answer if the request does not specify one.
	DefaultList = 50
)

// A Planner computes plans.
type Planner interface {
	Make(ctx context.Context, r plan.Request) (*plan.Plan, error)
	Fits(ctx context.Context, in *intent.Intent) error
	// Prove proves a change of switches on the twin. No names means all switches.
	Prove(ctx context.Context, base, proposed *intent.Intent, names []string) (*prove.Result, error)
	// Proved returns plan.ErrRefused unless the change is proved on the twin.
	Proved(ctx context.Context, base, proposed *intent.Intent) error
	// Exempting returns plan.ErrRefused unless a change of one exemption fits and is proved.
	Exempting(ctx context.Context, base, proposed *intent.Intent, of policy.Exemption) error
}

var _ Planner = (*plan.Planner)(nil)

// Switches reports the statuses of switches.
type Switches interface {
	// List returns all known statuses, sorted by switch name.
	List(ctx context.Context) ([]*op25bv1.SwitchStatus, error)
	// Watch sends all statuses immediately, and again after every change. A slow receiver gets only the newest statuses. The channel is
	// closed when ctx ends or when the store closes.
	Watch(ctx context.Context) <-chan []*op25bv1.SwitchStatus
	// StateChanges returns the last changes of a switch's state, newest first. It returns none for a switch without a status.
	StateChanges(ctx context.Context, name string) ([]*op25bv1.StateChange, error)
	// SessionEntries returns how many sessions are in force, by the name of the switch. A switch without such entries has none.
	SessionEntries(ctx context.Context) (map[string]*op25bv1.SessionEntries, error)
}

// Deps are the dependencies of the API.
type Deps struct {
	Store    *store.Store
	Book     *intent.Book
	Switches Switches
	Plan     Planner
	// Check answers the questions of CheckService. If Check is nil, CheckService returns CodeUnimplemented.
	Check Questions
	// OwnLine answers the questions of PortalService.AskOwnLine. If OwnLine is nil, the call returns CodeUnimplemented.
	OwnLine OwnLine
	// Providers is the directory of mail providers to publish. It may be nil.
	Providers *mailbox.Directory
	// Counters answers TelemetryService. If Counters is nil, TelemetryService returns CodeUnimplemented.
	Counters Counters
	// Sessions answers the questions of SubscriberService, takes its reports, and finds the lines of the portal's visitors. If Sessions is nil,
	// SubscriberService returns CodeUnimplemented.
	Sessions Sessions
	// Leases answers LeaseService. If Leases is nil, LeaseService returns CodeUnimplemented.
	Leases Leases
	// Rollouts answers RolloutService. If Rollouts is nil, RolloutService returns CodeUnimplemented.
	Rollouts Rollouts
	// Scheduled keeps scheduled activations. If Scheduled is nil, PhaseService schedules none.
	Scheduled Scheduled
	// Proofs answers FleetService.Prove. If Proofs is nil, the call returns CodeUnimplemented.
	Proofs Proofs
	// Lines answers the questions of AbuseService. If Lines is nil, AbuseService returns CodeUnimplemented.
	Lines Lines
	// History has what the switches counted before. If History is nil, calls that ask for it return CodeFailedPrecondition.
	History history.History
	// Certificates knows the certificates of the sessions with switches. It may be nil.
	Certificates *expiry.Certificates
	Auth         Auth
	// Name is the name of this controller.
	Name string
	// Clock decides which dates are in force. If Clock is nil, Now decides.
	Clock *clock.Clock
	// MaxFiles is the limit on the total size of a request's files, in bytes, and must be at least MinFiles; 0 means the constant MaxFiles.
	MaxFiles int64
	// MassChange is the percentage of a table's entries, or of all lines, beyond which Apply refuses a removal unless the caller confirms it; 0 means
	// that no change is a mass change.
	MassChange float64
	// Now returns the current time. It defaults to Clock.Trusted, or to time.Now if Clock is nil.
	Now func() time.Time
	// Logger receives the log messages. It may be nil.
	Logger *zap.Logger
	// Metrics is the registry that /metrics serves. The API registers its own metrics in the registry. Metrics may be nil.
	Metrics *prometheus.Registry
	// MoreMetrics write the families of metrics that are too large for a registry. /metrics serves them after those of Metrics.
	MoreMetrics []exposition.Writer
	// Stopping, if not nil, ends all open streams when it is done. The error of each stream asks the caller to reconnect.
	Stopping context.Context
}

// A server holds the state that all services share.
type server struct {
	Deps
	guard     *guard
	lookups   *recordLimit
	reports   *reports
	joined    joined
	publisher *publisher
	changes   fan[intent.Update]  // the updates of the intent, shared by all watchers
	members   fan[[]store.Member] // the present controllers, likewise
	warned    fan[[]string]       // the notices, likewise
}

// New returns the handler for the API and the plain HTTP endpoints. It starts no goroutine.
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
	s := &server{Deps: d, lookups: newLookups(d.Now), reports: newReports(d.Now)}
	s.publisher = newPublisher(s)
	s.changes.watch = func(ctx context.Context) <-chan intent.Update { return d.Book.Watch(ctx, 0) }
	s.members.watch = d.Store.WatchMembers
	s.warned.watch = s.watchNotices
	s.guard = &guard{auth: d.Auth, now: d.Now, log: d.Logger, audit: d.Store.Audit(), refusals: newRefusals(d.Now)}
	s.measureExemptions(d.Metrics)
	observe := newOnlooker(d.Logger, d.Metrics)
	options := []connect.HandlerOption{
		connect.WithCompressMinBytes(1024),    // a smaller message fits into one packet
		connect.WithReadMaxBytes(maxQuestion), // connect itself reads only reflection and health checks
		connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}),
		// The first interceptor is the outermost, so that it logs and counts the refusals and panics of the other interceptors.
		connect.WithInterceptors(observe, &recoverer{d.Logger}, taker{}, s.guard, limiter{}, newUsher()),
	}
	mux := http.NewServeMux()
	mux.Handle(op25bv1connect.NewIntentServiceHandler(intentService{s}, options...))
	mux.Handle(op25bv1connect.NewCheckServiceHandler(checkService{s}, options...))
	mux.Handle(op25bv1connect.NewFleetServiceHandler(fleetService{s}, options...))
	mux.Handle(op25bv1connect.NewPhaseServiceHandler(phaseService{s}, options...))
	mux.Handle(op25bv1connect.NewAuditServiceHandler(auditService{s}, options...))
	mux.Handle(op25bv1connect.NewTelemetryServiceHandler(telemetryService{s}, options...))
	mux.Handle(op25bv1connect.NewAbuseServiceHandler(abuseService{s}, options...))
	mux.Handle(op25bv1connect.NewPortalServiceHandler(portalService{s}, options...))
	mux.Handle(op25bv1connect.NewSubscriberServiceHandler(subscriberService{s}, slices.Concat(options, reportOptions())...))
	mux.Handle(op25bv1connect.NewLeaseServiceHandler(leaseService{s}, options...))
	mux.Handle(op25bv1connect.NewExemptionServiceHandler(exemptionService{s}, options...))
	mux.Handle(op25bv1connect.NewRolloutServiceHandler(rolloutService{s}, options...))
	mux.Handle(op25bv1connect.NewStoreServiceHandler(newStoreService(s), options...))
	reflector := grpcreflect.NewStaticReflector(Services()...)
	mux.Handle(grpcreflect.NewHandlerV1(reflector, options...))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, options...))
	mux.Handle(grpchealth.NewHandler(health{&joint[error]{ask: d.Store.Ready}}, options...))
	s.plainPages(mux)
	calls, err := callsOf(d.MaxFiles)
	if err != nil {
		panic(fmt.Sprintf("api: call without generated code: %v", err)) // a bug that would fail every test
	}
	return &door{
		next: mux, calls: calls, guard: s.guard, onlooker: observe, doorLog: newDoorLog(d.Logger, d.Metrics, d.Now), budget: budget{most: maxHeld},
		origin: http.NewCrossOriginProtection(), errors: connect.NewErrorWriter(options...), within: bodyWithin, idle: reportIdle, large: largeTurns(), probes: make(chan struct{}, maxProbes),
	}
}

// Services returns the names of all services.
func Services() []string {
	return []string{
		op25bv1connect.IntentServiceName, op25bv1connect.FleetServiceName, op25bv1connect.PhaseServiceName,
		op25bv1connect.CheckServiceName, op25bv1connect.AuditServiceName, op25bv1connect.StoreServiceName,
		op25bv1connect.TelemetryServiceName, op25bv1connect.AbuseServiceName, op25bv1connect.PortalServiceName,
		op25bv1connect.SubscriberServiceName, op25bv1connect.LeaseServiceName, op25bv1connect.ExemptionServiceName, op25bv1connect.RolloutServiceName,
	}
}
