package check

import (
	"fmt"
	"strings"

	"op25b/internal/softswitch/engine"
)

// String lists the events of the two segments: parser states, tables with the matched entries and the actions, conditions, and counters.
// It omits the tables that the P4 compiler generated for single statements, which the JSON form contains.
func (t *Trace) String() string {
	var b strings.Builder
	for _, way := range []struct {
		name   string
		events []engine.Event
	}{{"SYN, from the line", t.Up}, {"SYN-ACK, to the line", t.Down}} {
		fmt.Fprintf(&b, "  trace of the %s\n", way.name)
		for _, e := range way.events {
			if !e.Hidden {
				fmt.Fprintf(&b, "    %s\n", e)
			}
		}
	}
	return b.String()
}
