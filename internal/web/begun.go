package web

import (
	"cmp"
	"context"
	"strings"
	"time"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
)

// A programmeHistory is what put phases in force: the activations of a revision, and the time at which the first policy was stored.
type programmeHistory struct {
	activations []*op25bv1.Activation
	first       time.Time // the zero value if it is not known
}

// historyOf returns what put the phases of a revision in force. It returns nil if that cannot be read; the page is useful without it.
func (v *visit) historyOf(ctx context.Context, revision uint64) *programmeHistory {
	r, err := v.intent.Show(ctx, connect.NewRequest(&op25bv1.ShowRequest{Revision: revision, OmitFiles: true}))
	if err != nil {
		return nil
	}
	return &programmeHistory{activations: r.Msg.Activations, first: v.storedAt(ctx, 1)}
}

// A beginning is the time since which a phase should be in force, and the activation that put it in force, or nil if its date did.
type beginning struct {
	at         time.Time
	activation *op25bv1.Activation
}

// beginning returns the time since which a phase should be in force. It returns false if that time is not known. The last activation that was not
// undone counts, unless the phase was in force already: by an earlier activation, or by its date.
func (h *programmeHistory) beginning(p *op25bv1.Phase) (beginning, bool) {
	if h == nil {
		return beginning{}, false
	}
	var run *op25bv1.Activation // the first of the last activations of the phase
	replaced := false           // whether an activation of another phase comes before them
	for i := len(h.activations) - 1; i >= 0 && !replaced; i-- {
		switch a := h.activations[i]; {
		case a.Undoes != 0, undone(a, h.activations[i+1:]):
		case a.Phase == p.Name:
			run = a
		case len(a.Groups)+len(a.Switches) == 0: // an activation of a part leaves the phase in force elsewhere
			replaced = true
		}
	}
	var dated time.Time
	if p.Begins != nil {
		if dated = p.Begins.AsTime(); dated.Before(h.first) {
			dated = h.first
		}
	}
	switch {
	case run == nil:
		return beginning{at: dated}, !dated.IsZero()
	case !replaced && !dated.IsZero() && !dated.After(run.Time.AsTime()) && !h.first.IsZero():
		return beginning{at: dated}, true
	}
	return beginning{at: run.Time.AsTime(), activation: run}, true
}

// undone reports whether a later activation undoes one for all its lines.
func undone(a *op25bv1.Activation, later []*op25bv1.Activation) bool {
	for _, u := range later {
		if u.Undoes != 0 && u.Undoes <= a.Revision && len(u.Groups)+len(u.Switches) == 0 {
			return true
		}
	}
	return false
}

// begunData says since when a phase is in force, and what put it in force.
type begunData struct {
	Since    string
	Revision uint64 // the revision of the activation; 0 if there is none
	Why      string // the rest of the sentence
}

// begun describes the beginning of a phase. It returns nil if the beginning is not known, or is still to come.
func (b base) begun(at beginning, known bool) *begunData {
	if !known || at.at.After(b.Now) {
		return nil
	}
	a := at.activation
	if a == nil {
		return &begunData{Since: b.At(at.at), Why: b.T("begun by date")}
	}
	lines := strings.Join(a.Groups, b.T("comma"))
	if len(a.Switches) > 0 {
		lines = b.T("lines on", cmp.Or(lines, b.T("everywhere")), b.names(a.Switches))
	}
	why := b.T("begun by hand", a.Author, a.Reason)
	if lines != "" {
		why = b.T("begun for", lines) + b.T("semicolon") + why
	}
	return &begunData{Since: b.At(at.at), Revision: a.Revision, Why: why}
}
