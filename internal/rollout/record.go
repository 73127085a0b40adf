package rollout

import (
	"slices"
	"time"
)

// A State is the state of a rollout.
type State string

// The states. Every rollout ends as Done or as WentBack.
const (
	Measuring  State = "measuring"   // no ring has the change, and the traffic before it is measured
	Rehearsing State = "rehearsing"  // the first ring is being given the change, in order to take it back
	TakingBack State = "taking-back" // the change is being taken back from the first ring, in order to give it again
	Advancing  State = "advancing"   // the ring at hand is being given the change
	Soaking    State = "soaking"     // the ring at hand has the change, and its gates are observed
	Held       State = "held"        // a gate or missing data holds the ring at hand; no other ring is given the change
	Paused     State = "paused"      // an operator has stopped the rollout where it is
	GoingBack  State = "going-back"  // the change is being taken back from all rings
	WentBack   State = "went-back"   // no ring has the change
	Done       State = "done"        // every ring has the change
)

// Ended reports whether the state never changes again.
func (s State) Ended() bool { return s == WentBack || s == Done }

// A Stage is a ring of a rollout with its switches. Stages do not change while a rollout runs, even if the inventory does.
type Stage struct {
	Name     string        `json:"name"`
	Switches []string      `json:"switches"` // not empty, sorted
	Soak     time.Duration `json:"soak"`
	Gates    Gates         `json:"gates"`
}

// A Change is what a rollout brings to the switches: a phase is put in force, for the line groups in Groups, or for all if Groups is empty. If
// Documents is set, the rollout brings new documents instead.
type Change struct {
	Phase  string   `json:"phase,omitempty"`
	Groups []string `json:"groups,omitempty"`
	// Documents is the revision on which the documents were proposed; see intent.Split. Policy is the name of their policy.
	Documents uint64 `json:"documents,omitempty"`
	Policy    string `json:"policy,omitempty"`
}

// String returns what the change brings, such as "phase drain".
func (c Change) String() string {
	if c.Documents != 0 {
		return "the documents of policy " + c.Policy
	}
	return "phase " + c.Phase
}

// A Record is the state of a rollout. A Record and the values that it refers to are immutable.
type Record struct {
	ID     string  `json:"id"`
	Change Change  `json:"change"`
	Stages []Stage `json:"stages"` // in order, not empty
	// Author and Reason are the operator who started the rollout and the reason.
	Author string `json:"author"`
	Reason string `json:"reason"`
	// Baseline is how long the traffic is measured before the first ring is given the change.
	Baseline time.Duration `json:"baseline"`

	State State `json:"state"`
	// Ring is the index of the ring at hand. The rings before it have the change.
	Ring int `json:"ring"`
	// Since is the time at which State was entered. The soak time counts from it.
	Since time.Time `json:"since"`
	// Findings say why the rollout is Held, GoingBack or WentBack. They are empty in other states.
	Findings []Finding `json:"findings,omitempty"`
	// Resumes is the state to which a Held or Paused rollout returns. It is empty in other states.
	Resumes State `json:"resumes,omitempty"`
	// Accepted are the soft gates of the ring at hand that an operator has accepted. They do not hold this ring again.
	Accepted []GateName `json:"accepted,omitempty"`
	// Settled are all soft gates that an operator has accepted, each with the ring of its finding. They do not hold later rings either.
	Settled []Acceptance `json:"settled,omitempty"`
	// By and Note are the operator who paused, resumed or aborted the rollout last, and the reason.
	By   string `json:"by,omitempty"`
	Note string `json:"note,omitempty"`
}

// An Acceptance is a gate of a ring that an operator has accepted.
type Acceptance struct {
	Gate GateName `json:"gate"`
	Ring string   `json:"ring,omitempty"`
}

// Accepts reports whether an operator has accepted a finding that says Hold, so that it does not hold the ring at hand.
func (r Record) Accepts(f Finding) bool {
	if f.Verdict != Hold {
		return false
	}
	return slices.Contains(r.Accepted, f.Gate) || slices.Contains(r.Settled, Acceptance{f.Gate, f.Ring})
}

// DefaultBaseline is long enough for some samples of every switch.
const DefaultBaseline = 2 * time.Minute

// Start returns r as the first Record of a rollout. The caller has set the fields up to Baseline.
func Start(r Record, now time.Time) Record { return r.enter(Measuring, now, nil) }

// Stage returns the ring at hand.
func (r Record) Stage() Stage { return r.Stages[r.Ring] }

// acting returns the state that decides which switches have the change.
func (r Record) acting() State {
	if r.State == Held || r.State == Paused {
		return r.Resumes
	}
	return r.State
}

// Rings returns how many rings, from the first, are to have the change now.
func (r Record) Rings() int {
	switch r.acting() {
	case Rehearsing, Advancing, Soaking:
		return r.Ring + 1
	case Done:
		return len(r.Stages)
	}
	return 0 // Measuring, TakingBack, GoingBack, WentBack
}

// Wanted returns the switches that are to have the change now, sorted.
func (r Record) Wanted() []string {
	var all []string
	for _, s := range r.Stages[:r.Rings()] {
		all = append(all, s.Switches...)
	}
	slices.Sort(all)
	return all
}

// Switches returns all switches of the rollout, sorted.
func (r Record) Switches() []string {
	var all []string
	for _, s := range r.Stages {
		all = append(all, s.Switches...)
	}
	slices.Sort(all)
	return all
}
