package prove

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reference"
)

// A Subject is a switch that has a compiled state and a layer, which is what sessions and leases add to it.
type Subject struct {
	Switch string
	State  *compile.Compiled
	Bundle *policy.Bundle // the documents that State was compiled from
	Layer  []pipeline.Entry
	Now    time.Time
}

// A Probing is a set of packets to try on a switch by probes, which change nothing there. It must not be used concurrently.
type Probing struct {
	// Packets are the packets. Want is not set, because it depends on the switch's clock: see Check.
	Packets []Packet

	subject *Subject
	shots   []*shot
	model   *reference.Model
	numbers numbers
	groups  map[string]pipeline.LineGroup
	ports   [2][]pipeline.Port // of the multicast groups 1 and 2
	scope   *scope
	part    *slice // nil if the scope is the whole switch
}

// A Deviation is a packet that a switch does not treat as the documents demand.
type Deviation struct {
	Packet Packet // with Want
	Got    Outcome
	// Entries are the entries that should decide about the packet, of which one is missing or works otherwise, and Missed the tables that should have
	// no entry for it.
	Entries []pipeline.Entry
	Missed  []string

	index int // of the packet
}

// String returns the deviation in several lines, for people.
func (d *Deviation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  the documents demand: %s\n  the switch would do:  %s\n", d.Packet.About, d.Packet.Want, d.Got)
	if len(d.Entries) > 0 {
		b.WriteString("  although it should have the entries\n")
	}
	for _, e := range d.Entries {
		fmt.Fprintf(&b, "    %v\n", e)
	}
	if len(d.Missed) > 0 {
		fmt.Fprintf(&b, "  and no entry for it in: %s\n", strings.Join(d.Missed, ", "))
	}
	return b.String()
}

// The parts of a round of probes that go on where the round before ended.
const (
	linesOfRound      = 64
	remotesOfRound    = 32
	exemptionsOfRound = 64
)

// Probes chooses at most most packets for a round of probes. Each round tries mail and submission of each line group, access form and class of servers.
// Of the lines, prefixes and exemptions, each round tries some, and later rounds others, so that all are tried in turn.
func Probes(of *Subject, most, round int) (*Probing, error) {
	p, m, err := newProbing(of)
	if err != nil {
		return nil, err
	}
	s := m.round(round)
	var every, others []*shot
	m.make(s, func(x *shot) bool {
		if m.essential(x) {
			every = append(every, x.clone())
		} else {
			others = append(others, x.clone())
		}
		return len(every)+len(others) < maxPart
	})
	every = spread(every, most-most/4, 0)
	return p, p.take(append(every, spread(others, most-len(every), round)...), s)
}

// AllProbes chooses at most most packets of those that the proof on the twin makes for the whole switch. all is false if there are more, of which it
// takes each n-th.
func AllProbes(of *Subject, most int) (p *Probing, all bool, err error) {
	p, m, err := newProbing(of)
	if err != nil {
		return nil, false, err
	}
	n := 0
	s := &scope{whole: true}
	m.make(s, func(*shot) bool { n++; return n < MaxPackets })
	step := (n + most - 1) / max(most, 1)
	var shots []*shot
	i := 0
	m.make(s, func(x *shot) bool {
		if i++; i%step == 0 {
			shots = append(shots, x.clone())
		}
		return i < n
	})
	return p, step == 1, p.take(shots, s)
}

func newProbing(of *Subject) (*Probing, *maker, error) {
	sw, ok := of.Bundle.Inventory.Switch(of.Switch)
	if !ok {
		return nil, nil, errors.New("the inventory does not have the switch " + of.Switch)
	}
	p := &Probing{subject: of, numbers: numbersOf(of.State), groups: make(map[string]pipeline.LineGroup, len(of.State.LineGroups))}
	for number, g := range of.State.LineGroups {
		p.groups[g.Name] = number
	}
	for _, port := range sw.Ports {
		if port.Role == pipeline.Network {
			p.ports[0] = append(p.ports[0], port.Number)
		}
		p.ports[1] = append(p.ports[1], port.Number)
	}
	m := newMaker(of.Bundle.Policy, sw, of.State, of.Now)
	m.leased = nil // which only a twin can be given
	return p, m, nil
}

// round returns the part of the switch that a round of probes tries.
func (m *maker) round(round int) *scope {
	s := &scope{rules: true, ports: true, lines: map[string]bool{}, remotes: map[netip.Prefix]bool{}, subscribers: map[netip.Prefix]bool{}}
	turn(m.lines, linesOfRound, round, func(l *lineAt) { s.lines[l.name] = true })
	remotes := make([]netip.Prefix, 0, len(m.c.State.Remotes))
	for p := range m.c.State.Remotes {
		remotes = append(remotes, p)
	}
	slices.SortFunc(remotes, netip.Prefix.Compare)
	turn(remotes, remotesOfRound, round, func(p netip.Prefix) { s.remotes[p] = true })
	turn(m.c.Exempt, exemptionsOfRound, round, func(e compile.Exempt) {
		if e.Line != "" {
			s.lines[e.Line] = true
		} else {
			s.subscribers[e.Prefix] = true
		}
	})
	return s
}

// turn calls f for the part of a list that a round tries. All parts together are the list.
func turn[T any](all []T, n, round int, f func(T)) {
	rounds := (len(all) + n - 1) / n
	if rounds == 0 {
		return
	}
	first := round % rounds * n
	for _, x := range all[first:min(first+n, len(all))] {
		f(x)
	}
}

// mailPorts are the ports of mail and submission.
var mailPorts = []uint16{25, 465, 587}

// A stratum is a kind of packet. A round tries as many packets of each as there is room for.
type stratum struct {
	kind             kind
	shape            shape
	up, alien, named bool
	flags            byte
	port             uint16 // 25, 465 or 587, at either end; 0 for all others
}

// spread draws at most n of the shots, the same number of each stratum as far as it has as many, and other ones in each round.
func spread(all []*shot, n, round int) (some []*shot) {
	if len(all) <= n {
		return all
	}
	of := make(map[stratum][]*shot)
	var strata []stratum
	for _, s := range all {
		k := stratum{s.kind, s.shape, s.up, s.alien, s.line != "", s.flags, 0}
		for _, port := range mailPorts {
			if s.from.Port() == port || s.to.Port() == port {
				k.port = port
			}
		}
		if of[k] == nil {
			strata = append(strata, k)
		}
		of[k] = append(of[k], s)
	}
	r := rand.New(rand.NewPCG(uint64(round), 25))
	for _, k := range strata {
		shots := of[k]
		r.Shuffle(len(shots), func(i, j int) { shots[i], shots[j] = shots[j], shots[i] })
	}
	for i := 0; len(some) < n; i++ {
		for _, k := range strata {
			if i < len(of[k]) && len(some) < n {
				some = append(some, of[k][i])
			}
		}
	}
	return some
}

// essential reports whether each round tries a packet: a new connection of a line for mail or submission, or an open one for mail.
func (m *maker) essential(s *shot) bool {
	return s.up && s.shape == ofTCP && s.line != "" && (s.kind == ofRules || s.kind == ofLine) &&
		(s.flags == flagSYN && slices.Contains(mailPorts, s.to.Port()) || s.flags == flagACK && s.to.Port() == 25)
}

// take makes the model of what the packets can meet.
func (p *Probing) take(shots []*shot, s *scope) error {
	p.shots, p.scope = shots, s
	p.Packets = make([]Packet, len(shots))
	for i, x := range shots {
		p.Packets[i] = Packet{Port: x.port, Frame: x.frame, About: x.about()}
	}
	sw, _ := p.subject.Bundle.Inventory.Switch(p.subject.Switch)
	documents, part := p.subject.Bundle.Policy, sw
	if !s.whole {
		p.part = newSlice(shots, s)
		documents, part = p.part.documents(p.subject.Bundle, sw)
	}
	p.model = reference.NewInForce(documents, &policy.Inventory{Switches: []policy.Switch{*part}}, sw.Name, p.subject.State.InForce, p.subject.Now)
	c := p.subject.State
	for _, e := range p.subject.Layer {
		if e.IsSource() {
			p.model.Bind(e.SourcePrefix(), c.Lines[e.SourceLine()])
			continue
		}
		prefix, x, ok := e.Subscriber()
		if !ok || p.part != nil && !p.part.meets(prefix) {
			continue
		}
		if lease, ok := c.Leases[x.Class]; ok {
			p.model.Lease(lease.Name, prefix, c.Lines[x.Line], uint32(x.Until))
		} else {
			p.model.Exempt(prefix, c.Lines[x.Line], uint32(x.Until))
		}
	}
	return nil
}

// Check compares a switch's answer about a packet with what the documents demand. It returns nil if they agree.
func (p *Probing) Check(i int, answer pipeline.Probed) *Deviation {
	packet := p.Packets[i]
	d := p.model.Probe(answer.Clock, uint16(packet.Port), packet.Frame)
	packet.Want = p.numbers.want(&d)
	got := p.outcome(packet.Port, answer)
	want := packet.Want
	if d.Verdict == reference.Reject && !d.Rejected {
		want.Action = string(reference.Drop) // a probe does not tell them apart
	}
	same := want.Action == got.Action && want.RuleID == got.RuleID && want.Index == got.Index && slices.Equal(want.Out, got.Out)
	if d.Asked && d.LineIndex != 0 {
		same = same && p.groups[d.Group] == answer.Line.Group
	}
	if same {
		return nil
	}
	return &Deviation{Packet: packet, Got: got, index: i}
}

// outcome returns what a switch would do with a packet.
func (p *Probing) outcome(in pipeline.Port, answer pipeline.Probed) Outcome {
	c := p.subject.State
	o := Outcome{
		Action: actions[answer.Verdict], RuleID: answer.Rule, Rule: c.Rules[answer.Rule].Name, Leg: legs[answer.Leg],
		Index: answer.Line.Index, Line: c.Lines[answer.Line.Index], Rejected: answer.Verdict == pipeline.Reject,
	}
	switch {
	case answer.Egress != 0:
		o.Out = []pipeline.Port{answer.Egress}
	case answer.Group == 1 || answer.Group == 2:
		for _, port := range p.ports[answer.Group-1] {
			if port != in {
				o.Out = append(o.Out, port)
			}
		}
		slices.Sort(o.Out)
	}
	o.Passes = len(o.Out) > 0 && !o.Rejected
	return o
}

var legs = map[pipeline.Leg]string{pipeline.UpDst: "up_dst", pipeline.DownSrc: "down_src", pipeline.DownDst: "down_dst", pipeline.UpSrc: "up_src"}

// Explain adds to deviations the entries that should decide about their packets, as a twin finds them.
func (p *Probing) Explain(all []*Deviation) error {
	if len(all) == 0 {
		return nil
	}
	tw, err := p.twin()
	if err != nil {
		return err
	}
	for _, d := range all {
		tw.play(d.Packet.Port, d.Packet.Frame)
		d.Entries, d.Missed = tw.decided()
	}
	return nil
}

// Coverage returns the part of each table that the packets meet, as a twin finds it. limit is the number to which the packets were limited, or 0.
func (p *Probing) Coverage(limit int) (tables []Table, unhit []Unhit, n int, err error) {
	tw, err := p.twin()
	if err != nil {
		return nil, nil, 0, err
	}
	cover := newCoverage()
	for i := range p.Packets {
		tw.play(p.Packets[i].Port, p.Packets[i].Frame)
		cover.met(tw.met())
	}
	tables, unhit, n = cover.tables(tw, p.subject.State, 1, nil, limit)
	return tables, unhit, n, nil
}

// twin returns a twin with the entries that the packets can meet.
func (p *Probing) twin() (*twin, error) {
	tw, err := newTwin()
	if err != nil {
		return nil, err
	}
	state := &p.subject.State.State
	if p.part != nil {
		state = p.part.state(p.subject.State)
	}
	entries, err := entriesOf(state)
	if err != nil {
		return nil, err
	}
	if err := tw.load(entries); err != nil {
		return nil, err
	}
	for i := range p.subject.Layer {
		e := &p.subject.Layer[i]
		if prefix, _, ok := e.Subscriber(); p.part == nil || ok && p.part.meets(prefix) {
			if err := tw.write(pipeline.Insert, e); err != nil {
				return nil, err
			}
		}
	}
	return tw, nil
}

// Again returns the packets of deviations, to be tried once more on a switch whose layer may have changed in the meantime.
func (p *Probing) Again(of *Subject, deviations []*Deviation) (*Probing, error) {
	again, _, err := newProbing(of)
	if err != nil {
		return nil, err
	}
	var shots []*shot
	for i, x := range p.shots {
		if slices.ContainsFunc(deviations, func(d *Deviation) bool { return d.index == i }) {
			shots = append(shots, x)
		}
	}
	return again, again.take(shots, p.scope)
}
