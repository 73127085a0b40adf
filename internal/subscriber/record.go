package subscriber

import (
	"net/netip"
	"slices"
	"time"
)

// A Session is the time for which a line has addresses.
type Session struct {
	// NAS and ID are the access server's name and its id of the session.
	NAS string `json:"nas"`
	ID  string `json:"id"`
	// Began is when the session began. Heard is when a controller last received an event of the session.
	Began time.Time `json:"began"`
	Heard time.Time `json:"heard"`
	// Interval is the time between two interim updates.
	Interval time.Duration `json:"interval"`
	// Prefixes are the line's addresses, as of the event at the time Updated, which is the latest one.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
	Updated  time.Time      `json:"updated"`
	// Leases are the times at which the leases of the addresses end.
	Leases Leases `json:"leases,omitzero"`
	// Listening is when a controller began to listen. Silence before that does not count.
	Listening time.Time `json:"-"`
}

// Alive reports whether the session still exists at the time now. restarted is when the session's access server last restarted. A session
// also ends if its access server is silent for Silences intervals, because the event of its end can be lost. If it has leases, it ends with the
// last of them instead.
func (s *Session) Alive(now, restarted time.Time) bool {
	if s == nil || s.Began.Before(restarted) {
		return false
	}
	if s.leased() {
		return s.Leases.V4.After(now) || s.Leases.V6.After(now)
	}
	heard := s.Heard
	if s.Listening.After(heard) {
		heard = s.Listening
	}
	return now.Sub(heard) <= Silences*s.Interval
}

// An End is an ended session that the late repetition of its start must not open again.
type End struct {
	NAS  string    `json:"nas"`
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
}

// A Record is what is remembered of one line. The zero Record is that of a line without events.
//
// A line has at most one session: the one that began last, unless that has ended. This does not depend on the order in which the events
// arrive, except where After says so.
type Record struct {
	// Session is the line's session, or nil. It may have ended by silence or by a restart; see Session.Alive.
	Session *Session `json:"session,omitempty"`
	// Last is the latest start of any session of the line. Earlier starts change nothing.
	Last time.Time `json:"last"`
	// Ended has the ended sessions whose start could still arrive.
	Ended []End `json:"ended,omitempty"`
}

// An Outcome is what an event changed. It is a label of metrics.
type Outcome string

// The outcomes of events.
const (
	Opened    Outcome = "opened"    // the line has a new session
	Refreshed Outcome = "refreshed" // the line's session continues, perhaps with other addresses
	Closed    Outcome = "closed"    // the line's session ended
	Restarted Outcome = "restarted" // an access server restarted
	Late      Outcome = "late"      // a later event was known already
	Unknown   Outcome = "unknown"   // an interim update of a session that did not begin here: it opens nothing
	NoLine    Outcome = "no-line"   // no line of the inventory has the identity
	Ambiguous Outcome = "ambiguous" // several lines have the identity
)

// After returns the record after an event of its line, and what the event changed. heard is when the event was received, and restarted is when
// the access server last restarted. After does not change r.
//
//   - A start opens a session, unless a session that began later is known, the session has ended already, the access server restarted
//     afterwards, the start is older than MaxDelay, or the lease in it has ended. A session that began earlier has then ended.
//   - An interim update keeps its session alive and may change the addresses. It opens and closes nothing.
//   - A stop ends its session. If the session has leases and the stop has addresses, it ends only the addresses of their families. A stop that
//     is older than a lease of the session is late, because sources of leases use an id again.
//
// If two sessions began at the same time, the one that arrived last remains. A server may use an id again for a later session; if the times
// of its events are estimated, only after MaxDelay. If more than maxEnded sessions ended before their starts arrived, starts up to the ends
// that were forgotten are late.
func (r Record) After(e Event, heard, restarted time.Time) (Record, Outcome) {
	if e.Time.After(heard) {
		e.Time = heard
	}
	if r.Session != nil && r.Session.NAS == e.NAS {
		r = r.over(heard, restarted)
	}
	current := r.Session != nil && r.Session.NAS == e.NAS && r.Session.ID == e.Session
	switch e.Kind {
	case Start:
		return r.start(e, heard, restarted, current)
	case Interim:
		if e.over(heard) {
			return r, Late
		}
		if !current || e.Time.Before(r.Session.Began) {
			return r, Unknown
		}
		return r.refresh(e, heard), Refreshed
	case Stop:
		if current && e.Time.Before(r.Session.Began) {
			return r, Late // the end of an earlier session with the same id
		}
		if current && r.Session.leased() && e.Time.Before(r.Session.Updated) {
			return r, Late // the line has another lease since
		}
		if rest := r.Session.without(e); current && rest != nil {
			r.Session = rest
			return r, Refreshed
		}
		r = r.ended(End{e.NAS, e.Session, e.Time}, heard)
		if !current {
			return r, Late
		}
		r.Session = nil
		return r, Closed
	}
	return r, Late
}

func (r Record) start(e Event, heard, restarted time.Time, current bool) (Record, Outcome) {
	old := heard.Sub(e.Time) > MaxDelay || e.over(heard)
	switch {
	case current && !e.Time.Before(r.Session.Began) && !old:
		return r.refresh(e, heard), Refreshed
	case old, current, e.Time.Before(r.Last):
		return r, Late
	}
	ended := slices.ContainsFunc(r.Ended, func(end End) bool {
		repeated := !e.Time.After(end.Time) || e.Estimated
		return end.NAS == e.NAS && end.ID == e.Session && !end.Time.Before(restarted) && repeated
	})
	if s := r.Session; s != nil { // the end of this session was lost
		r = r.ended(End{s.NAS, s.ID, e.Time}, heard)
	}
	r.Session, r.Last = nil, e.Time
	switch {
	case ended:
		return r.ended(End{e.NAS, e.Session, e.Time}, heard), Late
	case e.Time.Before(restarted):
		return r.pruned(heard), Late
	}
	r.Session = &Session{NAS: e.NAS, ID: e.Session, Began: e.Time, Heard: heard, Interval: e.Interval, Prefixes: e.Prefixes, Updated: e.Time}
	r.Session.lease(e)
	return r.pruned(heard), Opened
}

// over returns the record without its session if the session has ended by silence or by a restart of its access server.
func (r Record) over(now, restarted time.Time) Record {
	s := r.Session
	if s == nil || s.Alive(now, restarted) {
		return r
	}
	switch {
	case s.leased(): // a start with a later lease may open it again
		if s.Updated.After(r.Last) {
			r.Last = s.Updated
		}
	case !s.Began.Before(restarted): // its start would be too early otherwise
		r = r.ended(End{s.NAS, s.ID, now}, now)
	}
	r.Session = nil
	return r
}

// refresh returns the record after an event of the current session. The addresses of a family that the event does not mention remain, because
// access servers report the families separately.
func (r Record) refresh(e Event, heard time.Time) Record {
	s := *r.Session
	if e.Time.After(s.Updated) { // otherwise it is a repetition, which proves nothing
		s.Heard, s.Interval = heard, e.Interval
	}
	if !e.Time.Before(s.Updated) {
		s.Prefixes, s.Updated = merge(s.Prefixes, e.Prefixes), e.Time
		s.lease(e)
	}
	r.Session = &s
	return r
}

// merge returns the prefixes of now, and those of before whose family now does not have.
func merge(before, now []netip.Prefix) []netip.Prefix {
	all := slices.Clone(now)
	for _, p := range before {
		if !slices.ContainsFunc(now, func(n netip.Prefix) bool { return n.Addr().Is4() == p.Addr().Is4() }) {
			all = append(all, p)
		}
	}
	return all
}

// ended returns the record with an ended session. If there is no room, the oldest one is forgotten, and starts up to its end are late.
func (r Record) ended(end End, heard time.Time) Record {
	all := slices.Clone(r.Ended)
	if i := slices.IndexFunc(all, func(o End) bool { return o.NAS == end.NAS && o.ID == end.ID }); i >= 0 {
		if !end.Time.After(all[i].Time) {
			return r
		}
		all = slices.Delete(all, i, i+1)
	}
	all = append(all, end)
	slices.SortStableFunc(all, func(a, b End) int { return a.Time.Compare(b.Time) })
	r.Ended = all
	r = r.pruned(heard)
	for len(r.Ended) > maxEnded {
		if r.Ended[0].Time.After(r.Last) {
			r.Last = r.Ended[0].Time
		}
		r.Ended = r.Ended[1:]
	}
	return r
}

// pruned returns the record without the ended sessions whose start is late in any case.
func (r Record) pruned(heard time.Time) Record {
	r.Ended = slices.DeleteFunc(slices.Clone(r.Ended), func(end End) bool {
		return end.Time.Before(r.Last) || heard.Sub(end.Time) > MaxDelay
	})
	if len(r.Ended) == 0 {
		r.Ended = nil
	}
	return r
}

// Swept returns the record without what is over at the time now, such as addresses whose lease has ended. empty means that nothing is left to
// remember.
func (r Record) Swept(now, restarted time.Time) (swept Record, empty bool) {
	r = r.over(now, restarted).pruned(now)
	if r.Session != nil {
		r.Session = r.Session.at(now)
	}
	return r, r.Session == nil && len(r.Ended) == 0 && now.Sub(r.Last) > MaxDelay
}

// Evicted returns the record after another line's later session took an address of this line's session: the end of this session was lost.
// It does nothing if the session began after the time at.
func (r Record) Evicted(at, heard time.Time) (_ Record, evicted bool) {
	if r.Session == nil || r.Session.Began.After(at) {
		return r, false
	}
	r = r.ended(End{r.Session.NAS, r.Session.ID, at}, heard)
	r.Session = nil
	return r, true
}
