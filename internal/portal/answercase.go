package portal

import (
	"slices"
	"strings"
	"time"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/published"
)

// A caseData is the answer for lines that are treated alike.
type caseData struct {
	ID         string
	Where      string // which lines; empty if there is one case only
	Class      answer.Status
	Mark, Head string
	Lead       string   // what happens to mail from the line
	Do         string   // what the visitor has to do; empty if nothing
	More       []string // what else matters in few cases
	Why        []string // since when and by which rules mail is stopped now
	InForce    confirmation
	Next       string   // the next change, if mail is stopped now already
	Exempt     string   // whether the line can get an exemption, if the visitor has a mail server
	LastWay    string   // the same, if the visitor has a mail program or a device
	Then       []string // the change that stops mail, if none is stopped now
	Settings   settingsData
	Notes      []string
	Blocked    []string
	Reach      []reachData
	Programs   programsData
}

type reachData struct {
	Class, Outcome, Since string
	Stopped               bool
}

// where describes the part of the network to which a case applies.
func (v *visit) where(lines []published.State) string {
	return v.T("on switches", v.number(switchesOf(lines)))
}

func (v *visit) caseOf(p *published.Publication, a *answer.Answer, c *answer.Case, own *ownFacts, id string) caseData {
	d := caseData{ID: id, Class: c.Status, InForce: v.confirmed(c.Lines, c.Phase)}
	if own != nil {
		d.InForce = v.confirmedOwn(own.confirmed)
	}
	exempt := own != nil && own.exemptUntil != 0
	if exempt && c.Status != answer.Unaffected {
		d.Class, d.Mark, d.Head = answer.Unaffected, "✓", v.T("is exempt", v.Day(time.Unix(own.exemptUntil-1, 0)))
		d.Lead = v.T("lead exempt")
	} else {
		d.Class, d.Mark, d.Head = v.headline(c, d.InForce.Sure)
		d.Lead = v.lead(a, c, d.InForce.Sure, v.lineText(own != nil))
		d.Do = v.todo(a, c)
		d.Why = v.reasons(p, c)
		if c.Status == answer.Later {
			d.Then = v.next(p.Policy(), c.Next)
		}
		d.Next = v.nextFor(p, a, c)
		v.exemption(&d, p.Policy(), a, c)
	}
	if c.Mailbox != nil && c.Mailbox.Kind == mailbox.AnswerWebmail && d.Class != answer.Unaffected {
		d.More = append(d.More, v.T("lead webmail provider"))
	}
	if d.Class == answer.Unaffected || d.Class == answer.Later { // nothing is stopped that a switch could confirm
		d.InForce = confirmation{}
	}
	for _, r := range c.Reach {
		d.Reach = append(d.Reach, v.reachOf(r.Class, r.Result))
	}
	if c.Mailbox != nil {
		v.settings(&d, a, c.Mailbox, v.lineText(own != nil))
	}
	return d
}

// reasons describes since when and by which rules mail is stopped. For a mail server, the classes of servers can differ. Where the server of a
// mailbox is not known, the rules of the phase say which servers cannot be reached.
func (v *visit) reasons(p *published.Publication, c *answer.Case) []string {
	var all []string
	add := func(texts ...string) {
		for _, text := range texts {
			if !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	stopped := []*check.Result{c.Stopped}
	for _, r := range c.Reach {
		stopped = append(stopped, r.Result)
	}
	for _, r := range stopped {
		if r != nil && !r.Outcome.Passes() {
			add(v.reason(p.Policy(), r)...)
		}
	}
	if c.Status == answer.Depends && len(all) == 0 {
		step := v.current(p, c.Lines)
		add(v.T("since", v.When(step.Begins), v.phaseTitle(p.Policy(), step.Phase)))
		add(step.Rules...)
	}
	return all
}

// next describes the next change, which can be nil.
func (v *visit) next(p *policy.Policy, n *check.LaterOutcome) []string {
	if n == nil {
		return nil
	}
	all := []string{v.T("next", v.When(n.Since), v.stepTitle(p, n.Name))}
	if ph, ok := p.Phase(n.Name); ok {
		if r, ok := ph.Rule(n.Rule); ok {
			all = append(all, v.ruleText(p, ph, r))
		}
	}
	return all
}

// nextFor says in the box of an answer what changes next for lines from which mail is stopped already, and that mail programs have open ports. It
// is empty if nothing is stopped. Ports 465 and 587 of other providers are open in every phase (RFC 6409 and RFC 8314); those of the ISP's own
// servers are not if the policy closes some service of them.
func (v *visit) nextFor(p *published.Publication, a *answer.Answer, c *answer.Case) string {
	if c.Status == answer.Unaffected || a.Use == answer.Webmail {
		return ""
	}
	var all []string
	if c.Status != answer.Later {
		if text := v.nextStep(p, c.Lines[0]); text != "" {
			all = append(all, text)
		}
	}
	if a.Use == answer.Provider || !closesOwn(p.Policy()) {
		all = append(all, v.T("ports open"))
	}
	if len(all) == 2 {
		return v.T("two sentences", all[0], all[1])
	}
	return strings.Join(all, "")
}

// exemption says whether lines from which mail is stopped can get an exemption.
func (v *visit) exemption(d *caseData, p *policy.Policy, a *answer.Answer, c *answer.Case) {
	g := p.LineGroup(a.Group)
	fixed := g != nil && g.Addressing == policy.Static
	switch {
	case c.Status == answer.Unaffected:
	case a.Use == answer.Server && fixed:
		d.Exempt = v.T("exempt fixed")
	case a.Use == answer.Server:
		d.Exempt = v.T("exempt first")
	case a.Use == answer.Provider && fixed:
		d.LastWay = v.T("exempt last")
	}
}

// confirmedOwn returns the confirmation for the visitor's own line.
func (v *visit) confirmedOwn(confirmed bool) confirmation {
	if confirmed {
		return confirmation{Sure: true, Text: v.T("own confirmed")}
	}
	return confirmation{Text: v.T("own unconfirmed")}
}

// lead says in one sentence what happens to mail from a line. sure is true if switches confirmed it, and line is the line in a sentence.
func (v *visit) lead(a *answer.Answer, c *answer.Case, sure bool, line string) string {
	switch {
	case a.Use == answer.Webmail && c.Status == answer.Unaffected:
		return v.T("lead webmail")
	case a.Use == answer.Webmail:
		return v.T("lead webmail affected", line)
	case a.Use == answer.Server:
		return v.leadServer(c, sure, line)
	case a.Use == answer.Own && c.Status == answer.Unaffected:
		return v.T("lead own", line)
	}
	switch {
	case c.Status == answer.Unaffected:
		return v.T("lead provider unaffected")
	case c.Status == answer.Later:
		return v.T("lead later", v.When(c.Next.Since), line)
	case c.Status == answer.Depends:
		return v.T("lead depends")
	case !sure:
		return v.T("lead probably affected", line)
	}
	return v.T("lead affected", line)
}

func (v *visit) leadServer(c *answer.Case, sure bool, line string) string {
	switch {
	case c.Status == answer.Unaffected:
		return v.T("lead server unaffected", line)
	case c.Status == answer.Later:
		return v.T("lead server later", line)
	case c.Status == answer.Depends:
		return v.T("lead server depends", line)
	case !sure:
		return v.T("lead server probably affected", line)
	}
	return v.T("lead server affected", line)
}

// todo says in one line what the visitor has to do. It is empty if there is nothing to do, or if the text of the status says it.
func (v *visit) todo(a *answer.Answer, c *answer.Case) string {
	if c.Status == answer.Unaffected || a.Use == answer.Webmail {
		return ""
	}
	switch {
	case a.Use == answer.Server && c.Status == answer.Later:
		return v.T("todo server before", v.When(c.Next.Since))
	case a.Use == answer.Server:
		return v.T("todo server")
	}
	var open []string
	for _, s := range preferred(c.Mailbox.Settings) {
		if s.Status != mailbox.Affected {
			open = append(open, v.number(int(s.Port)))
		}
	}
	switch {
	case len(c.Mailbox.Settings) == 0:
		return v.T("todo no settings")
	case len(open) == 0:
		return v.T("todo ask")
	case a.Use == answer.Provider && a.Provider == nil:
		return v.T("todo unknown")
	case c.Status == answer.Later:
		return v.T("todo before", open[0], strings.Join(open, v.T("list or")), v.When(c.Next.Since))
	}
	return v.T("todo now", open[0], strings.Join(open, v.T("list or")))
}

// reachOf describes the outcome of connections to the servers of a class.
func (v *visit) reachOf(class *policy.Remote, r *check.Result) reachData {
	d := reachData{Class: v.classTitle(class), Stopped: !r.Outcome.Passes(), Outcome: v.outcome(string(r.Outcome))}
	switch {
	case d.Stopped:
		d.Since = v.T("from day", v.When(r.Since.Since))
	case r.Next != nil && !r.Next.Outcome.Passes():
		d.Since = v.T("until day", v.When(r.Next.Since))
	}
	return d
}

// outcome returns the words of an outcome.
func (b base) outcome(o string) string {
	switch check.Outcome(o) {
	case check.Delivered, check.Monitored:
		return b.T("outcome passes")
	case check.Limited:
		return b.T("outcome limited")
	case check.Rejected:
		return b.T("outcome rejected")
	case check.Blocked:
		return b.T("outcome blocked")
	}
	return b.T("outcome unknown")
}
