package portal_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"op25b/examples"
	"op25b/internal/api"
	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/client"
	"op25b/internal/clock"
	"op25b/internal/controller"
	"op25b/internal/demo"
	"op25b/internal/policy"
	"op25b/internal/portal"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/published"
	"op25b/internal/portal/visitor"
	"op25b/internal/softswitch"
	"op25b/internal/store"
	"op25b/internal/strict"
)

const (
	askRate     = 2000            // answers a second: the goal
	askFor      = 2 * time.Second // the time of a round
	askWithin   = 3 * askFor      // after which a round ends, although requests have not been sent
	askRounds   = 5
	askers      = 64 // connections
	benchLines  = 1000
	benchLimits = 1e6
)

// A benchSite is a portal over real HTTP, with a real controller and an embedded switch.
type benchSite struct {
	addr  string
	docs  *policy.Bundle
	codes []string
	lines []netip.Addr
}

// openBench starts the site with the example of 2006 and 1,000 more lines, and waits until the switch has confirmed the last phase.
func openBench(b *testing.B) *benchSite {
	b.Helper()
	files := examples.SpinNet2006()
	bundle, err := policy.Load(files)
	if err != nil {
		b.Fatal(err)
	}
	rig, err := demo.NewEmbedded(&bundle.Inventory.Switches[0], softswitch.Addrs{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { rig.Close() })
	files[0].Data = bytes.ReplaceAll(files[0].Data, []byte("127.0.0.1:9559"), []byte(rig.P4Runtime))
	s := &benchSite{}
	more := bytes.NewBuffer(files[0].Data)
	for i := range benchLines {
		at := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		s.lines = append(s.lines, at)
		fmt.Fprintf(more, "      - {name: bench-%d, port: access-1, vlan: %d, group: adsl, prefixes: [%v/32]}\n", i, 1+i, at)
	}
	files[0].Data = more.Bytes()
	if s.docs, err = policy.Load(files); err != nil {
		b.Fatal(err)
	}
	follower, ask := benchController(b, files)
	for changed := follower.Changed(); ; changed = follower.Changed() {
		if p := follower.View().Publication; p != nil && !slices.ContainsFunc(p.States, func(s published.State) bool { return !s.Everywhere() }) {
			break
		}
		<-changed
	}
	cfg := portal.Config{Published: follower, AskOwnLine: ask, Content: shipped(b)}
	cfg.Limits = portal.Limits{
		Each: visitor.Rate{PerSecond: benchLimits, Burst: benchLimits}, All: visitor.Rate{PerSecond: benchLimits, Burst: benchLimits},
		EachLookups: visitor.Rate{PerSecond: 1, Burst: 1}, AllLookups: visitor.Rate{PerSecond: 1, Burst: 1},
	}
	cfg.Proxies.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	site, err := portal.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s.addr = listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- portal.Serve(ctx, listener, site, nil) }()
	b.Cleanup(func() { stop(); <-served })
	p := follower.View().Publication
	questions := answer.Questions(p)
	codes := answer.NewCodes(questions)
	for _, q := range questions {
		if q.Group == "adsl" {
			s.codes = append(s.codes, codes.Of(q))
		}
	}
	return s
}

// benchController starts a controller with documents, and a follower of its publication.
func benchController(b *testing.B, files []strict.File) (*published.Follower, portal.OwnLine) {
	b.Helper()
	providers, err := mailbox.Load(examples.Providers())
	if err != nil {
		b.Fatal(err)
	}
	c, err := controller.Open(b.Context(), controller.Config{
		Providers: providers, Name: "noc", Store: store.Config{Dir: b.TempDir()}, Clock: clock.System(), Listening: api.Listening{Addr: "127.0.0.1:0"},
		MaxDocuments: api.MaxFiles, First: files,
	})
	if err != nil {
		b.Fatal(err)
	}
	calls, err := client.New(client.Config{Server: c.Addr().String()})
	if err != nil {
		b.Fatal(err)
	}
	follower, err := published.Open(b.Context(), published.Config{Watch: calls.Portal.WatchPublication})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	running.Go(func() { follower.Run(ctx) })
	b.Cleanup(func() {
		stop()
		running.Wait()
		calls.Close()
		_ = c.Close()
	})
	return follower, calls.Portal.AskOwnLine
}

// requests returns the requests of a benchmark, in both languages.
func (s *benchSite) requests(own bool) [][]byte {
	var all [][]byte
	for i, code := range s.codes {
		path, from := "/a/"+code, ""
		if own {
			path, from = "/mine/"+code, "X-Forwarded-For: "+s.lines[i*7%len(s.lines)].String()+"\r\n"
		}
		lang := []string{"ja", "en"}[i%2]
		all = append(all, fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept-Language: %s\r\nAccept-Encoding: gzip\r\n%s\r\n", path, lang, from))
	}
	return all
}

// A load is what a round of requests measured.
type load struct {
	answers   int
	took      time.Duration
	latencies []time.Duration // from the intended start of each request; sorted
	cpu       time.Duration   // of this process, which has the portal, the controller, the switch and the clients
	allocs    uint64
}

func (l *load) rate() float64 { return float64(l.answers) / l.took.Seconds() }

func (l *load) quantile(q float64) time.Duration {
	return l.latencies[min(int(q*float64(len(l.latencies))), len(l.latencies)-1)]
}

// run sends requests for a time. With a rate, request i begins at i/rate, whether or not earlier requests were answered, and its latency counts
// from that moment; so an answer that takes long also delays those that wait for it. Without a rate, each connection sends its next request
// when it has the answer to the last one.
func (s *benchSite) run(b *testing.B, requests [][]byte, rate float64) *load {
	b.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime(b)
	begin := time.Now()
	var next, unsent atomic.Int64
	parts := make([][]time.Duration, askers)
	failed := make(chan error, askers)
	var running sync.WaitGroup
	for i := range askers {
		running.Go(func() {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				failed <- err
				return
			}
			defer c.Close()
			in := bufio.NewReaderSize(c, 32<<10)
			parts[i] = make([]time.Duration, 0, 4*askRate*int(askFor.Seconds())/askers)
			for {
				n := next.Add(1) - 1
				start := time.Now()
				if rate > 0 {
					start = begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
				}
				if start.Sub(begin) >= askFor {
					return
				}
				if rate > 0 && time.Since(begin) >= askWithin { // the latency of a request that was never sent is at least this
					parts[i] = append(parts[i], time.Since(start))
					unsent.Add(1)
					continue
				}
				time.Sleep(time.Until(start))
				if _, err = c.Write(requests[int(n)%len(requests)]); err == nil {
					err = readOK(in)
				}
				if err != nil {
					failed <- err
					return
				}
				parts[i] = append(parts[i], time.Since(start))
			}
		})
	}
	running.Wait()
	l := &load{took: time.Since(begin), cpu: cpuTime(b) - cpu}
	runtime.ReadMemStats(&after)
	l.allocs = after.Mallocs - before.Mallocs
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
	l.latencies = slices.Concat(parts...)
	slices.Sort(l.latencies)
	l.answers = len(l.latencies) - int(unsent.Load())
	return l
}

// readOK reads a response without keeping it. It returns an error unless the status is 200 and the page is not empty.
func readOK(in *bufio.Reader) error {
	length, chunked := 0, false
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		switch {
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")):
			return fmt.Errorf("response %q", line)
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			length, err = strconv.Atoi(string(line[len("Content-Length: "):]))
		case bytes.Equal(line, []byte("Transfer-Encoding: chunked")):
			chunked = true
		}
		if err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
	}
	if !chunked {
		if length == 0 {
			return errors.New("empty response")
		}
		_, err := in.Discard(length)
		return err
	}
	for total := 0; ; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 31)
		if err != nil {
			return err
		}
		if _, err := in.Discard(int(size) + 2); err != nil {
			return err
		}
		if total += int(size); size == 0 {
			if total == 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
	}
}

// cpuTime returns the CPU time of this process.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// askFloor returns the least CPU time of the pipeline's answer to a new question, without its text, page and HTTP.
func (s *benchSite) askFloor(b *testing.B) time.Duration {
	b.Helper()
	c := check.New(check.Source{Bundle: s.docs}, check.Options{})
	to := netip.MustParseAddr("192.88.0.0")
	ask := func(n int) time.Duration {
		begin := cpuTime(b)
		for range n {
			to = to.Next()
			if _, err := c.Ask(b.Context(), check.Question{Line: "adsl-home", To: to.String(), Port: 25}); err != nil {
				b.Fatal(err)
			}
		}
		return (cpuTime(b) - begin) / time.Duration(n)
	}
	ask(10) // loads the pipelines
	least := time.Hour
	for range askRounds {
		least = min(least, ask(2000))
	}
	return least
}

// BenchmarkAnswers measures answers to "am I affected" over HTTP, for kinds of lines and for visitors' own lines: first at the rate of the goal,
// then as many as there can be. The portal, the controller, the switch and the clients share the machine's cores. The best of several rounds
// counts, because other programs on the machine only make a round worse. The floor is the pipeline's own Ask in the same run, in CPU time.
func BenchmarkAnswers(b *testing.B) {
	s := openBench(b)
	floor := s.askFloor(b)
	for _, kind := range []string{"kind", "own"} {
		requests := s.requests(kind == "own")
		s.run(b, requests, 0) // fills what the portal keeps
		for name, rate := range map[string]float64{"2000": askRate, "most": 0} {
			b.Run(kind+"/"+name, func(b *testing.B) {
				var best *load
				for b.Loop() {
					for range askRounds {
						l := s.run(b, requests, rate)
						if best == nil || rate > 0 && l.quantile(0.99) < best.quantile(0.99) || rate == 0 && l.rate() > best.rate() {
							best = l
						}
					}
				}
				each := best.cpu / time.Duration(best.answers)
				b.ReportMetric(best.rate(), "answers/s")
				b.ReportMetric(best.quantile(0.5).Seconds()*1e3, "p50-ms")
				b.ReportMetric(best.quantile(0.99).Seconds()*1e3, "p99-ms")
				b.ReportMetric(float64(each.Nanoseconds())/1e3, "CPU-us/answer")
				b.ReportMetric(float64(floor.Nanoseconds())/1e3, "floor-us")
				b.ReportMetric(float64(each)/float64(floor), "x-floor")
				b.ReportMetric(float64(best.allocs)/float64(best.answers), "allocs/answer")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
