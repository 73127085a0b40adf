package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
)

// Limits of the page of a revision.
const (
	maxDiffDocuments   = 50       // documents whose differences are shown
	maxDiffBytes       = 64 << 10 // the differences of one document
	maxDiffPage        = 512 << 10
	maxShownActivation = 50
)

// A diffLine is a line of a difference. Class is "added", "removed", "place" or empty.
type diffLine struct{ Class, Text string }

type documentData struct {
	Path, What string
	Lines      []diffLine
	Cut        string // says that more lines exist; empty if all are there
}

type activationRow struct {
	What, Lines, Who, Why string
	At                    time.Time
	New                   bool // this revision has stored it
}

type revisionData struct {
	base
	Number, Before, After uint64 // Before and After are 0 if there is no such revision
	Author, Reason        string
	Time                  time.Time
	ID, Policy            string
	Documents             []documentData // the documents of the operators
	Created               []documentData // the documents that the controllers create
	MoreDocuments         int
	From                  uint64 // the revision to which the documents were compared
	NoDiff                string // the reason why the differences are not known
	Activations           []activationRow
	MoreActivations       int
	Activated             bool // this revision has stored an activation or a rollback
}

// revision shows who stored a revision, when, why, and what it changed.
func (s *Site) revision(v *visit) error {
	number, err := strconv.ParseUint(v.r.PathValue("revision"), 10, 64)
	if err != nil || number == 0 {
		return errNoPage
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	r, err := v.intent.Show(ctx, connect.NewRequest(&op25bv1.ShowRequest{Revision: number, OmitFiles: true}))
	if err != nil {
		return err
	}
	rev := r.Msg.Revision
	v.Title, v.Section = v.T("revision h", number), "changes"
	d := revisionData{
		base: v.base, Number: number, Before: number - 1, From: number - 1, Author: rev.Author, Reason: rev.Reason, Time: rev.Time.AsTime(), ID: rev.Id, Policy: rev.Policy,
	}
	switch now, err := v.intent.Current(ctx, connect.NewRequest(&op25bv1.CurrentRequest{})); {
	case err != nil:
		return err
	case now.Msg.Revision.GetNumber() > number:
		d.After = number + 1
	}
	diff, err := v.intent.Diff(ctx, connect.NewRequest(&op25bv1.DiffRequest{From: number - 1, To: number}))
	switch {
	case connect.CodeOf(err) == connect.CodeNotFound:
		d.NoDiff, d.Before = v.T("no diff", number-1), 0
	case err != nil:
		return err
	default:
		d.addDiff(diff.Msg.Documents)
	}
	d.addActivations(r.Msg.Activations, number)
	v.render(http.StatusOK, "revision.html", d)
	return nil
}

// addDiff adds the differences of documents. Those of the operators come first, because the others follow from them.
func (d *revisionData) addDiff(documents []*op25bv1.DocumentDiff) {
	bytes := 0
	for _, operators := range []bool{true, false} {
		for _, doc := range documents {
			name, file := strings.CutPrefix(doc.Path, "files/")
			if file != operators {
				continue
			}
			if len(d.Documents)+len(d.Created) == maxDiffDocuments || bytes > maxDiffPage {
				d.MoreDocuments++
				continue
			}
			cut := doc.Truncated
			data := documentData{Path: name, What: d.T("diff changed")}
			switch {
			case doc.Added:
				data.What = d.T("diff added")
			case doc.Removed:
				data.What = d.T("diff removed")
			}
			text := doc.Unified
			if len(text) > maxDiffBytes {
				text, cut = text[:maxDiffBytes], true
			}
			if cut {
				data.Cut = d.T("diff cut")
			}
			bytes += len(text)
			data.Lines = diffLines(text)
			if operators {
				d.Documents = append(d.Documents, data)
			} else {
				d.Created = append(d.Created, data)
			}
		}
	}
}

// diffLines returns the lines of a difference in unified format.
func diffLines(unified string) []diffLine {
	var lines []diffLine
	for line := range strings.Lines(unified) {
		class := ""
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
			continue // the name of the document is above
		case strings.HasPrefix(line, "@@"):
			class = "place"
		case strings.HasPrefix(line, "+"):
			class = "added"
		case strings.HasPrefix(line, "-"):
			class = "removed"
		}
		lines = append(lines, diffLine{class, strings.ToValidUTF8(line, "\uFFFD")})
	}
	return lines
}

// addActivations adds the activations of a revision, the newest first.
func (d *revisionData) addActivations(all []*op25bv1.Activation, revision uint64) {
	for i := len(all) - 1; i >= 0; i-- {
		if len(d.Activations) == maxShownActivation {
			d.MoreActivations = i + 1
			return
		}
		a := all[i]
		d.Activated = d.Activated || a.Revision == revision
		row := activationRow{What: a.Phase, Lines: d.T("everywhere"), Who: a.Author, Why: a.Reason, At: a.Time.AsTime(), New: a.Revision == revision}
		if a.Undoes != 0 {
			row.What = d.T("undoes", fmt.Sprint(a.Undoes))
		}
		if a.UntilNextDate {
			row.What = d.T("until next date", row.What)
		}
		if len(a.Groups) > 0 {
			row.Lines = d.names(a.Groups)
		}
		if len(a.Switches) > 0 {
			row.Lines = d.T("lines on", row.Lines, d.names(a.Switches))
		}
		d.Activations = append(d.Activations, row)
	}
}
