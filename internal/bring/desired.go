package bring

import (
	"time"

	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A Desired identifies the desired state of one switch: a revision of the intent, the phases in force, and the time.
type Desired struct {
	*intent.Intent
	Switch string
	Phases policy.InForce
	At     time.Time
}

// At returns the desired state of a switch at the given time. It returns intent.ErrNoPhase if no phase has begun.
func At(in *intent.Intent, name string, at time.Time) (Desired, error) {
	in = in.For(name)
	phases, err := in.InForce(name, at)
	return Desired{in, name, phases, at}, err
}

// SameButRules reports whether two states of one switch differ at most in the rules in force and the staged rule sets.
func (d Desired) SameButRules(other Desired) bool {
	return d.SameDocuments(other.Intent) && d.SameExemptions(d.At, other.At)
}

// Same reports whether two states of one switch are known to be equal. It does not compile them, so it may return false for
// equal states.
func (d Desired) Same(other Desired) bool {
	return d.SameButRules(other) && d.Phases.String() == other.Phases.String()
}

// Compile compiles the state. It returns an error if the documents are broken or do not have the switch.
func (d Desired) Compile() (*compile.Compiled, error) { return d.CompileAs(d.Switch, d.Phases, d.At) }

// Layer returns the lines whose entries depend on sessions. Its entries are not in the compiled state.
func (d Desired) Layer() (*compile.SessionLines, error) { return d.SessionLines(d.Switch, d.At) }

// A keySet contains the keys of entries. The keys of rules do not include the epoch. It also has every entry that a session of the lines
// could have.
type keySet struct {
	entries, rules map[pipeline.Key]struct{}
	lines          []*compile.SessionLines
}

// add adds the keys of all entries of a state.
func (k *keySet) add(d Desired) error {
	compiled, err := d.Compile()
	if err != nil {
		return err
	}
	k.lines = append(k.lines, compiled.Sessions)
	entries, err := compiled.Sharing().Entries()
	if err != nil {
		return err
	}
	rules, err := pipeline.RuleEntries(compiled.State.Verdicts, 1)
	if err != nil {
		return err
	}
	for _, e := range entries {
		k.entries[e.Key] = struct{}{}
	}
	for _, e := range rules {
		k.rules[e.RuleKey()] = struct{}{}
	}
	return nil
}

func (k *keySet) has(e pipeline.Entry) bool {
	for _, lines := range k.lines {
		if lines.Owns(e) {
			return true
		}
	}
	set, key := k.entries, e.Key
	if _, rule := e.Epoch(); rule {
		set, key = k.rules, e.RuleKey()
	}
	_, has := set[key]
	return has
}
