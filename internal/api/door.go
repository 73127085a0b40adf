package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/internal/auth"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// Limits of requests.
const (
	// maxFilesMessage is for what has files, where the bound on these is not set lower.
	maxFilesMessage = MaxFiles/3*4 + 1<<20
	// maxMessage is for everything else: a list of 1,000 switches with names of 63 bytes is 64 KiB.
	maxMessage = 256 << 10
	// maxProbe is for the one call that wants no credentials.
	maxProbe = 4 << 10
	// maxElements is how many elements a request may have: lists of names, files, and what a saved plan says of 1,000 switches.
	maxElements = 64 << 10
	// maxReflection bounds all that a stream of reflection sends, and maxQuestion each message.
	maxReflection, maxQuestion = 1 << 20, 16 << 10
	// maxHeld bounds what all requests hold together. A large one takes at most 86 MiB as JSON, and as much again while its files are made of
	// it; largeAtOnce of them and one change have turns, and 60 MiB are left for small ones and for those that wait.
	maxHeld = (largeAtOnce+1)*2*(maxFilesMessage+1<<20) + 60<<20
	// largeAtOnce requests above 1 MiB are served at once, and largeWaiting wait, for turnWithin at most; changes have a turn of their own.
	largeAtOnce, largeWaiting = 2, 16
	turnWithin                = 2 * time.Minute
)

// A call is what the door knows of a procedure.
type call struct {
	Verb
	procedure string
	bytes     int64
	request   protoreflect.MessageType // nil where connect reads the messages
	measure   *measure
	streaming bool // the caller sends a stream
}

// callsOf are all calls by their path. A request has at most maxFiles bytes of files: base64 is a third more, and there are names.
func callsOf(maxFiles int64) (map[string]*call, error) {
	large := map[string]bool{
		op25bv1connect.IntentServicePlanProcedure: true, op25bv1connect.IntentServiceApplyProcedure: true,
		op25bv1connect.CheckServiceCheckProcedure: true, op25bv1connect.CheckServiceCheckMailProcedure: true,
	}
	all := make(map[string]*call, len(verbs))
	for procedure, verb := range verbs {
		c := &call{Verb: verb, procedure: procedure, bytes: maxMessage}
		all[procedure] = c
		switch procedure {
		case reflectV1, reflectV1Alpha:
			c.streaming, c.bytes = true, maxReflection
			continue
		case healthCheck: // its messages are grpchealth's own
			c.bytes = maxProbe
			continue
		}
		if large[procedure] {
			c.bytes = maxFiles/3*4 + 1<<20
		}
		var err error
		if c.request, err = requestOf(procedure); err != nil {
			return nil, fmt.Errorf("%s: %w", procedure, err)
		}
		c.measure = newMeasure(c.request.Descriptor(), maxElements)
	}
	return all, nil
}

// A door is what every request passes before a service sees it. It decides by the header alone who calls, whether that one may, and whether
// the request may come from where it does. Only then it reads the body, within the bounds of the call.
type door struct {
	next     http.Handler
	calls    map[string]*call
	guard    *guard
	onlooker *onlooker
	doorLog  *doorLog
	budget   budget
	origin   *http.CrossOriginProtection
	errors   *connect.ErrorWriter
	within   time.Duration   // bodyWithin
	large    map[bool]*turns // of large requests, for changes and for all others
	probes   chan struct{}   // holds a token for each request without credentials that is served
}

var _ http.Handler = (*door)(nil)

// ServeHTTP lets a request pass or refuses it.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	writeWithin(w, pageWithin)
	if err := d.origin.Check(r); err != nil {
		d.refuse(w, r, refusedOrigin, connect.NewError(connect.CodePermissionDenied, err))
		return
	}
	ctx := context.WithValue(r.Context(), connectionKey{}, connectionOf(r))
	r = r.WithContext(ctx)
	c, ok := d.calls[r.URL.Path]
	if !ok || c.Least == auth.None {
		select {
		case d.probes <- struct{}{}:
			defer func() { <-d.probes }()
		default:
			d.refuse(w, r, refusedBusy, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%w: %d requests without credentials are under way, which is the limit", errBusy, cap(d.probes))))
			return
		}
	}
	if !ok {
		d.page(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		d.refused(r, refusedPath, connect.NewError(connect.CodeUnimplemented, fmt.Errorf("method %s: calls are made by POST", brief(r.Method))))
		return
	}
	ctx, err := d.guard.admit(ctx, c.procedure, r.Header)
	if err != nil {
		kind := refusedUnknown
		if connect.CodeOf(err) == connect.CodePermissionDenied {
			kind = refusedRole
		}
		d.refuse(w, r, kind, err)
		return
	}
	if t, ok := ctx.Value(trackedKey{}).(*trackedConn); ok {
		if c.Least != auth.None {
			t.known.Store(true)
		}
		if t.old(time.Now()) {
			w.Header().Set("Connection", "close") // over HTTP/2 it is a GOAWAY
		}
	}
	d.enter(w, r.WithContext(ctx), c)
}

// pageWithin is how long a caller may take to read an answer.
const pageWithin = 2 * time.Minute

// writeWithin bounds how long a caller may leave an answer unread.
func writeWithin(w http.ResponseWriter, within time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within))
}

// enter reads the body of a call whose caller may make it, and hands it to its service.
func (d *door) enter(w http.ResponseWriter, r *http.Request, c *call) {
	if c.Within > 0 {
		writeWithin(w, c.Within+pageWithin)
	} else {
		writeWithin(w, 2*maxAge) // a stream on which nothing is read ends then at the latest
	}
	claim := &claim{of: &d.budget}
	give := func() {}
	end := sync.OnceFunc(func() { claim.end(); give() })
	defer end()
	if c.streaming {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(c.Within))
		r.Body = http.MaxBytesReader(w, r.Body, c.bytes)
		d.next.ServeHTTP(w, r)
		return
	}
	in := &intake{call: c, claim: claim}
	var ok bool
	if in.form, ok = formOf(r.Header); !ok {
		r.Body, r.ContentLength = http.NoBody, 0
		d.hurry(w, r)
		d.next.ServeHTTP(w, r) // which says what it would take
		d.refused(r, refusedMalformed, connect.NewError(connect.CodeUnimplemented, fmt.Errorf("%w: content type %q", errMalformed, brief(r.Header.Get("Content-Type")))))
		return
	}
	body := newPaced(w, r.Body, d.within)
	in.grow = func() error {
		return body.pause(func() (err error) {
			ctx, cancel := context.WithTimeout(r.Context(), turnWithin)
			defer cancel()
			turn, err := d.large[c.Name != ""].take(ctx, caller(ctx).Who)
			if err != nil {
				return fmt.Errorf("%w: %w", errBusy, err)
			}
			give = turn
			return nil
		})
	}
	data, err := in.message(body, r.ContentLength)
	if err == nil {
		body.done()
	}
	h := &handover{end: end}
	if err == nil && c.request != nil {
		h.message, err = in.decode(data)
		data = nil
	}
	if err != nil {
		kind, e := refusalOf(err)
		d.refuse(w, r, kind, e)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), handoverKey{}, h))
	if in.form.enveloped {
		data = envelope(data)
	}
	for _, encoding := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
		r.Header.Del(encoding)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	d.next.ServeHTTP(w, r)
}

// envelope puts the prefix of an uncompressed message before it.
func envelope(data []byte) []byte {
	n := len(data) // at most maxProbe
	return append([]byte{0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, data...)
}

// page serves what is no call.
func (d *door) page(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		r.Body, r.ContentLength = http.NoBody, 0
		d.hurry(w, r)
	}
	seen := &statusWriter{ResponseWriter: w}
	d.next.ServeHTTP(seen, r)
	switch seen.code {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		d.refused(r, refusedPath, connect.NewError(connect.CodeNotFound, fmt.Errorf("%s %s: nothing is served there", brief(r.Method), brief(r.URL.Path))))
	case http.StatusUnauthorized, http.StatusForbidden:
		d.refused(r, refusedUnknown, connect.NewError(connect.CodeUnauthenticated, errors.New("a page that wants the role "+string(auth.Viewer))))
	}
}

// refuse answers a request with an error in the protocol of its caller, and leaves the rest of its body alone.
func (d *door) refuse(w http.ResponseWriter, r *http.Request, kind refusalKind, err error) {
	d.refused(r, kind, err)
	d.hurry(w, r)
	if kind == refusedBusy {
		const again = 5 * time.Second
		w.Header().Set("Retry-After", fmt.Sprint(int(again.Seconds())))
		var e *connect.Error
		if errors.As(err, &e) {
			err = withDetail(e, &errdetails.RetryInfo{RetryDelay: durationpb.New(again)})
		}
	}
	_ = d.errors.Write(w, r, err) // whoever has gone does not read it
}

// refused counts and logs a refusal.
func (d *door) refused(r *http.Request, kind refusalKind, err error) {
	d.doorLog.add(kind, r.URL.Path, r.RemoteAddr, err)
	if _, is := d.calls[r.URL.Path]; is {
		d.onlooker.calls.WithLabelValues(r.URL.Path, connect.CodeOf(err).String()).Inc()
	}
}

// hurry has HTTP/1 close the connection after the answer: otherwise the server would read the body, at its caller's pace. HTTP/2 resets the
// stream by itself.
func (d *door) hurry(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}

// connectionOf is what is known of the connection of a request.
func connectionOf(r *http.Request) connection {
	c := connection{host: brief(r.Host), direct: r.Header.Get("Forwarded") == "" && r.Header.Get("X-Forwarded-For") == ""}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.remote = at.Addr().Unmap()
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c.cert, c.chain = r.TLS.PeerCertificates[0], r.TLS.PeerCertificates
	}
	c.tracked, _ = r.Context().Value(trackedKey{}).(*trackedConn)
	return c
}

// A statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader remembers the status.
func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// largeTurns are the turns of large requests: of reads, and of changes.
func largeTurns() map[bool]*turns {
	return map[bool]*turns{
		false: {what: "large requests", most: largeAtOnce, waiting: largeWaiting, again: 30 * time.Second},
		true:  {what: "large changes", most: 1, waiting: largeWaiting, again: 30 * time.Second},
	}
}
