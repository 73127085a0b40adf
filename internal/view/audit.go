package view

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	op25bv1 "op25b/proto/op25b/v1"
)

// Records lists the audit chain's records in their order.
func (t *table) Records(r *op25bv1.ListRecordsResponse) error {
	if len(r.Records) == 0 {
		_, err := io.WriteString(t.w, "There is no record.\n")
		return err
	}
	g := grid{head: []string{"RECORD", t.whenHead(), "WHO", "WHAT", "REASON"}, shrink: []int{3, 2}, goesOn: true}
	for _, rec := range r.Records {
		who := rec.Who
		if rec.Role != "" {
			who += " (" + rec.Role + ")"
		}
		why := "" // it was refused
		if strings.HasPrefix(rec.Verb, "refused ") {
			why = rec.Detail
		}
		g.add(fmt.Sprint(rec.Seq), t.when(rec.Time), who, rec.Verb+" "+rec.Object, cmp.Or(rec.Reason, why))
	}
	text := g.text(t, "")
	first, last := r.Records[0].Seq, r.Records[len(r.Records)-1].Seq
	if head := r.GetHead().GetSeq(); first > 1 || last < head {
		text += fmt.Sprintf("Cut: records %d to %d of %d; others: op25b audit list --from N --limit N\n", first, last, head)
	}
	_, err := io.WriteString(t.w, text)
	return err
}

// Verified says whether the chain is what was appended.
func (t *table) Verified(r *op25bv1.VerifyResponse) error {
	text := ""
	switch {
	case !r.Intact:
		text = t.colour(red, wrapped("", fmt.Sprintf("The audit chain is broken at record %d: %s", r.BrokenAt, plain(r.Broken)), 4))
	case r.GetHead().GetSeq() == 0:
		text = "The audit chain is intact: it has no record yet.\n"
	default:
		text = fmt.Sprintf("The audit chain is intact: %s.\nhead %d:%s\n", count(r.Head.Seq, "record"), r.Head.Seq, plain(r.Head.Hash))
	}
	_, err := io.WriteString(t.w, text)
	return err
}

// Backup says what a backup has and what was done with it.
func (t *table) Backup(s *op25bv1.BackupSummary, done string) error {
	_, err := fmt.Fprintf(t.w, "Revision %d and %s, %s with %.1f MiB, of %s: %s.\n",
		s.Revision, count(s.AuditSeq, "audit record"), count(s.Keys, "key"), float64(s.Bytes)/(1<<20), t.when(s.Made), plain(done))
	return err
}
