package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"connectrpc.com/grpchealth"

	"op25b/internal/auth"
	"op25b/internal/exposition"
	"op25b/internal/intent"
)

// plainPages registers the plain HTTP endpoints. /healthz reports that the process is alive, and /readyz reports whether the
// controller is ready, and if not, why. These two endpoints require no credentials. /metrics requires the role viewer.
func (s *server) plainPages(mux *http.ServeMux) {
	readiness := &joint[page]{ask: s.readiness}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readWithin)
		defer cancel()
		p, err := readiness.answer(ctx)
		if err != nil {
			return // the caller has disconnected or the time limit has passed
		}
		writeText(w, p.code, p.text)
	})
	metrics := exposition.Handler(s.Metrics, s.MoreMetrics...)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connectionKey{}).(connection)
		switch id, err := s.guard.identify(c, r.Header); {
		case err != nil:
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeText(w, http.StatusUnauthorized, err.Error()+"; /metrics requires the role viewer")
		case !id.Role.May(auth.Viewer):
			writeText(w, http.StatusForbidden, fmt.Sprintf("%s has %s, but /metrics requires viewer", id.Who, roleOf(id)))
		default:
			metrics.ServeHTTP(w, r)
		}
	})
}

// A page is an HTTP status and the text of the answer.
type page struct {
	code int
	text string
}

// readiness returns the answer of /readyz.
func (s *server) readiness(ctx context.Context) page {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		return page{http.StatusServiceUnavailable, "not ready: " + err.Error()}
	}
	text := "ready"
	for _, notice := range s.notices(ctx) {
		text += "\nwarning: " + notice
	}
	return page{http.StatusOK, text}
}

// replacedFor is how long notices report that the store was replaced.
const replacedFor = time.Hour

// notices returns warnings about the store, the clocks, the intent and the schedule. A controller with warnings may still be ready.
func (s *server) notices(ctx context.Context) []string {
	var all []string
	if g := s.Store.Generation(); g.Number() > 1 && s.Now().Sub(g.Began()) < replacedFor {
		all = append(all, fmt.Sprintf("the store was replaced, as noticed at %s: %s; the switches are being brought to its current revision, see op25b history",
			g.Began().Format(time.RFC3339), g.Why()))
	}
	if warning := s.Store.Space(ctx).Warning(); warning != "" {
		all = append(all, warning)
	}
	return slices.Concat(all, s.clockNotices(), s.unprovedNotices(ctx), s.scheduleNotices(ctx), s.endingNotices(ctx))
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}

// ready returns nil if the store has a quorum and accepts changes, and if the current intent can be read or there is none yet.
func (s *server) ready(ctx context.Context) error {
	if err := s.Store.Ready(ctx); err != nil {
		return err
	}
	if space := s.Store.Space(ctx); space.ReadOnly {
		return errors.New(space.Warning())
	}
	if _, err := s.current(ctx); err != nil && !errors.Is(err, intent.ErrNone) {
		return fmt.Errorf("the intent cannot be read: %w", err)
	}
	return nil
}

// health implements the gRPC health check. Every service is healthy as long as the store has a quorum.
type health struct{ ready *joint[error] }

// Check reports the health of a service.
func (h health) Check(ctx context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	known := req.Service == ""
	for _, name := range Services() {
		known = known || name == req.Service
	}
	if !known {
		return nil, errUnknownService(req.Service)
	}
	notReady, err := h.ready.answer(ctx)
	if err != nil {
		return nil, err
	}
	if notReady != nil {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}

var _ grpchealth.Checker = health{}
