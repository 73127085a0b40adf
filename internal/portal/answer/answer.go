package answer

import (
	"cmp"
	"context"
	"slices"
	"time"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/portal/published"
)

// A Status is the effect of the block on a line at one moment.
type Status string

// The statuses, from best to worst.
const (
	Unaffected Status = "unaffected" // nothing is stopped, and nothing is planned
	Later      Status = "later"      // nothing is stopped now; a later phase stops it
	Depends    Status = "depends"    // the effect depends on the server to which the mail goes
	Affected   Status = "affected"
)

// A Case is the answer for lines that are treated alike.
type Case struct {
	// Lines contains the lines of the publication for which the case is the answer.
	Lines  []published.State
	Status Status
	// Stopped is the outcome that stops mail on port 25, with its rule and the phase since which it does; nil if nothing is stopped.
	Stopped *check.Result
	// Next is the next change that will stop what passes now; nil if there is none.
	Next *check.LaterOutcome
	// Phase is the phase that should be in force now for the lines; empty if no phase has begun.
	Phase string
	// Mailbox is the answer about the mailbox; nil unless the use is Own or Provider.
	Mailbox *mailbox.Answer
	// Reach has the outcome on port 25 for each class of servers; nil unless the use is Server.
	Reach []Reach
}

// A Reach is the worst outcome of connections to the servers of a class.
type Reach struct {
	Class  *policy.Remote // nil for servers in no class
	Result *check.Result
}

// An Answer is the answer to a question. It has one case for each kind of line of the group that is treated in its own way.
type Answer struct {
	Question
	// Provider is the provider of the question; nil if the question has none.
	Provider *mailbox.Provider
	Cases    []Case
}

// Worst returns the worst status of the cases.
func (a *Answer) Worst() Status {
	worst := Unaffected
	for _, c := range a.Cases {
		if c.Status.rank() > worst.rank() {
			worst = c.Status
		}
	}
	return worst
}

func (s Status) rank() int { return slices.Index([]Status{Unaffected, Later, Depends, Affected}, s) }

// same reports whether two cases tell a visitor the same.
func (c *Case) same(d *Case) bool {
	if c.Status != d.Status || c.Phase != d.Phase || !sameResult(c.Stopped, d.Stopped) || !sameNext(c.Next, d.Next) || len(c.Reach) != len(d.Reach) {
		return false
	}
	for i := range c.Reach {
		if !sameResult(c.Reach[i].Result, d.Reach[i].Result) {
			return false
		}
	}
	return c.Mailbox == nil && d.Mailbox == nil || c.Mailbox != nil && d.Mailbox != nil && slices.Equal(c.Mailbox.Settings, d.Mailbox.Settings)
}

func sameResult(a, b *check.Result) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Outcome == b.Outcome && a.Since.Name == b.Since.Name && a.Since.Since.Equal(b.Since.Since) && sameNext(a.Next, b.Next)
}

func sameNext(a, b *check.LaterOutcome) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && a.Since.Equal(b.Since) && a.Outcome == b.Outcome
}

// compute computes the case of one line.
func (s *set) compute(ctx context.Context, line published.State, q Question, now time.Time) (Case, error) {
	c := Case{Lines: []published.State{line}, Status: Unaffected}
	phase, begun := InForce(s.pub, line, now)
	if !begun { // nothing is stopped before the first phase
		return c, nil
	}
	c.Phase = phase.Name
	switch q.Use {
	case Webmail:
		reach, err := s.reach(ctx, line, portHTTPS, now)
		for _, r := range reach {
			if !r.Result.Outcome.Passes() {
				c.Status, c.Stopped = Affected, r.Result
			}
		}
		return c, err
	case Server:
		reach, err := s.reach(ctx, line, uint16(policy.PortSMTP), now)
		if err != nil {
			return c, err
		}
		c.serve(reach)
		return c, nil
	}
	mq := mailbox.Question{Line: line.Line, Switch: line.Area, At: now, Provider: q.Provider}
	if q.Provider == "" {
		mq.Address = nobody
	}
	var err error
	if c.Mailbox, err = s.desk.Mailbox(ctx, s.source(), mq); err != nil {
		return c, err
	}
	c.Stopped, c.Next = c.Mailbox.Stopped, c.Mailbox.Next
	switch c.Mailbox.MailProgram {
	case mailbox.Affected:
		c.Status = Affected
	case mailbox.Undetermined:
		c.Status = Depends
	default:
		if c.Mailbox.Kind == mailbox.AnswerWebmail { // package mailbox has no next change for them, because they are used without port 25
			if c.Next, err = s.nextOf(ctx, line, now); err != nil {
				return c, err
			}
		}
		if c.Next != nil {
			c.Status = Later
		}
	}
	return c, nil
}

// nobody is a mailbox that no provider has (RFC 6761 section 6.4).
const nobody = "x@nobody.invalid"

const portHTTPS = 443

// nextOf returns the next change that stops port 25 of a server in some class, or nil.
func (s *set) nextOf(ctx context.Context, line published.State, now time.Time) (next *check.LaterOutcome, err error) {
	reach, err := s.reach(ctx, line, uint16(policy.PortSMTP), now)
	for _, r := range reach {
		if n := stops(r.Result); n != nil && (next == nil || n.Since.After(next.Since)) {
			next = n
		}
	}
	return next, err
}

// serve sets the effect on a mail server from its outcome for each class of servers.
func (c *Case) serve(reach []Reach) {
	c.Reach = reach
	passes, stopped := 0, 0
	for _, r := range reach {
		if r.Class != nil && r.Class.Ours() {
			continue
		}
		if !r.Result.Outcome.Passes() {
			stopped++
			if c.Stopped == nil || r.Result.Since.Since.Before(c.Stopped.Since.Since) {
				c.Stopped = r.Result
			}
			continue
		}
		passes++
		if n := stops(r.Result); n != nil && (c.Next == nil || n.Since.Before(c.Next.Since)) {
			c.Next = n
		}
	}
	switch {
	case stopped > 0 && passes > 0:
		c.Status = Depends
	case stopped > 0:
		c.Status = Affected
	case c.Next != nil:
		c.Status = Later
	}
}

// stops returns the next change of a result if it stops what passes now.
func stops(r *check.Result) *check.LaterOutcome {
	if r.Outcome.Passes() && r.Next != nil && !r.Next.Outcome.Passes() {
		return r.Next
	}
	return nil
}

// reach returns the outcome on a port for each class of servers.
func (s *set) reach(ctx context.Context, line published.State, port uint16, now time.Time) ([]Reach, error) {
	var all []Reach
	for _, r := range mailbox.Representatives(s.pub.Policy()) {
		a, err := s.desk.Connection(ctx, s.source(), check.Question{Line: line.Line, Switch: line.Area, To: r.Addr.String(), Port: port, At: now})
		if isFamily(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		result := &a.Results[0]
		i := slices.IndexFunc(all, func(x Reach) bool { return x.Class == r.Class })
		if i < 0 {
			all = append(all, Reach{r.Class, result})
		} else if cmp.Compare(rank(result.Outcome), rank(all[i].Result.Outcome)) > 0 {
			all[i].Result = result
		}
	}
	return all, nil
}

// rank orders outcomes from best to worst.
func rank(o check.Outcome) int {
	return slices.Index([]check.Outcome{check.Delivered, check.Monitored, check.Limited, check.Rejected, check.Blocked}, o)
}
