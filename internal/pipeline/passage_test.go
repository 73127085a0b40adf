package pipeline

import "testing"

func TestPassage(t *testing.T) {
	numbers := func(m map[string]uint64) func(string) uint64 {
		return func(name string) uint64 {
			v, ok := m[name]
			if !ok {
				t.Errorf("asked for %q, which the program does not have there", name)
			}
			return v
		}
	}
	none := numbers(nil)
	var p Passage
	p.Applied("SwitchIngress.filter.session", "NoAction", none, none)
	p.Applied("SwitchIngress.filter.line", "SwitchIngress.filter.set_line", none, numbers(map[string]uint64{"line_group": 3, "line_index": 700}))
	p.Applied("SwitchIngress.forward.bridge", "SwitchIngress.forward.forward_to_network", none, none)
	p.Applied("SwitchIngress.filter.verdict", "SwitchIngress.filter.reject", numbers(map[string]uint64{
		"leg": 1, "service": 2, "remote_class": 4, "subscriber_class": 1,
	}), none)
	p.Counted("SwitchIngress.filter.line_mail", 1<<8|9)
	p.Counted("SwitchIngress.filter.port_rule", 5<<8|7)
	p.Counted("SwitchIngress.filter.verdict_counter", 0)
	want := Passage{Line: Line{Group: 3, Index: 700}, Leg: UpDst, Service: 2, Remote: 4, Subscriber: 1, Action: Reject, Rule: 7}
	if p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
	var silent Passage
	silent.Applied("SwitchIngress.filter.verdict", "NoAction", numbers(map[string]uint64{
		"leg": 2, "service": 1, "remote_class": 0, "subscriber_class": 0,
	}), none)
	if silent != (Passage{Leg: DownSrc, Service: 1}) {
		t.Errorf("a verdict table that misses: %+v", silent)
	}
}
