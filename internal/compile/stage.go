package compile

import (
	"maps"
	"slices"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A Stage is the rule set of a phase that is not the default phase in force. A switch keeps it beside the rule set in force, so that a
// single write can enter or leave the phase.
type Stage struct {
	Name string // the name of the phase
	// Verdicts contains the verdict entries with the phase as the default. Line groups that have a phase of their own keep it. The map is
	// read-only.
	Verdicts map[pipeline.VerdictKey]pipeline.Verdict
	SynOnly  bool // whether the rule set drains, as in Compiled.State
}

// staged returns the stages of the other phases, the most useful first: the next phase, the previous phase, and then phases further away. A
// phase is left out if its verdicts are already in force or staged, or if they exceed policy.MaxVerdicts together with the groups' own
// phases.
func (c *Compiler) staged(sw *policy.Switch, in policy.InForce) []Stage {
	var stages []Stage
	for _, x := range c.stagedSets(in) {
		other := policy.InForce{Default: x.mix.phases[0].Name, Groups: in.Groups}
		stages = append(stages, Stage{Name: other.Default, Verdicts: x.verdicts, SynOnly: Drains(c.bundle.Policy, sw, other)})
	}
	return stages
}

// stagedSets returns the rule sets for staged. They are the same for all switches.
func (c *Compiler) stagedSets(in policy.InForce) []*ruleSet {
	c.rulesOf.mu.Lock()
	defer c.rulesOf.mu.Unlock()
	key := inForceKey(in)
	if sets, known := c.rulesOf.staging[key]; known {
		return sets
	}
	phases := c.bundle.Policy.Phases
	here := slices.IndexFunc(phases, func(ph policy.Phase) bool { return ph.Name == in.Default })
	there := []*ruleSet{c.rulesLocked(in)}
	stage := func(i int) {
		if i < 0 || i >= len(phases) {
			return
		}
		set := c.rulesLocked(policy.InForce{Default: phases[i].Name, Groups: in.Groups}.Plain())
		same := func(x *ruleSet) bool { return maps.Equal(x.verdicts, set.verdicts) }
		if set.err == nil && !slices.ContainsFunc(there, same) {
			there = append(there, set)
		}
	}
	for distance := 1; distance < len(phases); distance++ {
		stage(here + distance)
		stage(here - distance)
	}
	c.rulesOf.staging[key] = there[1:]
	return there[1:]
}
