// Package mailserver receives the reports of mail servers about logins over HTTP.
//
// It serves Dovecot's auth policy protocol and weakforced's webhook. A report is answered when the lease that it grants is in the store. The package
// can neither refuse nor delay a login: it permits every login that it is asked about, and mail servers are configured not to ask.
package mailserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"op25b/internal/lease"
	"op25b/internal/lease/login"
)

// The paths of the reports.
const (
	DovecotPath    = "/dovecot"
	WeakforcedPath = "/weakforced"
)

// Limits on reports.
const (
	// maxRequests is the number of reports in progress. The store takes those that wait together.
	maxRequests = 256
	// maxWaiting is the number of requests of known callers that wait until a report can be in progress.
	maxWaiting = 4096
	// bodyWithin is how long a caller may take to send a report, and requestWithin how long a report may take in all.
	bodyWithin, requestWithin = 5 * time.Second, 10 * time.Second
	// recordEvery is the time after which another audit record says that a mail server reports logins.
	recordEvery = time.Hour
	// complainEvery is the shortest time between two log messages about the same kind of refused requests.
	complainEvery = time.Minute
)

// Leases grants leases. *ledger.Ledger implements it.
type Leases interface {
	// Login grants the lease of the line that has an address.
	Login(ctx context.Context, source string, remote netip.Addr, tls bool, at time.Time) (lease.Lease, lease.Outcome, error)
	// Refuse counts a login that grants no lease.
	Refuse(source string, why login.Refusal)
	// Refused reports whether an error of Login means that the grant is refused, and not that it should be tried again.
	Refused(error) bool
}

// A Config configures a Server.
type Config struct {
	Leases Leases
	// Clients are the mail servers that may report logins. If it is nil, the programs of this host may, over Dovecot's protocol.
	Clients *Clients
	// Record writes an audit record that a client reports logins.
	Record func(ctx context.Context, client string) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Registerer registers the metrics; nil means no metrics.
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// A Server answers reports.
type Server struct {
	cfg     Config
	log     *zap.Logger
	replays *login.Replays
	slots   chan struct{} // has a token for each report in progress
	waiting chan struct{} // has a token for each request of a known caller
	results *prometheus.CounterVec

	mu       sync.Mutex // guards the fields below
	recorded map[string]time.Time
	said     map[string]time.Time
}

// The results of requests, which are labels of a metric.
const (
	resultAnswered  = "answered"
	resultStranger  = "unknown-client"
	resultForged    = "not-authentic"
	resultReplayed  = "replayed"
	resultMalformed = "malformed"
	resultBusy      = "busy"
	resultFailed    = "not-stored"
)

// New returns a Server.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, replays: login.NewReplays(cfg.Now()), slots: make(chan struct{}, maxRequests), waiting: make(chan struct{}, maxWaiting),
		recorded: make(map[string]time.Time), said: make(map[string]time.Time),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_lease_reports_total", Help: "Requests on the port for reports of logins, by what became of them.",
		}, []string{"result"}),
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	for _, result := range []string{resultAnswered, resultStranger, resultForged, resultReplayed, resultMalformed, resultBusy, resultFailed} {
		s.results.WithLabelValues(result)
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(s.results)
	}
	return s
}

var _ http.Handler = (*Server)(nil)

// ServeHTTP answers a request. It uses only the header until the caller is known.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(2 * requestWithin))
	serve := map[string]func(http.ResponseWriter, *http.Request, *Client){DovecotPath: s.dovecot, WeakforcedPath: s.weakforced}[r.URL.Path]
	client := s.cfg.Clients.identify(r)
	switch {
	case client == nil:
		s.refuse(w, r, http.StatusUnauthorized, resultStranger, "the caller is unknown: it needs the token or the certificate of a client in the file of --lease-clients", "")
		return
	case serve == nil:
		s.refuse(w, r, http.StatusNotFound, resultMalformed, "no such page: report to "+DovecotPath+" or "+WeakforcedPath, client.Name)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		s.refuse(w, r, http.StatusMethodNotAllowed, resultMalformed, "reports use POST", client.Name)
		return
	}
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		s.refuse(w, r, http.StatusServiceUnavailable, resultBusy, "too many reports are in progress", client.Name)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWithin))
	serve(w, r, client)
}

// refuse answers a request with an error, and closes the connection without reading the rest of the request. It logs the error, but at most once in
// complainEvery for each result.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, code int, result, why, client string) {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	s.result(result, "a report of a login was refused", zap.String("client", client), zap.String("reason", why))
	answer(w, code, -1, why)
}

// result counts a request and logs the message, but at most once in complainEvery for each result.
func (s *Server) result(result, message string, fields ...zap.Field) {
	s.results.WithLabelValues(result).Inc()
	s.mu.Lock()
	now := time.Now()
	again := now.Sub(s.said[result]) < complainEvery
	if !again {
		s.said[result] = now
	}
	s.mu.Unlock()
	if !again {
		s.log.Warn(message, fields...)
	}
}

// answer writes an answer of Dovecot's auth policy protocol. A status of 0 permits the login; Dovecot ignores the answer to a report.
func answer(w http.ResponseWriter, code, status int, msg string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(struct { // the write fails if the caller has disconnected
		Status int    `json:"status"`
		Msg    string `json:"msg"`
	}{status, msg})
}

// dovecot answers a request of Dovecot's auth policy client. Questions are answered at once.
func (s *Server) dovecot(w http.ResponseWriter, r *http.Request, client *Client) {
	switch r.URL.Query().Get("command") {
	case "allow":
		s.results.WithLabelValues(resultAnswered).Inc()
		answer(w, http.StatusOK, 0, "")
	case "report":
		s.report(w, r, client, "dovecot", func([]byte, login.Login) error { return nil })
	default:
		s.refuse(w, r, http.StatusBadRequest, resultMalformed, "the command must be report or allow, as in "+DovecotPath+"?command=report", client.Name)
	}
}

// weakforced answers weakforced's webhook, whose reports are signed.
func (s *Server) weakforced(w http.ResponseWriter, r *http.Request, client *Client) {
	if client.secret == nil {
		s.refuse(w, r, http.StatusForbidden, resultForged, "the client has no secretFile in the file of --lease-clients, so its signature cannot be verified", client.Name)
		return
	}
	s.report(w, r, client, "weakforced", func(body []byte, l login.Login) error {
		if err := login.Signed(body, r.Header.Get(login.SignatureHeader), client.secret); err != nil {
			return err
		}
		return s.replays.Fresh(body, l.Time, s.cfg.Now())
	})
}

// report takes a report. authentic verifies it before it is used.
func (s *Server) report(w http.ResponseWriter, r *http.Request, client *Client, source string, authentic func([]byte, login.Login) error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, login.MaxBody))
	defer clear(body) // it has the name of a user and the hash of a password
	large := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &large):
		s.refuse(w, r, http.StatusRequestEntityTooLarge, resultMalformed, fmt.Sprintf("the report has more than %d bytes", login.MaxBody), client.Name)
		return
	case err != nil:
		s.refuse(w, r, http.StatusRequestTimeout, resultMalformed, fmt.Sprintf("the report did not arrive within %v", bodyWithin), client.Name)
		return
	}
	l, err := login.Parse(body)
	if err == nil {
		err = authentic(body, l)
	}
	if err != nil {
		code, result := http.StatusBadRequest, resultMalformed
		switch {
		case errors.Is(err, login.ErrSignature):
			code, result = http.StatusForbidden, resultForged
		case errors.Is(err, login.ErrReplay):
			code, result = http.StatusConflict, resultReplayed
		case errors.Is(err, login.ErrBusy):
			code, result = http.StatusServiceUnavailable, resultBusy
		}
		s.refuse(w, r, code, result, err.Error(), client.Name)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestWithin)
	defer cancel()
	text, err := s.grant(ctx, client, source, l)
	if err != nil {
		s.replays.Forget(body)
		s.refuse(w, r, http.StatusServiceUnavailable, resultFailed, "the report is not acknowledged, send it again: "+err.Error(), client.Name)
		return
	}
	s.results.WithLabelValues(resultAnswered).Inc()
	answer(w, http.StatusOK, 0, text)
}

// grant grants the lease of a login. It returns what the login changed, or why it changed nothing. An error means that the report should be sent
// again.
func (s *Server) grant(ctx context.Context, client *Client, source string, l login.Login) (text string, err error) {
	if why := l.Refused(); why != "" {
		s.cfg.Leases.Refuse(source, why)
		return string(why), nil
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if err := s.record(ctx, client); err != nil {
		return "", err
	}
	_, outcome, err := s.cfg.Leases.Login(ctx, source, l.Remote, l.TLS, l.Time)
	if err != nil && s.cfg.Leases.Refused(err) {
		return err.Error(), nil
	}
	return string(outcome), err
}

// record writes the audit record that a client reports logins, at most once in recordEvery.
func (s *Server) record(ctx context.Context, client *Client) error {
	s.mu.Lock()
	now := s.cfg.Now()
	at, known := s.recorded[client.Name]
	due := !known || now.Sub(at) >= recordEvery
	if due {
		s.recorded[client.Name] = now
	}
	s.mu.Unlock()
	if !due {
		return nil
	}
	err := s.cfg.Record(ctx, client.Name)
	if err != nil {
		s.mu.Lock()
		delete(s.recorded, client.Name)
		s.mu.Unlock()
	}
	return err
}
