package view

import (
	"fmt"
	"io"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Values of SwitchPlan.standing, EntryChange.kind and Sentence.severity that need special rendering.
const (
	standingRead  = "read"
	standingEmpty = "empty"
	standingGone  = "gone"

	entryAdded   = "added"
	entryRemoved = "removed"

	severityStops = "stops"
	severityOpens = "opens"
)

// manyNames is the maximum number of names in a list. The list gives only the number of the remaining names.
const manyNames = 8

// Plan shows the changed documents, the drift of each switch and the changes to it, and the totals. Switches with the same plan share a
// section. If full is true, Plan also shows the lines of the documents that differ.
func (t *table) Plan(p *op25bv1.Plan, full bool) error {
	var b strings.Builder
	z := t.zone(p.UtcOffset)
	on := fmt.Sprintf("on revision %d", p.Base)
	if p.Base == 0 {
		on = "as the first revision"
	}
	b.WriteString(wrapped("", plain(fmt.Sprintf("plan %s, policy %s, made %s", on, p.Policy, z.moment(p.Time))), 0) + "\n")
	if len(p.Documents) > 0 {
		b.WriteString("documents\n")
		for _, d := range p.Documents {
			t.changedDocument(&b, d, full)
		}
		b.WriteByte('\n')
	}
	for _, g := range sections(p.Switches, full) {
		t.planned(&b, g)
	}
	for _, note := range p.Notes {
		b.WriteString(wrapped("note: ", plain(note), 0))
	}
	if len(p.Notes) > 0 {
		b.WriteByte('\n')
	}
	t.removals(&b, p, full)
	if t.held(&b, z, p.Held, full); len(p.Held) > 0 {
		b.WriteByte('\n')
	}
	t.proof(&b, p.Proof, full)
	t.totals(&b, p)
	_, err := io.WriteString(t.w, b.String())
	return err
}

// changedDocument renders a line about a changed document. If full is true, the differing lines follow.
func (t *table) changedDocument(b *strings.Builder, d *op25bv1.DocumentDiff, full bool) {
	sign, code := "~ ", yellow
	switch {
	case d.Added:
		sign, code = "+ ", green
	case d.Removed:
		sign, code = "- ", red
	}
	lines := strings.Split(strings.TrimSuffix(d.Unified, "\n"), "\n")
	added, removed := 0, 0
	for _, line := range body(lines) {
		switch {
		case strings.HasPrefix(line, "+"):
			added++
		case strings.HasPrefix(line, "-"):
			removed++
		}
	}
	more := ""
	if d.Truncated {
		more = ", and more"
	}
	text := fmt.Sprintf("%s: %s added, %d removed%s", strings.TrimPrefix(d.Path, "files/"), prose.Count(added, "line"), removed, more)
	b.WriteString(t.signed("  ", code, sign, text))
	if full {
		t.unified(b, lines)
	}
}

// document renders the differences in a document.
func (t *table) document(b *strings.Builder, d *op25bv1.DocumentDiff) {
	name := plain(strings.TrimPrefix(d.Path, "files/"))
	switch {
	case d.Added:
		fmt.Fprintf(b, "\n%s\n", t.colour(green, "+ "+name+" (new)"))
	case d.Removed:
		fmt.Fprintf(b, "\n%s\n", t.colour(red, "- "+name+" (removed)"))
	default:
		fmt.Fprintf(b, "\n%s\n", t.colour(yellow, "~ "+name))
	}
	if d.Unified == "" {
		return
	}
	t.unified(b, body(strings.Split(strings.TrimSuffix(d.Unified, "\n"), "\n")))
	if d.Truncated {
		b.WriteString("    ... cut at 64 KiB\n")
	}
}

// body returns the lines of a unified diff without the two lines that name the files.
func body(lines []string) []string {
	for len(lines) > 0 && (strings.HasPrefix(lines[0], "--- ") || strings.HasPrefix(lines[0], "+++ ")) {
		lines = lines[1:]
	}
	return lines
}

// unified renders the lines of a unified diff without wrapping them.
func (t *table) unified(b *strings.Builder, lines []string) {
	for _, line := range lines {
		code := ""
		switch {
		case strings.HasPrefix(line, "+"):
			code = green
		case strings.HasPrefix(line, "-"):
			code = red
		}
		fmt.Fprintf(b, "    %s\n", t.colour(code, plain(strings.ReplaceAll(line, "\t", "    "))))
	}
}

// signed renders a text that follows a coloured sign.
func (t *table) signed(indent, code, sign, text string) string {
	lines := wrapped(indent+sign, plain(text), 0)
	return indent + t.colour(code, sign) + lines[len(indent+sign):]
}

// planned renders the shared plan of a section's switches.
func (t *table) planned(b *strings.Builder, g *section) {
	s := g.plan
	b.WriteString(wrapped("", plain(g.title()), 0))
	line := func(label, text string) { b.WriteString(wrapped("  "+label, plain(text), 0)) }
	switch s.Standing {
	case standingRead:
	case standingGone:
		b.WriteString(t.colour(red, wrapped("  GONE   ", plain(s.Reason), 0)))
	default:
		line(plain(s.Standing)+": ", s.Reason)
	}
	if s.Error != "" {
		b.WriteString(t.colour(red, paragraphs("  error: ", s.Error)) + "\n")
		return
	}
	if d := s.Drift; size(d) > 0 {
		line("", fmt.Sprintf("drift since the last write: %s added, %d changed, %d missing", prose.Count(d.Added, "entry"), d.Changed, d.Removed))
		t.entries(b, "    ", d, "")
	}
	t.meaning(b, s.Meaning)
	switch {
	case s.Standing == standingGone:
	case s.Updates == 0:
		line("", "nothing to write")
	case size(s.Change) == 0:
		line("", fmt.Sprintf("%s, all for rule sets of later phases: no packet meets them yet", prose.Count(s.Updates, "update")))
	default:
		line("", fmt.Sprintf("%s to add, %d to change, %d to remove, by %s%s", prose.Count(s.Change.Added, "entry"), s.Change.Changed, s.Change.Removed,
			prose.Count(s.Updates, "update"), g.steps()))
		if !g.summed {
			t.entries(b, "    ", s.Change, "")
		}
		if fills := fullest(s.Tables); fills != "" {
			line("capacity: ", fills)
		}
	}
	b.WriteByte('\n')
}

// paragraphs renders a text that has several lines. It wraps each line, and indents all lines to the width of first.
func paragraphs(first, s string) string {
	text := ""
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		text += wrapped(first, plain(line), 0)
		first = strings.Repeat(" ", prose.Columns(first))
	}
	return text
}

// meaning renders the consequences of a change. Consequences that stop mail come first.
func (t *table) meaning(b *strings.Builder, list []*op25bv1.Sentence) {
	for _, kind := range []struct{ severity, label, code string }{
		{severityStops, "STOPS  ", red}, {severityOpens, "opens  ", green}, {"", "       ", ""},
	} {
		for _, s := range list {
			known := s.Severity == severityStops || s.Severity == severityOpens
			if s.Severity == kind.severity || kind.severity == "" && !known {
				b.WriteString(t.colour(kind.code, wrapped("  "+kind.label, plain(s.Text), 0)))
			}
		}
	}
}

// entries lists the entries that differ. If the list is truncated, it ends with how, which names the command that shows the rest.
func (t *table) entries(b *strings.Builder, indent string, d *op25bv1.Difference, how string) {
	for _, e := range d.GetEntries() {
		switch e.Kind {
		case entryAdded:
			b.WriteString(t.signed(indent, green, "+ ", e.New))
		case entryRemoved:
			b.WriteString(t.signed(indent, red, "- ", e.Old))
		default:
			old := e.Old
			if old == "" {
				old = "the program's own default"
			}
			b.WriteString(t.signed(indent, yellow, "~ ", old))
			b.WriteString(wrapped(indent+"    -> ", plain(e.New), 0))
		}
	}
	if left := size(d) - uint64(len(d.GetEntries())); left > 0 {
		fmt.Fprintf(b, "%s... and %s more%s\n", indent, prose.Number(left), how)
	}
}

// halfFull is the minimum share of used entries at which a table is always shown.
const halfFull = 0.5

// fullest lists the tables that are at least half full, or the fullest table if there are none.
func fullest(tables []*op25bv1.TableFill) string {
	var texts []string
	most := -1
	for i, f := range tables {
		if most < 0 || share(f) > share(tables[most]) {
			most = i
		}
		if share(f) >= halfFull {
			texts = append(texts, fill(f))
		}
	}
	if len(texts) == 0 && most >= 0 {
		return fill(tables[most]) + "; all others have more room"
	}
	return strings.Join(texts, "; ")
}

func share(f *op25bv1.TableFill) float64 {
	if f.Size == 0 {
		return 0
	}
	return float64(f.Entries) / float64(f.Size)
}

func fill(f *op25bv1.TableFill) string {
	return fmt.Sprintf("%s %s of %s", f.Table, prose.Number(f.Entries), prose.Number(f.Size))
}

func (t *table) totals(b *strings.Builder, p *op25bv1.Plan) {
	s := p.Totals
	if s == nil {
		s = &op25bv1.Totals{}
	}
	line := func(code, format string, args ...any) {
		b.WriteString(t.colour(code, wrapped("", fmt.Sprintf(format, args...), 0)))
	}
	switches := prose.Count(s.Switches, "switch")
	switch {
	case p.Changes:
		line("", "%s to add, %d to change, %d to remove, by %s to %d of %s",
			prose.Count(s.Added, "entry"), s.Changed, s.Removed, prose.Count(s.Updates, "update"), s.SwitchesChanged, switches)
	case s.Updates > 0:
		line("", "nothing to change except rule sets of later phases, by %s to %d of %s", prose.Count(s.Updates, "update"), s.SwitchesChanged, switches)
	default:
		line("", "nothing to change: documents and switches are as wanted, as far as they could be read")
	}
	if s.SwitchesDrifted > 0 {
		line("", "drift: %s on %s", prose.Count(s.Drifted, "entry"), prose.Count(s.SwitchesDrifted, "switch"))
	}
	if s.SwitchesUnread > 0 {
		line("", "%s could not be read; that part of the plan is assumed", prose.Count(s.SwitchesUnread, "switch"))
	}
	if s.SwitchesRefused > 0 {
		line(red, "%s would refuse this, for the errors above", prose.Count(s.SwitchesRefused, "switch"))
	}
	if s.SwitchesGone > 0 {
		is := "are"
		if s.SwitchesGone == 1 {
			is = "is"
		}
		line(red, "%s %s no longer in the inventory: see GONE", prose.Count(s.SwitchesGone, "switch"), is)
	}
	if s.SwitchesWaiting > 0 {
		line("", "%s would wait for the first phase", prose.Count(s.SwitchesWaiting, "switch"))
	}
	if s.Stops > 0 {
		line(red, "this stops mail: see the lines marked STOPS")
	}
}

func size(d *op25bv1.Difference) uint64 { return d.GetAdded() + d.GetChanged() + d.GetRemoved() }
