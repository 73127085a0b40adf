package web

import (
	"context"
	"io"
	"net/http"

	"connectrpc.com/connect"

	"op25b/proto/op25b/v1/op25bv1connect"
)

// An inProcess calls the API's handler on behalf of a person. The call has the address and the certificate of the person's connection, and
// the token or the person of the sign-in.
type inProcess struct {
	api    http.Handler
	person *http.Request // nil for the site's own calls
	token  string
	as     func(context.Context) context.Context // adds the person to the context; nil for the site's own calls
}

var _ http.RoundTripper = (*inProcess)(nil)

// RoundTrip calls the handler. The response body is piped, so that streams arrive as they are sent.
func (t *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if t.as != nil {
		ctx = t.as(ctx)
	}
	call := r.Clone(ctx)
	call.RequestURI = r.URL.RequestURI()
	call.RemoteAddr, call.Host = "127.0.0.1:0", "localhost"
	if t.person != nil {
		call.RemoteAddr, call.TLS, call.Host = t.person.RemoteAddr, t.person.TLS, t.person.Host
		for _, proxy := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
			if v := t.person.Header.Values(proxy); len(v) > 0 {
				call.Header[http.CanonicalHeaderKey(proxy)] = v
			}
		}
	}
	if t.token != "" {
		call.Header.Set("Authorization", "Bearer "+t.token)
	}
	if call.Body == nil {
		call.Body = http.NoBody
	}
	body, out := io.Pipe()
	a := &answer{header: make(http.Header), out: out, ready: make(chan struct{})}
	go func() {
		defer out.Close()
		defer a.begin(http.StatusOK)
		t.api.ServeHTTP(a, call)
	}()
	select {
	case <-a.ready:
	case <-r.Context().Done():
		_ = body.CloseWithError(context.Cause(r.Context()))
		return nil, context.Cause(r.Context())
	}
	return &http.Response{
		StatusCode: a.code, Status: http.StatusText(a.code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.sent, Body: body, ContentLength: -1, Request: r, Trailer: make(http.Header),
	}, nil
}

// An answer is the ResponseWriter of an in-process call.
type answer struct {
	header, sent http.Header
	code         int
	out          *io.PipeWriter
	ready        chan struct{}
	begun        bool
}

var (
	_ http.ResponseWriter = (*answer)(nil)
	_ http.Flusher        = (*answer)(nil)
)

func (a *answer) Header() http.Header { return a.header }

func (a *answer) begin(code int) {
	if !a.begun {
		a.begun, a.code, a.sent = true, code, a.header.Clone()
		close(a.ready)
	}
}

// WriteHeader sends the header.
func (a *answer) WriteHeader(code int) { a.begin(code) }

func (a *answer) Write(b []byte) (int, error) {
	a.begin(http.StatusOK)
	return a.out.Write(b)
}

// Flush only sends the header if necessary, because each write arrives at once.
func (a *answer) Flush() { a.begin(http.StatusOK) }

// clients contains the API clients for one person.
type clients struct {
	fleet  op25bv1connect.FleetServiceClient
	phase  op25bv1connect.PhaseServiceClient
	intent op25bv1connect.IntentServiceClient
	check  op25bv1connect.CheckServiceClient
	audit  op25bv1connect.AuditServiceClient
	// telemetry serves the counters of the switches that this controller owns.
	telemetry op25bv1connect.TelemetryServiceClient
	// abuse forecasts phases for the switches that this controller owns.
	abuse   op25bv1connect.AbuseServiceClient
	rollout op25bv1connect.RolloutServiceClient
}

// maxAnswer is the size of the largest API response that a page accepts, in bytes.
const maxAnswer = 32 << 20

func newClients(t *inProcess) clients {
	h := &http.Client{Transport: t}
	const base = "http://api"
	opt := connect.WithClientOptions(connect.WithReadMaxBytes(maxAnswer), connect.WithAcceptCompression("gzip", nil, nil)) // nothing leaves the process
	return clients{
		op25bv1connect.NewFleetServiceClient(h, base, opt), op25bv1connect.NewPhaseServiceClient(h, base, opt),
		op25bv1connect.NewIntentServiceClient(h, base, opt), op25bv1connect.NewCheckServiceClient(h, base, opt),
		op25bv1connect.NewAuditServiceClient(h, base, opt), op25bv1connect.NewTelemetryServiceClient(h, base, opt),
		op25bv1connect.NewAbuseServiceClient(h, base, opt), op25bv1connect.NewRolloutServiceClient(h, base, opt),
	}
}
