// Package webhook has what the webhooks of this program share: the signature of messages, and the door of those that it receives.
//
// A Door bounds the requests of known programs, and reads and counts them. It knows neither who is known nor what a message means; its owner does.
package webhook

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// The results of requests, which are labels of a metric.
const (
	Answered  = "answered"
	Stranger  = "unknown-client"
	Forged    = "not-authentic"
	Replayed  = "replayed"
	Malformed = "malformed"
	Busy      = "busy"
	Failed    = "not-stored"
)

// Limits on requests.
const (
	// BodyWithin is how long a caller may take to send a message, and RequestWithin how long a message may take in all.
	BodyWithin, RequestWithin = 5 * time.Second, 10 * time.Second
	// complainEvery is the shortest time between two log messages about the same kind of refused requests.
	complainEvery = time.Minute
)

// A Config configures a Door.
type Config struct {
	// Report is what a message is, with its article, such as "a report of a login". Flag is the flag with the file of the clients.
	Report, Flag string
	// Paths are the paths of messages.
	Paths []string
	// MaxBody is the largest size of a message in bytes. MaxWaiting is the number of requests of known callers that wait until a message can be in
	// progress.
	MaxBody    int64
	MaxWaiting int
	// Metric is the name of the counter of requests by result, and Help its help.
	Metric, Help string
	// Answer writes the answer to a refused request.
	Answer func(w http.ResponseWriter, code int, why string)
	// Registerer registers the metric; nil means no metric.
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// A Door lets the requests of known callers in. Its methods are safe for concurrent use.
type Door struct {
	cfg     Config
	log     *zap.Logger
	waiting chan struct{} // has a token for each request of a known caller
	results *prometheus.CounterVec

	mu   sync.Mutex // guards said
	said map[string]time.Time
}

// NewDoor returns a Door.
func NewDoor(cfg Config) *Door {
	d := &Door{
		cfg: cfg, log: cfg.Logger, waiting: make(chan struct{}, cfg.MaxWaiting), said: make(map[string]time.Time),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{Name: cfg.Metric, Help: cfg.Help}, []string{"result"}),
	}
	if d.log == nil {
		d.log = zap.NewNop()
	}
	for _, result := range []string{Answered, Stranger, Forged, Replayed, Malformed, Busy, Failed} {
		d.results.WithLabelValues(result)
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(d.results)
	}
	return d
}

// Enter lets a request in, by its header alone. client is the name of the caller, or empty for a stranger. served is whether there is a handler of the
// path. If Enter has answered the request, leave is nil. Otherwise the caller must call leave after the request.
func (d *Door) Enter(w http.ResponseWriter, r *http.Request, client string, served bool) (leave func()) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(2 * RequestWithin))
	switch {
	case client == "":
		d.Refuse(w, r, http.StatusUnauthorized, Stranger, "the caller is unknown: it needs the token or the certificate of a client in the file of "+d.cfg.Flag, "")
		return nil
	case !served:
		d.Refuse(w, r, http.StatusNotFound, Malformed, "no such page: report to "+strings.Join(d.cfg.Paths, " or "), client)
		return nil
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		d.Refuse(w, r, http.StatusMethodNotAllowed, Malformed, "reports use POST", client)
		return nil
	}
	select {
	case d.waiting <- struct{}{}:
	default:
		d.Refuse(w, r, http.StatusServiceUnavailable, Busy, "too many reports are in progress", client)
		return nil
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(BodyWithin))
	return func() { <-d.waiting }
}

// Body reads the body of a request. It returns false if it has refused the request.
func (d *Door) Body(w http.ResponseWriter, r *http.Request, client string) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, d.cfg.MaxBody))
	large := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &large):
		d.Refuse(w, r, http.StatusRequestEntityTooLarge, Malformed, fmt.Sprintf("the report has more than %d bytes", d.cfg.MaxBody), client)
		return body, false
	case err != nil:
		d.Refuse(w, r, http.StatusRequestTimeout, Malformed, fmt.Sprintf("the report did not arrive within %v", BodyWithin), client)
		return body, false
	}
	return body, true
}

// Refuse answers a request with an error, and closes the connection without reading the rest of the request. It logs the error, but at most once in
// complainEvery for each result.
func (d *Door) Refuse(w http.ResponseWriter, r *http.Request, code int, result, why, client string) {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	d.Count(result)
	d.mu.Lock()
	now := time.Now()
	again := now.Sub(d.said[result]) < complainEvery
	if !again {
		d.said[result] = now
	}
	d.mu.Unlock()
	if !again {
		d.log.Warn(d.cfg.Report+" was refused", zap.String("client", client), zap.String("reason", why))
	}
	d.cfg.Answer(w, code, why)
}

// Count counts a request.
func (d *Door) Count(result string) { d.results.WithLabelValues(result).Inc() }
