package p4fuzz

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"

	"op25b/p4src"
)

// strict returns answers with the last code that the specification allows for each mutation. This code refuses the mutation if the
// specification allows that.
func strict() Answers {
	a := Answers{}
	for _, r := range Rules {
		a[r.Mutation] = r.Allowed[len(r.Allowed)-1]
	}
	return a
}

// models returns two models with entries. One is for op25b, and the other is for a program with the features that op25b lacks.
func models(t *testing.T, r *rand.Rand) []*Model {
	t.Helper()
	text, err := os.ReadFile("../../internal/softswitch/p4rtserver/testdata/objects.p4info.txtpb")
	if err != nil {
		t.Fatal(err)
	}
	objects := &configv1.P4Info{}
	if err := prototext.Unmarshal(text, objects); err != nil {
		t.Fatal(err)
	}
	var out []*Model
	for _, info := range []*configv1.P4Info{p4src.P4Info(), objects} {
		p, err := NewProgram(info)
		if err != nil {
			t.Fatal(err)
		}
		m := NewModel(p, strict(), Habits{})
		d := NewDrawer(r, m)
		for _, x := range p.tables {
			if x.isConst {
				m.Adopt([]*p4v1.Entity{update(0, d.entry(x)).GetEntity()})
			}
		}
		for range 200 {
			follow(m, Step{Updates: []*p4v1.Update{d.valid()}})
		}
		out = append(out, m)
	}
	return out
}

// follow applies a step to a model as Play does for a switch.
func follow(m *Model, s Step) {
	for _, u := range s.Updates {
		if j := m.Judge(u); j.Allows(codes.OK) && j.apply != nil {
			j.apply()
		}
	}
}

// TestModelSeesMutations verifies that the model detects each mutation from the update alone.
func TestModelSeesMutations(t *testing.T) {
	all := models(t, rand.New(rand.NewPCG(1, 25)))
	for _, x := range mutators {
		made := 0
		for i := range 60 {
			for _, m := range all {
				if u := NewDrawer(rand.New(rand.NewPCG(uint64(i), 0)), m).mutate(x); u != nil {
					if made++; !slices.Contains(m.Judge(u).Mutations, x.Mutation) {
						t.Fatalf("%q: the model sees %q in %v", x.Mutation, m.Judge(u).Mutations, u)
					}
				}
			}
		}
		if made == 0 {
			t.Errorf("%q: never made", x.Mutation)
		}
	}
}

// TestValidUpdatesAreValid verifies that nearly all updates drawn as valid are valid. The others collide by chance, or were drawn
// without regard for the restrictions.
func TestValidUpdatesAreValid(t *testing.T) {
	for _, m := range models(t, rand.New(rand.NewPCG(2, 25))) {
		d := NewDrawer(rand.New(rand.NewPCG(3, 0)), m)
		const n = 3000
		bad := map[string]int{}
		wrong := 0
		for range n {
			if j := m.Judge(d.valid()); !j.Allows(codes.OK) {
				wrong++
				bad[fmt.Sprint(j.Mutations)]++
			}
		}
		if wrong > n/20 {
			t.Errorf("%d of %d are wrong: %v", wrong, n, bad)
		}
	}
}

func TestRulesAreComplete(t *testing.T) {
	seen := map[Mutation]bool{}
	for _, r := range Rules {
		if seen[r.Mutation] || len(r.Allowed) == 0 || r.Section == "" {
			t.Errorf("rule %+v: given twice, or empty", r)
		}
		seen[r.Mutation] = true
	}
	drawn := append(slices.Clone(requests), FullTable, BeforePush, Unarbitrated, Anonymous)
	for _, x := range mutators {
		drawn = append(drawn, x.Mutation)
	}
	for _, x := range drawn {
		if !seen[x] {
			t.Errorf("%q has no rule", x)
		}
		delete(seen, x)
	}
	for x := range seen {
		t.Errorf("%q has a rule and is never drawn", x)
	}
}

// TestDrawingRepeats verifies that the same seed draws the same steps.
func TestDrawingRepeats(t *testing.T) {
	draw := func() string {
		var steps []Step
		m := models(t, rand.New(rand.NewPCG(4, 25)))[1]
		d := NewDrawer(rand.New(rand.NewPCG(5, 25)), m)
		for range 40 {
			steps = append(steps, d.Step())
			follow(m, steps[len(steps)-1])
		}
		return Describe(steps)
	}
	if a, b := draw(), draw(); a != b {
		t.Errorf("%s\nis not\n%s", a, b)
	}
}

// TestCompare verifies that Compare reports every kind of difference, and reports none for equal entries.
func TestCompare(t *testing.T) {
	m := models(t, rand.New(rand.NewPCG(6, 25)))[0]
	shown := func() []*p4v1.Entity {
		var out []*p4v1.Entity
		for _, e := range m.entries {
			out = append(out, update(0, clone(e)).GetEntity())
		}
		for _, e := range m.defaults {
			out = append(out, update(0, clone(e)).GetEntity())
		}
		for _, g := range m.groups {
			out = append(out, groupUpdate(0, clone(g)).GetEntity())
		}
		return out
	}
	if err := m.Compare(shown()); err != nil {
		t.Fatal(err)
	}
	var metered, grouped int
	all := shown()
	for i, x := range all {
		if x.GetTableEntry().GetMeterConfig() != nil {
			metered = i
		}
		if len(x.GetPacketReplicationEngineEntry().GetMulticastGroupEntry().GetReplicas()) > 0 {
			grouped = i
		}
	}
	for name, change := range map[string]func([]*p4v1.Entity) []*p4v1.Entity{
		"one is missing":     func(in []*p4v1.Entity) []*p4v1.Entity { return in[1:] },
		"one is there twice": func(in []*p4v1.Entity) []*p4v1.Entity { return append(in, in[0]) },
		"one is too many": func(in []*p4v1.Entity) []*p4v1.Entity {
			return append(in, groupUpdate(0, &p4v1.MulticastGroupEntry{MulticastGroupId: 99}).GetEntity())
		},
		"a meter": func(in []*p4v1.Entity) []*p4v1.Entity {
			in[metered].GetTableEntry().MeterConfig.Pburst++
			return in
		},
		"bytes that are not canonical": func(in []*p4v1.Entity) []*p4v1.Entity {
			r := in[grouped].GetPacketReplicationEngineEntry().GetMulticastGroupEntry().GetReplicas()[0]
			r.PortKind = &p4v1.Replica_Port{Port: append([]byte{0}, r.GetPort()...)}
			return in
		},
	} {
		in := make([]*p4v1.Entity, len(all))
		for i := range all {
			in[i] = clone(all[i])
		}
		if m.Compare(change(in)) == nil {
			t.Errorf("%s: no difference found", name)
		}
	}
}

func TestShrink(t *testing.T) {
	var steps []Step
	for i := range 50 {
		var s Step
		for n := range 10 {
			s.Updates = append(s.Updates, groupUpdate(p4v1.Update_INSERT, &p4v1.MulticastGroupEntry{MulticastGroupId: uint32(10*i + n)}))
		}
		steps = append(steps, s)
	}
	tries := 0
	short := Shrink(steps, 500, func(in []Step) bool { // a sequence fails if 33 comes before 417
		tries++
		before := false
		for _, s := range in {
			for _, u := range s.Updates {
				switch groupOf(u).GetMulticastGroupId() {
				case 33:
					before = true
				case 417:
					return before
				}
			}
		}
		return false
	})
	if len(short) != 2 || len(short[0].Updates) != 1 || len(short[1].Updates) != 1 || tries > 500 {
		t.Errorf("after %d tries:\n%s", tries, Describe(short))
	}
}
