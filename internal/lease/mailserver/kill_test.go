package mailserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"op25b/internal/intent"
	"op25b/internal/lease/ledger"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// killedEnv is the environment variable with the directory of a process that receives reports until it is killed.
const killedEnv = "OP25B_TEST_KILLED_MAILSERVER"

// lines is the number of lines in documents, each with an address.
const lines = 10_000

func addressOf(i int) string { return fmt.Sprintf("198.18.%d.%d", i/250, 1+i%250) }

func documents() []strict.File {
	var b strings.Builder
	b.WriteString(`apiVersion: op25b/v1
kind: Policy
name: p
lineGroups: [{name: fixed, addressing: static}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587]}, {name: submissions, ports: [465]}]
remotes: [{name: mail, own: true, prefixes: [198.51.100.16/28]}]
leases: [{name: pop, opens: [mail], for: 10m, cap: 30m}]
phases:
  - name: stop
    effective: 2026-01-01
    ownServices: [submission, submissions]
    rules:
      - {name: leased-mail, subscriber: leased, service: smtp, remote: mail, action: permit}
      - {name: own-mail, service: smtp, remote: mail, action: drop}
      - {name: all, service: smtp, action: drop}
---
apiVersion: op25b/v1
kind: Inventory
switches:
`)
	for i := range lines {
		if i%8000 == 0 {
			fmt.Fprintf(&b, `  - name: edge-%d
    deviceID: %[1]d
    p4runtime: 127.0.0.1:9559
    gnmi: 127.0.0.1:9339
    ports: [{port: 1, name: olt, role: access}, {port: 2, name: core, role: network}]
    lines:
`, 1+i/8000)
		}
		fmt.Fprintf(&b, "      - {name: line-%d, port: olt, vlan: %d, innerVLAN: %d, group: fixed, prefixes: [%s/32]}\n", i, 1+i/4000, 1+i%4000, addressOf(i))
	}
	return []strict.File{{Name: "all.yaml", Data: []byte(b.String())}}
}

// part is a ledger with its server.
func part(s *store.Store) (*ledger.Ledger, *Server) {
	l := ledger.New(ledger.Config{Store: s, Book: intent.NewBook(s, time.Now)})
	return l, New(Config{Leases: l, Record: func(context.Context, string) error { return nil }})
}

// killedProcess receives reports for the store in dir. It prints its address.
func killedProcess(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("RESULT", err)
			os.Exit(1)
		}
	}
	s, err := store.Open(context.Background(), store.Config{Dir: dir})
	fail(err)
	l, server := part(s)
	go l.Run(context.Background())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	<-l.Ready()
	fmt.Println("RESULT", listener.Addr())
	fail(http.Serve(listener, server))
}

// apply stores the documents in a new store in dir.
func apply(t testing.TB, s *store.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := intent.NewBook(s, time.Now)
	must(b.Put(ctx, must(b.Propose(ctx, documents()))(t), intent.By{Who: "alice", Role: "operator", Reason: "test"}))(t)
}

// A reporter reports logins.
type reporter struct {
	client *http.Client
	url    string
}

// report reports the login of line i, and reports whether that was acknowledged.
func (r reporter) report(ctx context.Context, i int) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+DovecotPath+"?command=report", strings.NewReader(dovecot(addressOf(i))))
	if err != nil {
		return false
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

// TestAcknowledgedSurvivesKill reports logins to a process, which is killed at any moment. After that, every lease whose report was acknowledged is
// in the store.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	if testing.Short() {
		t.Skip("a process for each round")
	}
	dir := t.TempDir()
	s := must(store.Open(t.Context(), store.Config{Dir: dir}))(t)
	apply(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 3))
	var mu sync.Mutex
	acknowledged := make(map[int]bool)
	next := 0
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), killedEnv+"="+dir)
		out := must(cmd.StdoutPipe())(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		addr, ok := strings.CutPrefix(strings.TrimSpace(line), "RESULT ")
		if err != nil || !ok {
			t.Fatalf("%q, %v", line, err)
		}
		r := reporter{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}, "http://" + addr}
		kill := time.AfterFunc(time.Duration(100+random.IntN(400))*time.Millisecond, func() { _ = cmd.Process.Kill() }) // the random input of this test
		var work sync.WaitGroup
		for range 16 {
			work.Go(func() {
				for ctx.Err() == nil {
					mu.Lock()
					i := next
					next++
					mu.Unlock()
					if i >= lines || !r.report(ctx, i) {
						return
					}
					mu.Lock()
					acknowledged[i] = true
					mu.Unlock()
				}
			})
		}
		work.Wait()
		kill.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		r.client.CloseIdleConnections()
		cancel()
	}
	s = must(store.Open(t.Context(), store.Config{Dir: dir}))(t)
	defer s.Close()
	l, _ := part(s)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx) }()
	defer func() { stop(); <-ended }()
	<-l.Ready()
	for i := range acknowledged {
		if _, has, known := l.Lease(fmt.Sprint("line-", i)); !has || !known {
			t.Errorf("the lease of line-%d was acknowledged and is lost", i)
		}
	}
	if len(acknowledged) == 0 || next >= lines {
		t.Errorf("%d reports were acknowledged, of %d", len(acknowledged), next)
	}
	t.Logf("%d reports were acknowledged by 3 processes that were killed", len(acknowledged))
}
