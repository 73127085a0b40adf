package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// These are the intervals of the benchmark. They equal op25b's defaults and the usual configuration of Prometheus.
const (
	collectInterval = 10 * time.Second
	scrapeInterval  = 15 * time.Second
)

// BenchmarkCollect measures the collector with its /metrics. The switches are sampled every 10 s, and the page is scraped every 15 s. The
// floor, a process that receives the same messages and ignores them, is the lower bound. With 100 switches, gnmic is measured for comparison.
// OP25B_LONG=1 adds a run with 1,000 switches.
//
// The kernel counts the CPU time and memory of the process. Wall time is not measured, because other programs share the cores.
// OP25B_COLLECT_PROFILE is a directory for CPU and heap profiles of the collector and the floor.
func BenchmarkCollect(b *testing.B) {
	b.Run("100x64x16", func(b *testing.B) { benchmarkCollect(b, 100, true) })
	b.Run("1000x64x16", func(b *testing.B) {
		if os.Getenv("OP25B_LONG") == "" {
			b.Skip("set OP25B_LONG=1 for 1,000 switches, which take four minutes and both cores")
		}
		benchmarkCollect(b, 1000, false)
	})
}

func benchmarkCollect(b *testing.B, switches int, withPeer bool) {
	const interfaces, rules = 64, 16
	for range b.N {
		load := startCollectChild(b, loadChild, &collectConfig{Targets: switches, Interfaces: interfaces, Rules: rules})
		window := 4 * scrapeInterval // a multiple of both intervals

		ours := startCollectChild(b, collectorChild, &collectConfig{Addrs: load.ready.Targets, Rules: rules, Interval: collectInterval})
		ours.waitUp(b, switches)
		us := ours.measure(b, load, "collector", window, "/metrics")
		var late lateReport
		readJSON(b, "http://"+ours.ready.HTTP+"/late", &late)
		list := fetch(b, "http://"+load.ready.HTTP+"/list")
		ours.stop(b)

		bare := startCollectChild(b, floorChild, &collectConfig{Addrs: load.ready.Targets, Interval: collectInterval, List: list})
		time.Sleep(collectInterval + 5*time.Second) // wait until all switches have a subscription
		floor := bare.measure(b, load, "floor", window, "")
		bare.stop(b)

		if late.Values != time.Duration(switches*interfaces) {
			b.Errorf("%d interfaces have values, want %d", late.Values, switches*interfaces)
		}
		b.ReportMetric(us.cores, "core")
		b.ReportMetric(us.peak, "MB")
		b.ReportMetric(float64(late.P99.Milliseconds()), "p99-late-ms")
		b.ReportMetric(us.cores/floor.cores, "x-floor-cpu")
		b.ReportMetric(us.peak/floor.peak, "x-floor-MB")
		b.Logf("values after their time: median %v, 99th percentile %v, most %v", late.P50, late.P99, late.Max)
		if !withPeer {
			load.stop(b)
			continue
		}
		if peer, ok := startGNMIC(b, load.ready.Targets, list); ok {
			time.Sleep(2*collectInterval + 5*time.Second)
			them := peer.measure(b, load, "gnmic", window, "/metrics")
			peer.stop(b)
			b.ReportMetric(us.cores/them.cores, "x-gnmic-cpu")
			b.ReportMetric(us.peak/them.peak, "x-gnmic-MB")
		}
		load.stop(b)
	}
	b.ReportMetric(0, "ns/op")
}

// A collectProcess is a running process of the benchmark.
type collectProcess struct {
	cmd   *exec.Cmd
	ready loadReady
	pid   int
}

func startCollectChild(b *testing.B, kind string, c *collectConfig) *collectProcess {
	b.Helper()
	cmd := childCommand(b, childConfig{Kind: kind, Collect: c})
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	p := &collectProcess{cmd: cmd, pid: cmd.Process.Pid}
	b.Cleanup(func() { _ = cmd.Process.Kill() }) // in case the benchmark fails
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.ready)
	}
	if err != nil {
		b.Fatalf("%s: its first line: %v", kind, err)
	}
	return p
}

func (p *collectProcess) stop(b *testing.B) {
	b.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	_ = p.cmd.Wait() // the exit status of a stopped process has no meaning
}

// waitUp waits until all switches of a collector are up.
func (p *collectProcess) waitUp(b *testing.B, switches int) {
	b.Helper()
	for began := time.Now(); ; time.Sleep(time.Second) {
		page := fetch(b, "http://"+p.ready.HTTP+"/metrics")
		up := 0
		for line := range bytes.Lines(page) {
			if bytes.HasPrefix(line, []byte("op25b_telemetry_up{")) && bytes.HasSuffix(line, []byte(" 1\n")) {
				up++
			}
		}
		if up == switches {
			b.Logf("all %d switches are synced after %v", switches, time.Since(began).Round(time.Second))
			return
		}
		if time.Since(began) > 2*time.Minute {
			b.Fatalf("%d of %d switches are synced after two minutes", up, switches)
		}
	}
}

// A usage contains the resources that a process used in a window.
type usage struct {
	cores float64 // CPU seconds per second
	peak  float64 // the largest resident memory, in MB
}

// measure measures a process for a window, while the page at path is scraped.
func (p *collectProcess) measure(b *testing.B, load *collectProcess, name string, window time.Duration, path string) usage {
	b.Helper()
	var ignored loadStats
	readJSON(b, "http://"+load.ready.HTTP+"/stats", &ignored)
	// Reset the peak, so that the memory of the first seconds does not count.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid), []byte("5"), 0); err != nil {
		b.Logf("the peak of the memory is that since the start: %v", err)
	}
	profile := p.profile(b, name, window)
	cpu, loadCPU, began := cpuOf(b, p.pid), cpuOf(b, load.pid), time.Now()
	scrapes, size, series := 0, 0, 0
	var longest time.Duration
	for at := began; time.Since(began) < window; at = at.Add(scrapeInterval) {
		if path != "" {
			asked := time.Now()
			page := fetch(b, "http://"+p.ready.HTTP+path)
			longest = max(longest, time.Since(asked))
			scrapes, size, series = scrapes+1, len(page), seriesIn(page)
		}
		time.Sleep(time.Until(at.Add(scrapeInterval)))
	}
	took := time.Since(began).Seconds()
	u := usage{cores: (cpuOf(b, p.pid) - cpu).Seconds() / took, peak: residentMB(b, p.pid, "VmHWM")}
	profile()
	var s loadStats
	readJSON(b, "http://"+load.ready.HTTP+"/stats", &s)
	if name != "gnmic" {
		var m runtime.MemStats
		readJSON(b, "http://"+p.ready.HTTP+"/memory", &m)
		b.Logf("%s: %.0f MB of heap in use, %.0f MB of it live at most, %.0f MB of stacks, %.0f MB for the runtime's own use; %d collections",
			name, float64(m.HeapInuse)/1e6, float64(m.NextGC)/2e6, float64(m.StackInuse)/1e6,
			float64(m.GCSys+m.OtherSys+m.MSpanSys+m.MCacheSys+m.BuckHashSys)/1e6, m.NumGC)
	}
	average, _ := os.ReadFile("/proc/loadavg")
	b.Logf("%s: %.3f core, %.0f MB at most, %.0f MB at the end (%.0f MB of it not from files); %d scrapes of %d series and %.1f MB, at most %v each",
		name, u.cores, u.peak, residentMB(b, p.pid, "VmRSS"), residentMB(b, p.pid, "RssAnon"), scrapes, series, float64(size)/1e6, longest.Round(time.Millisecond))
	b.Logf("%s: the load used %.3f core, and sent %.1f MB/s; 99%% of %d samples were sent within %v, all within %v; load average %s",
		name, (cpuOf(b, load.pid)-loadCPU).Seconds()/took, float64(s.Bytes)/1e6/took, s.Samples, s.LateP99.Round(time.Millisecond),
		s.LateMx.Round(time.Millisecond), bytes.TrimSpace(average))
	return u
}

// profile starts a CPU profile. The returned function stops it, and writes the CPU profile and a heap profile.
func (p *collectProcess) profile(b *testing.B, name string, window time.Duration) (end func()) {
	b.Helper()
	dir := os.Getenv("OP25B_COLLECT_PROFILE")
	if dir == "" || name == "gnmic" {
		return func() {}
	}
	written := make(chan []byte, 1)
	url := "http://" + p.ready.HTTP + "/debug/pprof/"
	go func() { written <- fetch(b, fmt.Sprintf("%sprofile?seconds=%d", url, int(window.Seconds()))) }()
	return func() {
		for file, content := range map[string][]byte{"cpu": <-written, "heap": fetch(b, url+"heap"), "goroutine": fetch(b, url+"goroutine")} {
			if err := os.WriteFile(filepath.Join(dir, name+"."+file), content, 0o600); err != nil {
				b.Error(err)
			}
		}
	}
}

// seriesIn returns the number of series on a page of metrics.
func seriesIn(page []byte) int {
	n := 0
	for line := range bytes.Lines(page) {
		if line[0] != '#' {
			n++
		}
	}
	return n
}

// cpuOf returns the CPU time that a process has used.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	const utime, hertz = 11, 100 // utime is the index, after the name, of field 14 of proc(5). Its unit is USER_HZ, which is 100 on all machines.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	ticks := 0
	for _, f := range fields[utime : utime+2] {
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / hertz
}

// residentMB returns a field of /proc/PID/status in MB.
func residentMB(b *testing.B, pid int, field string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kB, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				b.Fatal(err)
			}
			return float64(kB) * 1024 / 1e6
		}
	}
	b.Fatalf("no %s", field)
	return 0
}

// fetch returns the page at a URL.
func fetch(tb testing.TB, url string) []byte {
	res, err := http.Get(url)
	if err != nil {
		tb.Error(err)
		return nil
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		tb.Errorf("%s: %s, %v", url, res.Status, err)
	}
	return page
}

func readJSON(b *testing.B, url string, v any) {
	b.Helper()
	if err := json.Unmarshal(fetch(b, url), v); err != nil {
		b.Fatal(err)
	}
}
