// Package exposition serves metrics to Prometheus in its text format, version 0.0.4.
//
// A prometheus.Registry collects all series in memory before it writes the first one. This suits the metrics of a process, but the
// interfaces of a thousand switches have half a million series. This package therefore writes such series while it reads them.
package exposition

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

const (
	// maxAtOnce limits the number of pages that are written at the same time. Two Prometheus servers and one person need three.
	maxAtOnce = 4
	// within is the time limit for writing a page. By default, Prometheus waits for ten seconds.
	within = time.Minute
)

// A Writer writes families of metrics in the text format. No other Writer or registry of the same page may write the same families.
type Writer func(w io.Writer) error

// Handler serves the metrics of a registry, followed by the metrics of the Writers. If an error occurs after the page has begun, Handler
// breaks the connection, so that Prometheus does not mistake a part of the page for the whole.
func Handler(g prometheus.Gatherer, more ...Writer) http.Handler {
	running := make(chan struct{}, maxAtOnce)
	zippers := sync.Pool{New: func() any {
		z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
		return z
	}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case running <- struct{}{}:
			defer func() { <-running }()
		default:
			http.Error(w, "too many requests for metrics at once: ask again later", http.StatusServiceUnavailable)
			return
		}
		families, err := g.Gather()
		if err != nil {
			http.Error(w, "the metrics cannot be collected: "+err.Error(), http.StatusInternalServerError)
			return
		}
		control := http.NewResponseController(w)
		if control.SetWriteDeadline(time.Now().Add(within)) == nil {
			defer func() { _ = control.SetWriteDeadline(time.Time{}) }() // the connection may serve other requests
		}
		format := expfmt.NewFormat(expfmt.TypeTextPlain)
		w.Header().Set("Content-Type", string(format))
		out := io.Writer(w)
		end := func() error { return nil }
		if acceptsGzip(r.Header) {
			w.Header().Set("Content-Encoding", "gzip")
			z := zippers.Get().(*gzip.Writer)
			defer zippers.Put(z)
			z.Reset(w)
			out, end = z, z.Close
		}
		text := expfmt.NewEncoder(out, format)
		for _, f := range families {
			if err == nil {
				err = text.Encode(f)
			}
		}
		for _, m := range more {
			if err == nil {
				err = m(out)
			}
		}
		if err == nil {
			err = end()
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	})
}

// acceptsGzip reports whether the client accepts gzip (RFC 9110 section 12.5.3).
func acceptsGzip(h http.Header) bool {
	for _, coding := range strings.Split(h.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.TrimSpace(name) == "gzip" {
			zero, isWeight := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			return !isWeight || strings.Trim(zero, "0.") != ""
		}
	}
	return false
}
