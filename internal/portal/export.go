package portal

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"op25b/internal/lang"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/article"
	"op25b/internal/portal/published"
	"op25b/internal/portal/site"
)

// MaxExport is the limit on the number of files of an export. Each kind of line takes two files for each provider of the directory.
const MaxExport = 50_000

var (
	// ErrNotPublished is returned by Export while there is no publication.
	ErrNotPublished = errors.New("there is no publication to export")
	// ErrExport is returned by Export for an export that would have too many files.
	ErrExport = errors.New("the export is too large")
)

// A File is a file of an export. Its name is relative to the folder of the export, with slashes.
type File struct {
	Name string
	Data []byte
}

// An Exported is a site as static files.
type Exported struct {
	Files    []File // ordered by name
	Revision uint64
	At       time.Time // by the controller's clock
	// Next is the next moment at which the policy changes an answer; zero if none is known. The files are out of date from then on.
	Next time.Time
}

// pathLine is the path of the pages of an export on which a visitor picks how to send mail from a kind of line.
const pathLine = "/line"

// Export returns the site as static files: a folder for each language with the pages, and beside them the files for programs. The links are
// relative. A page that needs the visitor's line, or a form, is replaced by pages for each kind of line. Export looks up no names, so the
// result depends only on the publication, the site's content and the time.
func (s *Site) Export(ctx context.Context) (*Exported, error) {
	v := s.visit(ctx, string(lang.Japanese), pathStart)
	p := v.view.Publication
	if p == nil {
		return nil, ErrNotPublished
	}
	x := &exporter{site: s, ctx: ctx, p: p, out: &Exported{Revision: p.Revision, At: v.Now}}
	x.out.Next, _ = p.Policy().NextEvent(v.Now)
	if n := 2 * len(answer.Questions(p)); n > MaxExport {
		return nil, fmt.Errorf("%w: %d answers, at most %d files: the directory of providers or the list of line groups is too long for static files", ErrExport, n, MaxExport)
	}
	for _, l := range lang.All() {
		if err := x.language(string(l)); err != nil {
			return nil, err
		}
	}
	if err := x.shared(); err != nil {
		return nil, err
	}
	slices.SortFunc(x.out.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return x.out, nil
}

// An exporter collects the files of an export.
type exporter struct {
	site *Site
	ctx  context.Context
	p    *published.Publication
	out  *Exported
}

// visit begins a visit of a page in a language.
func (x *exporter) visit(language, at string) *visit {
	v := x.site.visit(x.ctx, language, at)
	v.Static, v.Now, v.Next = true, x.out.At, x.out.Next
	v.root = strings.Repeat("../", strings.Count(at, "/")-1)
	return v
}

// page adds a page in a language.
func (x *exporter) page(language, at string, show func(*visit) (reply, error)) error {
	v := x.visit(language, at)
	out, err := show(v)
	if err != nil {
		return fmt.Errorf("page %s in %s: %w", at, language, err)
	}
	data, err := x.site.rendered(out.name, out.data)
	if err != nil {
		return fmt.Errorf("page %s in %s: %w", at, language, err)
	}
	x.add(language+"/"+fileOf(at), data)
	return nil
}

func (x *exporter) add(name string, data []byte) { x.out.Files = append(x.out.Files, File{name, data}) }

// language adds the pages in a language.
func (x *exporter) language(l string) error {
	type one struct {
		path string
		show func(*visit) (reply, error)
	}
	pages := []one{
		{pathStart, (*visit).pickLine},
		{pathProgramme, (*visit).programme},
		{pathNotices, (*visit).notices},
		{pathSettings, (*visit).settingsPage},
		{pathQuestions, articlePage(article.Questions)},
		{pathBusiness, articlePage(article.Business)},
		{pathPublication, articlePage(article.Publication)},
		{pathPolicy, (*visit).policyPage},
	}
	v := x.visit(l, pathStart)
	content := x.site.cfg.Content.Notices
	for _, n := range slices.Concat(content.Current(v.language(), v.today()), content.Back(v.language(), v.today())) {
		pages = append(pages, one{pathNotices + "/" + n.ID, func(v *visit) (reply, error) {
			v.segment = n.ID
			return v.notice()
		}})
	}
	for i, group := range v.groupNames(x.p) {
		pages = append(pages, one{linePath(i), func(v *visit) (reply, error) { return v.pickUse(group) }})
	}
	codes := x.site.answers.Codes(x.p)
	for _, q := range answer.Questions(x.p) {
		pages = append(pages, one{"/a/" + codes.Of(q), func(v *visit) (reply, error) {
			a, err := x.site.answers.Ask(x.ctx, x.p, q, v.Now)
			if err != nil {
				return reply{}, err
			}
			return v.answerPage(x.p, a, nil)
		}})
	}
	for _, p := range pages {
		if err := x.page(l, p.path, p.show); err != nil {
			return err
		}
	}
	return nil
}

// shared adds the files that do not belong to a language.
func (x *exporter) shared() error {
	files := map[string]func(*visit) (reply, error){pathPolicyJSON: (*visit).policyJSON, site.SecurityPath: (*visit).security}
	for _, l := range lang.All() {
		files[feedPath(string(l))], files[calendarPath(string(l))] = feedIn(l), calendarIn(l)
	}
	for at, show := range files {
		v := x.visit(string(lang.Japanese), at)
		v.root = "" // a feed sets the folder of its language
		out, err := show(v)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		x.add(at[1:], out.body)
	}
	for name, data := range x.site.assets.All() {
		x.add("assets/"+name, data)
	}
	v := x.visit(string(lang.Japanese), pathStart)
	data, err := x.site.rendered("languages.html", struct{ JA, EN string }{v.Name, x.visit(string(lang.English), pathStart).Name})
	x.add("index.html", data)
	return err
}

// groupNames returns the names of the line groups of the form, in its order. The name of lines of no group is empty.
func (v *visit) groupNames(p *published.Publication) []string {
	var all []string
	for _, g := range v.groups(p, "") {
		all = append(all, groupOf(g.Value))
	}
	return all
}

func linePath(i int) string { return fmt.Sprintf("%s/%d", pathLine, i+1) }

type pickData struct {
	base
	Line      string // the kind of line; empty on the first page
	Links     []linkData
	Providers []linkData // the other providers; empty on the first page
}

type linkData struct{ Path, Text string }

// pickLine is the first page of an export: the visitor picks the kind of line.
func (v *visit) pickLine() (reply, error) {
	v.titled("start", v.T("start title"))
	d := pickData{base: v.base}
	for i, g := range v.groups(v.view.Publication, "") {
		d.Links = append(d.Links, linkData{linePath(i), g.Text})
	}
	return reply{name: "pick.html", data: d}, nil
}

// pickUse is the page of an export on which the visitor picks how to send mail from a kind of line.
func (v *visit) pickUse(group string) (reply, error) {
	p := v.view.Publication
	v.titled("start", v.T("pick use title"))
	codes := v.site.answers.Codes(p)
	of := func(q answer.Question, text string) linkData {
		q.Group = group
		return linkData{"/a/" + codes.Of(q), text}
	}
	d := pickData{base: v.base, Line: v.groupTitle(p.Policy(), group)}
	own, webmail, others := v.providers(p, "", "")
	d.Links = append(d.Links, of(answer.Question{Use: answer.Webmail}, v.T("use webmail")))
	for _, o := range own {
		_, name, _ := strings.Cut(o.Value, ":")
		d.Links = append(d.Links, of(answer.Question{Use: answer.Own, Provider: name}, o.Text))
	}
	d.Links = append(d.Links, of(answer.Question{Use: answer.Server}, v.T("use server")))
	for _, o := range slices.Concat(webmail, others) {
		d.Providers = append(d.Providers, of(answer.Question{Use: answer.Provider, Provider: o.Value}, o.Text))
	}
	d.Providers = append(d.Providers, of(answer.Question{Use: answer.Provider}, v.T("pick none")))
	return reply{name: "pick.html", data: d}, nil
}

// shared reports whether a path of an export is that of a file that does not belong to a language.
func shared(at string) bool {
	switch path.Ext(at) {
	case ".atom", ".ics", ".json", ".txt":
		return true
	}
	return false
}
