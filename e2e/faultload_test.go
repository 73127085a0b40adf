package e2e

import (
	"fmt"
	"strings"
	"time"

	"op25b/internal/fleet"
)

func (r *round) badNetwork() {
	e := r.any(r.switches)
	n := e.network
	kind := r.IntN(6)
	if kind < 3 && !r.changed { // start a change, so that there is traffic to block
		r.midway([]*edge{e})
	}
	switch kind {
	case 0:
		n.be(stall)
		r.await(e.name+" stalled", func() error {
			if st := r.status(e); st.State != fleet.StateDisconnected {
				return fmt.Errorf("%+v", st)
			}
			return nil
		})
	case 1:
		n.be(drip)
		r.put(r.exempting(r.IntN(40)))
		<-time.After(time.Duration(r.IntN(2000)) * time.Millisecond)
	case 2:
		n.be(cut)
		r.await(e.name+" cut off", func() error {
			if st := r.status(e); st.State != fleet.StateDisconnected {
				return fmt.Errorf("%+v", st)
			}
			return nil
		})
	case 3:
		n.reset()
	default:
		n.halfClose(kind == 4)
	}
	n.be(fair)
	if kind >= 3 { // this change needs a new connection
		r.put(r.exempting(50 + r.IntN(300)))
	}
}

// fullTable applies documents that need more entries than a table can hold. It verifies that the
// error names the table and that the table's entries do not change.
func (r *round) fullTable() {
	before, err := r.book.Current(generous(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	table, files := "service", edited(r.base, "{name: smtp, ports: [25]}", "{name: smtp, ports: [25]}\n  - {name: many, ports: [2000"+manyPorts(70)+"]}")
	if r.large {
		table, files = "subscriber_v4", exempting(r.base, 10, 81_920)
	}
	in := r.put(files)
	for _, e := range r.switches {
		r.await(e.name+" full", func() error {
			st := r.status(e)
			if st.State == fleet.StateFailed && st.Reason == fleet.ReasonNoRoom && strings.Contains(st.Detail, fmt.Sprintf("table %q", table)) && st.Wanted == in.Number {
				return nil
			}
			return fmt.Errorf("%+v", st)
		})
		if err := r.holds(generous(r.t), e, before); err != nil { // I10
			r.t.Errorf("with a full table: %v", err)
		}
	}
	r.put(r.exempting(1 + r.IntN(7)))
}

func manyPorts(n int) string {
	text := ""
	for i := 1; i < n; i++ {
		text += fmt.Sprintf(", %d", 2000+i)
	}
	return text
}
