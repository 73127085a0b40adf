package portal

import (
	"strings"

	"op25b/internal/portal/answer"
	"op25b/internal/portal/published"
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

// short returns the address of a page as a person reads it out.
func (v *visit) short(path string) string {
	return strings.TrimSuffix(v.Content.Site.URL, "/") + path
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
