package prove

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/reference"
	"op25b/internal/softswitch"
)

// judges are the three judges of one compiled state.
type judges struct {
	twin    *twin
	model   *reference.Model
	words   *words
	numbers numbers
	c       *compile.Compiled
	cover   coverage
	packets int
}

// A disagreement is a packet that the judges do not judge alike.
type disagreement struct {
	shot  *shot
	want  Outcome
	words string // what the words say; empty if they say the same or nothing
	got   string // what the pipeline does; empty if it does what the model says
}

// A judged is a packet with what the model and the words say of it.
type judged struct {
	shot
	d    reference.Decision
	said saying
	says bool // whether the words say anything
}

// foresee asks the model and the words about a packet that the pipeline gets at a time of the twin's clock.
func (j *judges) foresee(x *judged, at time.Duration) {
	j.model.Forget()
	x.d = j.model.Decide(at, uint16(x.port), x.frame)
	x.said, x.says = j.words.say(&x.shot, &x.d)
}

// judge asks the pipeline about a packet of which the model and the words have been asked. It returns nil if they agree.
func (j *judges) judge(x *judged) *disagreement {
	j.packets++
	s, d := &x.shot, &x.d
	var ruled, line pipeline.Cell
	var wasRuled, wasLine uint64
	counted := d.Outcome != reference.NoOutcome
	if counted {
		ruled = pipeline.PortRuleCell(s.port, j.numbers.rules[d.RuleName])
		line = pipeline.OutcomeCell(j.numbers.lines[d.Line], int(d.Outcome))
		wasRuled, wasLine = j.twin.count(ruled), j.twin.count(line)
	}
	out := j.twin.play(s.port, s.frame)
	hitRule := j.cover.met(j.twin.met())
	agree := same(out, d.Out)
	switch {
	case counted:
		agree = agree && j.twin.count(ruled) == wasRuled+1 && j.twin.count(line) == wasLine+1
	case hitRule:
		agree = false // a rule decided, and the model knows none
	}
	alike := !x.says || string(x.said.action) == string(d.Verdict) && x.said.rule == d.RuleName && x.said.class == d.Remote
	if agree && alike {
		return nil
	}
	differ := &disagreement{shot: s.clone(), want: j.numbers.want(d)}
	if !agree {
		differ.got = j.does(s, portsSent(out)).String()
	}
	if !alike {
		differ.words = "passes, no rule decides"
		if x.said.action != "" {
			differ.words = fmt.Sprintf("%s by rule %s", x.said.action, x.said.rule)
		}
		if x.said.class != d.Remote {
			differ.words += fmt.Sprintf(", to a server of class %q instead of %q", x.said.class, d.Remote)
		}
	}
	return differ
}

// does returns what the pipeline does with a packet.
func (j *judges) does(s *shot, out []pipeline.Port) Outcome {
	p := j.twin.seen(s.port, s.frame)
	o := Outcome{Out: out, RuleID: p.Rule, Rule: j.c.Rules[p.Rule].Name, Index: p.Line.Index, Line: j.c.Lines[p.Line.Index]}
	o.Rejected = slices.Contains(out, s.port)
	o.Passes = len(out) > 0 && !o.Rejected
	switch {
	case p.Rule == pipeline.RuleNone:
	case p.Action == 0 && o.Passes:
		o.Action = "monitor"
	case p.Action == 0:
		o.Action = "drop"
	case o.Passes && (p.Action == pipeline.Drop || p.Action == pipeline.Reject):
		o.Action = "monitor" // the drain
	default:
		o.Action = actions[p.Action]
	}
	return o
}

var actions = map[pipeline.VerdictAction]string{
	pipeline.Permit: "permit", pipeline.Monitor: "monitor", pipeline.Drop: "drop", pipeline.Limit: "limit", pipeline.Reject: "reject",
}

// same reports whether the pipeline sent the frames that the model demands. The order of the frames does not matter.
func same(got []softswitch.Frame, want []reference.Output) bool {
	if len(got) != len(want) {
		return false
	}
	if len(got) > 1 {
		slices.SortFunc(got, func(a, b softswitch.Frame) int { return cmp.Compare(a.Port, b.Port) })
	}
	for i := range got {
		if got[i].Port != uint32(want[i].Port) || !bytes.Equal(got[i].Bytes, want[i].Frame) {
			return false
		}
	}
	return true
}

func portsSent(out []softswitch.Frame) []pipeline.Port {
	var ports []pipeline.Port
	for _, f := range out {
		ports = append(ports, pipeline.Port(f.Port))
	}
	slices.Sort(ports)
	return ports
}

func (s *shot) clone() *shot {
	c := *s
	c.frame = bytes.Clone(s.frame)
	return &c
}
