package history

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// prometheusBinary is the path at which the Debian package installs the server.
const prometheusBinary = "/usr/bin/prometheus"

// startPrometheus starts a real server that scrapes targets, and returns its URL.
func startPrometheus(t *testing.T, targets ...string) string {
	t.Helper()
	if _, err := os.Stat(prometheusBinary); err != nil {
		t.Skipf("%s is not installed: apt-get install prometheus", prometheusBinary)
	}
	dir := t.TempDir()
	config := "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n- job_name: op25b\n  static_configs:\n"
	for _, target := range targets {
		config += fmt.Sprintf("  - targets: [%q]\n", target)
	}
	writeFile(t, filepath.Join(dir, "prometheus.yml"), []byte(config))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(prometheusBinary, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has nothing to save
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus: %s", said.String())
		}
	})
	return "http://" + addr
}

// ready reports whether a server answers queries.
func ready(c *http.Client, server string) bool {
	res, err := c.Get(server + "/-/ready")
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil && res.StatusCode == http.StatusOK
}

// incomplete reports whether a series has points without packets or octets.
func incomplete(s Series) bool {
	return slices.ContainsFunc(s.Points, func(p Point) bool { return p.Packets == 0 || p.Octets == 0 })
}

// TestRealPrometheus lets a real Prometheus scrape two controllers. One owned edge-1 for the first ten minutes, and the other owned it
// after that. The samples have timestamps in the past, so that the test does not have to wait for minutes.
func TestRealPrometheus(t *testing.T) {
	begin := time.Now().UTC().Truncate(time.Minute).Add(-30 * time.Minute)
	strange := Key{Switch: `edge "1"\{}`, Rule: `a\b|c.*`, Leg: "UP_DST", Phase: `phase "2"`}
	plain := Key{Switch: "edge-1", Rule: "block-25"}
	escape := func(s string) string { return fmt.Sprintf("%q", s) }
	// controller returns a server that exports a sample for every 15 seconds. Its counters grow from the first to the last minute.
	controller := func(from, to int, perSample map[Key]uint64) string {
		var b bytes.Buffer
		for _, m := range []struct {
			name string
			size uint64
		}{{packetsMetric, 1}, {octetsMetric, 60}} {
			fmt.Fprintf(&b, "# TYPE %s counter\n", m.name)
			for k, each := range perSample {
				for i := 0; i <= (to-from)*4; i++ {
					at := begin.Add(time.Duration(from)*time.Minute + time.Duration(i)*15*time.Second)
					fmt.Fprintf(&b, "%s{switch=%s,rule=%s,leg=%s,phase=%s} %d %d\n", m.name, escape(k.Switch), escape(k.Rule), escape(k.Leg), escape(k.Phase), uint64(i)*each*m.size, at.UnixMilli())
				}
			}
		}
		fmt.Fprintf(&b, "# TYPE %s gauge\n", upMetric)
		for k := range perSample {
			for i := 0; i <= (to-from)*4; i++ {
				at := begin.Add(time.Duration(from)*time.Minute + time.Duration(i)*15*time.Second)
				fmt.Fprintf(&b, "%s{switch=%s} 1 %d\n", upMetric, escape(k.Switch), at.UnixMilli())
			}
		}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			_, _ = w.Write(b.Bytes())
		}))
		t.Cleanup(srv.Close)
		return srv.Listener.Addr().String()
	}
	server := startPrometheus(t,
		controller(0, 20, map[Key]uint64{strange: 3, {Switch: "edge-2", Rule: "block-25"}: 1}),
		controller(0, 10, map[Key]uint64{plain: 10}), controller(10, 20, map[Key]uint64{plain: 10}),
	)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	p, err := NewPrometheus(PrometheusConfig{URL: server, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	q := Query{From: begin.Add(2 * time.Minute), To: begin.Add(9 * time.Minute), Step: time.Minute, Switches: []string{strange.Switch, plain.Switch}}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// await repeats a query until the answer has two series, because the server scrapes the controllers one after the other, also
	// between two requests.
	await := func(q Query) *Result {
		for {
			if ready(client, server) {
				res, err := p.Range(ctx, q)
				if err != nil {
					t.Fatal(err)
				}
				if len(res.Series) == 2 && !slices.ContainsFunc(res.Series, incomplete) {
					return res
				}
			}
			select {
			case <-ctx.Done():
				t.Fatal("the server does not have all samples after 30 s")
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	await(Query{From: begin.Add(12 * time.Minute), To: begin.Add(19 * time.Minute), Step: time.Minute, Switches: q.Switches})
	got := await(q)
	want := &Result{From: q.From, To: q.To, Step: time.Minute}
	for _, k := range []Key{strange, plain} {
		each := map[Key]uint64{strange: 12, plain: 40}[k] // a minute
		s := Series{Key: k, Since: q.From}
		for m := q.From; m.Before(q.To); m = m.Add(time.Minute) {
			s.Points = append(s.Points, Point{Start: m, Packets: each, Octets: 60 * each, Covered: time.Minute})
		}
		want.Series = append(want.Series, s)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	// This query has rules with special characters, a step that spans the take-over, and a time without data.
	got, err = p.Range(ctx, Query{From: begin.Add(-10 * time.Minute), To: begin.Add(20 * time.Minute), Step: 10 * time.Minute, Rules: []string{strange.Rule, plain.Rule}, Switches: []string{strange.Switch, plain.Switch}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range got.Series {
		total := uint64(0)
		for _, p := range s.Points {
			total += p.Packets
		}
		counted := map[Key]uint64{strange: 3 * 80, plain: 10 * 80}[s.Key]
		// Steps are multiples of ten minutes, but the data do not begin at one. The counts before the first samples of a step are
		// extrapolated.
		if total < counted*9/10 || total > counted*11/10 {
			t.Errorf("%v: %d packets in %v, want about %d", s.Key, total, s.Points, counted)
		}
	}
	if len(got.Series) != 2 {
		t.Errorf("%d series, want 2", len(got.Series))
	}

	// The sum over both switches has the same counts, a rate for each step, and what was recorded. The minutes from 25 on have no samples, and
	// Prometheus repeats the last sample for 5 minutes.
	sums, err := p.Sum(ctx, SumQuery{Switches: q.Switches, From: q.From, To: begin.Add(30 * time.Minute), Step: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if len(sums.Rows) != 2 || len(sums.Covered) != 28 {
		t.Fatalf("%d rows of %d steps, want 2 of 28", len(sums.Rows), len(sums.Covered))
	}
	for _, r := range sums.Rows {
		each := map[string]uint64{strange.Rule: 12, plain.Rule: 40}[r.Key.Rule]
		for i, p := range r.Points[:7] {
			if p.At != i || p.Packets != each || p.Octets != 60*each || !p.Rated || p.PacketRate != float64(each)/60 || sums.Covered[i] != 2*time.Minute {
				t.Errorf("%v: %+v with %v recorded, want %d packets", r.Key, p, sums.Covered[i], each)
			}
		}
		if last := r.Points[len(r.Points)-1]; last.At > 24 || sums.Covered[27] != 0 {
			t.Errorf("%v: a point %+v, and %v recorded, after the last sample", r.Key, last, sums.Covered[27])
		}
	}

	// The error for a wrong prefix contains the server's message.
	old, err := NewPrometheus(PrometheusConfig{URL: server + "/other", Client: client})
	if err != nil {
		t.Fatal(err)
	}
	_, err = old.Range(ctx, q)
	if want := "prometheus " + server + `/other/api/v1/query_range: 404 Not Found: "404 page not found\n"`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
