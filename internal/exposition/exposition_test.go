package exposition

import (
	"compress/gzip"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// frames writes a family with labels that must be escaped. It needs more than one write.
func frames(w io.Writer) error {
	p := NewPage(w)
	p.Begin(&Family{Name: "frames_total", Help: "Frames\nand \\.", Labels: []string{"switch", "interface"}})
	for _, name := range []string{"edge-1", "a\"b\\c\nd\xff"} {
		p.Group(name)
		p.Uint(math.MaxUint64, "access-1")
		p.Uint(0, "")
		if err := p.Flush(); err != nil {
			return err
		}
	}
	p.Begin(&Family{Name: "up", Help: "Up.", Gauge: true, Labels: []string{"switch"}})
	p.Group("edge-1")
	p.Float(0.25)
	return p.End()
}

const framesText = `# HELP frames_total Frames\nand \\.
# TYPE frames_total counter
frames_total{switch="edge-1",interface="access-1"} 18446744073709551615
frames_total{switch="edge-1",interface=""} 0
frames_total{switch="a\"b\\c\nd` + "\ufffd" + `",interface="access-1"} 18446744073709551615
frames_total{switch="a\"b\\c\nd` + "\ufffd" + `",interface=""} 0
# HELP up Up.
# TYPE up gauge
up{switch="edge-1"} 0.25
`

func serve(t *testing.T, g prometheus.Gatherer, more ...Writer) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(Handler(g, more...))
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, url, encoding string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", encoding)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body := io.Reader(res.Body)
	if res.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	page, err := io.ReadAll(body)
	return res, string(page), err
}

// TestPage verifies that the page has the registry's metrics before the Writers' metrics, with and without compression, and
// that Prometheus' parser accepts it.
func TestPage(t *testing.T) {
	registry := prometheus.NewRegistry()
	own := prometheus.NewGauge(prometheus.GaugeOpts{Name: "own", Help: "Own."})
	own.Set(3)
	registry.MustRegister(own)
	s := serve(t, registry, frames)
	want := "# HELP own Own.\n# TYPE own gauge\nown 3\n" + framesText
	for encoding, zipped := range map[string]bool{
		"": false, "gzip": true, "br;q=1, gzip;q=0.5": true, "gzip;q=0": false, "gzip;q=0.0, br": false, "xgzip": false,
	} {
		res, page, err := get(t, s.URL, encoding)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, page); d != "" {
			t.Errorf("Accept-Encoding %q: want - got +:\n%s", encoding, d)
		}
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != zipped {
			t.Errorf("Accept-Encoding %q: compressed: %v, want %v", encoding, got, zipped)
		}
		if got := res.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
			t.Errorf("Content-Type %q", got)
		}
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(want))
	if err != nil || len(families) != 3 || len(families["frames_total"].Metric) != 4 {
		t.Errorf("the parser finds %v, %v", families, err)
	}
	if got := families["frames_total"].Metric[2].Label[0].GetValue(); got != "a\"b\\c\nd\ufffd" {
		t.Errorf("the parser reads the label %q", got)
	}
}

// TestBrokenPage verifies that a page that cannot be written completely is an error for the client.
func TestBrokenPage(t *testing.T) {
	broken := errors.New("broken")
	late := func(w io.Writer) error {
		_, err := w.Write(make([]byte, 1<<20)) // more than all buffers on the way, so that the response has begun
		return errors.Join(err, broken)
	}
	for _, encoding := range []string{"", "gzip"} {
		s := serve(t, prometheus.NewRegistry(), late)
		if _, page, err := get(t, s.URL, encoding); err == nil {
			t.Errorf("Accept-Encoding %q: a broken page of %d bytes came without an error", encoding, len(page))
		}
	}
	failing := prometheus.NewRegistry()
	failing.MustRegister(failed{})
	res, page, err := get(t, serve(t, failing, frames).URL, "")
	if err != nil || res.StatusCode != http.StatusInternalServerError || !strings.Contains(page, "the metrics cannot be collected: ") {
		t.Errorf("%v, %v: %s", res.Status, err, page)
	}
}

// failed is a collector that always fails.
type failed struct{}

func (failed) Describe(out chan<- *prometheus.Desc) {
	out <- prometheus.NewDesc("failed", "Failed.", nil, nil)
}

func (failed) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.NewInvalidMetric(prometheus.NewDesc("failed", "Failed.", nil, nil), errors.New("failed"))
}

// TestTooManyAtOnce verifies that at most maxAtOnce pages are written at the same time.
func TestTooManyAtOnce(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, prometheus.NewRegistry(), func(io.Writer) error {
		entered <- struct{}{}
		<-leave
		return nil
	})
	done := make(chan error, maxAtOnce)
	for range maxAtOnce {
		go func() {
			res, _, err := get(t, s.URL, "")
			if err == nil && res.StatusCode != http.StatusOK {
				err = errors.New(res.Status)
			}
			done <- err
		}()
		<-entered
	}
	res, page, err := get(t, s.URL, "")
	if err != nil || res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(page, "ask again later") {
		t.Errorf("%v, %v: %s", res, err, page)
	}
	close(leave)
	for range maxAtOnce {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	go func() { <-entered }()
	if res, _, err := get(t, s.URL, ""); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %v, %v", res, err)
	}
}

// TestSamplesAllocateNothing verifies that writing a sample causes no allocation.
func TestSamplesAllocateNothing(t *testing.T) {
	p := NewPage(io.Discard)
	f := &Family{Name: "frames_total", Labels: []string{"switch", "interface", "direction"}}
	p.Begin(f)
	p.Group("edge-1")
	p.Uint(1, "access-1", "in")
	if n := testing.AllocsPerRun(10, func() {
		p.Group("edge-1")
		for i := range uint64(1000) {
			p.Uint(i, "access-1", "in")
		}
		if p.Flush() != nil {
			t.Error(p.err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for 1,000 samples", n)
	}
}
