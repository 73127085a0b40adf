package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/view"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

const (
	// listed is the number of revisions, and of audit records, that a page lists.
	listed = 25
	// verifyWithin is the time limit for the verification of the audit chain.
	verifyWithin = time.Minute
)

type historyRow struct {
	Revision  uint64 // 0 for a date
	Who, What string
	At        time.Time
}

type recordRow struct {
	Number         uint64
	At             time.Time
	Who, What, Why string
}

type changesData struct {
	base
	History               []historyRow
	OlderRevisions        string // the link to older revisions; empty if there are none
	Head, Archived        string
	RecordsWho, Verb      string // the filter
	Records               []recordRow
	OlderRecords          string       // the link to older records; empty if there are none
	Later, LaterRevisions bool         // the page does not begin with the newest records, or revisions
	Known                 string       // the head to compare with
	Verified              string       // the result of the verification that the person has asked for
	Broken                *said        // how the chain was changed, by the same verification; nil if it is intact
	Differs               string       // says that the chain is intact, but does not have Known
	Last                  verifiedData // the last verification from a page of this controller
	Wrong                 string       // what is wrong with Known
}

// changes shows revisions and audit records, the newest first.
func (s *Site) changes(v *visit) error { return s.showChanges(v, http.StatusOK, changesData{}) }

func (s *Site) showChanges(v *visit, code int, d changesData) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	q := v.r.URL.Query()
	revision, err := numberOf(q, "before")
	if err != nil {
		return err
	}
	record, err := numberOf(q, "record")
	if err != nil {
		return err
	}
	h, err := v.intent.History(ctx, connect.NewRequest(&op25bv1.HistoryRequest{Before: revision, Limit: listed}))
	if err != nil {
		return err
	}
	d.RecordsWho, d.Verb = strings.TrimSpace(q.Get("who")), strings.TrimSpace(q.Get("verb"))
	records, err := v.audit.ListRecords(ctx, connect.NewRequest(&op25bv1.ListRecordsRequest{Before: record, Limit: listed, Who: d.RecordsWho, Verb: d.Verb}))
	if err != nil {
		return err
	}
	v.Title, v.Section, v.Zone = v.T("changes"), "changes", zone(cmp.Or(h.Msg.UtcOffset, records.Msg.UtcOffset))
	d.base, d.LaterRevisions, d.Later = v.base, revision > 0, record > 0
	for _, e := range h.Msg.Entries {
		if date := e.GetDate(); date != nil {
			d.History = append(d.History, historyRow{0, v.T("date"), v.dated(date), date.Time.AsTime()})
			continue
		}
		rev := e.GetRevision()
		d.History = append(d.History, historyRow{rev.GetNumber(), rev.GetAuthor(), rev.GetReason(), rev.GetTime().AsTime()})
	}
	if n := len(h.Msg.Revisions); n == listed && h.Msg.Revisions[n-1].Number > 1 {
		d.OlderRevisions = fmt.Sprintf("/changes?before=%d#h-history", h.Msg.Revisions[n-1].Number)
	}
	if head := records.Msg.Head; head.GetSeq() > 0 {
		d.Head = fmt.Sprintf("%d %s", head.Seq, head.Hash)
	}
	last, odd := s.verified.newest()
	d.Last = v.verified(last, odd, records.Msg.Head)
	if cp := records.Msg.Checkpoint; cp != nil {
		d.Archived = v.T("archived", cp.Seq, v.At(cp.Time.AsTime()))
	}
	for _, r := range slices.Backward(records.Msg.Records) {
		d.Records = append(d.Records, recordRow{r.Seq, r.Time.AsTime(), r.Who, strings.TrimSpace(r.Verb + " " + r.Object), r.Reason})
	}
	if records.Msg.Before > 0 {
		older := url.Values{"record": {fmt.Sprint(records.Msg.Before)}}
		for name, value := range map[string]string{"who": d.RecordsWho, "verb": d.Verb} {
			if value != "" {
				older.Set(name, value)
			}
		}
		d.OlderRecords = "/changes?" + older.Encode() + "#h-audit"
	}
	v.render(code, "changes.html", d)
	return nil
}

// numberOf returns a number of the query; 0 if it is absent.
func numberOf(q url.Values, name string) (uint64, error) {
	text := q.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%s %q: must be a number", name, text))
	}
	return n, nil
}

// dated describes the changes that a date has made.
func (b base) dated(d *op25bv1.DateEvent) string {
	if d.Kind == op25bv1.DateEvent_EXEMPTIONS {
		if d.ExemptionsEnded == 1 {
			return b.T("exemption ended")
		}
		return b.T("exemptions ended", prose.Number(d.ExemptionsEnded))
	}
	var turns []string
	for _, t := range d.Turns {
		c := &op25bv1.PhaseChange{From: t.From, To: t.To, Groups: t.Groups, ByDefault: t.ByDefault, EveryLine: t.EveryLine, Switches: t.Switches}
		turns = append(turns, b.changes([]*op25bv1.PhaseChange{c}, 0)...)
	}
	if len(turns) == 0 {
		return b.T("phase began nowhere", d.Phase)
	}
	return b.T("phase began", d.Phase, strings.Join(turns, b.T("semicolon")))
}

// verify verifies the audit chain, and shows the result with the newest changes. It requires the role viewer, as the API does.
func (s *Site) verify(v *visit) error {
	if !v.session.allows(v.r) {
		return connect.NewError(connect.CodePermissionDenied, errOldForm)
	}
	d := changesData{Known: strings.TrimSpace(v.r.PostFormValue("known"))}
	q, known := &op25bv1.VerifyRequest{}, uint64(0)
	if d.Known != "" {
		seq, hash, ok := view.ParseHead(d.Known)
		if !ok {
			d.Wrong = v.T("wrong head")
			return s.showChanges(v, http.StatusBadRequest, d)
		}
		q.Known, known = append(q.Known, &op25bv1.AuditHead{Seq: seq, Hash: hash}), seq
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), verifyWithin)
	defer cancel()
	began := s.cfg.Now()
	r, err := v.audit.Verify(ctx, connect.NewRequest(q))
	if err != nil {
		return err
	}
	if !r.Msg.Intact && d.Known != "" { // does the chain itself fit, so that only the head differs?
		q.Known, began = nil, s.cfg.Now()
		if r, err = v.audit.Verify(ctx, connect.NewRequest(q)); err != nil {
			return err
		}
		if r.Msg.Intact {
			d.Differs = v.differs(known, r.Msg)
			s.verified.noteHead(&unmatched{at: began, who: v.Who, seq: known})
		}
	} else if d.Known != "" && known < r.Msg.Checkpoint.GetSeq() { // nothing was compared with it
		d.Differs = v.differs(known, r.Msg)
	}
	s.verified.note(verificationOf(v.Who, began, r.Msg))
	switch {
	case d.Differs != "":
	case r.Msg.Intact && d.Known != "":
		s.verified.noteHead(nil)
		d.Verified = v.T("intact since", d.Known, r.Msg.Head.GetSeq(), r.Msg.Head.GetHash())
	case r.Msg.Intact:
		d.Verified = v.T("intact", r.Msg.Head.GetSeq(), r.Msg.Head.GetHash())
	default:
		d.Broken = new(v.said(v.T("broken", r.Msg.BrokenAt), r.Msg.Broken))
	}
	return s.showChanges(v, http.StatusOK, d)
}

// differs says that an intact chain does not have a head that a person gave, whose number is known. The head can be mistyped, and the chain can have
// been rewritten as a whole.
func (b base) differs(known uint64, r *op25bv1.VerifyResponse) string {
	if known < r.Checkpoint.GetSeq() {
		return b.T("head archived", known, r.Checkpoint.GetSeq())
	}
	return view.OtherHead(b.Lang, known, r.Head.GetSeq())
}
