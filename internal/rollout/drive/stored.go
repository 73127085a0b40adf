package drive

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"op25b/internal/rollout"
	"op25b/internal/store"
)

// Stored is a rollout as it is stored.
type Stored struct {
	rollout.Record
	// Begun has the counts of each switch when the first measurement began, and Told those when the switch was last given the change.
	Begun map[string]Counts `json:"begun,omitempty"`
	Told  map[string]Counts `json:"told,omitempty"`
	// First has the time of the sample with which each switch was first told, in the rehearsal or later.
	First map[string]time.Time `json:"first,omitempty"`
	// Seen has the time at which each switch was first seen with the change since it was told, and Steady its first counts after that time.
	Seen   map[string]time.Time `json:"seen,omitempty"`
	Steady map[string]Counts    `json:"steady,omitempty"`
	// Changed has the time at which each ring was first given the change, in the rehearsal or later. Support tickets count from then on.
	Changed map[string]time.Time `json:"changed,omitempty"`
	// Tickets are the support tickets of each ring, as they were last observed.
	Tickets map[string]TicketCount `json:"tickets,omitempty"`
	// TicketKey is the key of the pseudonyms of lines with tickets. It is deleted when the rollout ends.
	TicketKey []byte `json:"ticketKey,omitempty"`
	// Version is the version of the record in the store.
	Version int64 `json:"-"`
}

// A TicketCount counts the support tickets of a ring: see rollout.Tickets.
type TicketCount struct {
	Lines    int `json:"lines"`
	Unplaced int `json:"unplaced,omitempty"`
}

// audit returns the audit record of a change of a rollout.
func (s *Stored) audit(who, role string) store.AuditRecord {
	detail := fmt.Sprintf("ring %d of %d", s.Ring+1, len(s.Stages))
	for _, f := range s.Findings {
		if text := detail + "\n" + f.String(); len(text) <= store.MaxDetail {
			detail = text
		}
	}
	return store.AuditRecord{Who: who, Role: role, Verb: "rollout " + string(s.State), Object: fmt.Sprintf("rollout %s, %v, ring %s", s.ID, s.Change, s.Stage().Name), Reason: s.Reason, Detail: detail}
}

// measure notes the first counts of each switch.
func (s *Stored) measure(counts map[string]Counts) {
	if s.State != rollout.Measuring {
		return
	}
	begun := make(map[string]Counts, len(s.Begun))
	for _, name := range s.Switches() {
		if c, there := s.Begun[name]; there {
			begun[name] = c.noted()
		} else if c, there := counts[name]; there && c.At.After(s.Since) {
			begun[name] = c.noted()
		}
	}
	s.Begun = begun
}

// renew notes the counts of a switch anew if they are not the continuation of those that are noted, because the switch has got another controller or
// its controller was started again. It reports whether there is such a switch.
func (s *Stored) renew(counts map[string]Counts) (renewed bool) {
	wanted := s.Wanted()
	begun, told := maps.Clone(s.Begun), maps.Clone(s.Told)
	if told == nil {
		told = make(map[string]Counts)
	}
	for _, name := range s.Switches() {
		noted := begun // that of a switch without the change, to which others are compared
		if slices.Contains(wanted, name) {
			noted = told
		}
		c, there := counts[name]
		t, known := noted[name]
		if there && !known && slices.Contains(wanted, name) { // a new switch, which had no counts when it was told
			noted[name], renewed = c.noted(), true
			continue
		}
		if !there || !known || c.Owner == t.Owner && c.Counted >= t.Counted {
			continue
		}
		c.Renewed, renewed = true, true
		c.Forecast, c.Opened, c.ForecastKnown = t.Forecast, t.Opened, t.ForecastKnown
		noted[name] = c.noted()
	}
	if renewed {
		s.Begun, s.Told = begun, told
	}
	return renewed
}

// tell notes the counts of the switches that are now given the change.
func (s *Stored) tell(counts map[string]Counts) {
	told := maps.Clone(s.Told)
	if told == nil {
		told = make(map[string]Counts)
	}
	s.Seen, s.Steady, s.First = maps.Clone(s.Seen), maps.Clone(s.Steady), maps.Clone(s.First)
	if s.First == nil {
		s.First = make(map[string]time.Time)
	}
	ring := s.Stage().Name
	if _, again := s.Changed[ring]; !again {
		s.Changed = maps.Clone(s.Changed)
		if s.Changed == nil {
			s.Changed = make(map[string]time.Time)
		}
		s.Changed[ring] = s.Since
	}
	for _, name := range s.Stage().Switches {
		delete(s.Seen, name)
		delete(s.Steady, name)
		c, there := counts[name]
		if _, again := s.First[name]; !again {
			s.First[name] = cmp.Or(c.At, s.Since)
		}
		if there {
			told[name] = c.noted()
		} else {
			delete(told, name)
		}
	}
	s.Told = told
}

// steady notes the first counts of each switch after it was seen with the change. The counts with which it was told still grow at the old rate, for as
// long as the switch takes to change and the next sample to arrive. It reports whether it has noted something.
func (s *Stored) steady(places map[string]rollout.Place, counts map[string]Counts, now time.Time) (noted bool) {
	seen, steady := maps.Clone(s.Seen), maps.Clone(s.Steady)
	if seen == nil {
		seen = make(map[string]time.Time)
	}
	if steady == nil {
		steady = make(map[string]Counts)
	}
	for _, name := range s.Wanted() {
		at, is := seen[name]
		if !is {
			if places[name] == rollout.With {
				seen[name], noted = now.UTC(), true
			}
			continue
		}
		c, there := counts[name]
		if was, has := steady[name]; there && c.At.After(at) && (!has || c.Owner != was.Owner || c.Counted < was.Counted) {
			steady[name], noted = Counts{Owner: c.Owner, At: c.At, Counted: c.Counted, Relays: c.Relays, Stopped: c.Stopped}, true
		}
	}
	s.Seen, s.Steady = seen, steady
	return noted
}
