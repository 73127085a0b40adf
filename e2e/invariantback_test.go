package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/auth"
	"op25b/internal/client"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
	"op25b/internal/store"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// writeAccess writes an access file that permits one operator, and a file with the operator's token.
func writeAccess(t testing.TB, dir string) (access, token string) {
	t.Helper()
	secret, entry, err := auth.NewToken("olga", auth.Operator, "")
	if err != nil {
		t.Fatal(err)
	}
	access, token = filepath.Join(dir, "access.yaml"), filepath.Join(dir, "token")
	text := fmt.Sprintf("apiVersion: op25b/v1\nkind: Access\ntokens:\n  - {name: olga, role: operator, sha256: %s}\n", entry.SHA256)
	for path, text := range map[string]string{access: text, token: secret} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return access, token
}

// An operator makes changes through the API of a controller.
type operator struct {
	t *testing.T
	c *client.Client
}

func operatorOf(t *testing.T, addr, token string) *operator {
	t.Helper()
	c, err := client.New(client.Config{Server: addr, TokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &operator{t, c}
}

// made makes a change, waits until it is stored, and returns its revision.
func made[Q any](ctx context.Context, call client.Stream[Q, op25bv1.Progress], q *Q) (revision uint64, err error) {
	err = client.Follow(ctx, time.Minute, call, q, func(m *op25bv1.Progress) error {
		if s := m.GetStored(); s != nil {
			revision = s.Number
		}
		return nil
	})
	return revision, err
}

func (o *operator) apply(base uint64, files []strict.File) (uint64, error) {
	q := &op25bv1.ApplyRequest{Base: base, Reason: "way back", NoWait: true, MassChange: true}
	for _, f := range files {
		q.Files = append(q.Files, &op25bv1.File{Name: f.Name, Data: f.Data})
	}
	return made(generous(o.t), o.c.Intent.Apply, q)
}

func (o *operator) activate(base uint64, phase string, switches ...string) (uint64, error) {
	return made(generous(o.t), o.c.Phase.Activate, &op25bv1.ActivateRequest{Phase: phase, Switches: switches, Base: base, Reason: "way back", NoWait: true})
}

func (o *operator) rollback(base uint64, switches ...string) (uint64, error) {
	return made(generous(o.t), o.c.Phase.Rollback, &op25bv1.RollbackRequest{Switches: switches, Base: base, Reason: "way back", NoWait: true})
}

func (o *operator) restore(base, revision uint64) (uint64, error) {
	return made(generous(o.t), o.c.Intent.Restore, &op25bv1.RestoreRequest{Revision: revision, Base: base, Reason: "way back", NoWait: true})
}

// A wayBack is a plant with operators that make changes and undo them.
type wayBack struct {
	*plant
	*rand.Rand
	rec       *record
	operators []*operator
	good      *intent.Intent // the newest intent whose documents are valid
	undone    map[string]int
	number    int
}

// now returns the newest revision, and the phases that are in force on each switch according to it.
func (w *wayBack) now() (in *intent.Intent, phases map[string]policy.InForce) {
	w.t.Helper()
	in, err := w.current(generous(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	phases = map[string]policy.InForce{}
	for _, e := range w.switches {
		if phases[e.name], err = in.InForce(e.name, time.Now()); err != nil {
			w.t.Fatal(err)
		}
	}
	return in, phases
}

// reached waits until every switch has the entries of the valid documents in the given phases.
func (w *wayBack) reached(what string, phases map[string]policy.InForce) {
	w.t.Helper()
	for _, e := range w.switches {
		want, err := w.good.CompileAs(e.name, phases[e.name], time.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		want.State.Staged = nil
		w.rec.awaitState(w.t, e.name, what, &want.State)
	}
}

// awaitState waits until a read that begins after the call finds a switch in the wanted state.
func (r *record) awaitState(t testing.TB, sw, what string, want *pipeline.State) {
	t.Helper()
	ctx, from := generous(t), time.Now()
	var looked *[]pipeline.Entry
	for {
		r.mu.Lock()
		news := r.news
		var last sample
		if all := r.samples[sw]; len(all) > 0 {
			last = all[len(all)-1]
		}
		r.mu.Unlock()
		if last.content != nil && last.content != looked && last.began.After(from) {
			looked = last.content
			plan, err := reconcile.Make(*looked, want, r.contract, reconcile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Steps) == 0 {
				return
			}
		}
		select {
		case <-news:
		case <-ctx.Done():
			t.Fatalf("%s: %s did not get there: %v", what, sw, context.Cause(ctx))
		}
	}
}

// spoil bypasses the API, and stores documents that are invalid or fit on no switch.
func (w *wayBack) spoil(kind int) string {
	w.t.Helper()
	in, _ := w.now()
	ctx := generous(w.t)
	if kind == 0 {
		_, err := w.store.Revisions().Put(ctx, store.Change{
			Base: in.Number, Author: "another hand", Reason: "spoilt", Documents: map[string][]byte{"files/policy.yaml": []byte("kind: [Policy")}, KeepOthers: true,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		return "broken documents"
	}
	w.put(edited(w.base, "{name: smtp, ports: [25]}", "{name: smtp, ports: [25]}\n  - {name: many, ports: [2000"+manyPorts(70)+"]}"))
	return "documents that do not fit"
}

// changeAndBack makes a change and undoes it, each with a single call by an operator. It waits for the switches both times.
func (w *wayBack) changeAndBack(where string) {
	w.t.Helper()
	o := w.operators[w.IntN(len(w.operators))]
	before, phases := w.now()
	scope, there := []string(nil), w.switches[0].name
	if w.IntN(2) == 0 {
		there = w.switches[w.IntN(len(w.switches))].name
		scope = []string{there}
	}
	phase := "mobile-carriers" // choose a phase that is not in force, because an activation that changes nothing cannot be undone
	if phases[there].String() == phase {
		phase = "all-destinations"
	}
	fail := func(what string, err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatalf("I13: %s, revision %d: %s: %v", where, before.Number, what, err)
		}
	}
	kind := w.IntN(4)
	switch {
	case kind == 0 && where == "": // change the documents and restore the earlier revision
		w.number++
		n, err := o.apply(before.Number, exempting(w.base, 11, 1+w.number%300))
		fail("apply", err)
		w.good, _ = w.now()
		w.reached("apply", phases)
		_, err = o.restore(n, before.Number)
		fail("restore", err)
		w.good, _ = w.now()
		w.undone["documents restored"]++
	default:
		n, err := o.activate(before.Number, phase, scope...)
		fail("activate "+phase, err)
		_, then := w.now()
		w.reached(where+": activate "+phase, then)
		if kind == 1 && where == "" {
			_, err = o.restore(n, before.Number)
			fail("restore", err)
			w.good, _ = w.now()
			w.undone["activations restored"]++
		} else {
			_, err = o.rollback(n)
			fail("rollback", err)
			w.undone["activations rolled back"]++
		}
	}
	if where != "" {
		w.undone["of them with "+where]++
	}
	_, after := w.now()
	for name, was := range phases {
		if is := after[name]; is.String() != was.String() {
			w.t.Fatalf("I13: %s: %s was in %q before the change, and is in %q after it was undone", where, name, was, is)
		}
	}
	w.reached(where+": the way back", phases)
}

// TestI13WayBack verifies that an operator can undo each change of phases and documents with a single call. The store has valid
// documents, invalid documents, or documents that fit on no switch. The test reads the switches directly, and must find each expected
// state.
func TestI13WayBack(t *testing.T) {
	seed := invariantSeed()
	t.Logf("-seed %d", seed)
	access, token := writeAccess(t, t.TempDir())
	p := startPlantOf(t, "", func(p *plant, n *node) *exec.Cmd {
		return exec.Command(buildBinary(t), "serve", "--name", n.name, "--etcd", strings.Join(p.endpoints, ","), "--listen", n.api,
			"--audit-every", truthAudit.String(), "--access", access)
	})
	rec, _ := keepRecord(p)
	w := &wayBack{plant: p, Rand: rand.New(rand.NewPCG(seed, 13)), rec: rec, undone: map[string]int{}}
	for _, n := range p.controllers {
		w.operators = append(w.operators, operatorOf(t, n.api, token))
	}
	p.settled()
	w.good, _ = w.now()
	rounds := 2
	if longform.On() {
		rounds = 20
	}
	for i := range 2 * rounds {
		for range 2 {
			w.changeAndBack("")
		}
		spoilt := w.spoil(i % 2)
		w.changeAndBack(spoilt)
		in, phases := w.now()
		n, err := w.operators[0].apply(in.Number, w.base) // apply valid documents again
		if err != nil {
			t.Fatalf("I13: apply with %s in the store: %v", spoilt, err)
		}
		w.good, _ = w.now()
		if w.good.Number != n {
			t.Fatalf("applied as revision %d, and the newest is %d", n, w.good.Number)
		}
		w.reached("mended documents", phases)
	}
	p.settled()
	total := 0
	var text []string
	for _, what := range []string{
		"documents restored", "activations restored", "activations rolled back", "of them with broken documents", "of them with documents that do not fit",
	} {
		if !strings.HasPrefix(what, "of them") {
			total += w.undone[what]
		}
		text = append(text, fmt.Sprintf("%s %d", what, w.undone[what]))
	}
	fmt.Printf("I13 WayBack: %d changes made and undone by an operator (%s), the switches there each time\n", total, strings.Join(text, ", "))
}
