package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
	"op25b/internal/softswitch"
	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/p4rtserver"
	"op25b/p4src"
)

// A subject is a switch that a test updates step by step, sending frames through it after each update.
type subject interface {
	// read reads all entries of the switch over P4Runtime.
	read(tb testing.TB) []pipeline.Entry
	update(tb testing.TB, u *p4v1.Update) error
	// pass reports, for each frame, whether the frame comes out on the other side.
	pass(tb testing.TB, frames []sent) []bool
}

var (
	_ subject = (*specimen)(nil)
	_ subject = (*device)(nil)
)

func (d *device) read(tb testing.TB) []pipeline.Entry { return readAll(tb, d.session) }

func (d *device) update(tb testing.TB, u *p4v1.Update) error {
	return d.session.Write(tb.Context(), []*p4v1.Update{u})
}

func (d *device) pass(tb testing.TB, frames []sent) []bool {
	tb.Helper()
	came := map[string]bool{}                     // the frames that came out, with the kind of port, access or network
	for burst := range slices.Chunk(frames, 10) { // use small bursts, because bmv2 drops frames when a queue of 64 is full, and some frames are flooded
		for port, out := range d.through(tb, slices.Clip(burst)) {
			for _, f := range out {
				came[fmt.Sprint(port >= firstNetworkPort)+string(f)] = true
			}
		}
	}
	passed := make([]bool, len(frames))
	for i, f := range frames {
		passed[i] = came[fmt.Sprint(f.port < firstNetworkPort)+string(f.frame)]
	}
	return passed
}

// messages converts updates to P4Runtime messages.
func messages(updates []pipeline.Update) []*p4v1.Update {
	all := make([]*p4v1.Update, len(updates))
	for i, u := range updates {
		all[i] = &p4v1.Update{Type: p4v1.Update_Type(u.Kind), Entity: p4rt.Entity(*u.Entry)}
	}
	return all
}

func readAll(tb testing.TB, s reconcile.Reader) []pipeline.Entry {
	tb.Helper()
	have, err := reconcile.Read(tb.Context(), s)
	if err != nil {
		tb.Fatal(err)
	}
	return have
}

// A specimen is an embedded switch without ports or connections. The test calls its P4Runtime server to update it, and its engine to process
// frames.
type specimen struct {
	server  *p4rtserver.Server
	session *p4rt.Session
	worker  *engine.Worker
}

func newSpecimen(tb testing.TB) *specimen {
	tb.Helper()
	s := &specimen{}
	noon := time.Unix(43200, 0) // the clock stands still, so no token bucket is refilled
	o := engine.Options{Clock: func() time.Time { return noon }}
	s.server, s.session = serveP4Runtime(tb, o, func(e *engine.Engine) { s.worker = e.NewWorker() })
	s.empty(tb)
	return s
}

// empty pushes the program, which removes all entries and state.
func (s *specimen) empty(tb testing.TB) {
	tb.Helper()
	if err := s.session.Push(tb.Context(), p4src.P4Info(), p4src.DeviceConfig(), p4rt.Cookie(p4src.P4Info(), p4src.DeviceConfig())); err != nil {
		tb.Fatal(err)
	}
}

func (s *specimen) read(tb testing.TB) []pipeline.Entry { return readAll(tb, s.session) }

func (s *specimen) update(tb testing.TB, u *p4v1.Update) error {
	_, err := s.server.Write(tb.Context(), &p4v1.WriteRequest{DeviceId: 1, ElectionId: &p4v1.Uint128{Low: 1}, Updates: []*p4v1.Update{u}})
	return err
}

func (s *specimen) pass(_ testing.TB, frames []sent) []bool {
	passed := make([]bool, len(frames))
	for i, f := range frames {
		s.worker.Process(uint32(f.port), f.frame, func(port uint32, _ []byte) { passed[i] = passed[i] || crosses(f, pipeline.Port(port)) })
	}
	return passed
}

// crosses reports whether a frame that leaves an estate's switch at the port out has crossed from a line to the network, or from the network
// to a line. A frame that is flooded within the network has not crossed, and neither has the reply to a rejected connection.
func crosses(f sent, out pipeline.Port) bool {
	return (f.port >= firstNetworkPort) != (out >= firstNetworkPort)
}

// A judgement states how a switch in a given state handles a frame.
type judgement uint8

const (
	stops judgement = iota
	lets
	atRate // a token bucket decides about the frame
)

// judge loads a state into a new switch and returns how the switch handles each frame.
func judge(tb testing.TB, state *pipeline.State, frames []sent) []judgement {
	tb.Helper()
	all, _ := judgeWhy(tb, state, frames)
	return all
}

// judgeWhy is like judge, but also returns the rule that decides each frame, or 0 if there is none.
func judgeWhy(tb testing.TB, state *pipeline.State, frames []sent) (all []judgement, why []pipeline.RuleID) {
	tb.Helper()
	fixed, err := state.Entries()
	if err != nil {
		tb.Fatal(err)
	}
	rules, err := pipeline.RuleEntries(state.Verdicts, 1)
	if err != nil {
		tb.Fatal(err)
	}
	var entities []*p4v1.Entity
	for _, e := range slices.Concat(fixed, rules, []pipeline.Entry{pipeline.EpochEntry(1, state.SynOnly)}) {
		entities = append(entities, p4rt.Entity(e))
	}
	r, err := softswitch.NewRehearsal(p4src.DeviceConfig(), p4src.P4Info(), entities)
	if err != nil {
		tb.Fatal(err)
	}
	all, why = make([]judgement, len(frames)), make([]pipeline.RuleID, len(frames))
	for i, f := range frames {
		p := r.Play(softswitch.Frame{Port: uint32(f.port), Bytes: f.frame})[0]
		if slices.ContainsFunc(p.Out, func(out softswitch.Frame) bool { return crosses(f, pipeline.Port(out.Port)) }) {
			all[i] = lets
		}
		for _, e := range p.Trace {
			switch {
			case e.Kind == engine.EventTable && strings.HasSuffix(e.Name, ".connection_limit"):
				all[i] = atRate
			case e.Kind == engine.EventCounter && strings.HasSuffix(e.Name, ".port_rule"):
				why[i] = pipeline.RuleID(*e.Index)
			}
		}
	}
	return all, why
}
