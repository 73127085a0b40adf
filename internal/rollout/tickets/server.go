package tickets

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"op25b/internal/clientfile"
	"op25b/internal/webhook"
)

// Path is the path of the reports of support desks.
const Path = "/tickets"

// Kind is the document kind of a file of support desks.
const Kind = "TicketClients"

// ErrClients is returned if the file of support desks cannot be used.
var ErrClients = errors.New("ticket clients")

// maxSecret is the largest size of the secret of a support desk in bytes.
const maxSecret = 1024

// maxWaiting is the number of messages of known support desks that wait. They are taken one after the other.
const maxWaiting = 64

// Clients are the support desks that may report tickets. Their YAML document is
//
//	apiVersion: op25b/v1
//	kind: TicketClients
//	clients:
//	  - {name: desk-tokyo, sha256: 9f86d08..., secretFile: desk-tokyo.secret}
type Clients = clientfile.Reporters

// OpenClients reads a file of support desks and the files of their secrets. warnings are about files that other users of the host can read or write.
// The error wraps ErrClients, and strict.Faults for faults in the file.
func OpenClients(path string) (c *Clients, warnings []string, err error) {
	return clientfile.OpenReporters(path, clientfile.Form{
		Kind: Kind, Title: "file of ticket clients", Err: ErrClients, Client: "support desk",
		Secret: "secret of a support desk", Give: "give the file with the secret with which the support desk signs its messages", MaxSecret: maxSecret,
	}, true)
}

// A Listener takes the tickets of a support desk.
type Listener interface {
	// Hear takes the tickets of a message that was signed at the time sent. An error means that the message should be sent again.
	Hear(ctx context.Context, desk string, sent time.Time, all []Ticket) ([]Outcome, error)
}

// A Config configures a Server.
type Config struct {
	Listener Listener
	Clients  *Clients
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Registerer registers the metrics; nil means no metrics.
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// A Server answers the messages of support desks. A message that is received again, by this or another controller, changes nothing: tickets count once,
// and a desk was heard when the message was signed. So nothing has to be remembered against replays.
type Server struct {
	cfg  Config
	door *webhook.Door
	turn chan struct{} // has a token while a message is taken
}

// New returns a Server.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{
		cfg: cfg, turn: make(chan struct{}, 1),
		door: webhook.NewDoor(webhook.Config{
			Report: "a report of support tickets", Flag: "--ticket-clients", Paths: []string{Path}, MaxBody: MaxBody, MaxWaiting: maxWaiting,
			Metric: "op25b_ticket_reports_total", Help: "Requests on the port for support tickets, by what became of them.",
			Answer:     func(w http.ResponseWriter, code int, why string) { answer(w, code, reply{Error: why}) },
			Registerer: cfg.Registerer, Logger: cfg.Logger,
		}),
	}
}

var _ http.Handler = (*Server)(nil)

// A reply is the body of an answer.
type reply struct {
	// Outcomes has what became of each ticket, in the order of the message.
	Outcomes []Outcome `json:"outcomes,omitempty"`
	Error    string    `json:"error,omitempty"`
}

func answer(w http.ResponseWriter, code int, m reply) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(m) // the write fails if the caller has disconnected
}

// ServeHTTP answers a request. It uses only the header until the caller is known, and parses nothing before the signature was verified.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client, name := s.cfg.Clients.Identify(r), ""
	if client != nil {
		name = client.Name
	}
	leave := s.door.Enter(w, r, name, r.URL.Path == Path)
	if leave == nil {
		return
	}
	defer leave()
	refuse := func(code int, result string, err error) { s.door.Refuse(w, r, code, result, err.Error(), name) }
	timestamp := r.Header.Get(webhook.TimestampHeader)
	sent, err := webhook.Timestamp(timestamp, s.cfg.Now())
	if err != nil {
		refuse(http.StatusConflict, webhook.Replayed, err)
		return
	}
	body, ok := s.door.Body(w, r, name)
	defer clear(body) // it may have addresses
	if !ok {
		return
	}
	if err := webhook.Verify(client.Secret(), timestamp, r.Header.Get(webhook.SignatureHeader), body); err != nil {
		refuse(http.StatusForbidden, webhook.Forged, err)
		return
	}
	all, err := Parse(body, sent)
	if err != nil {
		refuse(http.StatusBadRequest, webhook.Malformed, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), webhook.RequestWithin)
	defer cancel()
	outcomes, err := s.take(ctx, name, sent, all)
	if err != nil {
		s.door.Refuse(w, r, http.StatusServiceUnavailable, webhook.Failed, "the report is not acknowledged, send it again: "+err.Error(), name)
		return
	}
	s.door.Count(webhook.Answered)
	answer(w, http.StatusOK, reply{Outcomes: outcomes})
}

// take gives the tickets to the listener, one message at a time.
func (s *Server) take(ctx context.Context, desk string, sent time.Time, all []Ticket) ([]Outcome, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return s.cfg.Listener.Hear(ctx, desk, sent, all)
}
