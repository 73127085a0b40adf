package plan

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"op25b/internal/meaning"
	op25bv1 "op25b/proto/op25b/v1"
)

// Text says how a plan is written for people.
type Text struct {
	// Color marks what is added, changed, removed, and what stops mail, by ANSI colors.
	Color bool
	// Diff writes the differences of documents, and not only how many lines they are.
	Diff bool
	// Width is the columns to write in, at least 40; DefaultWidth if 0.
	Width int
}

// DefaultWidth is how wide a plan is written, in columns.
const DefaultWidth = 100

// Write writes a plan: the documents, each switch with what became of it and what would, and the sums. Switches for which there is the same to
// say are told together.
func (o Text) Write(w io.Writer, p *op25bv1.Plan) error {
	if o.Width == 0 {
		o.Width = DefaultWidth
	}
	t := &writer{out: bufio.NewWriter(w), Text: o}
	t.head(p)
	t.documents(p.Documents)
	for _, g := range groups(p.Switches) {
		t.group(g)
	}
	for _, note := range p.Notes {
		t.line(0, "note: ", note)
	}
	if len(p.Notes) > 0 {
		t.blank()
	}
	t.totals(p)
	return t.out.Flush()
}

// A writer writes one plan.
type writer struct {
	Text
	out *bufio.Writer
}

func (t *writer) head(p *op25bv1.Plan) {
	on := fmt.Sprintf("on revision %d", p.Base)
	if p.Base == 0 {
		on = "as the first revision"
	}
	t.line(0, "", fmt.Sprintf("plan %s, policy %s, made %s", on, p.Policy, p.Time.AsTime().Format(time.RFC3339)))
	t.blank()
}

func (t *writer) documents(list []*op25bv1.DocumentDiff) {
	if len(list) == 0 {
		return
	}
	t.line(0, "", "documents")
	for _, d := range list {
		sign := signs[Changed]
		switch {
		case d.Added:
			sign = signs[Added]
		case d.Removed:
			sign = signs[Removed]
		}
		plus, minus := changedLines(d.Unified)
		more := ""
		if d.Truncated {
			more = ", and more"
		}
		t.mark(2, sign, fmt.Sprintf("%s: %s added, %d removed%s", strings.TrimPrefix(d.Path, "files/"), counted(uint64(plus), "line"), minus, more))
		if t.Diff {
			for _, line := range strings.Split(strings.TrimSuffix(d.Unified, "\n"), "\n") {
				t.out.WriteString("    " + t.paint(diffColor(line), line) + "\n")
			}
		}
	}
	t.blank()
}

// changedLines counts the lines that a unified diff adds and removes. Its first two are names.
func changedLines(unified string) (plus, minus int) {
	for i, line := range strings.Split(unified, "\n") {
		switch {
		case i < 2 || line == "":
		case line[0] == '+':
			plus++
		case line[0] == '-':
			minus++
		}
	}
	return plus, minus
}

func (t *writer) totals(p *op25bv1.Plan) {
	s := p.Totals
	if !p.Changes && s.Updates > 0 {
		t.line(0, "", fmt.Sprintf("nothing to change but rule sets for later, by %s to %d of %s", counted(s.Updates, "update"), s.SwitchesChanged, counted(uint64(s.Switches), "switch")))
	} else if !p.Changes {
		t.line(0, "", "nothing to change: documents and switches are as they should be, as far as they could be read")
	} else {
		t.line(0, "", fmt.Sprintf("%s to add, %d to change, %d to remove, by %s to %d of %s",
			counted(s.Added, "entry"), s.Changed, s.Removed, counted(s.Updates, "update"), s.SwitchesChanged, counted(uint64(s.Switches), "switch")))
	}
	if s.SwitchesDrifted > 0 {
		t.line(0, "", fmt.Sprintf("drift: %s on %s", counted(s.Drifted, "entry"), counted(uint64(s.SwitchesDrifted), "switch")))
	}
	if s.SwitchesUnread > 0 {
		t.line(0, "", fmt.Sprintf("%s could not be read; that part of the plan is assumed", counted(uint64(s.SwitchesUnread), "switch")))
	}
	if s.SwitchesRefused > 0 {
		t.colored(red, fmt.Sprintf("%s would refuse this, for the errors above", counted(uint64(s.SwitchesRefused), "switch")))
	}
	if s.SwitchesWaiting > 0 {
		t.line(0, "", fmt.Sprintf("%s would wait for the first phase", counted(uint64(s.SwitchesWaiting), "switch")))
	}
	if s.Stops > 0 {
		t.colored(red, fmt.Sprintf("this stops mail: see the lines marked %s", strings.ToUpper(string(meaning.Stops))))
	}
}

// counted is a number and a noun.
func counted(n uint64, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprintf("%s %sies", thousands(n), strings.TrimSuffix(noun, "y"))
	case strings.HasSuffix(noun, "ch"):
		return fmt.Sprintf("%s %ses", thousands(n), noun)
	}
	return fmt.Sprintf("%s %ss", thousands(n), noun)
}

// thousands is a number as people read it.
func thousands(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
