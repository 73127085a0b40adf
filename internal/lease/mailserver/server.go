// Package mailserver receives the reports of mail servers about logins over HTTP.
//
// It serves Dovecot's auth policy protocol and weakforced's webhook. A report is answered when the lease that it grants is in the store. The package
// can neither refuse nor delay a login: it permits every login that it is asked about, and mail servers are configured not to ask.
package mailserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"op25b/internal/clientfile"
	"op25b/internal/lease"
	"op25b/internal/lease/login"
	"op25b/internal/webhook"
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
	// recordEvery is the time after which another audit record says that a mail server reports logins.
	recordEvery = time.Hour
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
	door    *webhook.Door
	replays *login.Replays
	slots   chan struct{} // has a token for each report in progress

	mu       sync.Mutex // guards recorded
	recorded map[string]time.Time
}

// New returns a Server.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{
		cfg: cfg, replays: login.NewReplays(cfg.Now()), slots: make(chan struct{}, maxRequests), recorded: make(map[string]time.Time),
		door: webhook.NewDoor(webhook.Config{
			Report: "a report of a login", Flag: "--lease-clients", Paths: []string{DovecotPath, WeakforcedPath}, MaxBody: login.MaxBody, MaxWaiting: maxWaiting,
			Metric: "op25b_lease_reports_total", Help: "Requests on the port for reports of logins, by what became of them.",
			Answer:     func(w http.ResponseWriter, code int, why string) { answer(w, code, -1, why) },
			Registerer: cfg.Registerer, Logger: cfg.Logger,
		}),
	}
}

var _ http.Handler = (*Server)(nil)

// ServeHTTP answers a request. It uses only the header until the caller is known.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve := map[string]func(http.ResponseWriter, *http.Request, *clientfile.Reporter){DovecotPath: s.dovecot, WeakforcedPath: s.weakforced}[r.URL.Path]
	client, name := identify(s.cfg.Clients, r), ""
	if client != nil {
		name = client.Name
	}
	leave := s.door.Enter(w, r, name, serve != nil)
	if leave == nil {
		return
	}
	defer leave()
	serve(w, r, client)
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
func (s *Server) dovecot(w http.ResponseWriter, r *http.Request, client *clientfile.Reporter) {
	switch r.URL.Query().Get("command") {
	case "allow":
		s.door.Count(webhook.Answered)
		answer(w, http.StatusOK, 0, "")
	case "report":
		s.report(w, r, client, "dovecot", func([]byte, login.Login) error { return nil })
	default:
		s.door.Refuse(w, r, http.StatusBadRequest, webhook.Malformed, "the command must be report or allow, as in "+DovecotPath+"?command=report", client.Name)
	}
}

// weakforced answers weakforced's webhook, whose reports are signed.
func (s *Server) weakforced(w http.ResponseWriter, r *http.Request, client *clientfile.Reporter) {
	if client.Secret() == nil {
		s.door.Refuse(w, r, http.StatusForbidden, webhook.Forged, "the client has no secretFile in the file of --lease-clients, so its signature cannot be verified", client.Name)
		return
	}
	s.report(w, r, client, "weakforced", func(body []byte, l login.Login) error {
		if err := login.Signed(body, r.Header.Get(login.SignatureHeader), client.Secret()); err != nil {
			return err
		}
		return s.replays.Fresh(body, l.Time, s.cfg.Now())
	})
}

// report takes a report. authentic verifies it before it is used.
func (s *Server) report(w http.ResponseWriter, r *http.Request, client *clientfile.Reporter, source string, authentic func([]byte, login.Login) error) {
	body, ok := s.door.Body(w, r, client.Name)
	defer clear(body) // it has the name of a user and the hash of a password
	if !ok {
		return
	}
	l, err := login.Parse(body)
	if err == nil {
		err = authentic(body, l)
	}
	if err != nil {
		code, result := http.StatusBadRequest, webhook.Malformed
		switch {
		case errors.Is(err, login.ErrSignature):
			code, result = http.StatusForbidden, webhook.Forged
		case errors.Is(err, login.ErrReplay):
			code, result = http.StatusConflict, webhook.Replayed
		case errors.Is(err, login.ErrBusy):
			code, result = http.StatusServiceUnavailable, webhook.Busy
		}
		s.door.Refuse(w, r, code, result, err.Error(), client.Name)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), webhook.RequestWithin)
	defer cancel()
	text, err := s.grant(ctx, client, source, l)
	if err != nil {
		s.replays.Forget(body)
		s.door.Refuse(w, r, http.StatusServiceUnavailable, webhook.Failed, "the report is not acknowledged, send it again: "+err.Error(), client.Name)
		return
	}
	s.door.Count(webhook.Answered)
	answer(w, http.StatusOK, 0, text)
}

// grant grants the lease of a login. It returns what the login changed, or why it changed nothing. An error means that the report should be sent
// again.
func (s *Server) grant(ctx context.Context, client *clientfile.Reporter, source string, l login.Login) (text string, err error) {
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
func (s *Server) record(ctx context.Context, client *clientfile.Reporter) error {
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
