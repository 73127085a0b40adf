package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
)

type historyRow struct {
	Revision, Who, What string
	At                  time.Time
}

type recordRow struct {
	Number         uint64
	At             time.Time
	Who, What, Why string
}

type changesData struct {
	base
	History []historyRow
	Head    string
	Records []recordRow
}

// changes shows the newest revisions and audit records.
func (s *Site) changes(v *visit) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	h, err := v.intent.History(ctx, connect.NewRequest(&op25bv1.HistoryRequest{}))
	if err != nil {
		return err
	}
	v.Title, v.Section, v.Zone = v.T("changes"), "changes", zone(h.Msg.UtcOffset)
	d := changesData{base: v.base}
	for _, e := range h.Msg.Entries {
		if date := e.GetDate(); date != nil {
			what := v.T("phase") + " " + date.Phase
			if date.Kind == op25bv1.DateEvent_EXEMPTIONS {
				what = fmt.Sprintf("-%d", date.ExemptionsEnded)
			}
			d.History = append(d.History, historyRow{"-", v.T("date"), what, date.Time.AsTime()})
			continue
		}
		rev := e.GetRevision()
		d.History = append(d.History, historyRow{fmt.Sprint(rev.GetNumber()), rev.GetAuthor(), rev.GetReason(), rev.GetTime().AsTime()})
	}
	records, err := v.audit.ListRecords(ctx, connect.NewRequest(&op25bv1.ListRecordsRequest{}))
	if err != nil {
		return err
	}
	if head := records.Msg.Head; head.GetSeq() > 0 {
		d.Head = fmt.Sprintf("%d %s", head.Seq, head.Hash)
	}
	for _, r := range records.Msg.Records {
		d.Records = append(d.Records, recordRow{r.Seq, r.Time.AsTime(), r.Who, strings.TrimSpace(r.Verb + " " + r.Object), r.Reason})
	}
	v.render(http.StatusOK, "changes.html", d)
	return nil
}
