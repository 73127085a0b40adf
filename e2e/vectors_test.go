package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/e2e/vectors"
	"op25b/internal/bring/bringtest"
	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/openconfig/p4source"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/softswitch/engine"
	"op25b/internal/strict"
	"op25b/p4src"
)

const vectorsFolder = "testdata/vectors"

// vectorsNow is a day on which the exemptions of the vectors' policy are in force.
var vectorsNow = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestVectors runs the golden vectors on the embedded switch. It also runs them on bmv2 if bmv2 is available.
func TestVectors(t *testing.T) {
	all, err := vectors.Read(os.DirFS(vectorsFolder))
	if err != nil {
		t.Fatal(err)
	}
	setting := loadSetting(t)
	line := "vectors: " + hold(t, newEmbeddedVectors(t, setting), all, setting.limited)
	if path, reason := findBMv2(); reason != "" {
		if *targetFlag == "bmv2" {
			t.Fatal(reason)
		}
		line += ", bmv2 SKIPPED: " + reason
	} else {
		line += ", " + hold(t, newBMv2Vectors(t, path, setting), all, setting.limited)
	}
	if !t.Failed() {
		line += ": all as written"
	}
	fmt.Println(line)
}

// hold runs the vectors on a target and returns a summary with the number that passed.
func hold(t *testing.T, target vectors.Target, all []vectors.Vector, limited func(line string) bool) string {
	playable := vectors.Playable(target, all)
	passed, err := vectors.Run(target, playable, limited)
	if err != nil {
		t.Error(err)
		return fmt.Sprintf("%d of %d on %s", passed, len(playable), target.Name())
	}
	unplayed := ""
	if n := len(all) - len(playable); n > 0 {
		unplayed = fmt.Sprintf(" (%d need a clock that can be set)", n)
	}
	return fmt.Sprintf("%d on %s%s", passed, target.Name(), unplayed)
}

// A vectorSetting contains the policy of the vectors and the layout of the switch's counters.
type vectorSetting struct {
	bundle  *policy.Bundle
	numbers *compile.Numbers
	sw      *policy.Switch
	acl     *p4source.ACLLayout
	lines   *configv1.Counter // the counter of lines' mail, indexed by line and outcome
}

func loadSetting(t *testing.T) *vectorSetting {
	t.Helper()
	var files []strict.File
	for _, name := range []string{"policy.yaml", "inventory.yaml", "exemptions.yaml"} {
		data, err := os.ReadFile(filepath.Join(vectorsFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, strict.File{Name: name, Data: data})
	}
	b, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := p4source.Find(p4src.P4Info())
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := compile.Number(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	s := &vectorSetting{bundle: b, numbers: numbers, sw: &b.Inventory.Switches[0], acl: layout.ACL}
	counters := p4src.P4Info().Counters
	i := slices.IndexFunc(counters, func(c *configv1.Counter) bool { return c.Preamble.Alias == "line_mail" })
	if i < 0 {
		t.Fatal("the program has no counter line_mail")
	}
	s.lines = counters[i]
	return s
}

// compile compiles the documents for a phase, and adds entries for subscribers.
func (s *vectorSetting) compile(phase string, extra []vectors.Subscriber) (*compile.Compiled, error) {
	c, err := compiletest.Compile(s.bundle, s.numbers, s.sw.Name, policy.Everywhere(phase), vectorsNow)
	if err != nil || len(extra) == 0 {
		return c, err
	}
	classes := map[string]pipeline.Class{"": compile.SubscriberExempt}
	for class, lease := range c.Leases {
		classes[lease.Name] = class
	}
	lines := map[string]pipeline.LineIndex{"": 0}
	for i, name := range c.Lines {
		lines[name] = i
	}
	c.State.Subscribers = maps.Clone(c.State.Subscribers)
	if c.State.Subscribers == nil {
		c.State.Subscribers = map[netip.Prefix]pipeline.Subscriber{}
	}
	for _, e := range extra {
		line, known := lines[e.Line]
		if !known {
			return nil, fmt.Errorf("an entry of the line %q, which the inventory does not have", e.Line)
		}
		class, known := classes[e.Lease]
		if !known {
			return nil, fmt.Errorf("an entry of the lease %q, which the policy does not have", e.Lease)
		}
		c.State.Subscribers[e.Prefix] = pipeline.Subscriber{Class: class, Line: line, Until: pipeline.ClockSecond(e.Until)}
	}
	return c, nil
}

// limited reports whether a line's new connections have a rate limit.
func (s *vectorSetting) limited(line string) bool {
	for _, l := range s.sw.Lines {
		if l.Name == line {
			i := slices.IndexFunc(s.bundle.Policy.LineGroups, func(g policy.LineGroup) bool { return g.Name == l.Group })
			return s.bundle.Policy.LineGroups[i].Limit != (policy.Rate{})
		}
	}
	return false
}

// A cell is one cell of a counter in the switch. It has either a rule or a line.
type cell struct {
	counter uint32 // the counter's id in the P4Info
	index   int64
	rule    vectors.RuleCell // the meaning of a cell of the rule counters
	line    vectors.LineCell // the meaning of a cell of the lines' counters
}

// cells returns the cells of all counters that a vector can name, and the cells of rules that must not count.
func (s *vectorSetting) cells(c *compile.Compiled) (all []cell) {
	names := map[uint32]string{}
	for id, r := range c.Rules {
		names[uint32(id)] = r.Name
	}
	last := uint32(0) // the first number that no rule of any phase has
	for _, x := range s.numbers.Rules {
		last = max(last, uint32(x.Number)+1)
	}
	for id := range uint32(256) {
		name, known := names[id]
		if !known && id != 0 && id <= last { // the number of a rule in another phase, or the first unused number
			name, known = fmt.Sprint("number ", id), true
		}
		for _, p := range s.sw.Ports {
			if known {
				all = append(all, cell{s.acl.CounterID, s.acl.Index(uint32(p.Number), id), vectors.RuleCell{Port: uint32(p.Number), Rule: name}, vectors.LineCell{}})
			}
		}
	}
	lines := maps.Clone(c.Lines)
	lines[0] = vectors.Unnamed
	for i, name := range lines {
		for o, outcome := range vectors.Outcomes {
			all = append(all, cell{s.lines.Preamble.Id, int64(int(i)*len(vectors.Outcomes) + o), vectors.RuleCell{}, vectors.LineCell{Line: name, Outcome: outcome}})
		}
	}
	return all
}

// add adds the value of a cell to the counters, unless the value is zero.
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

// embeddedVectors runs vectors on the embedded switch's engine in this process, whose clock the test can set.
type embeddedVectors struct {
	t       *testing.T
	setting *vectorSetting
	session *p4rt.Session
	phase   string
	extra   []vectors.Subscriber
	cells   []cell
	// compiled gives the numbers in answers to probes their names.
	compiled *compile.Compiled
	engine   *engine.Engine
	worker   *engine.Worker
	rules    *engine.Counter
	lines    *engine.Counter

	mu    sync.Mutex // guards the fields below
	now   time.Time
	began time.Time // when the switch's clock last began at 0
}

var _ vectors.Clocked = (*embeddedVectors)(nil)

func newEmbeddedVectors(t *testing.T, s *vectorSetting) *embeddedVectors {
	v := &embeddedVectors{t: t, setting: s, now: vectorsNow}
	v.start()
	return v
}

// start starts a switch, whose clock begins at 0 when it receives its program.
func (v *embeddedVectors) start() {
	v.session = serveEngine(v.t, engine.Options{Clock: v.clock}, func(e *engine.Engine) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.engine, v.worker, v.began = e, e.NewWorker(), v.now
	})
}

func (v *embeddedVectors) Name() string { return "embedded" }

func (v *embeddedVectors) clock() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Load brings the switch to a phase. It first advances the clock so far that all token buckets are full and
// all windows have ended.
func (v *embeddedVectors) Load(phase string, extra []vectors.Subscriber) error {
	v.mu.Lock()
	v.now = v.now.Add(10 * time.Minute)
	v.mu.Unlock()
	switch {
	case len(extra) > 0 || len(v.extra) > 0:
		v.start()
	case phase == v.phase:
		return nil
	}
	c, err := v.setting.compile(phase, extra)
	if err != nil {
		return err
	}
	if _, err := bringtest.Converge(context.Background(), v.session, &c.State); err != nil {
		return err
	}
	v.phase, v.extra, v.compiled, v.cells = phase, extra, c, v.setting.cells(c)
	var found bool
	if v.rules, found = v.engine.Counter(v.setting.acl.CounterName); !found {
		return fmt.Errorf("the engine has no counter %s", v.setting.acl.CounterName)
	}
	if v.lines, found = v.engine.Counter(v.setting.lines.Preamble.Name); !found {
		return fmt.Errorf("the engine has no counter %s", v.setting.lines.Preamble.Name)
	}
	return nil
}

func (v *embeddedVectors) SetSecond(second uint32) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	const aSecond, whole = (1 << 20) * time.Microsecond, (1 << 48) * time.Microsecond
	at := v.began.Add(time.Duration(second) * aSecond)
	for at.Before(v.now) && v.now.Sub(at) >= aSecond {
		at = at.Add(whole)
	}
	if at.After(v.now) {
		v.now = at
	}
	return nil
}

func (v *embeddedVectors) Probe(port uint32, frame []byte) (vectors.Probed, error) {
	_, got, _, err := throughEngine(v.worker, probe(uint16(port), 0, frame))
	return v.setting.named(v.compiled, port, got), err
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

// bmv2Vectors runs vectors on the real bmv2. It sends frames and reads counters over gRPC.
type bmv2Vectors struct {
	t        *testing.T
	path     string
	setting  *vectorSetting
	cells    []cell
	compiled *compile.Compiled
	entities []*p4v1.Entity // the entities that read cells
	running  scope
	device   *device
}

var _ vectors.Target = (*bmv2Vectors)(nil)

func newBMv2Vectors(t *testing.T, path string, s *vectorSetting) *bmv2Vectors {
	v := &bmv2Vectors{t: t, path: path, setting: s, running: scope{TB: t}}
	t.Cleanup(v.running.end)
	return v
}

func (v *bmv2Vectors) Name() string { return "bmv2" }

// Load starts a new switch for a phase. Tests cannot set bmv2's clock, but a new switch has used neither
// rejects nor tokens.
func (v *bmv2Vectors) Load(phase string, extra []vectors.Subscriber) error {
	c, err := v.setting.compile(phase, extra)
	if err != nil {
		return err
	}
	v.running.end()
	v.device = attachBMv2(&v.running, v.path, &c.State)
	v.compiled, v.cells, v.entities = c, v.setting.cells(c), nil
	for _, c := range v.cells {
		v.entities = append(v.entities, &p4v1.Entity{Entity: &p4v1.Entity_CounterEntry{CounterEntry: &p4v1.CounterEntry{CounterId: c.counter, Index: &p4v1.Index{Index: c.index}}}})
	}
	return nil
}

func (v *bmv2Vectors) Probe(port uint32, frame []byte) (vectors.Probed, error) {
	got, err := v.device.session.ProbeFrames(v.t.Context(), []p4rt.FrameProbe{{Port: pipeline.Port(port), Frame: frame}})
	if err != nil {
		return vectors.Probed{}, err
	}
	return v.setting.named(v.compiled, port, got[0]), nil
}

func (v *bmv2Vectors) Process(port uint32, frame []byte) (out []vectors.Output, err error) {
	for p, frames := range v.device.through(v.t, []sent{{pipeline.Port(port), frame}}) {
		for _, f := range frames {
			out = append(out, vectors.Output{Port: uint32(p), Frame: f})
		}
	}
	return out, nil
}

func (v *bmv2Vectors) Counters() (vectors.Counters, error) {
	all := noCounters()
	answer, err := v.device.session.Read(v.t.Context(), v.entities...)
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
