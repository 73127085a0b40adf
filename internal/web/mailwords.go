package web

import (
	"strconv"
	"strings"

	op25bv1 "op25b/proto/op25b/v1"
)

// mailWords returns the answer about a mailbox in words.
func (b base) mailWords(r *op25bv1.CheckMailResponse) words {
	var w words
	w.Class, w.Verdict = b.mailVerdict(r)
	if b.doubt(&w, r.Seen); w.Notice != "" {
		w.More = append(w.More, b.lastSeen(r.Seen))
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

// The effects in CheckMailResponse.
const (
	unaffected = "unaffected"
	affected   = "affected"
)

// mailVerdict returns the verdict on a mailbox in one sentence, and its class. A mail program that sends on port 25 may be stopped although a
// browser, an app and the other ports are not. The verdict is then not good, because the desk does not know which of them the customer uses.
func (b base) mailVerdict(r *op25bv1.CheckMailResponse) (class, verdict string) {
	var open []string // the ports of the provider's settings, if all of them pass
	for _, s := range r.Settings {
		switch s.Status {
		case affected:
			return "bad", b.T("mailbox affected", r.Domain)
		case unaffected:
			open = append(open, strconv.FormatUint(uint64(s.Port), 10))
		default:
			return "busy", b.T("mailbox undetermined", r.Domain)
		}
	}
	web := r.Kind == "webmail-or-app"
	if web && r.Status != unaffected {
		return "bad", b.T("mailbox affected", r.Domain)
	}
	switch next := r.GetNext().GetPhase(); {
	case r.MailProgram == affected:
		verdict = b.T("mailbox only 25", r.Domain)
	case r.MailProgram != unaffected:
		verdict = b.T("mailbox perhaps 25", r.Domain)
	case next != nil:
		verdict = b.T("mailbox later 25", r.Domain, b.day(next.Since))
	default:
		return "good", b.T("mailbox unaffected", r.Domain)
	}
	if len(open) > 0 {
		ports := strings.Join(open, b.T("or port"))
		if r.Kind == "unknown" { // the ports are those that every provider should offer
			verdict = b.sentences(verdict, b.T("other ports pass", ports))
		} else {
			verdict = b.sentences(verdict, b.T("other ports work", ports))
		}
	}
	if web {
		verdict = b.sentences(verdict, b.T("browser and app"))
	}
	return "busy", verdict
}
