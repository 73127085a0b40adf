package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"op25b/internal/intent"
	"op25b/internal/policy"
)

// dataDir returns the data directory of an etcd member.
func (p *plant) dataDir(member string) string { return filepath.Join(p.dir, "disk", member) }

// stopStore kills all etcd members.
func (p *plant) stopStore() {
	for _, m := range p.members {
		m.kill()
	}
}

func (p *plant) startStore() {
	for _, m := range p.members {
		m.start()
	}
}

// copyDir replaces a directory with a copy of another.
func (p *plant) copyDir(to, from string) {
	p.t.Helper()
	if err := os.RemoveAll(to); err != nil {
		p.t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		p.t.Fatal(err)
	}
}

// saveStore stops etcd, copies the data directories of all members, and starts etcd again.
func (p *plant) saveStore() (saved string) {
	p.t.Helper()
	saved = filepath.Join(p.dir, "saved")
	p.stopStore()
	for _, m := range p.members {
		p.copyDir(filepath.Join(saved, m.name), p.dataDir(m.name))
	}
	p.startStore()
	return saved
}

// replaceStore stops etcd, replaces its data directories and starts etcd again while controllers and switches run. It returns when the
// controllers and the test's own store have detected the new store. It marks the earlier statuses as outdated.
func (p *plant) replaceStore(replace func(m *node)) {
	p.t.Helper()
	ctx := generous(p.t)
	g := p.store.Generation()
	was, err := g.Identity(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	from := make([]int, len(p.controllers))
	for i, c := range p.controllers {
		from[i] = c.said.end()
	}
	p.stopStore()
	for _, m := range p.members {
		replace(m)
	}
	p.startStore()
	for i, c := range p.controllers {
		if err := c.said.await(ctx, from[i], "the store was replaced"); err != nil {
			p.t.Fatalf("%s did not find out that the store was replaced: %v", c.name, err)
		}
	}
	select {
	case <-g.Done():
	case <-ctx.Done():
		p.t.Fatalf("nobody has found out that the store was replaced: %v", context.Cause(ctx))
	}
	for _, e := range p.switches {
		e.after = 0 // epochs are revisions of etcd, which start again in the new store
	}
	if is := p.identity(ctx); is == was.ID {
		p.t.Fatalf("the store was replaced and has the identity of before, %s", is)
	}
}

// identity returns the current identity of the store.
func (p *plant) identity(ctx context.Context) string {
	p.t.Helper()
	for {
		id, err := p.store.Generation().Identity(ctx)
		switch {
		case err == nil:
			return id.ID
		case ctx.Err() != nil:
			p.t.Fatalf("the identity of the store: %v", err)
		}
	}
}

// newest returns the newest intent. It fails the test if the store has none.
func (p *plant) newest() *intent.Intent {
	p.t.Helper()
	in, err := p.current(generous(p.t))
	if err != nil {
		p.t.Fatal(err)
	}
	return in
}

// storePutBack restores an older copy of etcd's data directories while the controllers run.
func (r *round) storePutBack() {
	saved := r.saveStore()
	old := r.newest()
	for range 1 + r.IntN(3) {
		r.put(r.exempting(10 + r.IntN(200)))
	}
	if r.IntN(2) == 0 {
		r.activate([]string{"mobile-carriers", "all-destinations"}[r.IntN(2)])
	}
	if r.IntN(2) == 0 {
		r.settled()
	}
	newer := r.newest()
	r.replaceStore(func(m *node) { r.copyDir(r.dataDir(m.name), filepath.Join(saved, m.name)) })
	if now := r.newest(); now.Number != old.Number || now.ID != old.ID {
		r.t.Fatalf("revision %d was put back, and the newest is %d", old.Number, now.Number)
	}
	r.settled()
	r.ofThisStore()
	if r.IntN(2) == 0 { // store other revisions under numbers that the replaced store has used too
		for now := r.newest(); now.Number < newer.Number; now = r.newest() {
			r.put(r.exempting(201 + int(now.Number)))
		}
	}
}

// storeEmptied restarts etcd with empty data directories. The switches must stay as they are until documents are applied.
func (r *round) storeEmptied() {
	r.replaceStore(func(m *node) { r.remove(m) })
	r.beginAgain()
}

// otherCluster starts another, empty etcd cluster at the first cluster's client addresses.
func (r *round) otherCluster() {
	r.replaceStore(func(m *node) {
		r.remove(m)
		r.cluster[m.name] = r.daemonAddr() // etcd derives the ids of the cluster and of its members from the peer addresses, so these must change
	})
	r.beginAgain()
}

func (r *round) remove(m *node) {
	r.t.Helper()
	if err := os.RemoveAll(r.dataDir(m.name)); err != nil {
		r.t.Fatal(err)
	}
}

// beginAgain applies documents to an empty store. Until then, the switches must decide frames as before (I4).
func (r *round) beginAgain() {
	if in, err := r.current(generous(r.t)); err == nil {
		r.t.Fatalf("an empty store has revision %d", in.Number)
	}
	for _, e := range r.switches {
		if err := e.stream.resume(generous(r.t)); err != nil {
			r.t.Fatalf("%s with an empty store: %v", e.name, err)
		}
	}
	r.put(r.base)
	r.settled()
	r.ofThisStore()
}

// activate activates a phase on every switch.
func (r *round) activate(phase string) {
	r.change(func(ctx context.Context, base uint64) (*intent.Intent, error) {
		return r.book.Activate(ctx, base, phase, policy.Scope{}, intent.By{Who: "noc", Reason: fmt.Sprintf("round %d", r.number)})
	})
}

// ofThisStore waits until all statuses are from the present store.
func (p *plant) ofThisStore() {
	p.t.Helper()
	id := p.identity(generous(p.t))
	p.await("statuses of the store", func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.statuses) != len(p.switches) {
			return fmt.Errorf("%d statuses of %d switches", len(p.statuses), len(p.switches))
		}
		for _, st := range p.statuses {
			if st.Store != id {
				return fmt.Errorf("%s: a status of store %.8s, which is %.8s: %+v", st.Switch, st.Store, id, st)
			}
		}
		return nil
	})
}
