package vectors

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Target is a switch under test. The implementation maps the switch's counters to names.
type Target interface {
	Name() string
	// Load installs the rules of a phase and additional entries for subscribers, and resets the switch's state. All token buckets are then
	// full, and no rejects have been used in the present clock second. If there are additional entries, the switch's clock starts again at 0.
	Load(phase string, extra []Subscriber) error
	// Probe asks the switch what it would do with a frame from an input port.
	Probe(port uint32, frame []byte) (Probed, error)
	// Process sends a frame to an input port, waits for all output frames, and returns them.
	Process(port uint32, frame []byte) ([]Output, error)
	// Counters returns the values of all counters. A counter that is missing from the maps is 0.
	Counters() (Counters, error)
}

// A Clocked is a Target whose clock can be set.
type Clocked interface {
	Target
	// SetSecond advances the switch's clock to the next time at which it shows the given second.
	SetSecond(second uint32) error
}

// An Output is a frame that left the switch through a port.
type Output struct {
	Port  uint32
	Frame []byte
}

// A Probed is a switch's answer to a probe.
type Probed struct {
	Ports []uint32 // the output ports of the frame, or the input port for a rejected frame
	Rule  string   // the rule that would count the frame; "" if none
	Leg   Leg
	Line  string // the line whose counters would count the frame, if a rule would
	// Undecided is true if a token bucket, or the number of answers in the second, decides what happens.
	Undecided bool
}

// Counters contains the values of a switch's counters.
type Counters struct {
	Rules map[RuleCell]Count
	Lines map[LineCell]uint64 // numbers of frames
}

// A RuleCell identifies the counter of a rule on a port.
type RuleCell struct {
	Port uint32
	Rule string
}

// A Count is the value of a counter.
type Count struct{ Packets, Bytes uint64 }

// A LineCell identifies one of a line's counters.
type LineCell struct {
	Line    string
	Outcome Outcome
}

// ErrVector is returned if a Target behaves differently from a vector.
var ErrVector = errors.New("not as written")

// maxRejects is the maximum number of ICMP errors that a line gets in one clock second of the switch.
const maxRejects = 3

// Playable returns the vectors that a target can play. A target that is not Clocked cannot play vectors that are Timed.
func Playable(t Target, all []Vector) []Vector {
	if _, ok := t.(Clocked); ok {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(v Vector) bool { return v.Timed })
}

// Run plays the vectors on a target and returns how many passed. Its error joins an ErrVector for each vector that failed. The target must be
// Clocked if a vector is Timed. limited must report whether a line's new connections have a rate. Between two loads, at most one vector uses
// each direction of such a line.
func Run(t Target, all []Vector, limited func(line string) bool) (passed int, err error) {
	var faults []error
	for _, round := range rounds(all, limited) {
		if err := t.Load(round[0].Phase, round[0].Subscribers); err != nil {
			return passed, fmt.Errorf("%s: phase %s: %w", t.Name(), round[0].Phase, err)
		}
		for i := range round {
			v := &round[i]
			err := play(t, v)
			for again := 0; v.SameSecond && errors.Is(err, ErrVector) && again < 2; again++ { // the clock second may have ended
				if err = t.Load(v.Phase, v.Subscribers); err == nil {
					err = play(t, v)
				}
			}
			switch {
			case err == nil:
				passed++
			case errors.Is(err, ErrVector):
				faults = append(faults, err)
			default:
				return passed, fmt.Errorf("%s: vector %s (%v): %w", t.Name(), v.ID, v.At, err)
			}
		}
	}
	return passed, errors.Join(faults...)
}

// A bucket identifies a resource of one direction of a line that is limited between two loads, which is the token bucket or the rejects.
type bucket struct {
	line string
	up   bool
}

// A load identifies the state in which vectors are played. Two vectors that are Timed never share a state, because a clock cannot go back.
func (v *Vector) load() string {
	timed := ""
	if v.Timed {
		timed = v.ID
	}
	return fmt.Sprint(v.Phase, v.Subscribers, timed)
}

// rounds splits the vectors into lists, each of which needs one load. All vectors of a list have the same load. No vector depends on a
// token bucket or on rejects that another vector of its list has used up. A silent drop by a rule that rejects also counts as a reject,
// because the drop would prove nothing if no rejects were left.
func rounds(all []Vector, limited func(line string) bool) [][]Vector {
	rejecting := map[string]bool{}
	for _, v := range all {
		for _, s := range v.Steps {
			if len(s.Want.Ports) > 0 && !s.Want.Same {
				rejecting[s.Want.Rule] = true
			}
		}
	}
	var lists [][]Vector
	var used []map[bucket]int
	var free []Vector
	for _, v := range all {
		need := needs(&v, limited, rejecting)
		if len(need) == 0 {
			free = append(free, v)
			continue
		}
		i := 0
		for i < len(lists) && (lists[i][0].load() != v.load() || !fits(used[i], need)) {
			i++
		}
		if i == len(lists) {
			lists, used = append(lists, nil), append(used, map[bucket]int{})
		}
		lists[i] = append(lists[i], v)
		for b, n := range need {
			used[i][b] += n
		}
	}
	return deal(free, lists)
}

// needs returns how much of each bucket a vector uses up.
func needs(v *Vector, limited func(line string) bool, rejecting map[string]bool) map[bucket]int {
	need := map[bucket]int{}
	for _, s := range v.Steps {
		b := bucket{s.Want.Line, s.Want.Leg.Up()}
		switch {
		case s.Want.Line == "":
		case limited(s.Want.Line):
			need[b] = maxRejects
		case b.up && rejecting[s.Want.Rule]:
			need[b] = min(need[b]+1, maxRejects)
		}
	}
	return need
}

func fits(used, need map[bucket]int) bool {
	for b, n := range need {
		if used[b]+n > maxRejects {
			return false
		}
	}
	return true
}

// deal distributes the vectors that use no bucket evenly over the lists of their load.
func deal(free []Vector, lists [][]Vector) [][]Vector {
	next := map[string]int{}
	for _, v := range free {
		load := v.load()
		i := next[load]
		for n := 0; n < len(lists) && lists[i%len(lists)][0].load() != load; n++ {
			i++
		}
		if len(lists) == 0 || lists[i%len(lists)][0].load() != load {
			lists = append(lists, []Vector{v})
			next[load] = len(lists) - 1
			continue
		}
		i %= len(lists)
		lists[i] = append(lists[i], v)
		next[load] = i + 1
	}
	return lists
}

// play sends the frames of a vector and compares each result with the expected one.
func play(t Target, v *Vector) error {
	before, err := t.Counters()
	if err != nil {
		return err
	}
	for i, s := range v.Steps {
		if v.Timed {
			if err := t.(Clocked).SetSecond(s.Second); err != nil {
				return err
			}
		}
		probed, err := probe(t, s)
		if err != nil {
			return err
		}
		out, err := t.Process(s.In, s.Frame)
		if err != nil {
			return err
		}
		after, err := t.Counters()
		if err != nil {
			return err
		}
		differences := slices.Concat(probed, compareOutputs(s, out), compareCounters(s, before, after))
		before = after
		if len(differences) == 0 {
			continue
		}
		step := ""
		if len(v.Steps) > 1 {
			step = fmt.Sprintf(", frame %d", i+1)
		}
		return fmt.Errorf("%s: %v: vector %s%s: %s: %w\n  in  %d %s\n      %s\n  ->  %v\n  but %s", t.Name(), s.At, v.ID, step, v.Title, ErrVector,
			s.In, s.Layers, Dump(s.Frame), s.Want, strings.Join(differences, "\n      "))
	}
	return nil
}

// decidedFirst lists the rules that can decide before the leg is looked up. In vectors, their leg is the direction only.
var decidedFirst = []string{"tiny-fragment", "spoofed"}

// controllers is the port of packets from controllers, which are no frames.
const controllers = 510

// probe sends a probe for a step's frame, and returns the differences between the answer and what is expected of the frame. Whatever the probe
// changes on the switch is a difference when the frame itself is sent.
func probe(t Target, s Step) (differences []string, err error) {
	if s.In == controllers {
		return nil, nil
	}
	got, err := t.Probe(s.In, s.Frame)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(got.Ports, s.Want.Ports) && !got.Undecided {
		differences = append(differences, "a probe says that it would come out of ports ["+portList(got.Ports)+"]")
	}
	leg := s.Want.Leg
	if slices.Contains(decidedFirst, s.Want.Rule) {
		leg = ""
	}
	if got.Rule != s.Want.Rule || s.Want.Rule != "" && (got.Line != s.Want.Line || got.Leg != leg) {
		differences = append(differences, fmt.Sprintf("a probe says rule=%s leg=%s line=%s", got.Rule, got.Leg, got.Line))
	}
	return differences, nil
}

// compareOutputs returns the differences between the expected and the actual output frames.
func compareOutputs(s Step, out []Output) (differences []string) {
	slices.SortFunc(out, func(a, b Output) int { return int(a.Port) - int(b.Port) })
	var ports []uint32
	for _, o := range out {
		ports = append(ports, o.Port)
	}
	if !slices.Equal(ports, s.Want.Ports) {
		differences = append(differences, "it came out of ports ["+portList(ports)+"]")
	}
	for _, o := range out {
		switch {
		case bytes.Equal(o.Frame, s.Want.Frame):
		case len(s.Want.Ports) == 0:
			differences = append(differences, fmt.Sprintf("port %d sent %s", o.Port, Dump(o.Frame)))
		default:
			differences = append(differences, fmt.Sprintf("port %d sent %s\n        not  %s", o.Port, Dump(o.Frame), Dump(s.Want.Frame)))
		}
	}
	return differences
}

// compareCounters returns the differences between the expected and the actual changes of the counters.
func compareCounters(s Step, before, after Counters) (differences []string) {
	rules, lines := map[RuleCell]Count{}, map[LineCell]uint64{}
	if s.Want.Rule != "" {
		rules[RuleCell{s.In, s.Want.Rule}] = Count{1, uint64(len(s.Frame))}
	}
	if s.Want.Outcome != "" {
		lines[LineCell{s.Want.Line, s.Want.Outcome}]++
	}
	if s.Want.Unsolicited {
		lines[LineCell{s.Want.Line, Unsolicited}]++
	}
	for cell := range merged(rules, after.Rules) {
		got := Count{after.Rules[cell].Packets - before.Rules[cell].Packets, after.Rules[cell].Bytes - before.Rules[cell].Bytes}
		if got != rules[cell] {
			differences = append(differences, fmt.Sprintf("rule %s counted %d packets of %d bytes on port %d, not %d of %d",
				cell.Rule, got.Packets, got.Bytes, cell.Port, rules[cell].Packets, rules[cell].Bytes))
		}
	}
	for cell := range merged(lines, after.Lines) {
		if got := after.Lines[cell] - before.Lines[cell]; got != lines[cell] {
			differences = append(differences, fmt.Sprintf("line %s counted %d frames %s, not %d", cell.Line, got, cell.Outcome, lines[cell]))
		}
	}
	slices.Sort(differences)
	return differences
}

func merged[K comparable, V any](a, b map[K]V) map[K]struct{} {
	all := map[K]struct{}{}
	for k := range a {
		all[k] = struct{}{}
	}
	for k := range b {
		all[k] = struct{}{}
	}
	return all
}
