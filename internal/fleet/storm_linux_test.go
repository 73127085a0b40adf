package fleet

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// stormEnv is an environment variable that makes this test binary a controller with short pauses between attempts. Its value is the
// endpoint of the store.
const stormEnv = "OP25B_TEST_STORM"

// stormProcess runs until SIGTERM, and then prints its metrics.
func stormProcess(endpoint string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := store.Open(ctx, store.Config{Endpoints: []string{endpoint}})
	if err != nil {
		panic(err)
	}
	now := clockAt(allDestinations).now
	metrics := prometheus.NewRegistry()
	if err := Run(ctx, Config{
		Name: "noc-1", Store: s, Book: intent.NewBook(s, now), Now: now, AuditEvery: 100 * time.Millisecond, Metrics: NewMetrics(metrics),
	}); err != nil {
		panic(err)
	}
	families, err := metrics.Gather()
	if err != nil {
		panic(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			fmt.Printf("%s %v %v\n", f.GetName(), m.GetLabel(), m.GetCounter().GetValue())
		}
	}
}

// Six switches get more exemptions than their table has room for. The controller compiles the exemptions once for each switch and
// then repeats its attempts with growing pauses, which only a change of the content ends. It keeps its lease and uses less than 600
// MB. // I12
func TestI12RetryStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 exemptions")
	}
	const budget = 600 << 20
	var switches []*testSwitch
	for id := range uint64(6) {
		switches = append(switches, startTestSwitch(t, id+1, "127.0.0.1:0"))
	}
	s := embeddedStore(t)
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	apply(t, book, documentsOf(t, switches...))

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), stormEnv+"="+s.Endpoints()[0], "GOMEMLIMIT=off")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	ctx, cancel := context.WithCancel(t.Context())
	watch := WatchStatuses(ctx, s)
	defer func() {
		cancel()
		for range watch {
		}
	}()
	every := func(is func(Status) bool) func([]Status) bool {
		return func(all []Status) bool {
			return len(all) == len(switches) && !slices.ContainsFunc(all, func(st Status) bool { return !is(st) })
		}
	}
	awaitStored(t, watch, "converged", every(func(st Status) bool { return st.State == StateConverged }))
	in := apply(t, book, withPrefixes(documentsOf(t, switches...), 100_000))
	const attempts = 25
	awaitStored(t, watch, "tried again and again", every(func(st Status) bool {
		return st.State == StateFailed && st.Wanted == in.Number && st.Failure.Attempts >= attempts
	}))
	// Revisions that change nothing on these switches are recorded but cause no attempt.
	for range 3 {
		in = must(book.Activate(within(t), in.Number, "all-destinations", policy.Scope{}, by))(t)
	}
	awaitStored(t, watch, "the newest revision", every(func(st Status) bool { return st.State == StateFailed && st.Wanted == in.Number }))
	peak := peakMemory(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("peak %d MiB; %s", peak>>20, out.String())
	if peak > budget {
		t.Errorf("%d MiB at the peak, want at most %d", peak>>20, budget>>20)
	}
	count := func(metric string) int {
		m := regexp.MustCompile(`(?m)^` + metric + ` .* (\d+)$`).FindStringSubmatch(out.String())
		if m == nil {
			return 0
		}
		return must(strconv.Atoi(m[1]))(t)
	}
	if n := count("op25b_fleet_refusals_total"); n != len(switches) {
		t.Errorf("%d compilations of what does not fit, want %d", n, len(switches))
	}
	if n := count(`op25b_fleet_ownership_changes_total .*"lost"`); n != 0 {
		t.Errorf("%d leases lost", n)
	}
}

// peakMemory returns the peak resident memory of a process in bytes.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	f := must(os.Open(fmt.Sprintf("/proc/%d/status", pid)))(t)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kib, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			return must(strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(kib, "kB")), 10, 64))(t) << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
