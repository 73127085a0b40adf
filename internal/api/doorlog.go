package api

import (
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// A refusalKind is the reason for which the door refused a request. It is also the value of a metric label.
type refusalKind string

// Kinds of refusals.
const (
	refusedOrigin     refusalKind = "origin"     // a browser sent the request for a page of another site
	refusedPath       refusalKind = "path"       // the path or the method is unknown
	refusedUnknown    refusalKind = "unknown"    // the caller is not authenticated
	refusedRole       refusalKind = "role"       // the caller's role is not sufficient
	refusedSize       refusalKind = "size"       // the request has too many bytes
	refusedInflation  refusalKind = "inflation"  // the compression ratio is too high
	refusedElements   refusalKind = "elements"   // the request has too many elements or is nested too deeply
	refusedSlow       refusalKind = "slow"       // the body was not received in time
	refusedBroken     refusalKind = "broken"     // the body ended early
	refusedMalformed  refusalKind = "malformed"  // the body is not a valid request
	refusedBusy       refusalKind = "busy"       // too many requests are in progress
	refusedConnection refusalKind = "connection" // too many connections are open
)

// A doorLog counts and logs the refusals of the door. Because strangers can cause any number of refusals, the log lines are limited: for
// each kind, a burst of linesAtOnce lines and then one line a minute, which contains the number of omitted lines.
type doorLog struct {
	log   *zap.Logger
	calls *prometheus.CounterVec
	now   func() time.Time

	mu    sync.Mutex // guards the fields below
	thins map[refusalKind]*thinner
}

func newDoorLog(log *zap.Logger, r prometheus.Registerer, now func() time.Time) *doorLog {
	x := &doorLog{
		log: log, now: now, thins: make(map[refusalKind]*thinner),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_api_refused_total", Help: "Requests and connections refused before they reached a service, by reason.",
		}, []string{"procedure", "why"}),
	}
	r.MustRegister(x.calls)
	return x
}

// add counts and logs a refusal. The requested path becomes a metric label only if it is the path of a known call.
func (x *doorLog) add(kind refusalKind, path, remote string, err error) {
	procedure := path
	verb, known := verbOf(path)
	if !known {
		procedure = "other"
	}
	x.calls.WithLabelValues(procedure, string(kind)).Inc()
	missed, tell := x.thin(kind).tell()
	if !tell {
		return
	}
	fields := []zap.Field{
		zap.String("call", brief(path)), zap.String("why", string(kind)), zap.String("peer", remote), zap.Stringer("code", connect.CodeOf(err)),
	}
	if !verb.Private {
		fields = append(fields, zap.String("error", brief(message(err))))
	}
	x.log.Warn("request refused", append(fields, zap.Int("missed", missed))...)
}

func (x *doorLog) thin(kind refusalKind) *thinner {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.thins[kind] == nil {
		x.thins[kind] = newThinner(x.now)
	}
	return x.thins[kind]
}

// brief shortens a text that a caller sent.
func brief(text string) string {
	const most = 512
	if len(text) <= most {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// A thinner passes a burst of linesAtOnce lines and then one line a minute. It counts the lines that it omits.
type thinner struct {
	now func() time.Time

	mu sync.Mutex // guards the fields below
	b  bucket
}

// linesAtOnce is the number of lines in a burst.
const linesAtOnce = 10

func newThinner(now func() time.Time) *thinner {
	return &thinner{now: now, b: bucket{left: linesAtOnce, at: now()}}
}

// tell reports whether the current line passes. If it does, missed is the number of lines omitted since the last line that passed.
func (t *thinner) tell() (missed int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.fill(t.now(), linesAtOnce, 1)
	if t.b.left < 1 {
		t.b.missed++
		return 0, false
	}
	t.b.left--
	missed, t.b.missed = t.b.missed, 0
	return missed, true
}
