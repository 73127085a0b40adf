package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The defaults of a PrometheusConfig.
const (
	// DefaultPrometheusTimeout limits the time of a query, which sends two or three requests. Prometheus itself stops a request after 2 minutes.
	DefaultPrometheusTimeout = 30 * time.Second
	// DefaultPrometheusBytes is the size of the largest answer to a request. A value takes 20 to 35 bytes, so MaxValues values fit.
	DefaultPrometheusBytes = 80 << 20
)

// These are the metrics that a Prometheus reads. Those of rules have the labels switch, rule, leg and phase, and those of interfaces have the labels
// switch, interface and direction.
const (
	packetsMetric = "op25b_rule_packets_total"
	octetsMetric  = "op25b_rule_octets_total"
	framesMetric  = "op25b_interface_packets_total"
	bytesMetric   = "op25b_interface_octets_total"
	upMetric      = "op25b_telemetry_up"
)

// A PrometheusConfig configures a Prometheus history.
type PrometheusConfig struct {
	// URL is the address of the server, for example http://prometheus:9090. It includes the prefix of the server's paths, if any.
	URL string
	// Client sends the requests, and may add credentials; nil means http.DefaultClient.
	Client *http.Client
	// Timeout and MaxBytes replace DefaultPrometheusTimeout and DefaultPrometheusBytes if they are not 0.
	Timeout  time.Duration
	MaxBytes int64
}

// A Prometheus is a history that is kept by a Prometheus server, which scrapes all controllers.
//
// A point is the result of Prometheus' function increase for the sum over all instances. increase extrapolates to the whole step, so the
// counts are estimates. A point needs two scrapes in its step. A series ends when no controller exports the counter any more.
type Prometheus struct {
	cfg PrometheusConfig
	url *url.URL // the URL of the request
}

var _ History = (*Prometheus)(nil)

// NewPrometheus returns a history without sending a request. It returns ErrConfig for an invalid configuration.
func NewPrometheus(cfg PrometheusConfig) (*Prometheus, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		// The error of package url repeats the URL, which may contain a password.
		return nil, fmt.Errorf("%w: the URL of Prometheus cannot be parsed: want http://HOST:PORT", ErrConfig)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: the URL of Prometheus is %q: want http://HOST:PORT or https://HOST:PORT", ErrConfig, u.Redacted())
	}
	if cfg.Timeout < 0 || cfg.MaxBytes < 0 {
		return nil, fmt.Errorf("%w: Timeout is %v and MaxBytes %d: they must not be negative", ErrConfig, cfg.Timeout, cfg.MaxBytes)
	}
	cfg.Timeout, cfg.MaxBytes = cmp.Or(cfg.Timeout, DefaultPrometheusTimeout), cmp.Or(cfg.MaxBytes, DefaultPrometheusBytes)
	cfg.Client = cmp.Or(cfg.Client, http.DefaultClient)
	return &Prometheus{cfg: cfg, url: u.JoinPath("api/v1/query_range")}, nil
}

// Range implements History. If the query has no step, Range selects the finest step that has at most MaxPoints points. The bounds on series
// and points are checked while the answer is read.
func (p *Prometheus) Range(ctx context.Context, q Query) (*Result, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	sp, err := q.plan(func(int, uint32) bool { return false }, func(span) int { return 0 })
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	all := make(answer)
	for _, metric := range []string{packetsMetric, octetsMetric} {
		if err := p.ask(ctx, expression(metric, q, sp), sp, all, metric == octetsMetric); err != nil {
			return nil, err
		}
	}
	return all.result(sp), nil
}

// expression returns the PromQL query for a metric.
func expression(metric string, q Query, sp span) string {
	return fmt.Sprintf("sum by (switch, rule, leg, phase) (increase(%s{%s}[%dm]))", metric, matchers(q.Switches, "rule", q.Rules), sp.step)
}

// matchers returns the label matchers that select switches, and names in another label.
func matchers(switches []string, label string, names []string) string {
	var all []string
	for _, m := range []struct {
		label string
		names []string
	}{{"switch", switches}, {label, names}} {
		if len(m.names) > 0 {
			quoted := make([]string, len(m.names))
			for i, n := range m.names {
				quoted[i] = escapeRegexp(n)
			}
			all = append(all, m.label+"=~"+strconv.Quote(strings.Join(quoted, "|")))
		}
	}
	return strings.Join(all, ",")
}

// escapeRegexp escapes the special characters of Prometheus' regular expressions.
func escapeRegexp(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// ask sends a request and adds the response to all.
func (p *Prometheus) ask(ctx context.Context, expr string, sp span, all answer, octets bool) error {
	// The value at a time covers the step before it, so the first point is requested at its end.
	form := url.Values{
		"query": {expr},
		"start": {strconv.FormatInt(sp.start(1).Unix(), 10)},
		"end":   {strconv.FormatInt(sp.start(sp.points()).Unix(), 10)},
		"step":  {strconv.FormatInt(int64(sp.length()/time.Second), 10)},
	}
	if deadline, ok := ctx.Deadline(); ok {
		form.Set("timeout", strconv.FormatFloat(max(0.001, time.Until(deadline).Seconds()), 'f', 3, 64))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return p.failed(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := p.cfg.Client.Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return p.failed(fmt.Errorf("no answer within %v: %w", p.cfg.Timeout, context.DeadlineExceeded))
		}
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // ue repeats the URL, which may contain a password
		}
		return p.failed(err)
	}
	defer res.Body.Close()
	body := &limited{r: res.Body, left: p.cfg.MaxBytes, max: p.cfg.MaxBytes}
	if res.StatusCode != http.StatusOK {
		return p.failed(refusal(res.Status, body))
	}
	if err := all.read(body, sp, octets); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("the answer did not end within %v: %w", p.cfg.Timeout, context.DeadlineExceeded)
		}
		return p.failed(err)
	}
	return nil
}

func (p *Prometheus) failed(err error) error {
	return fmt.Errorf("%w %s: %w", ErrPrometheus, p.url.Redacted(), err)
}

// A limited reader fails after a given number of bytes.
type limited struct {
	r         io.Reader
	left, max int64
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("%w: the answer has more than %d bytes; choose a longer step, or name switches or rules", ErrBound, l.max)
	}
	n, err := l.r.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}

// An answer collects points by key and by their number in the span.
type answer map[Key]map[int]*Point

// result returns the series, ordered by key.
func (a answer) result(sp span) *Result {
	res := &Result{From: sp.start(0), To: sp.start(sp.points()), Step: sp.length()}
	for _, k := range slices.SortedFunc(maps.Keys(a), compareKeys) {
		s := Series{Key: k, Points: make([]Point, 0, len(a[k]))}
		for _, i := range slices.Sorted(maps.Keys(a[k])) {
			s.Points = append(s.Points, *a[k][i])
		}
		if len(s.Points) > 0 {
			s.Since = s.Points[0].Start
			res.Series = append(res.Series, s)
		}
	}
	return res
}

// set sets the packets or octets of a point. It ignores NaN.
func (a answer) set(k Key, i int, sp span, octets bool, v float64) {
	if math.IsNaN(v) {
		return
	}
	p := a[k][i]
	if p == nil {
		p = &Point{Start: sp.start(i), Covered: sp.length()}
		a[k][i] = p
	}
	n := uint64(math.MaxUint64)
	switch v = math.Round(v); {
	case v <= 0:
		n = 0
	case v < math.MaxUint64:
		n = uint64(v)
	}
	if octets {
		p.Octets = n
	} else {
		p.Packets = n
	}
}
