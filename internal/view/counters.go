package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Counters shows the state of the collection of each switch, followed by the counters of rules and interfaces.
func (t *table) Counters(r *op25bv1.ListCountersResponse) error {
	var b strings.Builder
	for i, c := range r.Switches {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(t.counters(t.zone(r.UtcOffset), c))
	}
	if len(r.Switches) == 0 {
		b.WriteString("There is no switch in the inventory.\n")
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// current reports whether the values of a switch are current.
func current(c *op25bv1.SwitchCounters) bool {
	return c.State == op25bv1.CollectionState_COLLECTION_STATE_SYNCED
}

// counters renders one switch.
func (t *table) counters(z zone, c *op25bv1.SwitchCounters) string {
	mark := bold
	if !current(c) {
		mark = yellow
	}
	text := t.colour(mark, wrapped("", plain(c.Switch)+"  "+t.collection(c), 4))
	switch {
	case c.Counted != nil:
		text += t.countedSince(z, c.Counted)
	case c.Updated != nil:
		text += t.rules(c.Rules, "No packet has matched a rule yet.", true)
	}
	if n := c.RulesLeftOut; n > 0 && c.Counted == nil {
		text += fmt.Sprintf("  ... and %s of rules; --rule selects rules\n", prose.Count(n, "row"))
	}
	if c.Counted != nil {
		return text // the history has no counters of interfaces
	}
	if len(c.Interfaces) > 0 {
		text += t.interfaces(c.Interfaces)
	}
	if n := c.InterfacesLeftOut; n > 0 {
		text += fmt.Sprintf("  ... and %s; --interface selects interfaces\n", prose.Count(n, "interface"))
	}
	return text
}

// countedSince renders the counts from the history.
func (t *table) countedSince(z zone, c *op25bv1.CountedSince) string {
	text := "from " + z.moment(c.From) + " to " + z.moment(c.To)
	recorded, whole := c.Recorded.AsDuration(), c.To.AsTime().Sub(c.From.AsTime())
	if recorded < time.Second && len(c.Rules) == 0 { // a count of zero would be a claim that nobody can make
		return wrapped("  ", "Nothing was recorded "+text+", so it is not known what the rules counted.", 0)
	}
	none := "No packet matched a rule."
	if recorded < whole {
		text += ", of which " + age(recorded) + " were recorded"
		none = "No packet matched a rule in the recorded time."
	}
	return wrapped("  ", text+":", 0) + t.rules(c.Rules, none, false)
}

// rules renders the counts of rules. none is the sentence to print if there are none.
func (t *table) rules(all []*op25bv1.RuleCounters, none string, rates bool) string {
	if len(all) == 0 {
		return "  " + none + "\n"
	}
	g := grid{head: []string{"RULE", "LEG", "PHASE", "PACKETS", "OCTETS"}, shrink: []int{2, 0}}
	if rates {
		g.head = append(g.head, "PACKETS/S")
	}
	for _, n := range all {
		cells := []string{n.Rule, n.Leg, n.Phase, fmt.Sprint(n.Packets), fmt.Sprint(n.Octets)}
		if rates {
			cells = append(cells, rate(n.PacketsPerSecond))
		}
		g.add(cells...)
	}
	return g.text(t, "  ")
}

// interfaces renders the counters of interfaces, with one row per direction.
func (t *table) interfaces(all []*op25bv1.InterfaceCounters) string {
	g := grid{head: []string{"INTERFACE", "STATE", "WAY", "PACKETS", "OCTETS", "PACKETS/S", "DISCARDS", "ERRORS"}, shrink: []int{0}}
	for _, in := range all {
		state := strings.ToLower(in.OperStatus)
		g.add(in.Interface, state, "in", number(in.InPackets), number(in.InOctets), rate(in.InPacketsPerSecond), number(in.InDiscards), number(in.InErrors))
		g.add(in.Interface, state, "out", number(in.OutPackets), number(in.OutOctets), rate(in.OutPacketsPerSecond), number(in.OutDiscards), number(in.OutErrors))
	}
	return g.text(t, "  ")
}

// collection renders the state of a collection. If the values are not current, their age follows the reason.
func (t *table) collection(c *op25bv1.SwitchCounters) string {
	text := collectionText(c.State)
	if current(c) {
		text += ", values of " + t.since(c.Updated) + " ago"
	} else {
		if c.Since != nil {
			text += " for " + t.since(c.Since)
		}
		text += ": " + strings.TrimSuffix(collectionReason(c.Reason)+": "+c.Detail, ": ")
		if c.Updated != nil {
			text += "; old values, of " + t.since(c.Updated) + " ago"
		}
	}
	if c.RejectedValues > 0 {
		text += fmt.Sprintf("; %s could not be read", prose.Count(c.RejectedValues, "value"))
	}
	if c.Owner != "" {
		text += " (" + c.Owner + ")"
	}
	return plain(text)
}

// number renders a counter, which is nil if the switch does not report it.
func number(n *uint64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

// rate renders a number per second with one decimal place, or without decimal places if it is 10 or more.
func rate(r *float64) string {
	switch {
	case r == nil:
		return ""
	case *r == 0:
		return "0"
	case *r < 0.1:
		return "<0.1"
	case *r < 9.95:
		return fmt.Sprintf("%.1f", *r)
	}
	return fmt.Sprintf("%.0f", *r)
}

// CounterChanges shows all counters of a switch when it is first reported. After that, it shows one line for each total that has changed,
// and for each switch and interface whose state has changed.
func (t *table) CounterChanges(r *op25bv1.WatchCountersResponse) error {
	now := t.opts.Now().In(t.opts.Location).Format("15:04:05")
	var b strings.Builder
	for _, c := range r.Switches {
		_, known := t.shown[c.Switch]
		lines := t.changes(c)
		if !known {
			b.WriteString(t.counters(t.zone(r.UtcOffset), c))
			continue
		}
		for _, line := range lines {
			b.WriteString(wrapped(now+"  ", plain(c.Switch)+"  "+line, 0))
		}
	}
	for _, name := range r.Gone {
		fmt.Fprintf(&b, "%s  %s is no longer in the inventory\n", now, plain(name))
		delete(t.shown, name)
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// changes renders the changes since the last message about a switch, and remembers the new values.
func (t *table) changes(c *op25bv1.SwitchCounters) (lines []string) {
	changed := func(key, text string) {
		if t.shown[key] != text {
			t.shown[key] = text
			lines = append(lines, text)
		}
	}
	state := collectionText(c.State)
	if !current(c) {
		state += ": " + strings.TrimSuffix(collectionReason(c.Reason)+": "+c.Detail, ": ")
	}
	if c.Owner != "" {
		state += " (" + c.Owner + ")"
	}
	changed(c.Switch, plain(state))
	for _, n := range c.Rules {
		key := strings.Join([]string{c.Switch, n.Rule, n.Leg, n.Phase}, "\x00")
		was := t.counted[key]
		if was == n.Packets {
			continue
		}
		t.counted[key] = n.Packets
		text := strings.Join(strings.Fields(strings.Join([]string{n.Rule, n.Leg, n.Phase}, " ")), " ") + ": " + fmt.Sprint(n.Packets)
		if n.Packets > was {
			text += fmt.Sprintf(" (+%d)", n.Packets-was)
		}
		if r := rate(n.PacketsPerSecond); r != "" {
			text += ", " + r + "/s"
		}
		lines = append(lines, plain(text))
	}
	for _, in := range c.Interfaces {
		if in.OperStatus != "" {
			changed(c.Switch+"\x00"+in.Interface, plain("interface "+in.Interface+" is "+strings.ToLower(in.OperStatus)))
		}
	}
	return lines
}
