package page

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// minGzip is the size, in bytes, of the smallest response that is compressed. A smaller response fits into one packet anyway.
const minGzip = 1024

// gzipWriters holds idle writers, because a new writer takes about 800 kB. Level 1 takes a third of the time of the default level, and keeps
// the overview far below its size limit.
var gzipWriters = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return w
}}

// Compressed compresses the responses of next with gzip (RFC 9110 section 8.4.1.3) if the client accepts it. It is used for pages and assets,
// which are written at once. It must not be used for streams of events.
//
// A page contains the csrf value of its session, and the overview repeats the filter. In principle, the length of a compressed response could
// therefore reveal the csrf value to another site. This attack does not work here, because a request from another site has no session cookie
// (SameSite=Strict), and a request without a session gets a new csrf value each time.
func Compressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if !acceptsGzip(r.Header.Values("Accept-Encoding")) {
			next.ServeHTTP(w, r)
			return
		}
		a := &gzipAnswer{ResponseWriter: w}
		defer a.end()
		next.ServeHTTP(a, r)
	})
}

// acceptsGzip reports whether a client accepts gzip. A weight of 0 means that it does not (RFC 9110 section 12.5.3).
func acceptsGzip(accept []string) bool {
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			weight = strings.TrimSpace(weight)
			return !strings.HasPrefix(weight, "q=0") || strings.Trim(weight, "q=0.") != ""
		}
	}
	return false
}

// A Body is the body of a response that is sent several times. It is compressed once.
type Body struct{ plain, zipped []byte }

// NewBody returns a body with the given bytes, which must not be modified.
func NewBody(data []byte) *Body {
	body := &Body{plain: data}
	if len(data) >= minGzip {
		var b bytes.Buffer
		zip := gzipWriters.Get().(*gzip.Writer)
		zip.Reset(&b)
		_, _ = zip.Write(data) // writing to a buffer does not fail
		_ = zip.Close()
		zip.Reset(nil)
		gzipWriters.Put(zip)
		body.zipped = b.Bytes()
	}
	return body
}

// Send sends the body, compressed if the client accepts it, with the header that w has. It may be called below Compressed, which sets the
// header Vary.
func (b *Body) Send(w http.ResponseWriter, r *http.Request, code int) {
	data := b.plain
	if b.zipped != nil && acceptsGzip(r.Header.Values("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "gzip")
		data = b.zipped
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(code)
	_, _ = w.Write(data) // an error means that the client has disconnected
}

// A gzipAnswer compresses a response if its first write has at least minGzip bytes and is not compressed yet. A page is a single write.
type gzipAnswer struct {
	http.ResponseWriter
	code    int // the status to send; 0 if it was sent or is not known yet
	written bool
	zip     *gzip.Writer // nil if the response is not compressed
}

var _ http.ResponseWriter = (*gzipAnswer)(nil)

// WriteHeader only stores the status, because the first write determines whether the response is compressed.
func (a *gzipAnswer) WriteHeader(code int) {
	if !a.written {
		a.code = code
	}
}

// Write sends the header before the first bytes.
func (a *gzipAnswer) Write(b []byte) (int, error) {
	if !a.written {
		if len(b) >= minGzip && a.Header().Get("Content-Encoding") == "" {
			a.Header().Set("Content-Encoding", "gzip")
			a.Header().Del("Content-Length")
			a.zip = gzipWriters.Get().(*gzip.Writer)
			a.zip.Reset(a.ResponseWriter)
		}
		a.sendHeader()
	}
	if a.zip != nil {
		return a.zip.Write(b)
	}
	return a.ResponseWriter.Write(b)
}

func (a *gzipAnswer) sendHeader() {
	a.written = true
	if a.code != 0 {
		a.ResponseWriter.WriteHeader(a.code)
	}
}

// end sends the rest of the compressed bytes, or the header of a response without a body.
func (a *gzipAnswer) end() {
	if !a.written {
		a.sendHeader()
	}
	if a.zip != nil {
		_ = a.zip.Close() // an error means that the client has disconnected
		a.zip.Reset(nil)
		gzipWriters.Put(a.zip)
		a.zip = nil
	}
}
