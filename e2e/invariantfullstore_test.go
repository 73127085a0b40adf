package e2e

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/p4src"
)

// startAlone returns a plant with one switch and a single controller, whose store has a quota. The caller starts them. setQuota changes the
// quota for the next start of the controller.
func startAlone(t *testing.T, access, quota string) (p *plant, serve *node, setQuota func(string)) {
	t.Helper()
	p = &plant{t: t, dir: t.TempDir(), cluster: map[string]string{}, statuses: map[string]fleet.Status{}, changed: make(chan struct{})}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.story())
		}
	})
	var err error
	if p.contract, err = pipeline.NewContract(p4src.P4Info()); err != nil {
		t.Fatal(err)
	}
	command := buildBinary(t)
	p.guard()
	e := &edge{id: 1, addr: p.daemonAddr()}
	e.network = newNetwork(t, e.addr)
	e.node = *p.node("edge-1", switchMiB, func() *exec.Cmd {
		return exec.Command(command, "switch", "--device-id", "1", "--p4runtime", e.addr, "--gnmi", "")
	})
	p.switches = []*edge{e}
	serve = p.node("noc-1", controllerMiB, func() *exec.Cmd {
		return exec.Command(command, "serve", "--name", "noc-1", "--data-dir", filepath.Join(p.dir, "data"), "--quota", quota, "--listen", serve.api,
			"--audit-every", truthAudit.String(), "--access", access)
	})
	serve.api = p.daemonAddr()
	p.controllers = []*node{serve}
	p.base = p.documents()
	return p, serve, func(q string) { quota = q }
}

// compilerOf returns a book of a new store that contains the documents. It compiles them to the same entries as the controller that reads
// them first.
func compilerOf(t *testing.T, files []strict.File) *intent.Book {
	t.Helper()
	s, err := store.Open(generous(t), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := intent.NewBook(s, time.Now)
	proposal, err := b.Propose(generous(t), files)
	if err == nil {
		_, err = b.Put(generous(t), proposal, intent.By{Who: "twin", Reason: "compile"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestI13FullStore verifies I13 for a store that documents have filled up to its quota. The apply that does not fit must be refused with a
// remedy, and readyz must report the full store. Activations, rollbacks and restores must still succeed and reach the switch, both before
// and after a kill -9. With a larger quota, the next apply must succeed.
func TestI13FullStore(t *testing.T) {
	access, token := writeAccess(t, t.TempDir())
	p, serve, setQuota := startAlone(t, access, "16MiB")
	for _, n := range p.nodes() {
		n.start()
	}
	rec, _ := keepRecord(p)
	o := operatorOf(t, serve.api, token)
	up := func() {
		t.Helper()
		if err := serve.said.await(generous(t), 0, "controller up"); err != nil {
			t.Fatal(err)
		}
	}
	up()
	b := compilerOf(t, p.base)
	reached := func(what, phase string) {
		t.Helper()
		in, err := b.Current(generous(t))
		if err != nil {
			t.Fatal(err)
		}
		if is, err := in.InForce("edge-1", time.Now()); err != nil || is.String() != phase {
			if in, err = b.Activate(generous(t), in.Number, phase, policy.Scope{}, intent.By{Who: "twin", Reason: "compile"}); err != nil {
				t.Fatal(err)
			}
		}
		want, err := in.Compile("edge-1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		want.State.Staged = nil
		rec.awaitState(t, "edge-1", what, &want.State)
	}
	number, err := o.apply(0, p.base)
	if err != nil {
		t.Fatal(err)
	}
	reached("the first apply", "all-destinations")

	// Apply documents with comments that cannot be compressed. The switch's entries stay the same.
	random, applied := rand.NewChaCha8([32]byte{13}), 0
	for ; err == nil && applied < 100; applied++ {
		noise := make([]byte, 384<<10)
		_, _ = random.Read(noise)
		fat := slices.Clone(p.base)
		var comment strings.Builder
		for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(noise)), 100) {
			fmt.Fprintf(&comment, "# %s\n", line)
		}
		fat[1].Data = append([]byte(comment.String()), fat[1].Data...)
		var n uint64
		if n, err = o.apply(number, fat); err == nil {
			number = n
		}
	}
	if connect.CodeOf(err) != connect.CodeResourceExhausted || !strings.Contains(err.Error(), "store is full") || !strings.Contains(err.Error(), "--quota") {
		t.Fatalf("after %d applies: %v: %v", applied, connect.CodeOf(err), err)
	}
	undone := map[string]int{}
	change := func(what string, n uint64, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("I13: with a full store: %s: %v", what, err)
		}
		number = n
		undone[what]++
	}
	wayBack := func() {
		t.Helper()
		for range 3 {
			n, err := o.activate(number, "mobile-carriers")
			change("activate", n, err)
			reached("with a full store", "mobile-carriers")
			n, err = o.rollback(number)
			change("rollback", n, err)
			reached("with a full store, back", "all-destinations")
		}
		n, err := o.activate(number, "mobile-carriers")
		change("activate", n, err)
		n, err = o.restore(number, number-1)
		change("restore", n, err)
		reached("with a full store, restored", "all-destinations")
	}
	wayBack()
	if text := readyText(t, serve); !strings.HasPrefix(text, "ready\nwarning: the store is ") || !strings.Contains(text, "full: ") {
		t.Errorf("with a full store readyz says %q", text)
	}
	again := func(what string) {
		t.Helper()
		serve.kill()
		from := serve.said.end()
		serve.start()
		if err := serve.said.await(generous(t), from, "controller up"); err != nil {
			t.Fatalf("I13: %s: %v", what, err)
		}
	}
	again("killed with a full store")
	wayBack()
	if _, err := o.apply(number, exempting(p.base, 11, 20_000)); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("an apply that does not fit, after a restart: %v", err)
	}
	setQuota("64MiB")
	again("started with a larger quota")
	if _, err := o.apply(number, exempting(p.base, 11, 20)); err != nil {
		t.Errorf("I13: with a larger quota: %v", err)
	}
	var text []string
	for _, what := range slices.Sorted(maps.Keys(undone)) {
		text = append(text, fmt.Sprintf("%s %d", what, undone[what]))
	}
	fmt.Printf("I13 FullStore: refused after %d applies; in the reserve, before and after a kill: %s; %s\n", applied, strings.Join(text, ", "), p.memory())
}

func readyText(t *testing.T, n *node) string {
	t.Helper()
	c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	resp, err := c.Get("http://" + n.api + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
