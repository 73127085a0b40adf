package view

import (
	"fmt"
	"io"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// proof renders the proof of a plan: one line if the change is proved, and otherwise the packets that show why it is not. If full is true, the
// coverage of each table follows.
func (t *table) proof(b *strings.Builder, p *op25bv1.Proof, full bool) {
	t.proofOf(b, p, "apply refuses the change", full)
}

// proofOf is like proof. refused says what becomes of a change that is not proved.
func (t *table) proofOf(b *strings.Builder, p *op25bv1.Proof, refused string, full bool) {
	switch {
	case p == nil:
		return
	case p.Error != "":
		b.WriteString(t.colour(red, strings.TrimSuffix(paragraphs("", p.Error+"; "+refused), "\n")) + "\n")
		return
	case !p.Proved:
		text := fmt.Sprintf("not proved on the twin: %s of %d judged differently by the switch, the documents and this plan; %s",
			prose.Count(p.Disagreements, "packet"), p.Packets, refused)
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
	coverage(b, p.Tables, p.Unhit, p.UnhitCount)
}

// coverage renders the part of each table that packets have hit.
func coverage(b *strings.Builder, tables []*op25bv1.ProofTable, unhit []*op25bv1.ProofUnhit, n uint64) {
	for _, x := range tables {
		if x.Entries == 0 {
			continue
		}
		miss := "no miss tried"
		if x.Missed {
			miss = "miss tried"
		}
		b.WriteString(wrapped("  ", plain(fmt.Sprintf("%s: %d of %s hit, %s", x.Table, x.Hit, prose.Count(x.Entries, "entry"), miss)), 0))
	}
	for _, u := range unhit {
		what := "  not hit: "
		if u.Never {
			what = "  no packet can hit: "
		}
		b.WriteString(wrapped(what, plain(fmt.Sprintf("%s: %s", u.Entry, u.Why)), 0))
	}
	if more := n - uint64(len(unhit)); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

// Prove shows the result of a proof on a switch.
func (t *table) Prove(r *op25bv1.ProveResponse, full bool) error {
	var b strings.Builder
	var hit, entries uint64
	for _, x := range r.Tables {
		hit, entries = hit+x.Hit, entries+x.Entries
	}
	of := fmt.Sprintf("%s, revision %d, %s: ", r.Switch, r.Revision, r.InForce)
	switch {
	case r.Deviating > 0:
		text := fmt.Sprintf("%sof %s tried, the switch would not treat %d as the documents demand", of, prose.Count(r.Packets, "packet"), r.Deviating)
		b.WriteString(t.colour(red, strings.TrimSuffix(wrapped("", plain(text), 0), "\n")) + "\n")
		for _, c := range r.Deviations {
			for line := range strings.Lines(c.Text) {
				fmt.Fprintf(&b, "  %s\n", plain(strings.TrimSuffix(line, "\n")))
			}
		}
	default:
		text := fmt.Sprintf("%sthe switch would treat %s as the documents demand; %d of %s met", of, prose.Count(r.Packets, "packet"), hit, prose.Count(entries, "entry"))
		if !r.All {
			text += "; more packets can be tried with --packets"
		}
		b.WriteString(wrapped("", plain(text), 0))
	}
	if full {
		coverage(&b, r.Tables, r.Unhit, r.UnhitCount)
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}
