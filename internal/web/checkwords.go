package web

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// words is an answer in sentences that the support desk can read out to a customer. It contains nothing that is internal to the NOC.
type words struct {
	Notice  string   // what limits the answer; empty if nothing does
	Verdict string   // the answer in one sentence
	Class   string   // the class of the verdict: good, busy or bad
	Notes   []said   // what the answer assumes
	More    []string // since when, until when, and what to do
}

// seenData is what the switch confirmed of an answer.
type seenData struct {
	Switch string
	Text   string
}

// connectionWords returns the answer about a connection in words. stored is the time at which the answer's revision was stored, or the zero
// value if it is not known.
func (b base) connectionWords(r *op25bv1.CheckResponse, stored time.Time) words {
	w := words{Class: "good", Notes: b.notes(r)}
	mixed := view.Stops(r.Outcome) && !view.Stops(r.Best)
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
	b.doubt(&w, r.Seen)
	worst := view.Worst(r)
	if e := worst.GetExemption(); e != nil {
		w.More = append(w.More, b.T("exempt until", b.until(e.Expires)))
	}
	if r.Outcome == "monitored" {
		w.More = append(w.More, b.T("only counted"))
	}
	dated := view.Stops(r.Outcome) || r.Outcome == "monitored" || r.Outcome == "limited" // what passes anyway has no beginning
	switch since := worst.GetSince().GetSince(); {
	case since != nil && dated && !mixed:
		w.More = append(w.More, b.sinceWords(r, since.AsTime(), stored)...)
	case w.Notice != "":
		w.More = append(w.More, b.lastSeen(r.Seen))
	case r.Seen != nil:
		w.More = append(w.More, b.T("seen at", b.dayAndTime(r.Seen.Seen.AsTime())))
	}
	next := worst.GetNext()
	willStop := next != nil && view.Stops(next.Outcome)
	switch from := b.day(next.GetPhase().GetSince()); {
	case next == nil || mixed || view.Stops(next.Outcome) == view.Stops(r.Outcome):
	case willStop:
		w.More = append(w.More, b.T("later stopped", from))
	default:
		w.More = append(w.More, b.T("later passes", from))
	}
	advice := view.CustomerAdvice(b.Lang, r)
	switch {
	case len(advice) > 0:
		w.More = append(append(w.More, advice...), b.T("ask the mailbox"))
	case view.Stops(r.Outcome):
		w.More = append(w.More, b.T("ask engineers"))
	case w.Notice == "" && r.Outcome != "limited":
		w.More = append(w.More, b.T("other cause"))
	}
	return w
}

// storedLate is how much later than a phase began its revision must have been stored to be worth a sentence. An activation is stored at about
// the time at which it begins.
const storedLate = time.Minute

// sinceWords returns since when an answer is so. The time is the policy's: that a switch has followed it is only known for the time at which the
// switch was seen, and that a policy existed only from the time at which it was stored.
func (b base) sinceWords(r *op25bv1.CheckResponse, since, stored time.Time) []string {
	day := b.day(timestamppb.New(since))
	if !stored.IsZero() && stored.Sub(since) > storedLate {
		return b.storedWords(r, day, stored)
	}
	switch {
	case r.Seen == nil && since.After(b.Now):
		return []string{b.T("so from", day)}
	case r.Seen == nil:
		return []string{b.T("so since", day)}
	case r.Seen.Confirmed:
		return []string{b.T("so since and seen", day, b.dayAndTime(r.Seen.Seen.AsTime()))}
	}
	return []string{b.T("wanted since", day), b.lastSeen(r.Seen)}
}

// storedWords returns since when an answer is so if its revision was stored later.
func (b base) storedWords(r *op25bv1.CheckResponse, day string, stored time.Time) []string {
	all := make([]string, 0, 2)
	if r.Revision == 1 {
		all = append(all, b.T("stored first", day, b.dayAndTime(stored)))
	} else {
		all = append(all, b.T("stored later", day, b.dayAndTime(stored), r.Revision))
	}
	switch {
	case r.Seen == nil:
		return all
	case r.Seen.Confirmed:
		return append(all, b.T("seen at", b.dayAndTime(r.Seen.Seen.AsTime())))
	}
	return append(all, b.lastSeen(r.Seen))
}

// lastSeen returns what was last seen of a switch that has not confirmed an answer.
func (b base) lastSeen(seen *op25bv1.CheckSeen) string {
	if seen.GetSeen() == nil {
		return b.T("was never seen", seen.GetSwitch())
	}
	return b.T("was seen", seen.Switch, b.dayAndTime(seen.Seen.AsTime()), seen.Revision, seen.InForce)
}

// sentences joins two sentences.
func (b base) sentences(first, second string) string {
	if b.Lang == "ja" {
		return first + second
	}
	return first + " " + second
}

// doubt adds to an answer that its switch has not confirmed it, if that is so.
func (b base) doubt(w *words, seen *op25bv1.CheckSeen) {
	if seen == nil || seen.Confirmed {
		return
	}
	w.Notice, w.Verdict = b.T("not confirmed"), b.T("wanted verdict", w.Verdict)
	if w.Class == "good" {
		w.Class = "busy"
	}
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
	if t.Hour() != 0 || t.Minute() != 0 {
		return b.dayAndTime(t)
	}
	return t.Format(b.dateForm())
}

// until formats the end of a period for a customer. If it is a midnight, the period lasts until the end of the day before.
func (b base) until(ts *timestamppb.Timestamp) string {
	t := ts.AsTime().In(b.Zone)
	if t.Hour() != 0 || t.Minute() != 0 {
		return b.dayAndTime(t)
	}
	return b.T("end of day", t.AddDate(0, 0, -1).Format(b.dateForm()))
}

// dayAndTime formats a time for a customer as a date with the time of day.
func (b base) dayAndTime(t time.Time) string { return t.In(b.Zone).Format(b.dateForm() + " 15:04") }

func (b base) dateForm() string {
	if b.Lang == "ja" {
		return "2006年1月2日"
	}
	return "2 January 2006"
}
