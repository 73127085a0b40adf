package portal

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/published"
	op25bv1 "op25b/proto/op25b/v1"
)

// ownValue is the value of the form's field line for the visitor's own line. No line group has this name, because it begins with a dot.
const ownValue = ".own"

// otherValue is the value of the field for lines of no line group, or of one that the visitor does not know.
const otherValue = ".other"

// noneValue is the value of the field provider for a provider that is not in the list. An empty value means that the visitor did not choose.
const noneValue = ".none"

// valueOf returns the value of the field line for a line group, and groupOf the line group of a value.
func valueOf(group string) string {
	if group == "" {
		return otherValue
	}
	return group
}

func groupOf(value string) string {
	if value == otherValue {
		return ""
	}
	return value
}

// A choice is an option of a form.
type choice struct {
	Value, Text string
	Chosen      bool
	Hint        string // tells the visitor when to choose the option; may be empty
}

// A choices is a group of options with a title.
type choices struct {
	Title   string
	Choices []choice
}

type startData struct {
	base
	OwnLine      bool // the visitor's own line can be asked for
	Line, Use    string
	Mail, Picked string
	Groups       []choice
	Own          []choice // the ISP's own mailboxes
	Providers    []choices
	Problem      string
	ProblemAt    string // the field of the problem
}

// start shows the form.
func (v *visit) start() (reply, error) { return v.startPage("", "") }

// startPage shows the form with the fields of the last one, and a problem with a field.
func (v *visit) startPage(problem, at string) (reply, error) {
	v.titled("start", v.T("start title"))
	d := startData{base: v.base, Line: v.form.Get("line"), Use: v.form.Get("use"), Mail: v.form.Get("mail"), Picked: v.form.Get("provider"), Problem: problem, ProblemAt: at}
	d.OwnLine = v.mayAskOwn()
	if p := v.view.Publication; p != nil {
		d.Groups = v.groups(p, d.Line)
		own, webmail, others := v.providers(p, d.Use, d.Picked)
		d.Own = own
		for _, x := range []choices{{v.T("pick webmail"), webmail}, {v.T("pick others"), others}} {
			if len(x.Choices) > 0 {
				d.Providers = append(d.Providers, x)
			}
		}
	}
	d.Line = lineShown(d.Line, at, d.OwnLine)
	out := reply{name: "start.html", data: d}
	if problem != "" {
		out.code = http.StatusUnprocessableEntity
	}
	return out, nil
}

// lineShown returns the value of the field line that a form shows. The visitor's own line is the default, unless the problem is with the line.
func lineShown(line, problemAt string, ownLine bool) string {
	switch {
	case problemAt == "line" && line == ownValue:
		return ""
	case problemAt != "line" && line == "" && ownLine:
		return ownValue
	}
	return line
}

// mayAskOwn reports whether the form offers the visitor's own line.
func (v *visit) mayAskOwn() bool {
	return !v.Static && v.site.cfg.AskOwnLine != nil && v.address.IsValid() && v.Current
}

// groups returns the line groups for which there are answers. The last is for lines of no group, if there are answers for them.
func (v *visit) groups(p *published.Publication, chosen string) []choice {
	has := map[string]bool{}
	for _, s := range p.States {
		has[s.Group] = true
	}
	var all []choice
	for _, g := range append(policy.Names(p.Policy().LineGroups), "") {
		if value := valueOf(g); has[g] {
			all = append(all, choice{value, v.groupTitle(p.Policy(), g), value == chosen, v.fixedHint(p.Policy(), g)})
		}
	}
	return all
}

// fixedHint tells lines with fixed addresses from those of the same access without, between which a visitor can be in doubt. It is empty for all
// other line groups.
func (v *visit) fixedHint(p *policy.Policy, group string) string {
	g := p.LineGroup(group)
	if g == nil || g.Addressing != policy.Static {
		return ""
	}
	i := slices.IndexFunc(p.LineGroups, func(x policy.LineGroup) bool { return x.Access == g.Access && x.Addressing == policy.Dynamic })
	if i < 0 {
		return ""
	}
	return v.T("fixed hint", v.groupTitle(p, p.LineGroups[i].Name))
}

// providers returns the ISP's own mailboxes, as values of the field use, and the other providers: those whose mail is mostly used in a browser or
// an app, and all others.
func (v *visit) providers(p *published.Publication, use, picked string) (own, webmail, others []choice) {
	for i := range p.Directory.Providers {
		x := &p.Directory.Providers[i]
		if x.Kind == mailbox.KindOwn {
			value := string(answer.Own) + ":" + x.Name
			text := v.T("use own")
			if len(x.Domains) > 0 {
				text = v.T("use own at", "@"+strings.Join(x.Domains, v.T("list comma")+"@"))
			}
			own = append(own, choice{Value: value, Text: text, Chosen: use == value})
			continue
		}
		c := choice{Value: x.Name, Text: titled(x.Name, x.Title.In(v.language())), Chosen: x.Name == picked}
		if x.Kind == mailbox.KindWebmail {
			webmail = append(webmail, c)
		} else {
			others = append(others, c)
		}
	}
	return own, webmail, others
}

// Limits on what a visitor types, in bytes. An address has at most 254 (RFC 5321 section 4.5.3.1.3), a name of a host 253.
const (
	maxMail = 320
	maxHost = 253
)

// affected reads the form and redirects to the answer. The mail address is in the body of the request, and only the name of its provider goes
// on, in a code: so neither the portal's addresses nor a proxy's log contain it.
func (v *visit) affected() (reply, error) {
	p, err := v.pub()
	if err != nil {
		return reply{}, err
	}
	line, use := v.form.Get("line"), v.form.Get("use")
	group, own := groupOf(line), line == ownValue
	if own {
		if r, state := v.askOwn(&op25bv1.AskOwnLineRequest{}); state == ownKnown {
			group = r.GetLineGroup().GetName()
		} else if len(p.States) > 0 { // the rest of the question does not depend on the line, for which the next page asks
			group = p.States[0].Group
		}
	}
	q := answer.Question{Group: group}
	kind, name, _ := strings.Cut(use, ":")
	switch q.Use = answer.Use(kind); q.Use {
	case answer.Webmail, answer.Server:
	case answer.Own:
		q.Provider = name
	case answer.Provider:
		if strings.TrimSpace(v.form.Get("mail")) == "" && v.form.Get("provider") == "" {
			return v.startPage(v.T("pick provider"), "mail")
		}
		if q, err = v.provider(p, group); err != nil {
			return v.wrongMail(err)
		}
	default:
		return v.startPage(v.T("pick use"), "use")
	}
	codes := v.site.answers.Codes(p)
	code := codes.Of(q)
	switch {
	case line == "" || code == "" && codes.Of(answer.Question{Group: group, Use: answer.Server}) == "":
		return v.startPage(v.T("pick line"), "line")
	case code == "":
		return v.startPage(v.T("pick use"), "use")
	case own:
		return reply{redirect: "/mine/" + code}, nil
	}
	return reply{redirect: "/a/" + code}, nil
}

type lineData struct {
	base
	Use     string // how the visitor sends mail
	Problem string // why the line is not known
	Lines   []lineLink
}

// A lineLink is a kind of line with the path of the answer for it.
type lineLink struct{ Path, Text, Hint string }

// linePage asks for the kind of line, if the visitor's own line is not known. The rest of the question stays.
func (v *visit) linePage(p *published.Publication, q answer.Question, state ownState) (reply, error) {
	v.titled("start", v.T("which line"))
	a := &answer.Answer{Question: q}
	if i := slices.IndexFunc(p.Directory.Providers, func(x mailbox.Provider) bool { return x.Name == q.Provider }); i >= 0 {
		a.Provider = &p.Directory.Providers[i]
	}
	d := lineData{base: v.base, Use: v.useText(a), Problem: v.T("own not here")}
	if state != ownUnknown {
		d.Problem = v.T("own unavailable")
	}
	for _, g := range v.groups(p, "") {
		q.Group = groupOf(g.Value)
		if code := v.site.answers.Codes(p).Of(q); code != "" {
			d.Lines = append(d.Lines, lineLink{"/a/" + code, g.Text, g.Hint})
		}
	}
	return reply{name: "line.html", data: d}, nil
}

// provider returns the question about the provider that the visitor typed or picked. What was typed counts first.
func (v *visit) provider(p *published.Publication, group string) (answer.Question, error) {
	q := answer.Question{Group: group, Use: answer.Provider}
	mail := strings.TrimSpace(v.form.Get("mail"))
	if mail == "" {
		if picked := v.form.Get("provider"); picked != noneValue {
			q.Provider = picked
		}
		return q, nil
	}
	if len(mail) > maxMail {
		return q, mailbox.ErrAddress
	}
	if err := v.lookup(); err != nil {
		return q, err
	}
	return v.site.answers.Find(v.ctx, p, group, mail, v.Now)
}

// wrongMail shows the form again if the mail address is wrong.
func (v *visit) wrongMail(err error) (reply, error) {
	switch {
	case errors.Is(err, mailbox.ErrAddress):
		return v.startPage(v.T("wrong mail"), "mail")
	case errors.Is(err, answer.ErrQuestion):
		return v.startPage(v.T("pick line"), "line")
	}
	return reply{}, err
}

// find redirects to the answer with a code that the visitor typed.
func (v *visit) find() (reply, error) {
	p, err := v.pub()
	if err != nil {
		return reply{}, err
	}
	codes := v.site.answers.Codes(p)
	q, ok := codes.Find(v.form.Get("code"))
	if !ok {
		return reply{}, errNoCode
	}
	return reply{redirect: "/a/" + codes.Of(q)}, nil
}
