package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// hand writes updates to a switch as an intruder, without the controllers.
func (r *round) hand(e *edge, updates []*p4v1.Update) {
	r.t.Helper()
	s := r.intruder(e)
	defer s.Close()
	if err := s.Write(generous(r.t), updates); err != nil {
		r.t.Fatalf("%s: by hand: %v", e.name, err)
	}
}

// intruder returns a primary session of another controller, whose election id is higher than any that the
// switch has seen.
func (r *round) intruder(e *edge) *p4rt.Session {
	r.t.Helper()
	tap := e.network.tap
	for tries := 0; ; tries++ {
		tap.mu.Lock()
		id := tap.asked
		tap.mu.Unlock()
		id.Low += uint64(1 + r.IntN(1000))
		if r.IntN(2) == 0 {
			id.High++
		}
		ctx, cancel := context.WithTimeout(generous(r.t), 5*time.Second)
		s, err := p4rt.Dial(ctx, p4rt.Config{Addr: e.addr, DeviceID: e.id, ElectionID: id})
		if err == nil {
			if err = s.WaitPrimary(ctx); err == nil {
				cancel()
				return s
			}
			_ = s.Close()
		}
		cancel()
		if tries == 20 {
			r.t.Fatalf("%s: election id %v is never primary: %v", e.name, id, err)
		}
	}
}

// harmlessEdit returns updates that do not affect the frames of a stream. They add a bridge entry and
// delete the bridge entry of a line.
func (r *round) harmlessEdit(e *edge) []*p4v1.Update {
	r.t.Helper()
	have, err := r.read(generous(r.t), e)
	if err != nil {
		r.t.Fatal(err)
	}
	foreign := func(s *pipeline.State) *p4v1.Update {
		entries, err := s.Entries()
		if err != nil {
			r.t.Fatal(err)
		}
		i := slices.IndexFunc(entries, func(e pipeline.Entry) bool { return !e.IsDefault() })
		return &p4v1.Update{Type: p4v1.Update_INSERT, Entity: p4rt.Entity(entries[i])}
	}
	mac := pipeline.MAC{2, 0x99, byte(r.number >> 8), byte(r.number), 0, byte(r.IntN(256))}
	updates := []*p4v1.Update{foreign(&pipeline.State{Bridge: map[pipeline.MAC]pipeline.BridgePort{mac: {Port: 7}}})}
	for _, x := range have { // delete the bridge entry for frames to a line
		if x.Table() == "bridge" && strings.Contains(x.String(), "02:00:00:00:01:01") {
			updates = append(updates, &p4v1.Update{Type: p4v1.Update_DELETE, Entity: p4rt.Entity(x)})
		}
	}
	return updates
}

func (r *round) byHand() {
	e := r.any(r.switches)
	began := time.Now().Truncate(time.Second)
	r.hand(e, r.harmlessEdit(e))
	if r.changed {
		return
	}
	r.await("the drift of "+e.name, func() error {
		st := r.status(e)
		if len(st.Drift) > 0 {
			at, _, _ := strings.Cut(st.Drift[0], " ")
			if t, err := time.Parse(time.RFC3339, at); err == nil && !t.Before(began) {
				return nil
			}
		}
		return fmt.Errorf("%+v", st)
	})
}

func (r *round) otherPipeline() {
	e := r.any(r.switches)
	info, program := routerProgram(r.t)
	e.stream.excuse(true)
	s := r.intruder(e)
	defer s.Close()
	if _, err := s.EnsurePipeline(generous(r.t), info, program); err != nil {
		r.t.Fatalf("%s: another pipeline: %v", e.name, err)
	}
}
