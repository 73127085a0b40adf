package prove

import (
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/compile/compiletest"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// TestExamplesAreProved verifies that the documents of every example are proved on each switch: each phase from an empty switch, and from the phase
// before. In examples/spinnet-2022, services other than 25 are closed too, also while an empty switch is loaded.
func TestExamplesAreProved(t *testing.T) {
	for name, files := range map[string][]strict.File{"spinnet-2006": examples.SpinNet2006(), "spinnet-2022": examples.SpinNet2022(), "libmo-mobile": examples.LibmoMobile()} {
		b, err := policy.Load(files)
		if err != nil {
			t.Fatal(err)
		}
		p := prover(t, nil)
		for _, sw := range b.Inventory.Switches {
			var before *Change
			for i := range b.Policy.Phases {
				ph := &b.Policy.Phases[i]
				now := b.Policy.Begins(ph).Add(time.Hour)
				is, err := compiletest.Compile(b, nil, sw.Name, policy.Everywhere(ph.Name), now)
				if err != nil {
					t.Fatal(err)
				}
				for _, was := range []*Change{nil, before} {
					ch := &Change{Switch: sw.Name, New: is, Bundle: b, Now: now}
					if was != nil {
						ch.Old, ch.OldBundle = was.New, b
					}
					r, err := p.Prove(t.Context(), ch)
					if err == nil {
						err = r.Err()
					}
					if err != nil {
						t.Errorf("%s, phase %s of %s, from another phase: %v: %v", sw.Name, ph.Name, name, was != nil, err)
					}
				}
				before = &Change{Switch: sw.Name, New: is, Bundle: b, Now: now}
			}
		}
	}
}
