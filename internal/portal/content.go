package portal

import (
	"cmp"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"op25b/internal/check/mailbox"
	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/article"
	"op25b/internal/portal/feed"
	"op25b/internal/portal/guide"
	"op25b/internal/portal/markdown"
	"op25b/internal/portal/notice"
	"op25b/internal/portal/published"
	"op25b/internal/portal/site"
)

// The paths of the pages.
const (
	pathStart       = "/"
	pathTest        = "/test"
	pathProgramme   = "/programme"
	pathNotices     = "/notices"
	pathSettings    = "/settings"
	pathQuestions   = "/questions"
	pathBusiness    = "/business"
	pathPublication = "/publication"
	pathPolicy      = "/policy"
	pathPolicyJSON  = "/policy.json"
)

// feedPath and calendarPath return the paths of the feed and the calendar in a language. Programs keep these addresses, so they never change.
func feedPath(l string) string     { return "/notices." + l + ".atom" }
func calendarPath(l string) string { return "/programme." + l + ".ics" }

// Feed returns the path of the feed in the page's language, and Calendar that of the calendar.
func (b base) Feed() string { return feedPath(b.Lang) }

// Calendar returns the path of the calendar in the page's language.
func (b base) Calendar() string { return calendarPath(b.Lang) }

// pages returns the address of each page that texts link to. A page that an export does not have is replaced by the first page,
// and a notice of a day to come by the list of notices.
func (v *visit) pages() map[string]string {
	test := v.Link(pathTest)
	if v.Static {
		test = v.Link(pathStart)
	}
	all := map[string]string{
		article.PageHome: v.Link(pathStart), article.PageCheck: v.Link(pathStart), article.PageTest: test, article.PageProgramme: v.Link(pathProgramme),
		article.PageNotices: v.Link(pathNotices), article.PageSettings: v.Link(pathSettings), article.PageQuestions: v.Link(pathQuestions),
		article.PageBusiness: v.Link(pathBusiness), article.PagePublication: v.Link(pathPublication), article.PagePolicy: v.Link(pathPolicy),
		article.PagePolicyJSON: v.Link(pathPolicyJSON), article.PageFeed: v.Link(v.Feed()), article.PageCalendar: v.Link(v.Calendar()),
	}
	for _, id := range v.Content.Notices.IDs() {
		to := v.Link(pathNotices)
		if _, published := v.Content.Notices.Find(id, v.language(), v.today()); published {
			to = v.Link(pathNotices + "/" + id)
		}
		all[notice.PageOf(id)] = to
	}
	return all
}

// values returns the values of the ISP's texts. The programme is that of the line groups of a notice, which is nil for other texts, or of all lines.
// It is also that of all lines if the policy has no line group of the notice, because a reader is helped more by dates than by none.
func (v *visit) values(n *notice.Notice) (markdown.Values, error) {
	g := article.Given{Site: v.Content.Site, Pages: v.pages()}
	var d blocksData
	d.base = v.base
	if p := v.view.Publication; p != nil {
		if n != nil && len(n.Groups) > 0 {
			d.Programmes = v.programmes(p, n.Groups...)
			if len(d.Programmes) == 0 {
				v.site.withoutDates(n, p)
			}
		}
		if len(d.Programmes) == 0 {
			d.Programmes = v.programmes(p)
		}
		for i := range p.Directory.Providers {
			if x := &p.Directory.Providers[i]; x.Kind == mailbox.KindOwn {
				d.Domains = append(d.Domains, x.Domains...)
			}
		}
	}
	var err error
	if g.Programme, err = v.block("block-programme", d); err != nil {
		return markdown.Values{}, err
	}
	if g.Domains, err = v.block("block-domains", d); err != nil {
		return markdown.Values{}, err
	}
	return g.Values(v.language()), nil
}

// withoutDates logs that the policy has no dates for the lines of a notice, once for each notice and revision.
func (s *Site) withoutDates(n *notice.Notice, p *published.Publication) {
	s.dateless.mu.Lock()
	defer s.dateless.mu.Unlock()
	if s.dateless.revision != p.Revision {
		s.dateless.revision, s.dateless.logged = p.Revision, map[string]bool{}
	}
	if !s.dateless.logged[n.ID] {
		s.dateless.logged[n.ID] = true
		s.cfg.Logger.Warn("the policy has no line group of a notice; the notice shows the dates of all lines", zap.String("notice", n.ID), zap.Strings("groups", n.Groups),
			zap.Strings("valid", policy.Names(p.Policy().LineGroups)), zap.Uint64("revision", p.Revision))
	}
}

type blocksData struct {
	base
	Programmes []programmeOf
	Domains    []string
}

// block renders a part of a page.
func (v *visit) block(name string, data any) (template.HTML, error) {
	var b strings.Builder
	if err := v.site.templates.ExecuteTemplate(&b, name, data); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil
}

type articleData struct {
	base
	Headings []markdown.Heading
	Text     template.HTML
}

// article returns the function of a page that shows a text of the ISP.
func articlePage(name string) func(*visit) (reply, error) {
	return func(v *visit) (reply, error) {
		a, ok := v.Content.Articles.Find(name, v.language())
		if !ok {
			return reply{}, errNoPage
		}
		values, err := v.values(nil)
		if err != nil {
			return reply{}, err
		}
		d := articleData{Headings: a.Headings()}
		if d.Text, err = a.Render(values); err != nil {
			return reply{}, err
		}
		v.Section, v.Title, v.Heading = name, a.Title.Plain(), a.Title.HTML()
		d.base = v.base
		return reply{name: "article.html", data: d}, nil
	}
}

type noticesData struct {
	base
	Present, Back []noticeLink
}

type noticeLink struct {
	Path, Day string
	Title     template.HTML
	Language  string // empty if it is the page's
}

// today returns the present day at the policy's UTC offset.
func (v *visit) today() policy.Date {
	y, m, d := v.Now.In(v.Zone).Date()
	return policy.Date{Year: y, Month: m, Day: d}
}

// notices lists the notices and the back numbers.
func (v *visit) notices() (reply, error) {
	v.titled("notices", v.T("notices title"))
	d := noticesData{base: v.base}
	links := func(all []*notice.Notice) []noticeLink {
		var out []noticeLink
		for _, n := range all {
			out = append(out, noticeLink{pathNotices + "/" + n.ID, v.DayOf(n.Date), n.Title.HTML(), v.other(n.Language)})
		}
		return out
	}
	d.Present, d.Back = links(v.Content.Notices.Current(v.language(), v.today())), links(v.Content.Notices.Back(v.language(), v.today()))
	return reply{name: "notices.html", data: d}, nil
}

// other returns a language if it is not the page's.
func (v *visit) other(l lang.Language) string {
	if l == v.language() {
		return ""
	}
	return string(l)
}

type noticeData struct {
	base
	Appeared, Revised, Groups, Language string
	IsBack                              bool
	Text                                template.HTML
}

// notice shows a notice.
func (v *visit) notice() (reply, error) {
	n, ok := v.Content.Notices.Find(v.segment, v.language(), v.today())
	if !ok {
		return reply{}, errNoPage
	}
	values, err := v.values(n)
	if err != nil {
		return reply{}, err
	}
	d := noticeData{Appeared: v.DayOf(n.Date), Language: v.other(n.Language), IsBack: n.IsBack(v.today())}
	if !n.Revised.IsZero() {
		d.Revised = v.DayOf(n.Revised)
	}
	if d.Text, err = n.Render(values); err != nil {
		return reply{}, err
	}
	if p := v.view.Publication; p != nil {
		d.Groups = strings.Join(v.titlesOf(p.Policy(), n.Groups), v.T("list comma"))
	}
	v.Section, v.Title, v.Heading = "notices", n.Title.Plain(), n.Title.HTML()
	d.base = v.base
	return reply{name: "notice.html", data: d}, nil
}

// titlesOf returns the titles of the line groups of a notice: of those that the policy has, or of all if it has none of them.
func (v *visit) titlesOf(p *policy.Policy, groups []string) []string {
	known := slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return p.LineGroup(g) == nil })
	if len(known) == 0 {
		known = groups
	}
	var titles []string
	for _, g := range known {
		if title := v.groupTitle(p, g); !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
	}
	return titles
}

// feedIn returns the page that serves the notices as an Atom feed in a language.
func feedIn(l lang.Language) func(*visit) (reply, error) {
	return func(v *visit) (reply, error) {
		v.Lang = string(l)
		v.Zone = v.zone().Location()
		v.root = v.Lang + "/" // in an export
		f := feed.Feed{
			Site: v.Content.Site, Language: l, Title: v.T("feed title", v.Content.Site.Name.In(l)), Path: feedPath(v.Lang)[1:], Page: v.below(pathNotices), Updated: v.Stored,
		}
		for _, n := range slices.Concat(v.Content.Notices.Current(l, v.today()), v.Content.Notices.Back(l, v.today())) {
			values, err := v.values(n)
			if err != nil {
				return reply{}, err
			}
			html, err := n.Render(values)
			if err != nil {
				return reply{}, err
			}
			f.Entries = append(f.Entries, feed.NoticeEntry(n, v.below(pathNotices+"/"+n.ID), html, v.zone()))
		}
		data, err := f.Atom()
		return reply{kind: feed.AtomType, body: data}, err
	}
}

// zone returns the UTC offset of the policy.
func (v *visit) zone() policy.Offset {
	if p := v.view.Publication; p != nil {
		return p.Policy().UTCOffset
	}
	return 0
}

// calendarIn serves the dates of the programme as a calendar.
func calendarIn(l lang.Language) func(*visit) (reply, error) {
	return func(v *visit) (reply, error) {
		p, err := v.pub()
		if err != nil {
			return reply{}, err
		}
		v.Lang = string(l)
		c := feed.Calendar{Site: v.Content.Site, Language: l, Title: v.T("calendar title", v.Content.Site.Name.In(l))}
		for _, x := range v.programmes(p) {
			for i, step := range x.Steps {
				y, m, d := step.Begins.In(v.Zone).Date()
				name := strings.Join(x.groups, "+") + "/" + x.turns[i].phase
				if x.Where != "" {
					name += "/" + x.lines[0].Area
				}
				var at time.Time
				if v.timed(step.Begins) {
					at = step.Begins
				}
				c.Events = append(c.Events, feed.Event{
					Name: name, At: at, Day: policy.Date{Year: y, Month: m, Day: d}, Title: step.Title, Text: v.T("programme of", x.Groups) + "\n" + strings.Join(step.Rules, "\n"),
					Path: v.below(pathProgramme), Changed: p.Stored, Revision: p.Revision,
				})
			}
		}
		return reply{kind: feed.CalendarType, body: c.ICalendar()}, nil
	}
}

// security serves security.txt (RFC 9116).
func (v *visit) security() (reply, error) {
	return reply{kind: "text/plain; charset=utf-8", body: []byte(v.Content.Site.SecurityTxt(v.site.cfg.Now()))}, nil
}

type settingsPage struct {
	base
	Settings settingsData
	Incoming []settingData
	Either   bool // mail can be read with IMAP and with POP
	Steps    programsData
}

// settingsPage shows the settings guide for the ISP's own mail servers.
func (v *visit) settingsPage() (reply, error) {
	v.titled("settings", v.T("settings title"))
	d := settingsPage{base: v.base, Settings: settingsData{base: v.base}}
	out := v.Content.Site.Mail.Outgoing
	ports := out.Preferred()
	for _, p := range ports {
		d.Settings.All = append(d.Settings.All, settingData{Host: out.Host, Named: true, Port: int(p.Port), Encryption: p.TLS.Name()})
	}
	for _, in := range v.Content.Site.Mail.Incoming {
		d.Either = d.Either || in.Protocol != v.Content.Site.Mail.Incoming[0].Protocol
		for _, p := range in.Ports {
			d.Incoming = append(d.Incoming, settingData{Protocol: strings.ToUpper(string(in.Protocol)), Host: in.Host, Named: true, Port: int(p.Port), Encryption: p.TLS.Name()})
		}
	}
	setting := guide.Setting{Host: out.Host, Port: uint16(ports[0].Port), TLS: ports[0].TLS}
	if len(ports) > 1 {
		setting.Second = &guide.Setting{Port: uint16(ports[1].Port), TLS: ports[1].TLS}
	}
	d.Steps = v.programs("programs", setting)
	return reply{name: "settings.html", data: d}, nil
}

// A contactData is how customers reach somebody.
type contactData struct {
	Title, Page, Mail, MailTo string
	Phone                     string // the number and the hours, each if there is one
}

// Support returns how customers reach the support.
func (b base) Support() contactData { return b.contact(b.Content.Site.Support, b.T("support")) }

// ForBusiness returns how businesses reach those who decide about exemptions and fixed addresses.
func (b base) ForBusiness() contactData {
	return b.contact(b.Content.Site.Business, b.T("business desk"))
}

// contact describes a contact. title is its title if it has none of its own.
func (b base) contact(c site.Contact, title string) contactData {
	l := b.language()
	phone := slices.DeleteFunc([]string{c.Phone, c.Hours.In(l)}, func(text string) bool { return text == "" })
	d := contactData{Title: cmp.Or(c.Title.In(l), title), Page: c.Page, Mail: c.Mail, Phone: strings.Join(phone, b.T("list comma"))}
	if c.Mail != "" {
		d.MailTo = (&url.URL{Scheme: "mailto", Opaque: url.PathEscape(c.Mail)}).String()
	}
	return d
}
