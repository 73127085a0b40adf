package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"

	"op25b/e2e/vectors"
	"op25b/internal/fleet"
	"op25b/internal/openconfig/p4source"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/p4rtserver"
	"op25b/internal/wire"
	"op25b/internal/wire/dataplane"
	"op25b/p4src"
)

const vectorsFolder = "testdata/vectors"

// vectorsNow is a day on which the exemptions of the vectors' policy hold.
var vectorsNow = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestVectors holds the embedded switch, and bmv2 where there is one, to the golden vectors.
func TestVectors(t *testing.T) {
	all, err := vectors.Read(os.DirFS(vectorsFolder))
	if err != nil {
		t.Fatal(err)
	}
	setting := loadSetting(t)
	line := "vectors: " + hold(t, &embeddedVectors{vectorTarget: vectorTarget{setting: setting}}, all, setting.limited)
	if path, reason := findBMv2(); reason != "" {
		line += ", bmv2 SKIPPED: " + reason
	} else {
		line += ", " + hold(t, newBMv2Vectors(t, path, setting), all, setting.limited)
	}
	if !t.Failed() {
		line += ": all as written"
	}
	fmt.Println(line)
}

// A target that can be started and stopped.
type startedTarget interface {
	vectors.Target
	start(t *testing.T)
}

// hold plays the vectors on a target and says how many were as written.
func hold(t *testing.T, target startedTarget, all []vectors.Vector, limited func(line string) bool) string {
	target.start(t)
	passed, err := vectors.Run(target, all, limited)
	if err != nil {
		t.Error(err)
		return fmt.Sprintf("%d of %d on %s", passed, len(all), target.Name())
	}
	return fmt.Sprintf("%d on %s", passed, target.Name())
}

// A vectorSetting is the policy that the vectors run under, and what the numbers of the switch's counters mean.
type vectorSetting struct {
	bundle *policy.Bundle
	sw     *policy.Switch
	acl    *p4source.ACLLayout
	lines  *configv1.Counter // per line index and outcome
}

func loadSetting(t *testing.T) *vectorSetting {
	t.Helper()
	var files []policy.File
	for _, name := range []string{"policy.yaml", "inventory.yaml"} {
		data, err := os.ReadFile(filepath.Join(vectorsFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, policy.File{Name: name, Data: data})
	}
	b, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	acl, err := p4source.FindACLCounter(p4src.P4Info())
	if err != nil {
		t.Fatal(err)
	}
	s := &vectorSetting{bundle: b, sw: &b.Inventory.Switches[0], acl: acl}
	counters := p4src.P4Info().Counters
	i := slices.IndexFunc(counters, func(c *configv1.Counter) bool { return c.Preamble.Alias == "line_mail" })
	if i < 0 {
		t.Fatal("the program has no counter line_mail")
	}
	s.lines = counters[i]
	return s
}

func (s *vectorSetting) compile(phase string) (*policy.Compiled, error) {
	return policy.Compile(s.bundle.Policy, s.bundle.Inventory, s.sw.Name, phase, vectorsNow)
}

// limited says whether a line's new connections have a rate.
func (s *vectorSetting) limited(line string) bool {
	for _, l := range s.sw.Lines {
		if l.Name == line {
			i := slices.IndexFunc(s.bundle.Policy.LineGroups, func(g policy.LineGroup) bool { return g.Name == l.Group })
			return s.bundle.Policy.LineGroups[i].Limit != (policy.Rate{})
		}
	}
	return false
}

// A cell is one counter of the switch: where it is, and what it counts.
type cell struct {
	counter uint32 // id in the P4Info
	index   int64
	rule    vectors.RuleCell // of the rule counters
	line    vectors.LineCell // of the lines' counters
}

// cells are all counters that a vector can speak of, and those of rules that it should not.
func (s *vectorSetting) cells(c *policy.Compiled) (all []cell) {
	names := map[uint32]string{}
	for id, r := range c.Rules {
		names[uint32(id)] = r.Name
	}
	last := uint32(pipeline.FirstRule) + uint32(len(s.bundle.Policy.RuleIDs()))
	for id := range uint32(256) {
		name, known := names[id]
		if !known && id != 0 && id <= last { // a rule of another phase, or the first number that nobody has
			name, known = fmt.Sprint("number ", id), true
		}
		for _, p := range s.sw.Ports {
			if known {
				all = append(all, cell{s.acl.CounterID, s.acl.Index(uint32(p.Number), id), vectors.RuleCell{Port: uint32(p.Number), Rule: name}, vectors.LineCell{}})
			}
		}
	}
	for i, name := range append([]string{vectors.Unnamed}, c.Lines...) {
		for o, outcome := range vectors.Outcomes {
			all = append(all, cell{s.lines.Preamble.Id, int64(i*len(vectors.Outcomes) + o), vectors.RuleCell{}, vectors.LineCell{Line: name, Outcome: outcome}})
		}
	}
	return all
}

// add enters what a cell says.
func (c cell) add(to *vectors.Counters, packets, octets uint64) {
	switch {
	case packets == 0:
	case c.line.Line != "":
		to.Lines[c.line] = packets
	default:
		to.Rules[c.rule] = vectors.Count{Packets: packets, Bytes: octets}
	}
}

func noCounters() vectors.Counters {
	return vectors.Counters{Rules: map[vectors.RuleCell]vectors.Count{}, Lines: map[vectors.LineCell]uint64{}}
}

// A vectorTarget is what both targets have: a session that brings the switch to a phase.
type vectorTarget struct {
	setting *vectorSetting
	session *p4rt.Session
	phase   string
	cells   []cell
}

func (v *vectorTarget) dial(t *testing.T, addr string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	session, err := p4rt.Dial(ctx, p4rt.Config{Addr: addr, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	if err := session.WaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	v.session = session
}

// converge brings the switch to a phase. Without buckets the lines' rates are left out.
func (v *vectorTarget) converge(phase string, buckets bool) error {
	c, err := v.setting.compile(phase)
	if err != nil {
		return err
	}
	v.cells = v.setting.cells(c)
	state := c.State
	if !buckets {
		state.Limits = nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = fleet.Converge(ctx, v.session, &state)
	return err
}

// embeddedVectors is the engine of the embedded switch, in this process and on a clock of its own.
type embeddedVectors struct {
	vectorTarget
	engine *engine.Engine
	worker *engine.Worker
	rules  *engine.Counter
	lines  *engine.Counter

	mu  sync.Mutex // guards what follows
	now time.Time
}

var _ startedTarget = (*embeddedVectors)(nil)

func (v *embeddedVectors) Name() string { return "embedded" }

func (v *embeddedVectors) clock() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

func (v *embeddedVectors) start(t *testing.T) {
	v.now = vectorsNow
	server, err := p4rtserver.New(p4rtserver.Options{
		DeviceID: 1,
		Load:     func(json []byte) (*engine.Engine, error) { return engine.Load(json, engine.Options{Clock: v.clock}) },
		OnCommit: func(e *engine.Engine, _ *configv1.P4Info) { v.engine, v.worker = e, e.NewWorker() },
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(p4rtserver.ServerOptions()...)
	server.Register(g)
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(listener) }()
	t.Cleanup(func() { server.Close(); g.Stop(); <-served })
	v.dial(t, listener.Addr().String())
}

// Load moves the clock on by more than anything in the switch remembers: buckets are full and windows closed.
func (v *embeddedVectors) Load(phase string) error {
	v.mu.Lock()
	v.now = v.now.Add(10 * time.Minute)
	v.mu.Unlock()
	if phase == v.phase {
		return nil
	}
	if err := v.converge(phase, true); err != nil {
		return err
	}
	v.phase = phase
	var found bool
	if v.rules, found = v.engine.Counter(v.setting.acl.CounterName); !found {
		return fmt.Errorf("the engine has no counter %s", v.setting.acl.CounterName)
	}
	if v.lines, found = v.engine.Counter(v.setting.lines.Preamble.Name); !found {
		return fmt.Errorf("the engine has no counter %s", v.setting.lines.Preamble.Name)
	}
	return nil
}

func (v *embeddedVectors) Process(port uint32, frame []byte) (out []vectors.Output, err error) {
	v.worker.Process(port, frame, func(port uint32, f []byte) { out = append(out, vectors.Output{Port: port, Frame: bytes.Clone(f)}) })
	return out, nil
}

func (v *embeddedVectors) Counters() (vectors.Counters, error) {
	all := noCounters()
	for _, c := range v.cells {
		counter := v.rules
		if c.line.Line != "" {
			counter = v.lines
		}
		value, err := counter.Read(int(c.index))
		if err != nil {
			return all, err
		}
		c.add(&all, value.Packets, value.Bytes)
	}
	return all, nil
}

// bmv2Vectors is the real bmv2, its frames and its counters over gRPC.
type bmv2Vectors struct {
	vectorTarget
	t        *testing.T
	path     string
	packets  string // address of the packet service
	client   *dataplane.Client
	links    map[uint32]wire.Link
	out      map[uint32]chan []byte
	serving  sync.WaitGroup
	ctx      context.Context
	rejected time.Time      // when it last sent a frame that it had made itself
	entities []*p4v1.Entity // of cells
}

var _ startedTarget = (*bmv2Vectors)(nil)

func newBMv2Vectors(t *testing.T, path string, s *vectorSetting) *bmv2Vectors {
	return &bmv2Vectors{vectorTarget: vectorTarget{setting: s}, t: t, path: path, links: map[uint32]wire.Link{}, out: map[uint32]chan []byte{}}
}

func (v *bmv2Vectors) Name() string { return "bmv2" }

func (v *bmv2Vectors) start(t *testing.T) {
	v.packets = freeAddr(t)
	v.dial(t, startBMv2(t, v.path, 1, nil, []string{"--dp-grpc-server-addr", v.packets}))
	var cancel context.CancelFunc
	v.ctx, cancel = context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		if v.client != nil {
			_ = v.client.Close()
		}
		v.serving.Wait()
	})
}

// plug attaches to every port; bmv2 refuses a packet stream before it has a program.
func (v *bmv2Vectors) plug() error {
	client, err := dataplane.Dial(v.ctx, v.packets, 1)
	if err != nil {
		return err
	}
	v.client = client
	for _, p := range v.setting.sw.Ports {
		n := uint32(p.Number)
		link, err := client.Port(n, p.Name)
		if err != nil {
			return err
		}
		out := make(chan []byte, 1024)
		v.links[n], v.out[n] = link, out
		v.serving.Go(func() { _ = link.Serve(v.ctx, func(f []byte) { out <- bytes.Clone(f) }) })
	}
	return nil
}

// Load writes the lines' rates anew, which fills their buckets. The switch has a clock of its own, which no test can move: the second in
// which it last rejected has to pass, and the one after it for where two of its seconds meet.
func (v *bmv2Vectors) Load(phase string) error {
	if err := v.converge(phase, false); err != nil {
		return err
	}
	if err := v.converge(phase, true); err != nil {
		return err
	}
	v.phase = phase
	v.entities = nil
	for _, c := range v.cells {
		v.entities = append(v.entities, &p4v1.Entity{Entity: &p4v1.Entity_CounterEntry{CounterEntry: &p4v1.CounterEntry{CounterId: c.counter, Index: &p4v1.Index{Index: c.index}}}})
	}
	if v.client == nil {
		if err := v.plug(); err != nil {
			return err
		}
	}
	<-time.After(time.Until(v.rejected.Add(2 * (1 << 20) * time.Microsecond)))
	return nil
}

// Process sends the frame, and behind it markers that the switch floods: whatever the frame led to comes out before the last of them. The
// second pair covers what goes through the switch twice.
func (v *bmv2Vectors) Process(port uint32, frame []byte) (out []vectors.Output, err error) {
	if err := v.links[port].Send(frame); err != nil {
		return nil, err
	}
	for range 2 {
		for _, p := range []uint32{11, 12} {
			if err := v.links[p].Send(marker(pipeline.Port(p))); err != nil {
				return nil, err
			}
		}
		deadline := time.After(time.Minute)
		for p, frames := range v.out {
			missing := 2
			if p == 11 || p == 12 {
				missing = 1
			}
			for missing > 0 {
				select {
				case f := <-frames:
					if bytes.Equal(f, marker(11)) || bytes.Equal(f, marker(12)) {
						missing--
						continue
					}
					if out = append(out, vectors.Output{Port: p, Frame: f}); !bytes.Equal(f, frame) {
						v.rejected = time.Now()
					}
				case <-deadline:
					return nil, fmt.Errorf("port %d has not sent the markers", p)
				}
			}
		}
	}
	return out, nil
}

func (v *bmv2Vectors) Counters() (vectors.Counters, error) {
	all := noCounters()
	ctx, cancel := context.WithTimeout(v.ctx, time.Minute)
	defer cancel()
	answer, err := v.session.Read(ctx, v.entities...)
	if err != nil {
		return all, err
	}
	if len(answer) != len(v.cells) {
		return all, fmt.Errorf("%d counters asked for, %d answered", len(v.cells), len(answer))
	}
	at := map[[2]int64]cell{}
	for _, c := range v.cells {
		at[[2]int64{int64(c.counter), c.index}] = c
	}
	for _, e := range answer {
		entry := e.GetCounterEntry()
		c, asked := at[[2]int64{int64(entry.GetCounterId()), entry.GetIndex().GetIndex()}]
		if !asked {
			return all, fmt.Errorf("an answer that nobody asked for: %v", e)
		}
		c.add(&all, uint64(entry.GetData().GetPacketCount()), uint64(entry.GetData().GetByteCount()))
	}
	return all, nil
}
