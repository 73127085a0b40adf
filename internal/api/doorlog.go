package api

import (
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// A refusalKind is why a request was refused before a service saw it. It is a label of a metric.
type refusalKind string

// The kinds of refusals.
const (
	refusedOrigin     refusalKind = "origin"     // a page of another site, in a browser
	refusedPath       refusalKind = "path"       // nothing is served there, or not by this method
	refusedUnknown    refusalKind = "unknown"    // a caller that is not known
	refusedRole       refusalKind = "role"       // a role that may not
	refusedSize       refusalKind = "size"       // more bytes than the call may have
	refusedInflation  refusalKind = "inflation"  // a compressed request that inflates too much
	refusedElements   refusalKind = "elements"   // more elements, or deeper, than the call may have
	refusedSlow       refusalKind = "slow"       // a body that did not come in time
	refusedBroken     refusalKind = "broken"     // a body that ended early
	refusedMalformed  refusalKind = "malformed"  // a body that is no request
	refusedBusy       refusalKind = "busy"       // no room for another request
	refusedConnection refusalKind = "connection" // more connections than may be open
)

// A doorLog counts and logs what is refused before a service sees it. Strangers cause it, so that the log gets a few lines at once and then one
// a minute of each kind, with the number of those between.
type doorLog struct {
	log   *zap.Logger
	calls *prometheus.CounterVec
	now   func() time.Time

	mu    sync.Mutex // guards what follows
	thins map[refusalKind]*thinner
}

func newDoorLog(log *zap.Logger, r prometheus.Registerer, now func() time.Time) *doorLog {
	x := &doorLog{
		log: log, now: now, thins: make(map[refusalKind]*thinner),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_api_refused_total", Help: "Requests and connections that were refused before a service saw them, by why.",
		}, []string{"procedure", "why"}),
	}
	r.MustRegister(x.calls)
	return x
}

// add counts and logs a refusal. path is what was asked for; it is a label only if it is a call.
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
	x.log.Warn("api: refused", append(fields, zap.Int("missed", missed))...)
}

func (x *doorLog) thin(kind refusalKind) *thinner {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.thins[kind] == nil {
		x.thins[kind] = newThinner(x.now)
	}
	return x.thins[kind]
}

// brief cuts a text that a caller has a say in.
func brief(text string) string {
	const most = 512
	if len(text) <= most {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// A thinner lets a few through at once and then one a minute, and counts the others.
type thinner struct {
	now func() time.Time

	mu sync.Mutex // guards what follows
	b  bucket
}

// linesAtOnce is how many lines of one kind are logged at once.
const linesAtOnce = 10

func newThinner(now func() time.Time) *thinner {
	return &thinner{now: now, b: bucket{left: linesAtOnce, at: now()}}
}

// tell reports whether this one passes, and how many did not since the last that did.
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
