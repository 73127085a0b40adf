package portal

import (
	"cmp"
	"html/template"
	"slices"
	"strings"
	"time"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/guide"
	"op25b/internal/portal/published"
	"op25b/internal/portal/site"
	op25bv1 "op25b/proto/op25b/v1"
)

type answerData struct {
	base
	Own      bool   // the answer is for the visitor's own line
	Line     string // the kind of line
	Use      string // how the visitor sends mail
	Spoken   string // the code as a person reads it out
	Short    string // the short address of the answer
	Cases    []caseData
	Provider *providerData
	Business bool // businesses are told whom to ask
}

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

// A settingData is the setting of a server in a mail program.
type settingData struct {
	Protocol         string // of a server from which mail is read; empty for the outgoing server
	Host, Encryption string
	Port             int
	Named            bool // Host is the name of a server, not a description
}

// A settingsData has settings of which a mail program needs one. The first one is recommended.
type settingsData struct {
	base
	All []settingData
}

type reachData struct {
	Class, Outcome, Since string
	Stopped               bool
}

// A programsData has the steps by program.
type programsData struct {
	base
	ID       string // of the heading; the steps of a program have the same with the program's name
	Programs []programData
	Printer  bool // there are steps for printers and scanners
}

type programData struct {
	Name      string
	Title     string
	Steps     []template.HTML
	Published string // the vendor's page; empty if there is none for customers
}

// A providerData has the provider's own page for customers, and the day on which the settings were compared.
type providerData struct {
	Name, Page  string
	Looked      string // says when and with what the settings were compared; empty if they never were
	Unconfirmed bool   // there are settings that were never compared
}

// answer shows the answer with a code.
func (v *visit) answer() (reply, error) {
	p, err := v.pub()
	if err != nil {
		return reply{}, err
	}
	q, ok := v.site.answers.Codes(p).Find(v.segment)
	if !ok {
		return reply{}, errNoCode
	}
	v.Path = "/a/" + v.site.answers.Codes(p).Of(q) // not as the visitor spelled it, because the page is kept
	return v.kept(pageKey{question: q}, func() (reply, error) {
		a, err := v.site.answers.Ask(v.ctx, p, q, v.Now)
		if err != nil {
			return reply{}, err
		}
		return v.answerPage(p, a, nil)
	})
}

// mine shows the answer with a code for the visitor's own line. Only the use and the provider of the code count.
func (v *visit) mine() (reply, error) {
	p, err := v.pub()
	if err != nil {
		return reply{}, err
	}
	q, ok := v.site.answers.Codes(p).Find(v.segment)
	if !ok {
		return reply{}, errNoCode
	}
	r, state := v.askOwn(&op25bv1.AskOwnLineRequest{})
	v.Path = "/mine/" + v.site.answers.Codes(p).Of(q)
	if state != ownKnown {
		return v.linePage(p, q, state)
	}
	own := factsOf(r)
	q.Group = own.group
	return v.kept(pageKey{question: q, isOwn: true, own: own}, func() (reply, error) {
		a, err := v.site.answers.AskLine(v.ctx, p, q, own.area, own.line, v.Now)
		if err != nil { // the line is of a publication that has not arrived yet
			a, err = v.site.answers.Ask(v.ctx, p, q, v.Now)
		}
		if err != nil {
			return reply{}, err
		}
		return v.answerPage(p, a, &own)
	})
}

// ownFacts is what an answer page shows of the visitor's own line. It identifies a kept page, so it has no pointers.
type ownFacts struct {
	group, area, line string // the line that stands for the visitor's in the publication
	confirmed         bool
	exemptUntil       int64 // seconds since 1970; 0 if the line is not exempt
}

func factsOf(r *op25bv1.AskOwnLineResponse) ownFacts {
	return ownFacts{r.GetLineGroup().GetName(), r.Area, r.Line, r.Confirmed, r.GetExemptUntil().GetSeconds()}
}

// answerPage shows an answer. own is what the controller knows of the visitor's line, or nil for an answer about a kind of line.
func (v *visit) answerPage(p *published.Publication, a *answer.Answer, own *ownFacts) (reply, error) {
	v.titled("start", v.T("answer title"))
	code := v.site.answers.Codes(p).Of(a.Question)
	d := answerData{
		base: v.base, Own: own != nil, Line: v.groupTitle(p.Policy(), a.Group), Use: v.useText(a), Spoken: answer.Spoken(code),
		Short: v.short("/" + v.below("/a/"+code)), Business: a.Use == answer.Server,
	}
	for i := range a.Cases {
		c := v.caseOf(p, a, &a.Cases[i], own, "case-"+v.number(i+1))
		if len(a.Cases) > 1 {
			c.Where = v.where(a.Cases[i].Lines)
		}
		d.Cases = append(d.Cases, c)
	}
	d.Provider = v.providerPage(a)
	return reply{name: "answer.html", data: d}, nil
}

// providerPage returns the provider's own page; nil if there is none and nothing was compared with it. The ISP's own mailboxes have none, because
// their settings are those of the site file.
func (v *visit) providerPage(a *answer.Answer) *providerData {
	x := a.Provider
	if x == nil || x.Published == "" && x.Kind == mailbox.KindOwn {
		return nil
	}
	d := &providerData{Name: titled(x.Name, x.Title.In(v.language())), Page: cmp.Or(x.Help, x.Published)}
	switch day := v.DayOf(x.Looked); {
	case len(x.Submission.Ports) == 0 && d.Page == "":
		return nil
	case len(x.Submission.Ports) == 0: // there are no settings that could have been compared
	case x.Looked.IsZero():
		d.Unconfirmed = true
	case x.Help != "":
		d.Looked = v.T("looked elsewhere", day)
	default:
		d.Looked = v.T("looked", day)
	}
	return d
}

// short returns the address of a page as a person reads it out.
func (v *visit) short(path string) string {
	return strings.TrimSuffix(v.Content.Site.URL, "/") + path
}

// where describes the part of the network to which a case applies.
func (v *visit) where(lines []published.State) string {
	return v.T("on switches", v.number(switchesOf(lines)))
}

// useText describes how the visitor sends mail.
func (v *visit) useText(a *answer.Answer) string {
	switch {
	case a.Use == answer.Webmail:
		return v.T("use webmail")
	case a.Use == answer.Server:
		return v.T("use server")
	case a.Use == answer.Own:
		return v.T("use own")
	case a.Provider != nil:
		return v.T("use provider named", titled(a.Provider.Name, a.Provider.Title.In(v.language())))
	}
	return v.T("use provider unknown")
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
		add(v.T("since", v.Day(step.Begins), v.phaseTitle(p.Policy(), step.Phase)))
		add(step.Rules...)
	}
	return all
}

// next describes the next change, which can be nil.
func (v *visit) next(p *policy.Policy, n *check.LaterOutcome) []string {
	if n == nil {
		return nil
	}
	all := []string{v.T("next", v.Day(n.Since), v.stepTitle(p, n.Name))}
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
		return v.T("lead later", v.Day(c.Next.Since), line)
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
		return v.T("todo server before", v.Day(c.Next.Since))
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
		return v.T("todo before", open[0], strings.Join(open, v.T("list or")), v.Day(c.Next.Since))
	}
	return v.T("todo now", open[0], strings.Join(open, v.T("list or")))
}

// preferred returns settings with those that encrypt from the beginning first, which RFC 8314 section 3.3 prefers.
func preferred(settings []mailbox.Setting) []mailbox.Setting {
	return slices.SortedStableFunc(slices.Values(settings), func(a, b mailbox.Setting) int { return cmp.Compare(tlsOf(a).Rank(), tlsOf(b).Rank()) })
}

// settings adds the settings for mail programs that the line reaches, and those that it does not reach. The first one is the recommended one.
func (v *visit) settings(d *caseData, a *answer.Answer, m *mailbox.Answer, line string) {
	d.Settings.base = v.base
	var first *guide.Setting
	for _, s := range preferred(v.ownHost(a, m.Settings)) {
		if s.Status == mailbox.Affected {
			d.Blocked = append(d.Blocked, v.T("setting blocked", v.number(int(s.Port)), line))
			continue
		}
		note := sentence(s.Note.In(v.language()), v.T("full stop"))
		switch x := (guide.Setting{Host: s.Host, Port: s.Port, TLS: tlsOf(s), Note: note}); {
		case first == nil:
			first = &x
		case first.Second == nil && s.Host == first.Host:
			first.Second = &x
		}
		d.Settings.All = append(d.Settings.All, settingData{
			Host: cmp.Or(s.Host, v.hostFrom(a, s.HostFrom)), Named: s.Host != "", Port: int(s.Port), Encryption: cmp.Or(s.Encryption(), v.T("encryption of provider")),
		})
		if note != "" && !slices.Contains(d.Notes, note) {
			d.Notes = append(d.Notes, note)
		}
	}
	if first != nil {
		d.Programs = v.programs(d.ID+"-programs", *first)
	}
}

// sentence returns a text with a full stop at its end. An empty text stays empty.
func sentence(text, stop string) string {
	if text == "" || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "。") {
		return text
	}
	return text + stop
}

// tlsOf returns the encryption of a setting: that of the directory, or else the one for which the port is registered (RFC 8314).
func tlsOf(s mailbox.Setting) site.TLS {
	switch {
	case s.TLS != "":
		return site.TLS(s.TLS)
	case s.Port == uint16(policy.PortSubmission):
		return site.StartTLS
	}
	return site.Implicit
}

// ownHost returns the settings for the ISP's own mailbox with the server of the site file, if the directory names none. They have the ports of the
// site file too, if the directory has one of them.
func (v *visit) ownHost(a *answer.Answer, settings []mailbox.Setting) []mailbox.Setting {
	out := v.Content.Site.Mail.Outgoing
	if a.Use != answer.Own || out.Host == "" {
		return settings
	}
	var all []mailbox.Setting
	for _, p := range out.Ports {
		for _, s := range settings {
			if s.Host == "" && s.HostFrom == "" && s.Port == uint16(p.Port) {
				s.Host, s.TLS = out.Host, string(p.TLS)
				all = append(all, s)
			}
		}
	}
	if len(all) == 0 {
		return settings
	}
	return all
}

// hostFrom describes a server that the directory does not name.
func (v *visit) hostFrom(a *answer.Answer, from string) string {
	switch {
	case from == mailbox.HostFromContract:
		return v.T("host from contract")
	case from == mailbox.HostFromDomain:
		return v.T("host from domain")
	case a.Use == answer.Own:
		return v.T("host own")
	}
	return v.T("host of provider")
}

// printer is the program of the settings guide with the steps for printers and scanners.
const printer = "printer"

// programs returns the steps to enter a setting in each program. id is the id of their heading.
func (v *visit) programs(id string, s guide.Setting) programsData {
	l := v.language()
	d := programsData{base: v.base, ID: id}
	for i := range v.Content.Guide.Programs {
		p := &v.Content.Guide.Programs[i]
		x := programData{Name: p.Name, Title: p.Title.In(l), Steps: p.Steps(l, s)}
		if from := p.Source(l); !from.SourceCode {
			x.Published = from.Published
		}
		d.Programs = append(d.Programs, x)
		d.Printer = d.Printer || p.Name == printer
	}
	return d
}

// reachOf describes the outcome of connections to the servers of a class.
func (v *visit) reachOf(class *policy.Remote, r *check.Result) reachData {
	d := reachData{Class: v.classTitle(class), Stopped: !r.Outcome.Passes(), Outcome: v.outcome(string(r.Outcome))}
	switch {
	case d.Stopped:
		d.Since = v.T("from day", v.Day(r.Since.Since))
	case r.Next != nil && !r.Next.Outcome.Passes():
		d.Since = v.T("until day", v.Day(r.Next.Since))
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
