package web

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// words is an answer in sentences that the support desk can read out to a customer. It contains nothing that is internal to the NOC.
type words struct {
	Notice  string   // what limits the answer; empty if nothing does
	Verdict string   // the answer in one sentence
	Class   string   // the class of the verdict: good, busy or bad
	More    []string // since when, until when, and what to do
}

// seenData is what the switch confirmed of an answer.
type seenData struct {
	Switch string
	Text   string
}

// stops reports whether an outcome stops a connection.
func stops(outcome string) bool { return outcome == "rejected" || outcome == "blocked" }

// connectionWords returns the answer about a connection in words.
func (b base) connectionWords(r *op25bv1.CheckResponse) words {
	w := words{Class: "good", Notice: b.unconfirmed(r.Seen)}
	if r.Line == "" {
		w.More = append(w.More, b.T("no line has it"))
	}
	mixed := stops(r.Outcome) && !stops(r.Best)
	switch {
	case mixed:
		w.Class, w.Verdict = "busy", b.T("partly passes", r.To, r.Port)
	case r.Outcome == "rejected":
		w.Class, w.Verdict = "bad", b.T("is rejected", r.To, r.Port)
	case r.Outcome == "blocked":
		w.Class, w.Verdict = "bad", b.T("is blocked", r.To, r.Port)
	case r.Outcome == "limited":
		w.Class, w.Verdict = "busy", b.T("is limited", r.To, r.Port)
	default:
		w.Verdict = b.T("passes", r.To, r.Port)
	}
	if w.Notice != "" && w.Class == "good" {
		w.Class = "busy"
	}
	worst := worstOf(r)
	if e := worst.GetExemption(); e != nil {
		w.More = append(w.More, b.T("exempt until", b.day(e.Expires)))
	}
	if since := worst.GetSince().GetSince(); since != nil && !mixed {
		if since.AsTime().After(b.Now) {
			w.More = append(w.More, b.T("so from", b.day(since)))
		} else {
			w.More = append(w.More, b.T("so since", b.day(since)))
		}
	}
	next := worst.GetNext()
	willStop := next != nil && stops(next.Outcome)
	switch from := b.day(next.GetPhase().GetSince()); {
	case next == nil || mixed || stops(next.Outcome) == stops(r.Outcome):
	case willStop:
		w.More = append(w.More, b.T("later stopped", from))
	default:
		w.More = append(w.More, b.T("later passes", from))
	}
	switch stopped := stops(r.Outcome); {
	case stopped && r.Port == 25:
		w.More = append(w.More, b.T("use submission"), b.T("ask the mailbox"))
	case stopped:
		w.More = append(w.More, b.T("ask engineers"))
	case willStop && r.Port == 25:
		w.More = append(w.More, b.T("use submission before"), b.T("ask the mailbox"))
	case w.Notice == "" && r.Outcome != "limited":
		w.More = append(w.More, b.T("other cause"))
	}
	return w
}

// worstOf returns the first result with the worst outcome of an answer.
func worstOf(r *op25bv1.CheckResponse) *op25bv1.CheckResult {
	for _, result := range r.Results {
		if result.Outcome == r.Outcome {
			return result
		}
	}
	return nil
}

// mailWords returns the answer about a mailbox in words.
func (b base) mailWords(r *op25bv1.CheckMailResponse) words {
	w := words{Class: "busy", Verdict: b.T("mailbox undetermined", r.Domain), Notice: b.unconfirmed(r.Seen)}
	switch r.Status {
	case "unaffected":
		w.Class, w.Verdict = "good", b.T("mailbox unaffected", r.Domain)
	case "affected":
		w.Class, w.Verdict = "bad", b.T("mailbox affected", r.Domain)
	}
	for _, s := range r.Steps {
		text := s.En
		if b.Lang == "ja" {
			text = s.Ja
		}
		w.More = append(w.More, text)
	}
	return w
}

func (b base) unconfirmed(seen *op25bv1.CheckSeen) string {
	if seen == nil || seen.Confirmed {
		return ""
	}
	return b.T("not confirmed")
}

// seen returns what the switch confirmed of an answer, for an engineer.
func (b base) seen(seen *op25bv1.CheckSeen) seenData {
	d := seenData{Switch: seen.GetSwitch()}
	at := seen.GetSeen().AsTime()
	age := max(0, b.Now.Sub(at)).Round(time.Second).String()
	switch {
	case seen == nil:
		d.Text = b.T("cannot be confirmed")
	case seen.Confirmed:
		d.Text = b.T("confirmed", seen.Revision, seen.InForce, b.At(at), age)
	case seen.Seen == nil:
		d.Text = b.T("never seen")
	default:
		d.Text = b.T("seen otherwise", seen.Revision, seen.InForce, b.At(at), age)
	}
	return d
}

// day formats a time for a customer: as a date, with the time of day unless it is midnight.
func (b base) day(ts *timestamppb.Timestamp) string {
	t := ts.AsTime().In(b.Zone)
	form := "2 January 2006"
	if b.Lang == "ja" {
		form = "2006年1月2日"
	}
	if t.Hour() != 0 || t.Minute() != 0 {
		form += " 15:04"
	}
	return t.Format(form)
}
