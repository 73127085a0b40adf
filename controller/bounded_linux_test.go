package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"op25b/internal/tlsfiles/tlstest"
	op25bv1 "op25b/proto/op25b/v1"
)

// strangersMiB is the limit, in MiB, on the memory growth that callers without credentials can cause.
const strangersMiB = 96

// I12: no caller without credentials can make the controller exceed its memory budget. The test tries every protocol, TLS, an access file, a
// wrong host and endless bodies. The log and the metrics must report the refusals.
func TestI12BoundedStrangers(t *testing.T) {
	if testing.Short() {
		t.Skip("bounds the memory of a process, which the race detector multiplies")
	}
	certificate := tlstest.New(t).Dir(t, "127.0.0.1")
	access, tokens := accessOf(t)
	for _, c := range []struct {
		name, scheme string
		args         []string
		more         map[string]string
	}{
		{"TLS and an access file", "https", []string{"--tls-cert", certificate.Cert, "--tls-key", certificate.Key, "--access", access}, nil},
		{"a wrong token", "http", []string{"--access", access}, map[string]string{"Authorization": "Bearer op25b_wrong"}},
		{"a wrong host", "http", nil, map[string]string{"Host": "evil.example"}},
		{"another origin", "http", nil, map[string]string{"Origin": "https://evil.example"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveProcess(t, c.args...)
			before := s.peak(t)
			base := c.scheme + "://" + s.addr
			ctx, cancel := context.WithCancel(t.Context())
			var under sync.WaitGroup
			defer under.Wait()
			defer cancel()
			for version, client := range clientsOf(t) {
				for _, a := range assaults(t) {
					for range 2 {
						code := strike(ctx, client, base, a, bytes.NewReader(a.body), c.more)
						if code == http.StatusInternalServerError || a.path != "/readyz" && code == http.StatusOK && a.header["Content-Encoding"] != "" {
							t.Errorf("%s, %s: answered with %d", version, a.name, code)
						}
					}
					under.Go(func() { strike(ctx, client, base, a, slowly{bytes.NewReader(a.body), ctx}, c.more) })
				}
			}
			after := s.peak(t)
			t.Logf("%d MiB when it was up, %d MiB at most", before, after)
			if after > before+strangersMiB {
				t.Errorf("strangers made the controller take %d MiB, and it has %d MiB when it is up", after, before)
			}
			header := map[string]string{}
			if len(c.args) > 0 {
				header["Authorization"] = "Bearer " + tokens["viewer"]
			}
			metrics := fetchMetrics(t, base, header)
			if !regexp.MustCompile(`op25b_api_refused_total\{procedure="/op25b.v1.IntentService/Plan",why="(unknown|origin)"\} [1-9]`).MatchString(metrics) {
				t.Errorf("the metrics do not say that calls were refused")
			}
			cancel()
			under.Wait()
			log := s.finish(t)
			if !strings.Contains(log, `"request refused"`) || !strings.Contains(log, "/op25b.v1.IntentService/Plan") || !strings.Contains(log, `"peer":"127.0.0.1:`) {
				t.Error("the log does not say who was refused what")
			}
			if n := strings.Count(log, `"request refused"`); n > 100 {
				t.Errorf("%d lines in the log", n)
			}
		})
	}
}

// I12: the number of idle connections is limited, whether or not they have sent data, and other callers are still served.
func TestI12BoundedConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("bounds the memory of a process, which the race detector multiplies")
	}
	access, tokens := accessOf(t)
	s := serveProcess(t, "--access", access)
	before := s.peak(t)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for i := range 3000 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		if i%2 == 0 {
			_, _ = io.WriteString(c, "POST /op25b.v1.IntentService/Plan HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
		}
	}
	metrics := fetchMetrics(t, "http://"+s.addr, map[string]string{"Authorization": "Bearer " + tokens["viewer"]})
	if !regexp.MustCompile(`op25b_api_refused_total\{procedure="other",why="connection"\} [1-9]`).MatchString(metrics) {
		t.Error("the metrics do not say that connections were closed")
	}
	if after := s.peak(t); after > before+strangersMiB {
		t.Errorf("connections made the controller take %d MiB, and it has %d MiB when it is up", after, before)
	}
}

// callersMiB is the limit, in MiB, on the memory growth that authenticated callers can cause: two concurrent plans of documents with 400,000
// unknown keys, and garbage. On a busy host, the garbage collector may run late. The test therefore sets a memory limit below callersMiB, so that
// only live memory can exceed callersMiB.
const callersMiB = 640

// I12: authenticated callers cannot exceed the memory budget either. Plans of documents with too many keys or anchors run two at a time and
// return short errors. The memory of a call is freed when its caller disconnects.
func TestI12BoundedCallers(t *testing.T) {
	if testing.Short() {
		t.Skip("bounds the memory of a process, which the race detector multiplies")
	}
	t.Setenv("GOMEMLIMIT", fmt.Sprintf("%dMiB", callersMiB*3/4))
	access, tokens := accessOf(t)
	s := serveProcess(t, "--access", access)
	before, since := s.peak(t), s.used(t)
	viewer := map[string]string{"Authorization": "Bearer " + tokens["viewer"], "Content-Type": "application/json"}
	var keys, anchors strings.Builder
	keys.WriteString("apiVersion: op25b/v1\nkind: Inventory\n")
	anchors.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n")
	for i := range 400_000 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
		fmt.Fprintf(&anchors, "- &a%d 1\n", i)
	}
	client := &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{}}
	plan := func(ctx context.Context, text string) (int, string) {
		body, err := json.Marshal(map[string]any{"files": []any{map[string]any{"name": "inventory.yaml", "data": []byte(text)}}})
		if err != nil {
			t.Error(err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.addr+"/op25b.v1.IntentService/Plan", bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		for name, value := range viewer {
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(answer)
	}
	defer client.CloseIdleConnections()
	var under sync.WaitGroup
	for range 4 {
		under.Go(func() {
			if code, answer := plan(t.Context(), keys.String()); code != http.StatusBadRequest || !strings.Contains(answer, "at least 1000 faults") || len(answer) > 32<<10 {
				t.Errorf("keys: %d, %d bytes: %.300s", code, len(answer), answer)
			}
			if code, answer := plan(t.Context(), anchors.String()); code != http.StatusBadRequest || !strings.Contains(answer, "more than 1000 anchors and aliases") {
				t.Errorf("anchors: %d %.300s", code, answer)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			plan(ctx, keys.String())
			cancel()
		})
	}
	under.Wait()
	after := s.peak(t)
	t.Logf("%d MiB when it was up, %d MiB at most", before, after)
	if after > before+callersMiB {
		t.Errorf("viewers made the controller take %d MiB, and it has %d MiB when it is up", after, before)
	}
	s.keptLeases(t, since)
}

// I12: the largest requests of several concurrent viewers fit in the memory budget, or are refused with a time to retry.
func TestI12BoundedBodies(t *testing.T) {
	if testing.Short() {
		t.Skip("bounds the memory of a process, which the race detector multiplies")
	}
	access, tokens := accessOf(t)
	s := serveProcess(t, "--access", access)
	before := s.peak(t)
	request := &op25bv1.PlanRequest{Files: []*op25bv1.File{{Name: "a.yaml", Data: append([]byte("# "), bytes.Repeat([]byte("x"), 63<<20)...)}}}
	binary, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var callers sync.WaitGroup
	var answered, busy atomic.Int64
	for i := range 5 {
		a := assault{path: "/op25b.v1.IntentService/Plan", header: map[string]string{"Content-Type": "application/proto"}, body: binary}
		if i%2 == 0 {
			a.header["Content-Type"], a.body = "application/json", text
		}
		callers.Go(func() {
			switch code := strike(t.Context(), client, "http://"+s.addr, a, bytes.NewReader(a.body), map[string]string{"Authorization": "Bearer " + tokens["viewer"]}); code {
			case http.StatusBadRequest:
				answered.Add(1)
			case http.StatusTooManyRequests, 0: // 0 means that the request was refused before its whole body was sent
				busy.Add(1)
			default:
				t.Errorf("%s: %d", a.header["Content-Type"], code)
			}
		})
	}
	callers.Wait()
	after := s.peak(t)
	t.Logf("%d MiB when it was up, %d MiB at most; %d were answered and %d refused", before, after, answered.Load(), busy.Load())
	if answered.Load() != 5 { // each request waits for its turn and is then answered
		t.Errorf("%d were answered", answered.Load())
	}
	// The limit covers two concurrent requests of 172 MiB each, the same amount of garbage, and the text that two plans have read.
	if after > before+1100 {
		t.Errorf("viewers made the controller take %d MiB, and it has %d MiB when it is up", after, before)
	}
}

// I12: continuous probes do not make the controller lose a lease.
func TestI12BoundedProbes(t *testing.T) {
	if testing.Short() {
		t.Skip("bounds the memory of a process, which the race detector multiplies")
	}
	access, _ := accessOf(t)
	s := serveProcess(t, "--access", access)
	before, since := s.peak(t), s.used(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // longer than a lease
	defer cancel()
	var strangers sync.WaitGroup
	var served, refused atomic.Int64
	for range 100 {
		strangers.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for i := 0; ctx.Err() == nil; i++ {
				a := assault{path: "/readyz", method: http.MethodGet}
				if i%2 == 0 {
					a = assault{path: "/grpc.health.v1.Health/Check", header: map[string]string{"Content-Type": "application/json"}}
				}
				if strike(ctx, client, "http://"+s.addr, a, strings.NewReader("{}"), nil) == http.StatusOK {
					served.Add(1)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	strangers.Wait()
	after := s.peak(t)
	t.Logf("%d MiB when it was up, %d MiB at most; %d probes were answered, %d not", before, after, served.Load(), refused.Load())
	if after > before+strangersMiB || served.Load() == 0 {
		t.Errorf("strangers made the controller take %d MiB, and it has %d MiB when it is up", after, before)
	}
	s.keptLeases(t, since)
}
