package check

import (
	"fmt"
	"io"
	"strings"
	"time"

	"op25b/internal/softswitch/engine"
)

// WriteText writes the answer for a terminal. A day is the policy's: times are in the offset that they came with.
func (a *Answer) WriteText(w io.Writer) error {
	var b strings.Builder
	who := "unnamed line"
	if a.Line != "" {
		who = "line " + a.Line
		if a.Group.Name != "" {
			who += " (" + a.Group.text() + ")"
		}
	}
	fmt.Fprintf(&b, "%s on %s  ->  %s port %d\n", who, a.Switch, a.To, a.Port)
	fmt.Fprintf(&b, "phase %s, in force since %s\n", a.Phase.text(), day(a.Phase.Since))
	for i := range a.Results {
		b.WriteByte('\n')
		a.Results[i].text(&b)
	}
	for i, note := range a.Notes {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) text(b *strings.Builder) {
	fmt.Fprintf(b, "%-10s %v -> %v\n", strings.ToUpper(string(r.Outcome)), r.From, r.To)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(b, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	if r.Rule == nil {
		line("rule", "none: the policy does not look at this port, so it passes")
	} else {
		line("rule", "%s (%d): %s", r.Rule.Name, r.Rule.ID, r.Rule.Text)
		what := r.Service
		if r.Remote.Name != "" {
			what += " to " + r.Remote.text()
		} else if what != "" {
			what += " to a server in no class"
		}
		if r.Leg != "" && what != "" {
			line("as", "%s, on %s", what, r.Leg)
		}
	}
	line("since", "%s, phase %s", day(r.Since.Since), r.Since.Name)
	if e := r.Exemption; e != nil {
		text := "of line " + e.Line
		if e.Line == "" {
			text = "of " + e.Prefix.String()
		}
		text += ", until " + e.Expires.Add(-time.Second).Format(time.DateOnly)
		if e.Owner != "" {
			text += fmt.Sprintf("; owner %s, %s", e.Owner, e.Reason)
		}
		if e.Ticket != "" {
			text += ", ticket " + e.Ticket
		}
		line("exempt", "%s", text)
	}
	if n := r.Next; n != nil {
		by := ""
		if n.Rule != "" {
			by = " by rule " + n.Rule
		}
		line("next", "%s from %s%s, phase %s", n.Outcome, day(n.Since), by, n.Name)
	}
	if t := r.Trace; t != nil {
		b.WriteByte('\n')
		_ = t.WriteText(b)
	}
}

func (n Named) text() string {
	if n.Title == "" {
		return n.Name
	}
	return n.Name + ", " + n.Title
}

// day is a moment as people write it: dates are midnights, and activations rarely are.
func day(t time.Time) string {
	if hour, minute, second := t.Clock(); hour+minute+second == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01-02 15:04")
}

// WriteText writes what the two segments met: parser states, tables with what they hit and the actions they ran, conditions, and
// counters. The tables that the compiler made for single statements are left out; JSON has them.
func (t *Trace) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, way := range []struct {
		name   string
		frame  engine.Bits
		events []engine.Event
	}{{"SYN, from the line", t.Frame, t.Up}, {"SYN-ACK, to the line", t.ReplyFrame, t.Down}} {
		fmt.Fprintf(&b, "  trace of the %s\n", way.name)
		for _, e := range way.events {
			if !e.Hidden {
				fmt.Fprintf(&b, "    %s\n", e)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
