package compile

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// A Compiler compiles the switches of a policy and its inventory. Data that the switches share, such as rule sets, is computed only once. A
// Compiler is safe for concurrent use. The documents must not change while the Compiler is in use.
type Compiler struct {
	bundle  *policy.Bundle
	numbers *Numbers
	given   bool // the caller supplied the numbers, which must include every line

	lineGroups     map[pipeline.LineGroup]policy.LineGroup
	services       map[pipeline.Service]policy.Service
	remotes        map[pipeline.Class]policy.Remote
	leases         map[pipeline.Class]policy.Lease
	serviceEntries map[pipeline.ServiceKey]pipeline.ServiceValue
	remoteEntries  map[netip.Prefix]pipeline.Class
	sourceChecks   map[pipeline.LineGroup]pipeline.SourceCheck
	exemptLines    exemptLines
	ends           []time.Time // the times at which exemptions expire, in order
	lineage        lineage
	index          func() *policy.LineIndex // of the inventory; made by the first call
	rulesOf        *ruleSets

	mu       sync.Mutex          // guards the fields below
	standing *standingExemptions // the exemptions in force at the time of the last call
	needs    map[string]need     // the entries of subscribers of some switches, by the name of the switch
}

// ruleSets are the rule sets of a policy. The Compilers that differ only in exemptions share them.
type ruleSets struct {
	mu      sync.Mutex            // guards the fields below
	sets    map[string]*ruleSet   // indexed by inForceKey
	staging map[string][]*ruleSet // indexed by inForceKey
}

// NewCompiler returns a compiler for documents that policy.Load or policy.Validate accepted. n contains the numbers of their names; if n is
// nil, the compiler numbers the names as Number(nil, b) does.
//
// NewCompiler validates the policy again, and Compile validates the switch again, so that no caller can compile a rule set that blocks
// submission. NewCompiler returns policy.ErrInvalid if the policy is not valid, and ErrNumbers if a name has no number.
func NewCompiler(b *policy.Bundle, n *Numbers) (*Compiler, error) {
	if err := policy.ValidatePolicy(b.Policy); err != nil {
		return nil, fmt.Errorf("compile policy %q: %w", b.Policy.Name, err)
	}
	return newCompiler(b, n)
}

// A Salvager compiles only the rule sets of documents that may be invalid. The rule sets serve to recognise the entries of a switch that
// such documents configured.
type Salvager struct{ c *Compiler }

// NewSalvager returns a Salvager for documents that policy.Salvage read. It returns an error if no rule sets can be compiled from the
// documents.
func NewSalvager(b *policy.Bundle, n *Numbers) (s *Salvager, err error) {
	defer salvaged(&err)
	c, err := newCompiler(b, n)
	return &Salvager{c}, err
}

// Rules is like Compiler.Rules.
func (s *Salvager) Rules(switchName string, in policy.InForce) (r Rules, err error) {
	defer salvaged(&err)
	return s.c.Rules(switchName, in)
}

// salvaged recovers from a panic in code that relies on valid documents, and sets *err instead.
func salvaged(err *error) {
	if fault := recover(); fault != nil {
		*err = fmt.Errorf("%w: too wrong to make rules of: %v", policy.ErrInvalid, fault)
	}
}

func newCompiler(b *policy.Bundle, n *Numbers) (*Compiler, error) {
	p := b.Policy
	c := &Compiler{bundle: b, numbers: n, given: n != nil, rulesOf: &ruleSets{sets: make(map[string]*ruleSet), staging: make(map[string][]*ruleSet)}}
	c.index = sync.OnceValue(func() *policy.LineIndex { return policy.NewLineIndex(b.Inventory) })
	c.lineage.self = newToken()
	if n == nil {
		// Only the policy's names are numbered here. Lines are numbered when their switch is compiled, because often only one switch is
		// compiled.
		var err error
		if c.numbers, err = numberPolicy(nil, p); err != nil {
			return nil, err
		}
	} else if err := n.knowsPolicy(p); err != nil {
		return nil, fmt.Errorf("compile policy %q: %w", p.Name, err)
	}
	n = c.numbers

	c.lineGroups = numbered(p.LineGroups, policy.Names(p.LineGroups), n.group)
	c.services = numbered(p.Services, policy.Names(p.Services), n.service)
	remotes := p.RemotesWithNAT64()
	c.remotes = numbered(remotes, policy.Names(remotes), n.remote)
	c.leases = numbered(p.Leases, policy.Names(p.Leases), n.lease)
	c.serviceEntries = serviceEntries(p, n)
	c.remoteEntries = remoteEntries(p, n)
	c.sourceChecks = sourceChecks(p, n)
	c.exempt(p)
	return c, nil
}

// exempt sets what a Compiler knows of the exemptions of its policy.
func (c *Compiler) exempt(p *policy.Policy) {
	c.exemptLines.all = make(map[string]*policy.Exemption)
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		if other, again := c.exemptLines.all[e.Line]; e.Line != "" && (!again || p.Ends(e).After(p.Ends(other))) {
			c.exemptLines.all[e.Line] = e // of several exemptions of a line, the last to end counts
		}
		c.ends = append(c.ends, p.Ends(e))
	}
	slices.SortFunc(c.ends, time.Time.Compare)
}

// numbered returns a map from the number of each item in a list to the item.
func numbered[K comparable, T any](list []T, names []string, number func(string) K) map[K]T {
	all := make(map[K]T, len(list))
	for i, item := range list {
		all[number(names[i])] = item
	}
	return all
}

// Rules is the part of a Compiled that one MODIFY of the table running_epoch can put in force.
type Rules struct {
	Verdicts map[pipeline.VerdictKey]pipeline.Verdict // shared by all switches with the same phases in force; read-only
	SynOnly  bool
}

// Rules returns only the rules of the state that Compile would return, and does not validate the switch. It returns ErrUnknownSwitch,
// policy.ErrUnknownPhase or policy.ErrUnknownGroup for an unknown name, and policy.ErrInvalid if the rules need more than
// policy.MaxVerdicts entries.
func (c *Compiler) Rules(switchName string, in policy.InForce) (Rules, error) {
	sw, err := c.find(switchName, in)
	if err != nil {
		return Rules{}, err
	}
	in = in.Plain()
	set, err := c.rules(in)
	if err != nil {
		return Rules{}, fmt.Errorf("compile switch %q: %w", switchName, err)
	}
	return Rules{Verdicts: set.verdicts, SynOnly: Drains(c.bundle.Policy, sw, in)}, nil
}

// find returns the switch with the given name. It returns an error if the switch does not exist or if in has an unknown phase or line
// group.
func (c *Compiler) find(switchName string, in policy.InForce) (*policy.Switch, error) {
	sw, err := c.switchOf(switchName)
	if err != nil {
		return nil, err
	}
	return sw, in.Check(c.bundle.Policy)
}

// SwitchOf returns the name of the switch of a line. ok is false if there is no such line.
func (c *Compiler) SwitchOf(line string) (name string, ok bool) {
	sw, _, ok := c.index().Line(line)
	if !ok {
		return "", false
	}
	return sw.Name, true
}

// switchOf returns the switch with the given name, or ErrUnknownSwitch.
func (c *Compiler) switchOf(switchName string) (*policy.Switch, error) {
	inv := c.bundle.Inventory
	sw, ok := inv.Switch(switchName)
	if !ok {
		return nil, fmt.Errorf("%w %q; %s", ErrUnknownSwitch, switchName, strict.Nearest(switchName, policy.Names(inv.Switches), "switches"))
	}
	return sw, nil
}

// lineNumbers maps the lines of a switch to their indices.
type lineNumbers map[string]pipeline.LineIndex

func (c *Compiler) lineNumbers(sw *policy.Switch) (lineNumbers, error) {
	given := c.numbers.Lines[sw.Name]
	if !c.given {
		var err error
		if given, err = numberLines(nil, sw); err != nil {
			return nil, err
		}
	}
	lines := make(lineNumbers, len(sw.Lines))
	for i := range sw.Lines {
		name := sw.Lines[i].Name
		x, ok := given[name]
		if !ok {
			return nil, lineSpan.knows(given, []string{name})
		}
		lines[name] = pipeline.LineIndex(x.Number)
	}
	return lines, nil
}

func (l lineNumbers) names() map[pipeline.LineIndex]string {
	all := make(map[pipeline.LineIndex]string, len(l))
	for name, index := range l {
		all[index] = name
	}
	return all
}

// A ruleSet contains the rules for one combination of phases in force. Every switch can use it.
type ruleSet struct {
	mix      *mix
	verdicts map[pipeline.VerdictKey]pipeline.Verdict
	err      error

	mu    sync.Mutex // guards texts
	texts [2]map[pipeline.RuleID]Rule
}

// rules returns the rule set for the given phases in force. It returns policy.ErrInvalid if the rule set needs more than policy.MaxVerdicts
// entries.
func (c *Compiler) rules(in policy.InForce) (*ruleSet, error) {
	c.rulesOf.mu.Lock()
	defer c.rulesOf.mu.Unlock()
	set := c.rulesLocked(in)
	return set, set.err
}

func (c *Compiler) rulesLocked(in policy.InForce) *ruleSet {
	key := inForceKey(in)
	set, known := c.rulesOf.sets[key]
	if !known {
		m := newMix(c.bundle.Policy, in)
		set = &ruleSet{mix: m, verdicts: verdictEntries(c.numbers, m)}
		if len(set.verdicts) > policy.MaxVerdicts {
			phases := policy.Names(m.phases)
			set.err = fmt.Errorf("%w: phases %s side by side need %d verdict entries, and a switch has room for %d; put fewer line groups in a phase of their own",
				policy.ErrInvalid, strings.Join(phases, " and "), len(set.verdicts), policy.MaxVerdicts)
		}
		c.rulesOf.sets[key] = set
	}
	return set
}

// inForceKey returns a map key that is the same for equal values of in. Names contain no blanks, so the key is unambiguous.
func inForceKey(in policy.InForce) string {
	var b strings.Builder
	b.WriteString(in.Default)
	for _, group := range slices.Sorted(maps.Keys(in.Groups)) {
		fmt.Fprintf(&b, " %s %s", group, in.Groups[group])
	}
	return b.String()
}

// meanings returns the rules by id; the first call for each value of drain computes them.
func (s *ruleSet) meanings(n *Numbers, drain bool) map[pipeline.RuleID]Rule {
	i := 0
	if drain {
		i = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts[i] == nil {
		s.texts[i] = meanings(n, s.mix, drain)
	}
	return s.texts[i]
}

// remoteEntries returns the prefixes of all remote classes, including IPv4 prefixes embedded in NAT64 prefixes.
func remoteEntries(p *policy.Policy, n *Numbers) map[netip.Prefix]pipeline.Class {
	entries := make(map[netip.Prefix]pipeline.Class)
	for _, r := range p.RemotesWithNAT64() {
		for _, prefix := range r.Prefixes {
			entries[prefix] = n.remote(r.Name)
		}
	}
	return entries
}
