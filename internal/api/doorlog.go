package api

import (
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// A refusalKind is the reason why the door refused a request. It is also the value of a metric label.
type refusalKind string

// Kinds of refusals.
const (
	refusedOrigin     refusalKind = "origin"     // sent by a browser for a page of another site
	refusedPath       refusalKind = "path"       // unknown path or method
	refusedUnknown    refusalKind = "unknown"    // caller not authenticated
	refusedRole       refusalKind = "role"       // role not sufficient
	refusedSize       refusalKind = "size"       // too many bytes
	refusedInflation  refusalKind = "inflation"  // compression ratio too high
	refusedElements   refusalKind = "elements"   // too many elements, or nested too deep
	refusedSlow       refusalKind = "slow"       // body not received in time
	refusedBroken     refusalKind = "broken"     // body ended early
	refusedMalformed  refusalKind = "malformed"  // body not a request
	refusedBusy       refusalKind = "busy"       // too many requests in progress
	refusedConnection refusalKind = "connection" // too many connections
)

// A doorLog counts and logs the refusals of the door. Strangers can cause any number of refusals. For each kind, the log therefore has at
// most linesAtOnce lines at once, and then one line a minute with the number of omitted lines.
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

// add counts and logs a refusal. path is the requested path. It is a metric label only if it belongs to a known call.
func (x *doorLog) add(kind refusalKind, path, remote string, err error) {
	procedure := path
	verb, known := verbs[path]
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

// brief shortens a text that comes from a caller.
func brief(text string) string {
	const most = 512
	if len(text) <= most {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// A thinner passes up to linesAtOnce lines at once, and then one line a minute. It counts the omitted lines.
type thinner struct {
	now func() time.Time

	mu sync.Mutex // guards the fields below
	b  bucket
}

// linesAtOnce is the number of lines of one kind that are logged at once.
const linesAtOnce = 10

func newThinner(now func() time.Time) *thinner {
	return &thinner{now: now, b: bucket{left: linesAtOnce, at: now()}}
}

// tell reports whether this line passes, and how many lines were omitted since the last line that passed.
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
