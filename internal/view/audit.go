package view

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// A Listing is what was asked for in a list of audit records: the records from From on, or otherwise the newest before Before. Zero means the newest
// of all.
type Listing struct {
	From, Before uint64
	Filtered     bool // only some of these records were asked for
}

// Records lists audit records in ascending order.
func (t *table) Records(r *op25bv1.ListRecordsResponse, asked Listing) error {
	if len(r.Records) == 0 {
		_, err := io.WriteString(t.w, noRecords(r, asked))
		return err
	}
	z := t.zone(r.UtcOffset)
	g := grid{head: []string{"RECORD", z.head(), "WHO", "WHAT", "REASON"}, shrink: []int{3, 2}, goesOn: true}
	for _, rec := range r.Records {
		who := rec.Who
		if rec.Role != "" {
			who += " (" + rec.Role + ")"
		}
		why := "" // the reason why a change was refused
		if strings.HasPrefix(rec.Verb, "refused ") {
			why = rec.Detail
		}
		g.add(fmt.Sprint(rec.Seq), z.when(rec.Time), who, rec.Verb+" "+rec.Object, cmp.Or(rec.Reason, why))
	}
	text := g.text(t, "")
	first, last := r.Records[0].Seq, r.Records[len(r.Records)-1].Seq
	begin := r.GetCheckpoint().GetSeq() + 1
	switch head := r.GetHead().GetSeq(); {
	case asked.Filtered && r.Before > 0:
		text += fmt.Sprintf("Cut at %s; older ones: op25b audit list --before %d with the same flags\n", prose.Count(len(r.Records), "record"), r.Before)
	case asked.Filtered:
	case first > begin || last < head:
		text += fmt.Sprintf("Cut: records %d to %d of %d; others: op25b audit list --from N --limit N\n", first, last, head)
	}
	if begin > 1 {
		text += fmt.Sprintf("Records up to %d are in an archive.\n", begin-1)
	}
	_, err := io.WriteString(t.w, text)
	return err
}

// noRecords says why there are no records in an answer.
func noRecords(r *op25bv1.ListRecordsResponse, asked Listing) string {
	head, begin := r.GetHead().GetSeq(), r.GetCheckpoint().GetSeq()+1
	newest := head
	if asked.Before > 0 {
		newest = min(head, asked.Before-1)
	}
	switch {
	case head == 0:
		return "There is no record.\n"
	case asked.From > head:
		return fmt.Sprintf("There is no record %d yet; the newest is %d.\n", asked.From, head)
	case newest < begin:
		return fmt.Sprintf("There is no record before %d; the oldest in the store is %d.\n", asked.Before, begin)
	case r.Before > 0:
		return fmt.Sprintf("No record of %d to %d matches; older ones: op25b audit list --before %d with the same flags\n", r.Before, newest, r.Before)
	}
	return fmt.Sprintf("No record of %d to %d matches.\n", begin, newest)
}

// Verified shows whether the audit chain is intact.
func (t *table) Verified(r *op25bv1.VerifyResponse, archives int) error {
	text := ""
	cp := r.GetCheckpoint()
	switch {
	case !r.Intact:
		text = t.colour(red, wrapped("", changedChain(r), 4))
	case r.GetHead().GetSeq() == 0:
		text = "The audit chain is intact: it has no record yet.\n"
	case cp == nil:
		text = fmt.Sprintf("The audit chain is intact: %s.\n", prose.Count(r.Head.Seq, "record"))
	case archives > 0:
		text = fmt.Sprintf("The audit chain is intact: %s, %d of them in %s.\n", prose.Count(r.Head.Seq, "record"), cp.Seq, prose.Count(archives, "archive"))
	default:
		text = fmt.Sprintf("The audit chain is intact: records %d to %d.\n", cp.Seq+1, r.Head.Seq) +
			wrapped("", fmt.Sprintf("Records up to %d were archived at %s and were not verified; --archive FILE verifies them. The last file has the SHA-256 %s",
				cp.Seq, t.local().moment(cp.Time), plain(cp.Archive)), 4)
	}
	if head := r.GetHead(); r.Intact && head.GetSeq() > 0 {
		text += fmt.Sprintf("head %d:%s\n", head.Seq, plain(head.Hash))
	}
	_, err := io.WriteString(t.w, text)
	return err
}

// Archived shows which audit records were moved to a file.
func (t *table) Archived(r *op25bv1.PruneResponse, file string) error {
	rec := r.GetRecord()
	_, err := io.WriteString(t.w, wrapped("", fmt.Sprintf("Audit %s were moved from the store to %s.", plain(rec.GetObject()), plain(file)), 4)+
		fmt.Sprintf("Record %d says so. Keep the file: it is the only copy.\n", rec.GetSeq()))
	return err
}

// Backup shows the contents of a backup and what was done with it.
func (t *table) Backup(s *op25bv1.BackupSummary, done string) error {
	_, err := io.WriteString(t.w, wrapped("", fmt.Sprintf("Revision %d and %s, %s with %s, of %s: %s.",
		s.Revision, prose.Count(s.AuditSeq, "audit record"), prose.Count(s.Keys, "key"), bytesOf(s.Bytes), t.local().moment(s.Made), plain(done)), 4))
	return err
}
