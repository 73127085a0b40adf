package view

import (
	"fmt"
	"io"
	"strings"

	op25bv1 "op25b/proto/op25b/v1"
)

// label formats the label that precedes each fact about a result.
func label(name string) string { return fmt.Sprintf("    %-9s", name) }

// Check shows the outcome of a connection for each address of the server.
func (t *table) Check(r *op25bv1.CheckResponse) error {
	z := t.zone(r.UtcOffset)
	var b strings.Builder
	who := "unnamed line"
	if r.Line != "" {
		who = "line " + plain(r.Line)
		if r.GetLineGroup().GetName() != "" {
			who += " (" + titled(r.LineGroup.Name, r.LineGroup.Title) + ")"
		}
	}
	b.WriteString(wrapped("", fmt.Sprintf("%s on %s -> %s port %d", who, plain(r.Switch), plain(r.To), r.Port), 4))
	at := "by documents that are not applied"
	if r.Revision != 0 {
		at = fmt.Sprintf("by revision %d", r.Revision)
	}
	b.WriteString(wrapped("", fmt.Sprintf("%s, at %s, in phase %s", at, z.moment(r.At), titled(r.GetPhase().GetName(), r.GetPhase().GetTitle())), 4))
	for _, result := range r.Results {
		t.result(&b, z, result)
	}
	for i, text := range Advice("en", r) {
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(wrapped("do:   ", plain(text), 0))
	}
	for i, note := range r.Notes {
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(wrapped("note: ", plain(note), 0))
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// Unconfirmed returns the note that a switch has not confirmed the phases on which an answer is based. It is empty if the switch has confirmed
// them, and if seen is nil.
func Unconfirmed(seen *op25bv1.CheckSeen) string {
	if seen == nil || seen.Confirmed {
		return ""
	}
	return fmt.Sprintf("switch %s has not confirmed this yet: the answer is what is wanted there, op25b status shows what is in force", plain(seen.Switch))
}

func titled(name, title string) string {
	if title == "" {
		return plain(name)
	}
	return plain(name + ", " + title)
}

// result renders the outcome of a connection to one address.
func (t *table) result(b *strings.Builder, z zone, r *op25bv1.CheckResult) {
	code := green
	switch r.Outcome {
	case "rejected", "blocked":
		code = red
	case "monitored", "limited":
		code = yellow
	}
	fmt.Fprintf(b, "\n%s  %s -> %s\n", t.colour(code, strings.ToUpper(plain(r.Outcome))), plain(r.From), plain(r.To))
	line := func(name, text string) { b.WriteString(wrapped(label(name), plain(text), 0)) }
	if rule := r.Rule; rule != nil {
		line("rule", fmt.Sprintf("%s (%d): %s", rule.Name, rule.Id, rule.Text))
	} else {
		line("rule", "no rule matches this port: it passes")
	}
	if r.Service != "" && r.Leg != "" {
		what := r.Service + " to a server in no class"
		if r.GetRemote().GetName() != "" {
			what = r.Service + " to " + titled(r.Remote.Name, r.Remote.Title)
		}
		line("as", what+", on "+r.Leg)
	}
	if e := r.Exemption; e != nil {
		text := "line " + e.Line
		if e.Line == "" {
			text = "prefix " + e.Prefix
		}
		text += ", until " + z.end(e.Expires)
		if e.Owner != "" {
			text += "; " + e.Owner + ": " + e.Reason
		}
		if e.Ticket != "" {
			text += " (" + e.Ticket + ")"
		}
		line("exempt", text)
	}
	if r.Since != nil {
		line("since", z.moment(r.Since.Since)+", phase "+r.Since.Name)
	}
	if n := r.Next; n != nil {
		line("next", next(z, n))
	}
	if trace := r.GetTrace().GetText(); trace != "" {
		b.WriteByte('\n')
		for l := range strings.Lines(trace) {
			text := strings.TrimLeft(l, " ")
			indent := len(l) - len(text)
			b.WriteString(wrapped(strings.Repeat(" ", indent), plain(strings.TrimRight(text, "\n")), indent+4))
		}
	}
}

func next(z zone, n *op25bv1.CheckNext) string {
	text := fmt.Sprintf("%s from %s", n.Outcome, z.moment(n.GetPhase().GetSince()))
	if n.Rule != "" {
		text += ", by rule " + n.Rule
	}
	return text + ", phase " + n.GetPhase().GetName()
}
