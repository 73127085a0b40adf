package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/prototext"

	"op25b/e2e/longform"
	"op25b/e2e/p4fuzz"
	"op25b/internal/p4rt"
	"op25b/p4src"
)

// A fuzzed is a switch under test by the fuzzer, with a primary session.
type fuzzed struct {
	*p4fuzz.Target
	name    string
	addr    string
	session *p4rt.Session
	answers p4fuzz.Answers
	habits  p4fuzz.Habits
	avoid   []p4fuzz.Mutation // the mutations from which the switch does not recover
	pushes  uint64
}

// onFuzzed runs a test on the embedded switch and on bmv2. If bmv2 is missing, onFuzzed prints one line.
func onFuzzed(t *testing.T, test func(t *testing.T, f *fuzzed)) {
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		test(t, fuzzedAt(t, &fuzzed{name: "embedded", addr: startEmbedded(t).P4Runtime, answers: embeddedAnswers()}))
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		wants(t, "bmv2", reason)
		test(t, fuzzedAt(t, &fuzzed{name: "bmv2", addr: startBMv2(t, path, 1, nil, nil), answers: bmv2Answers(), habits: bmv2Habits, avoid: bmv2Avoids}))
	})
}

func fuzzedAt(t *testing.T, f *fuzzed) *fuzzed {
	t.Helper()
	conn, err := grpc.NewClient(f.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	f.Target = &p4fuzz.Target{Client: p4v1.NewP4RuntimeClient(conn), DeviceID: 1, Election: &p4v1.Uint128{Low: 2}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if f.session, err = p4rt.Dial(ctx, p4rt.Config{Addr: f.addr, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 2}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.session.Close() })
	if err := f.session.WaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	return f
}

// A fuzzProgram is a P4 program for the fuzzer, in the form that switches accept.
type fuzzProgram struct {
	name string
	info *configv1.P4Info
	json []byte
}

// fresh pushes a program, which leaves only the program's own entries in the switch, and returns the model of that state.
func (f *fuzzed) fresh(ctx context.Context, x fuzzProgram) (*p4fuzz.Model, error) {
	f.pushes++
	if err := f.session.Push(ctx, x.info, x.json, f.pushes); err != nil {
		return nil, err
	}
	p, err := p4fuzz.NewProgram(x.info)
	if err != nil {
		return nil, err
	}
	m := p4fuzz.NewModel(p, f.answers, f.habits)
	shown, err := f.Read(ctx, p)
	if err != nil {
		return nil, err
	}
	m.Adopt(shown)
	return m, m.Compare(shown)
}

// replay plays steps on a switch with a freshly pushed program.
func (f *fuzzed) replay(ctx context.Context, x fuzzProgram, steps []p4fuzz.Step) error {
	m, err := f.fresh(ctx, x)
	for _, s := range steps {
		if err != nil {
			break
		}
		err = f.Play(ctx, m, s, nil)
	}
	return err
}

// fail fails the test after a wrong step, and prints a shorter sequence of steps that also fails.
func (f *fuzzed) fail(ctx context.Context, t *testing.T, x fuzzProgram, steps []p4fuzz.Step, err error) {
	t.Helper()
	const tries = 400
	short := p4fuzz.Shrink(steps, tries, func(s []p4fuzz.Step) bool { return ctx.Err() == nil && f.replay(ctx, x, s) != nil })
	again := f.replay(ctx, x, short)
	if again == nil {
		again = errors.New("it does not happen again")
	}
	t.Fatalf("%s, program %s, request %d: %v\nthe shortest that fails:\n%s%v", f.name, x.name, len(steps), err, p4fuzz.Describe(short), again)
}

// fuzzPrograms returns the programs for the fuzzer. The third has features that the others lack: ranges, optional fields, idle timeouts
// and a const table.
func fuzzPrograms(t *testing.T, on string) []fuzzProgram {
	t.Helper()
	router, routerJSON := routerProgram(t)
	const objects = "../internal/softswitch/p4rtserver/testdata/objects."
	text, err := os.ReadFile(objects + "p4info.txtpb")
	if err != nil {
		t.Fatal(err)
	}
	info := &configv1.P4Info{}
	if err := prototext.Unmarshal(text, info); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(objects + "json")
	if err != nil {
		t.Fatal(err)
	}
	if on == "bmv2" {
		program = withoutEntries(t, info, program)
	}
	return []fuzzProgram{{"op25b", p4src.P4Info(), p4src.DeviceConfig()}, {"router", router, routerJSON}, {"objects", info, program}}
}

// withoutEntries removes the initial entries of tables that are not const, because bmv2 cannot return such tables.
func withoutEntries(t *testing.T, info *configv1.P4Info, program []byte) []byte {
	t.Helper()
	sizes := map[string]int64{}
	for _, x := range info.GetTables() {
		if x.GetHasInitialEntries() && !x.GetIsConstTable() {
			sizes[x.GetPreamble().GetName()] = x.GetSize()
			x.HasInitialEntries = false
		}
	}
	var doc map[string]any
	if err := json.Unmarshal(program, &doc); err != nil {
		t.Fatal(err)
	}
	for _, p := range doc["pipelines"].([]any) {
		for _, x := range p.(map[string]any)["tables"].([]any) {
			if x := x.(map[string]any); sizes[x["name"].(string)] > 0 {
				delete(x, "entries")
				x["max_size"] = sizes[x["name"].(string)]
			}
		}
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestP4Fuzz sends random valid and invalid writes to every switch. It compares each reply, and each read that follows, with a model.
// Every mutation must occur, and must be answered as the table of answers states. With OP25B_LONG=1, the test writes 300,000 updates to
// each switch.
func TestP4Fuzz(t *testing.T) {
	updates, each := map[string]int{"op25b": 1200, "router": 500, "objects": 800}, 600 // the numbers of updates: in all, and between two pushes of a program
	if longform.On() {
		updates, each = map[string]int{"op25b": 200_000, "router": 40_000, "objects": 60_000}, 3000
	}
	seed := uint64(time.Now().UnixNano())
	if *seedFlag != 0 {
		seed = *seedFlag
	}
	onFuzzed(t, func(t *testing.T, f *fuzzed) {
		defer func() {
			if t.Failed() {
				t.Logf("-seed %d does it again", seed)
			}
		}()
		ctx, began := t.Context(), time.Now()
		seen := map[p4fuzz.Mutation]bool{}
		tell := func(r p4fuzz.Report) {
			if len(r.Mutations) == 1 && r.Code == f.answers[r.Mutations[0]] {
				seen[r.Mutations[0]] = true
			}
		}
		total, wrong := 0, 0
		programs := fuzzPrograms(t, f.name)
		for n, x := range programs {
			var steps []p4fuzz.Step
			play := func(m *p4fuzz.Model, s p4fuzz.Step) {
				steps = append(steps, s)
				total += len(s.Updates)
				if err := f.Play(ctx, m, s, func(r p4fuzz.Report) {
					if tell(r); r.Code != codes.OK {
						wrong++
					}
				}); err != nil {
					f.fail(ctx, t, x, steps, err)
				}
			}
			for round, done := 0, 0; done < updates[x.name]; round++ {
				m, err := f.fresh(ctx, x)
				if err != nil {
					t.Fatal(err)
				}
				d := p4fuzz.NewDrawer(rand.New(rand.NewPCG(seed, uint64(n)<<32|uint64(round))), m, f.avoid...)
				until := total + min(each, updates[x.name]-done)
				steps = nil
				for began := total; total < until; done, began = done+total-began, total {
					play(m, d.Step())
				}
				if done < updates[x.name] {
					continue
				}
				for _, rule := range p4fuzz.Rules { // try the mutations that have not occurred by chance
					for tries := 0; tries < 40 && !seen[rule.Mutation] && !slices.Contains(f.avoid, rule.Mutation); tries++ {
						s, ok := d.Only(rule.Mutation)
						switch {
						case ok:
							play(m, s)
						case n == len(programs)-1:
							play(m, d.Step()) // the installed entries may make the mutation impossible, so change them
						}
					}
				}
			}
		}
		for _, rule := range p4fuzz.Rules {
			if !seen[rule.Mutation] && !slices.Contains(f.avoid, rule.Mutation) && !slices.Contains(seenElsewhere, rule.Mutation) {
				t.Errorf("%q has not been seen alone", rule.Mutation)
			}
		}
		fmt.Printf("p4fuzz: %s: %d updates, %d of them refused, %d mutations, answers and state as the model has them, in %v\n",
			f.name, total, wrong, len(seen), time.Since(began).Round(time.Millisecond))
	})
}

// seenElsewhere lists the mutations that TestP4FuzzWithoutStream covers.
var seenElsewhere = []p4fuzz.Mutation{p4fuzz.BeforePush, p4fuzz.Unarbitrated, p4fuzz.Anonymous}
