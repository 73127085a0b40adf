package web_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/web"
	op25bv1 "op25b/proto/op25b/v1"
)

const (
	manySwitches = 1000
	manyPages    = 500
)

// bigFleet returns the statuses of 1,000 switches, 60 of which need attention.
func bigFleet(begun time.Time) []*op25bv1.SwitchStatus {
	var all []*op25bv1.SwitchStatus
	for i := range manySwitches {
		s := &op25bv1.SwitchStatus{
			Switch: fmt.Sprintf("edge-%s-%03d", []string{"tokyo", "osaka", "nagoya", "fukuoka"}[i%4], i), Address: fmt.Sprintf("10.0.%d.%d:9559", i/250, i%250),
			State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED, Reason: op25bv1.SwitchReason_SWITCH_REASON_AS_WANTED, Converged: true,
			Owner: "noc-1", Epoch: 7, Revision: 12, Wanted: 12, InForce: "mobile-carriers", Entries: 1031, Running: 3, Lines: 8000, LinesConfirmed: 8000,
			Since: timestamppb.New(begun), Seen: timestamppb.New(begun), Audited: timestamppb.New(begun),
			Tables: []*op25bv1.TableFill{{Table: "subscriber_v4", Entries: 900, Size: 65536}, {Table: "remote_v4", Entries: 131, Size: 8192}},
		}
		if i%17 == 0 {
			s.State, s.Reason, s.Converged = op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE, false
			s.LinesConfirmed = 0
			s.Detail = "dial tcp " + s.Address + ": connect: connection refused"
		}
		all = append(all, s)
	}
	return all
}

// bigSite returns the page for 1,000 switches.
func bigSite(b *testing.B) (*web.Site, *fakeAPI) {
	b.Helper()
	f := &fakeAPI{
		list:    &op25bv1.ListSwitchesResponse{Revision: 12, Switches: bigFleet(time.Now())},
		phases:  &op25bv1.ListPhasesResponse{Revision: 12, Policy: "spinnet-2006", UtcOffset: "+09:00"},
		changes: make(chan *op25bv1.SwitchStatus),
	}
	for i := range 3 {
		f.phases.Phases = append(f.phases.Phases, &op25bv1.Phase{Name: fmt.Sprintf("phase-%d", i), Begins: timestamppb.New(time.Now().AddDate(0, i, 1))})
	}
	return siteOf(b, f), f
}

// request requests the overview from a handler, and returns the size of the response.
func request(b *testing.B, h http.Handler, accept string) int {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Host, r.RequestURI = "localhost", "/"
	r.Header.Set("Accept-Encoding", accept)
	w := &counted{header: make(http.Header)}
	h.ServeHTTP(w, r)
	if w.code != 0 && w.code != http.StatusOK {
		b.Fatalf("status %d", w.code)
	}
	return w.size
}

// counted is a ResponseWriter that counts bytes, and keeps them if keep is set.
type counted struct {
	header     http.Header
	code, size int
	keep       *bytes.Buffer
}

func (w *counted) Header() http.Header  { return w.header }
func (w *counted) WriteHeader(code int) { w.code = code }
func (w *counted) Write(p []byte) (int, error) {
	w.size += len(p)
	if w.keep != nil {
		w.keep.Write(p)
	}
	return len(p), nil
}

// BenchmarkOverview measures the overview of 1,000 switches, with gzip as browsers request it, and without. The lower bound writes the bytes of
// the same page, which is already rendered, with the same encoding.
func BenchmarkOverview(b *testing.B) {
	site, f := bigSite(b)
	run(b, site)
	f.awaitWatch(b)
	var page *counted
	for page == nil || bytes.Contains(page.keep.Bytes(), []byte(`.0" data-connected`)) { // open pages have nothing yet
		page = &counted{header: make(http.Header), keep: new(bytes.Buffer)}
		r, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
		r.Host, r.RequestURI = "localhost", "/"
		site.ServeHTTP(page, r)
	}
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding+"/page", func(b *testing.B) {
			size := 0
			for b.Loop() {
				size = request(b, site, encoding)
			}
			b.ReportMetric(float64(size), "bytes")
		})
		b.Run(encoding+"/floor", func(b *testing.B) {
			zip, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				w := &counted{header: make(http.Header)}
				if encoding == "identity" {
					_, err = w.Write(bytes.Clone(page.keep.Bytes()))
				} else {
					zip.Reset(w)
					if _, err = zip.Write(page.keep.Bytes()); err == nil {
						err = zip.Close()
					}
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOverviewCall measures the API call of the overview, which takes most of its time. The call encodes and decodes 1,000 statuses.
func BenchmarkOverviewCall(b *testing.B) {
	list := &op25bv1.ListSwitchesResponse{Revision: 12, Switches: bigFleet(time.Now())}
	for b.Loop() {
		data, err := proto.Marshal(list)
		if err == nil {
			err = proto.Unmarshal(data, new(op25bv1.ListSwitchesResponse))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// run runs a site until the benchmark ends.
func run(b *testing.B, site *web.Site) {
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); site.Run(ctx) }()
	b.Cleanup(func() { stop(); <-ended })
}

// readersEnv is the environment variable with the address of a site, for a process that opens many pages of the site.
const readersEnv = "OP25B_WEB_READERS"

// firstEnv is the environment variable with the path of the first of these pages.
const firstEnv = "OP25B_WEB_FIRST"

// window is the time for which open pages are measured.
const window = 20 * time.Second

// BenchmarkOpenPages measures the site with 500 open overviews while one switch of 1,000 changes every second. The pages are opened by a
// separate process, so that the CPU time and the memory are those of the site, including the fake API.
func BenchmarkOpenPages(b *testing.B) {
	for b.Loop() {
		site, f := bigSite(b)
		openPages(b, site, f, "/")
	}
}

// BenchmarkOpenRollout is BenchmarkOpenPages while a rollout of the 1,000 switches runs, and something else is seen of it every second. One of the 500
// pages is that of the rollout.
func BenchmarkOpenRollout(b *testing.B) {
	for b.Loop() {
		_, f := bigSite(b)
		f.rollouts = bigRollout(f.list.Switches)
		openPages(b, siteOf(b, f), f, "/rollout")
	}
}

// bigRollout is a rollout in 20 rings, whose last ring soaks.
func bigRollout(switches []*op25bv1.SwitchStatus) *fakeRollouts {
	f := rolling().rollouts
	f.changes = make(chan *op25bv1.WatchRolloutResponse)
	r, seen := f.now.Rollout, f.now.Seen
	gates := seen.Gates[:9]
	r.Rings, seen.Rings, seen.Gates, r.Ring, r.Wanted = nil, nil, nil, 19, 20
	for i := range 20 {
		ring := &op25bv1.Ring{Name: fmt.Sprint("ring-", i), Soak: durationpb.New(time.Hour)}
		for _, s := range switches[i*len(switches)/20 : (i+1)*len(switches)/20] {
			ring.Switches = append(ring.Switches, s.Switch)
		}
		r.Rings = append(r.Rings, ring)
		seen.Rings = append(seen.Rings, &op25bv1.RingSeen{Confirmed: 50, Lines: 400_000, Forecast: 100, ForecastKnown: true, Counted: seen.Time})
		for _, g := range gates {
			seen.Gates = append(seen.Gates, &op25bv1.Finding{Gate: g.Gate, Ring: ring.Name, Verdict: g.Verdict})
		}
	}
	return f
}

// openPages opens 500 pages of a site, of which one has the path first, and the others are the overview.
func openPages(b *testing.B, site *web.Site, f *fakeAPI, first string) {
	run(b, site)
	f.awaitWatch(b)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: site, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { _ = server.Close(); <-served }()

	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), readersEnv+"=http://"+listener.Addr().String(), firstEnv+"="+first)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		b.Fatal("the pages were not opened")
	}
	if path := os.Getenv("OP25B_WEB_PROFILE"); path != "" {
		file, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			b.Fatal(err)
		}
	}
	cpu, began, changes := cpuTime(b), time.Now(), 0
	for tick := time.NewTicker(time.Second); time.Since(began) < window; changes++ {
		<-tick.C
		f.change(changes*7%manySwitches, fmt.Sprintf("changed at %d", time.Now().UnixNano()))
		if f.rollouts != nil {
			seen := proto.CloneOf(f.rollouts.now.Seen)
			seen.Time, seen.Rings[19].Affected = timestamppb.Now(), uint64(changes)
			f.rollouts.changes <- &op25bv1.WatchRolloutResponse{Rollout: f.rollouts.now.Rollout, Seen: seen}
		}
	}
	took := time.Since(began)
	cores := (cpuTime(b) - cpu).Seconds() / took.Seconds()
	pprof.StopCPUProfile()
	peak := residentMB(b)
	_ = in.Close()
	var s readerStats
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &s) != nil {
		b.Fatal("no figures of the pages")
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(cores, "cores")
	b.ReportMetric(peak, "MB-peak")
	b.ReportMetric(s.P50*1000, "ms-p50")
	b.ReportMetric(s.P99*1000, "ms-p99")
	b.ReportMetric(s.Max*1000, "ms-max")
	b.ReportMetric(float64(s.Got)/float64(changes*manyPages), "changes-seen")
	b.ReportMetric(float64(s.Bytes)/took.Seconds()/1e6, "MB-sent/s")
}

// readerStats contains the times from a change to its arrival at the pages, in seconds.
type readerStats struct {
	Got           int
	Bytes         int
	P50, P99, Max float64
}

// readers runs the process that opens the pages.
func readers(base string) {
	stream := func(path string) string {
		res, err := http.Get(base + path)
		if err != nil {
			panic(err)
		}
		defer res.Body.Close()
		page, err := io.ReadAll(res.Body)
		if err != nil {
			panic(err)
		}
		return base + html.UnescapeString(string(regexp.MustCompile(`data-events="([^"]+)"`).FindSubmatch(page)[1]))
	}
	first, others := stream(os.Getenv(firstEnv)), stream("/")
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var late []time.Duration
	size := 0
	var ready, ended sync.WaitGroup
	ready.Add(manyPages)
	for i := range manyPages {
		ended.Go(func() {
			address := others
			if i == 0 {
				address = first
			}
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				panic(err)
			}
			defer res.Body.Close()
			begun := sync.OnceFunc(ready.Done)
			in := bufio.NewReader(res.Body)
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				now := time.Now()
				mu.Lock()
				size += len(line)
				if strings.Contains(line, `"id":"cell-`) {
					if _, rest, found := strings.Cut(line, "changed at "); found {
						at, _ := strconv.ParseInt(rest[:19], 10, 64)
						late = append(late, now.Sub(time.Unix(0, at)))
					}
				}
				mu.Unlock()
				if strings.HasPrefix(line, "event: beat") {
					begun()
				}
			}
		})
	}
	ready.Wait()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	time.Sleep(time.Second) // wait for the last change, which is still on its way
	cancel()
	ended.Wait()
	slices.Sort(late)
	s := readerStats{Got: len(late), Bytes: size}
	if n := len(late); n > 0 {
		s.P50, s.P99, s.Max = late[n/2].Seconds(), late[n*99/100].Seconds(), late[n-1].Seconds()
	}
	_ = json.NewEncoder(os.Stdout).Encode(s)
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMB returns the largest resident memory of this process in MB.
func residentMB(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kB, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kB) * 1024 / 1e6
}
