package e2e

import (
	"fmt"
	"os"
	"path/filepath"
)

// backInTime puts every member of etcd back to where it was some changes ago, or begins them anew, while controllers and switches run: as an
// operator does who restores a snapshot. Switches then hold what the store says since, also if a revision of the same number said otherwise.
func (r *round) backInTime() {
	saved := map[string]string{}
	r.stopStore()
	for _, m := range r.members {
		saved[m.name] = filepath.Join(r.dir, fmt.Sprintf("saved-%d", r.number), m.name)
		if err := os.CopyFS(saved[m.name], os.DirFS(filepath.Join(r.dir, m.name))); err != nil {
			r.t.Fatal(err)
		}
	}
	r.startStore()
	for range 1 + r.IntN(3) {
		r.changed = true
		r.put(r.exempting(50 + r.IntN(300)))
	}
	r.settled()

	from := make([]int, len(r.controllers))
	for i, c := range r.controllers {
		from[i] = c.said.end()
	}
	r.stopStore()
	empty := r.IntN(3) == 0
	for _, m := range r.members {
		dir := filepath.Join(r.dir, m.name)
		if err := os.RemoveAll(dir); err != nil {
			r.t.Fatal(err)
		}
		if empty {
			continue
		}
		if err := os.CopyFS(dir, os.DirFS(saved[m.name])); err != nil {
			r.t.Fatal(err)
		}
	}
	_ = os.RemoveAll(filepath.Dir(saved[r.members[0].name]))
	for _, e := range r.switches {
		e.after = 0 // epochs are revisions of the store, and count from an earlier one again
	}
	r.startStore()
	ctx := generous(r.t)
	for i, c := range r.controllers {
		if err := c.said.await(ctx, from[i], "the store was replaced"); err != nil {
			r.t.Fatalf("%s did not find out that the store was replaced: %v", c.name, err)
		}
	}
	if empty || r.IntN(2) == 0 { // numbers that there were before, with other documents
		r.put(r.otherDocuments(r.IntN(3)))
	}
}

func (r *round) stopStore() {
	for _, m := range r.members {
		m.kill()
	}
}

func (r *round) startStore() {
	for _, m := range r.members {
		m.start()
	}
}
