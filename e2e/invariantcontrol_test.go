package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"op25b/e2e/longform"
	"op25b/internal/bring/bringtest"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
)

// fewOrMany returns the number of estates for a test over P4Runtime. The long form uses 20 times as many.
func fewOrMany(few int) int {
	if longform.On() {
		return 20 * few
	}
	return few
}

// content returns the entries of a switch, by key.
func content(tb testing.TB, s reconcile.Reader) map[pipeline.Key]pipeline.Value {
	tb.Helper()
	all := map[pipeline.Key]pipeline.Value{}
	for _, e := range readAll(tb, s) {
		all[e.Key] = e.Value
	}
	return all
}

// judged fails the test unless the switch decides about the frames like a switch that has never had another state. It ignores frames that a
// token bucket decides.
func judged(t *testing.T, d *device, state *pipeline.State, frames []sent) {
	t.Helper()
	passed := d.pass(t, frames)
	for i, want := range judge(t, state, frames) {
		if want != atRate && passed[i] != (want == lets) {
			t.Fatalf("%s: wrong about the frame into port %d: %x", d.name, frames[i].port, frames[i].frame)
		}
	}
}

// TestI3Fenced verifies I3. A controller loses the switch to a successor after a random update of a change. It must write nothing more, the
// successor's changes must stay, and the switch itself must refuse writes with the old election id.
func TestI3Fenced(t *testing.T) {
	seed := invariantSeed()
	cut, names := 0, map[string]bool{}
	for i := range fewOrMany(2) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		onEveryEstate(t, r, func(t *testing.T, e *estate, d *device) {
			e.revise()
			olds, err := e.compile()
			if err != nil {
				t.Fatal(err)
			}
			e.revise()
			news, err := e.compile()
			if err != nil {
				t.Fatal(err)
			}
			plan, err := reconcile.Make(readAll(t, d.session), olds, contract(t), reconcile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if plan.Updates() == 0 {
				return // the revision changed no entries
			}
			at := 1 + r.IntN(plan.Updates())
			var successor *controller
			var after map[pipeline.Key]pipeline.Value
			old := takeOver(t, d, 5, func(n int) {
				if n != at {
					return
				}
				successor = takeOver(t, d, 6, nil)
				if _, err := bringtest.Converge(t.Context(), successor.Session, news); err != nil {
					t.Fatalf("seed %d: the successor: %v", seed, err)
				}
				after = content(t, successor)
			})
			_, _, err = reconcile.Apply(t.Context(), old, olds, contract(t), reconcile.Options{})
			if !errors.Is(err, p4rt.ErrNotPrimary) && at < plan.Updates() {
				t.Errorf("seed %d: the old controller: %v, want %v", seed, err, p4rt.ErrNotPrimary)
			}
			if err := inNameOf(t, d, 5); status.Code(err) != codes.PermissionDenied {
				t.Errorf("seed %d: a write with the old election id: %v, want PERMISSION_DENIED", seed, err)
			}
			if got := content(t, successor); !maps.Equal(got, after) {
				t.Errorf("seed %d: the switch has %d entries, and had %d when the successor was done", seed, len(got), len(after))
			}
			judged(t, d, news, calls(r, 40))
			cut, names[d.name] = cut+1, true
		})
	}
	fmt.Printf("I3 Fenced: %v: %d owners lost the switch in the middle of a change, none wrote after that\n", slices.Sorted(maps.Keys(names)), cut)
}

// inNameOf tries to put epoch 0 in force with the given election id, without opening a session.
func inNameOf(t *testing.T, d *device, election uint64) error {
	t.Helper()
	conn, err := grpc.NewClient(d.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = p4v1.NewP4RuntimeClient(conn).Write(ctx, &p4v1.WriteRequest{
		DeviceId: 1, ElectionId: &p4v1.Uint128{Low: election},
		Updates: []*p4v1.Update{{Type: p4v1.Update_MODIFY, Entity: p4rt.Entity(pipeline.EpochEntry(0, false))}},
	})
	return err
}

// TestI4HeadlessSafe verifies I4. The controller dies after a random update of a change. Nothing may change in the switch, and frames that
// the old and the new policy decide alike must be decided that way, until the next controller completes this change or another one.
func TestI4HeadlessSafe(t *testing.T) {
	seed := invariantSeed()
	deaths, frames, names := 0, 0, map[string]bool{}
	for i := range fewOrMany(2) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		onEveryEstate(t, r, func(t *testing.T, e *estate, d *device) {
			asked := calls(r, 60)
			before := judge(t, d.state, asked)
			e.revise()
			state, err := e.compile()
			if err != nil {
				t.Fatal(err)
			}
			plan, err := reconcile.Make(readAll(t, d.session), state, contract(t), reconcile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if plan.Updates() == 0 {
				return
			}
			at := 1 + r.IntN(plan.Updates())
			ctx, die := context.WithCancel(t.Context())
			defer die()
			c := takeOver(t, d, 5, func(n int) {
				if n == at {
					die()
				}
			})
			_, _, err = reconcile.Apply(ctx, c, state, contract(t), reconcile.Options{})
			if c.writes != at || err == nil {
				t.Fatalf("seed %d: %d writes, %v; the controller was to die after %d", seed, c.writes, err, at)
			}
			atDeath := content(t, c)
			_ = c.Close()
			_ = d.session.Close() // no controller is left after this call
			passed := d.pass(t, asked)
			for k, now := range judge(t, state, asked) {
				if now == before[k] && now != atRate {
					frames++
					if passed[k] != (now == lets) {
						t.Fatalf("seed %d: the switch is wrong about the frame into port %d: %x", seed, asked[k].port, asked[k].frame)
					}
				}
			}
			reader, err := p4rt.DialReader(t.Context(), p4rt.Config{Addr: d.addr, DeviceID: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			if later := content(t, reader); !maps.Equal(later, atDeath) {
				t.Errorf("seed %d: the switch has %d entries, and had %d when the controller died", seed, len(later), len(atDeath))
			}
			if r.IntN(2) == 0 {
				e.revise()
				if state, err = e.compile(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := bringtest.Converge(t.Context(), takeOver(t, d, 6, nil).Session, state); err != nil {
				t.Fatalf("seed %d: the next controller: %v", seed, err)
			}
			judged(t, d, state, asked)
			deaths, names[d.name] = deaths+1, true
		})
	}
	fmt.Printf("I4 HeadlessSafe: %v: %d deaths in the middle of a change, nothing changed after them; %d frames\n", slices.Sorted(maps.Keys(names)), deaths, frames)
}

// TestI5RestartIsReconcile verifies I5. After a restart, a controller whose switch is in the desired state must send neither a write nor a
// program, not even when it converges a second time.
func TestI5RestartIsReconcile(t *testing.T) {
	seed := invariantSeed()
	restarts, written, names := 0, 0, map[string]bool{}
	for i := range fewOrMany(2) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		onEveryEstate(t, r, func(t *testing.T, e *estate, d *device) {
			for election := uint64(2); election < 10; election += 2 {
				e.revise()
				state, err := e.compile()
				if err != nil {
					t.Fatal(err)
				}
				first := takeOver(t, d, election, nil)
				result, err := bringtest.Converge(t.Context(), first.Session, state)
				if err != nil || result.Pushed {
					t.Fatalf("seed %d: pushed=%v, %v", seed, result.Pushed, err)
				}
				if first.writes != result.Plan.Updates() {
					t.Errorf("seed %d: %d writes for a plan of %d updates", seed, first.writes, result.Plan.Updates())
				}
				written += first.writes
				again := takeOver(t, d, election+1, nil)
				for range 2 {
					result, err := bringtest.Converge(t.Context(), again.Session, state)
					if err != nil || result.Pushed || len(result.Plan.Steps) != 0 || again.writes+again.pushes != 0 {
						t.Fatalf("seed %d: the restart sent %d writes and %d programs for %d steps, %v", seed, again.writes, again.pushes, len(result.Plan.Steps), err)
					}
				}
				restarts++
			}
			names[d.name] = true
		})
	}
	fmt.Printf("I5 RestartIsReconcile: %v: %d restarts without a write, after %d writes\n", slices.Sorted(maps.Keys(names)), restarts, written)
}
