package view

import (
	"fmt"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// proof renders the proof of a plan: one line if the change is proved, and otherwise the packets that show why it is not. If full is true, the
// coverage of each table follows.
func (t *table) proof(b *strings.Builder, p *op25bv1.Proof, full bool) {
	switch {
	case p == nil:
		return
	case p.Error != "":
		b.WriteString(t.colour(red, strings.TrimSuffix(paragraphs("", p.Error+"; apply refuses the change"), "\n")) + "\n")
		return
	case !p.Proved:
		text := fmt.Sprintf("not proved on the twin: %s of %d judged differently by the switch, the documents and this plan; apply refuses the change",
			prose.Count(p.Disagreements, "packet"), p.Packets)
		b.WriteString(t.colour(red, strings.TrimSuffix(wrapped("", plain(text), 0), "\n")) + "\n")
		for _, c := range p.Counterexamples {
			for line := range strings.Lines(c.Text) {
				fmt.Fprintf(b, "  %s\n", plain(strings.TrimSuffix(line, "\n")))
			}
		}
		return
	case p.Packets == 0:
		b.WriteString("proved on the twin: the change touches no entry\n")
		return
	}
	var hit, entries uint64
	for _, x := range p.Tables {
		hit, entries = hit+x.Hit, entries+x.Entries
	}
	text := "proved on the twin: " + prose.Count(p.Packets, "packet")
	if p.States > 0 {
		text += " and " + prose.Count(p.States, "state")
	}
	text += " agree with the documents and this plan"
	if entries > 0 {
		text += fmt.Sprintf("; %d of %s hit", hit, prose.Count(entries, "entry"))
	}
	if p.Limited {
		text += "; some packets were left out, because there are too many"
	}
	b.WriteString(wrapped("", plain(text), 0))
	if !full {
		return
	}
	for _, x := range p.Tables {
		if x.Entries == 0 {
			continue
		}
		miss := "no miss tried"
		if x.Missed {
			miss = "miss tried"
		}
		b.WriteString(wrapped("  ", plain(fmt.Sprintf("%s: %d of %s hit, %s", x.Table, x.Hit, prose.Count(x.Entries, "entry"), miss)), 0))
	}
	for _, u := range p.Unhit {
		b.WriteString(wrapped("  not hit: ", plain(fmt.Sprintf("%s: %s", u.Entry, u.Why)), 0))
	}
	if more := p.UnhitCount - uint64(len(p.Unhit)); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}
