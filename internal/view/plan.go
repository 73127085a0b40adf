package view

import (
	"fmt"
	"strings"

	"op25b/internal/plan"
	op25bv1 "op25b/proto/op25b/v1"
)

// manyNames is how many switches are named for which there is the same to say.
const manyNames = 8

// Plan shows a plan as package plan writes it.
func (t *table) Plan(p *op25bv1.Plan, full bool) error {
	return plan.Text{Color: t.opts.Colour, Diff: full, Width: Width}.Write(t.w, p)
}

// document is the difference of one document.
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
	lines := strings.Split(strings.TrimSuffix(d.Unified, "\n"), "\n")
	for len(lines) > 0 && (strings.HasPrefix(lines[0], "--- ") || strings.HasPrefix(lines[0], "+++ ")) {
		lines = lines[1:]
	}
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
	if d.Truncated {
		b.WriteString("    ... cut at 64 KiB\n")
	}
}

func (t *table) names(names []string, full bool) string {
	if full {
		return named(names, len(names))
	}
	return named(names, manyNames)
}

// standing is how a switch was found, in words.
func standing(sw *op25bv1.SwitchPlan) string {
	text := map[string]string{
		"unreachable":   "could not be read",
		"empty":         "runs no program",
		"other-program": "runs another program",
		"gone":          "is not in the inventory any more",
	}[sw.Standing]
	if text == "" {
		text = sw.Standing
	}
	if sw.Reason != "" {
		text += ": " + sw.Reason
	}
	return text
}

// difference lists entries.
func (t *table) difference(b *strings.Builder, title string, d *op25bv1.Difference, full bool) {
	total := d.GetAdded() + d.GetChanged() + d.GetRemoved()
	if total == 0 {
		return
	}
	fmt.Fprintf(b, "    %s: %d added, %d changed, %d removed", title, d.Added, d.Changed, d.Removed)
	if d.Foreign > 0 {
		fmt.Fprintf(b, "; of the added %d that nobody asked for", d.Foreign)
	}
	b.WriteByte('\n')
	for _, e := range d.Entries {
		switch e.Kind {
		case "added":
			b.WriteString(t.colour(green, wrapped("      + ", plain(e.New), 0)))
		case "removed":
			b.WriteString(t.colour(red, wrapped("      - ", plain(e.Old), 0)))
		default:
			b.WriteString(t.colour(yellow, wrapped("      ~ ", plain(e.Old), 0)))
			b.WriteString(t.colour(yellow, wrapped("        becomes ", plain(e.New), 8)))
		}
	}
	if left := total - uint64(len(d.Entries)); left > 0 {
		how := "--full shows them"
		if full {
			how = "a plan lists 10,000 at most"
		}
		fmt.Fprintf(b, "      ... %d more; %s\n", left, how)
	}
}

func unread(s *op25bv1.Totals) string {
	if s.SwitchesUnread == 0 {
		return ""
	}
	return fmt.Sprintf(" %s could not be read.", count(s.SwitchesUnread, "switch"))
}
