package abuse

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"op25b/internal/policy"
)

// MaxResolve is the largest number of pseudonyms that one call resolves. A call that resolved all lines would return a list of customers.
const MaxResolve = 100

// An Offender is a watched line with activity.
type Offender struct {
	ID      ID
	Class   Class
	Since   time.Time // when the line entered its class; zero for Unclassified
	Reasons []string
	Features
}

func offenderOf(id ID, r *line, today int32) Offender {
	f := r.features(today)
	return Offender{ID: id, Class: r.class, Since: r.since, Reasons: Reasons(r.class, f), Features: f}
}

// Offenders returns the watched lines in the given classes, or in all classes if none is given, that were active in the last ClassDays
// days. The lines are ordered by class, worst first, and then by the number of servers and attempts, highest first.
func (l *Ledger) Offenders(classes ...Class) []Offender {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drainLocked()
	if l.index == nil {
		return nil
	}
	l.countLocked()
	l.classifyLocked()
	number, _ := dayOf(l.cfg.Now(), l.index.zone)
	var all []Offender
	for id, r := range l.lines {
		if len(r.days) == 0 || number-r.days[len(r.days)-1].number >= ClassDays || len(classes) > 0 && !slices.Contains(classes, r.class) {
			continue
		}
		all = append(all, offenderOf(id, r, number))
	}
	slices.SortFunc(all, func(a, b Offender) int {
		return cmp.Or(-cmp.Compare(a.Class, b.Class), -cmp.Compare(a.Servers, b.Servers), -cmp.Compare(a.Attempts, b.Attempts), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// Watched returns the names of the line groups that opted in.
func (l *Ledger) Watched() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	if l.index != nil {
		for name, is := range l.index.watched {
			if is {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}

// Days returns the number of days for which the activity of a watched line is kept.
func (l *Ledger) Days() int { return l.cfg.Days }

// A Resolved identifies the line behind a pseudonym.
type Resolved struct {
	ID                  ID
	Switch, Line, Group string
}

// Resolve returns the lines behind pseudonyms, in the same order. It returns ErrUnknownID if a pseudonym belongs to no line of an owned
// switch, and ErrConfig for more than MaxResolve pseudonyms. Before the call, the caller must have recorded who requests the names and why.
func (l *Ledger) Resolve(ids []ID) ([]Resolved, error) {
	if len(ids) > MaxResolve {
		return nil, fmt.Errorf("%w: %d pseudonyms: must be at most %d", ErrConfig, len(ids), MaxResolve)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	found := make(map[ID]Resolved, len(ids))
	if l.index != nil {
		for switchName := range l.began {
			l.index.each(switchName, func(line *policy.Line) {
				if id := l.key.line(switchName, line.Name); slices.Contains(ids, id) {
					found[id] = Resolved{id, switchName, line.Name, line.Group}
				}
			})
		}
	}
	all := make([]Resolved, 0, len(ids))
	var unknown []string
	for _, id := range ids {
		r, there := found[id]
		if !there {
			unknown = append(unknown, id.String())
		}
		all = append(all, r)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%w %s: no line of this controller's switches has it; the key may have been replaced", ErrUnknownID, strings.Join(unknown, ", "))
	}
	return all, nil
}
