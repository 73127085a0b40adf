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
	"google.golang.org/protobuf/reflect/protoreflect"

	"op25b/internal/auth"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// Limits on requests.
const (
	// maxFilesMessage is the limit on the size of a request with files, in bytes. Deps.MaxFiles may lower this limit.
	maxFilesMessage = MaxFiles/3*4 + 1<<20
	// maxMessage is the limit on the size of every other request, in bytes. A list of 1,000 switches with names of 63 bytes has 64 KiB.
	maxMessage = 256 << 10
	// maxProbe is the limit on the size of a health check, in bytes. The health check is the only call without credentials.
	maxProbe = 4 << 10
	// maxElements is the limit on the number of elements in a request. It allows lists of names, files, and a saved plan for 1,000
	// switches.
	maxElements = 64 << 10
	// maxReflection is the limit on the total size of a reflection stream, in bytes, and maxQuestion is the limit on each request of the
	// stream.
	maxReflection, maxQuestion = 1 << 20, 16 << 10
	// maxHeld is the limit on the memory of all requests together, in bytes. A large request uses at most 86 MiB as JSON, and another 86
	// MiB while its files are decoded. At most largeAtOnce large requests and one large change are in progress at the same time. 60 MiB
	// remain for small and waiting requests.
	maxHeld = (largeAtOnce+1)*2*(maxFilesMessage+1<<20) + 60<<20
	// largeAtOnce is the number of requests above 1 MiB that may be in progress at the same time. Up to largeWaiting more requests wait,
	// each for at most turnWithin. Large changes have a separate queue.
	largeAtOnce, largeWaiting = 2, 16
	turnWithin                = 2 * time.Minute
)

// A call describes a procedure of the API and the limits on its requests.
type call struct {
	Verb
	procedure string
	bytes     int64                    // the limit on the size of the request; 0 for a stream without end
	request   protoreflect.MessageType // the type of the request; nil if connect reads the messages
	measure   *measure
	streaming bool // the caller sends a stream
}

// callsOf returns all calls by procedure path. The limit on a request with files is maxFiles, plus a third for base64, plus 1 MiB for
// names.
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
		case op25bv1connect.SubscriberServiceReportProcedure: // maxReport and reportCodec limit each message
			c.streaming, c.bytes = true, 0
			continue
		case healthCheck: // grpchealth has its own message types
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

// A door handles every request before it reaches a service. The door first uses only the header, to check the origin and to authenticate
// and authorise the caller. It then reads the body within the limits of the call.
type door struct {
	next     http.Handler
	calls    map[string]*call
	guard    *guard
	onlooker *onlooker
	doorLog  *doorLog
	budget   budget
	origin   *http.CrossOriginProtection
	errors   *connect.ErrorWriter
	within   time.Duration   // the time limit for the first bytes of a body; bodyWithin except in tests
	idle     time.Duration   // the time limit for the next message of a stream; reportIdle except in tests
	large    map[bool]*turns // the queues of large requests: true for changes, false for all other requests
	probes   chan struct{}   // contains a token for each request without credentials in progress
}

var _ http.Handler = (*door)(nil)

// ServeHTTP serves a request or refuses it.
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
			d.refuse(w, r, refusedBusy, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%w: %d requests without credentials are in progress, which is the limit", errBusy, cap(d.probes))))
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
		d.refused(r, refusedPath, connect.NewError(connect.CodeUnimplemented, fmt.Errorf("method %s: calls use POST", brief(r.Method))))
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
			w.Header().Set("Connection", "close") // over HTTP/2, net/http sends a GOAWAY
		}
	}
	d.enter(w, r.WithContext(ctx), c)
}

// pageWithin is the limit on the time that a caller may take to read an answer.
const pageWithin = 2 * time.Minute

// writeWithin limits the time in which the answer must be written.
func writeWithin(w http.ResponseWriter, within time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within))
}

// enter reads the body of an admitted call and passes it to its service.
func (d *door) enter(w http.ResponseWriter, r *http.Request, c *call) {
	if c.Within > 0 {
		writeWithin(w, c.Within+pageWithin)
	} else {
		writeWithin(w, 2*maxAge) // ends a stream whose caller does not read
	}
	claim := &claim{of: &d.budget}
	give := func() {}
	end := sync.OnceFunc(func() { claim.end(); give() })
	defer end()
	if c.streaming && c.bytes == 0 {
		if err := claim.take(reportHeld); err != nil {
			kind, e := refusalOf(err)
			d.refuse(w, r, kind, e)
			return
		}
		body := newIdled(w, r.Body, d.idle)
		defer body.end()
		r = r.WithContext(context.WithValue(r.Context(), idledKey{}, body))
		r.Body = body
		d.next.ServeHTTP(w, r)
		return
	}
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
		d.next.ServeHTTP(w, r) // the answer of connect lists the accepted content types
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

// envelope prepends the five-byte prefix of an uncompressed message.
func envelope(data []byte) []byte {
	n := len(data) // n is at most maxProbe
	return append([]byte{0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, data...)
}

// page serves a request for a plain HTTP endpoint.
func (d *door) page(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		r.Body, r.ContentLength = http.NoBody, 0
		d.hurry(w, r)
	}
	seen := &statusWriter{ResponseWriter: w}
	d.next.ServeHTTP(seen, r)
	switch seen.code {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		d.refused(r, refusedPath, connect.NewError(connect.CodeNotFound, fmt.Errorf("%s %s: no such page", brief(r.Method), brief(r.URL.Path))))
	case http.StatusUnauthorized, http.StatusForbidden:
		d.refused(r, refusedUnknown, connect.NewError(connect.CodeUnauthenticated, errors.New("the page requires the role "+string(auth.Viewer))))
	}
}

// refuse answers a request with an error in the caller's protocol, without reading the rest of the body.
func (d *door) refuse(w http.ResponseWriter, r *http.Request, kind refusalKind, err error) {
	d.refused(r, kind, err)
	d.hurry(w, r)
	if kind == refusedBusy {
		const again = 5 * time.Second
		w.Header().Set("Retry-After", fmt.Sprint(int(again.Seconds())))
		var e *connect.Error
		if errors.As(err, &e) {
			err = retryAfter(e, again)
		}
	}
	_ = d.errors.Write(w, r, err) // the write fails if the caller has disconnected
}

// refused logs and counts a refused request.
func (d *door) refused(r *http.Request, kind refusalKind, err error) {
	d.doorLog.add(kind, r.URL.Path, r.RemoteAddr, err)
	if _, is := d.calls[r.URL.Path]; is {
		d.onlooker.calls.WithLabelValues(r.URL.Path, connect.CodeOf(err).String()).Inc()
	}
}

// hurry closes an HTTP/1 connection after the answer, because net/http would otherwise read the rest of the body as slowly as the caller
// sends it. hurry does nothing for HTTP/2, because net/http resets the stream instead.
func (d *door) hurry(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}

// connectionOf returns a description of the request's connection.
func connectionOf(r *http.Request) connection {
	c := connection{host: brief(r.Host), direct: r.Header.Get("Forwarded") == "" && r.Header.Get("X-Forwarded-For") == ""}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.remote = at.Addr().Unmap()
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c.cert, c.chain = r.TLS.PeerCertificates[0], r.TLS.PeerCertificates
	}
	c.tracked, _ = r.Context().Value(trackedKey{}).(*trackedConn)
	if own, ok := r.Context().Value(ownKey{}).(auth.Caller); ok {
		c.own = &own
	}
	if person, ok := r.Context().Value(personKey{}).(auth.Person); ok {
		c.person = &person
	}
	return c
}

// A statusWriter is an http.ResponseWriter that records the status of the answer.
type statusWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader records the status.
func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap returns the underlying writer, as http.ResponseController requires.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// largeTurns returns the queues of large requests: true for changes, false for all other requests.
func largeTurns() map[bool]*turns {
	return map[bool]*turns{
		false: {what: "large requests", most: largeAtOnce, waiting: largeWaiting, again: 30 * time.Second},
		true:  {what: "large changes", most: 1, waiting: largeWaiting, again: 30 * time.Second},
	}
}
