package article

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"

	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/markdown"
	"op25b/internal/portal/site"
)

// The pages of the portal, as texts and notices link to them: [text](page:NAME).
const (
	PageHome        = "home"
	PageCheck       = "check"       // am I affected?
	PageTest        = "test"        // test my settings
	PageProgramme   = "programme"   // what changes when
	PageNotices     = "notices"     // the notices and back numbers
	PageSettings    = "settings"    // the settings guide
	PageQuestions   = Questions     // questions and answers
	PageBusiness    = Business      // the page for businesses
	PagePublication = Publication   // what is published, and why
	PagePolicy      = "policy"      // the policy as a document
	PagePolicyJSON  = "policy-json" // the policy for programs
	PageFeed        = "feed"        // the Atom feed
	PageCalendar    = "calendar"    // the iCalendar
)

// Pages returns the names of all pages.
func Pages() []string {
	return []string{
		PageHome, PageCheck, PageTest, PageProgramme, PageNotices, PageSettings, PageQuestions, PageBusiness, PagePublication, PagePolicy, PagePolicyJSON, PageFeed, PageCalendar,
	}
}

// The blocks that the portal gives, because they come from the publication.
const (
	BlockProgramme = "programme" // the phases with their dates
	BlockDomains   = "domains"   // the domains of the ISP's own mailboxes
)

// Words returns the names that texts and notices may use.
func Words() markdown.Vocabulary {
	return markdown.Vocabulary{
		Texts:  []string{"isp", "port.smtp", "port.submission", "port.submissions"},
		Blocks: []string{BlockProgramme, BlockDomains, "support", "business", "abuse", "servers", "encryption"},
		Pages:  Pages(),
	}
}

// Given is what the values of texts are made of.
type Given struct {
	Site *site.Site
	// Programme and Domains are HTML that the portal made. Each is a list, a table, or a sentence in a paragraph that says that it is not
	// known.
	Programme, Domains template.HTML
	// Pages has the address of each page. It must have every name in Pages, and those of notices that texts link to.
	Pages map[string]string
}

// Values returns the values of every name in Words, in a language.
func (g Given) Values(l lang.Language) markdown.Values {
	s := g.Site
	return markdown.Values{
		Text: map[string]string{
			"isp": s.Name.In(l), "port.smtp": fmt.Sprint(policy.PortSMTP), "port.submission": fmt.Sprint(policy.PortSubmission), "port.submissions": fmt.Sprint(policy.PortSubmissions),
		},
		Block: map[string]template.HTML{
			BlockProgramme: g.Programme, BlockDomains: g.Domains,
			"support": contact(s.Support, l), "business": contact(s.Business, l), "abuse": contact(s.Abuse, l), "servers": servers(s.Mail, l), "encryption": encryption(s.Mail, l),
		},
		Page: g.Pages,
	}
}

var contactTemplate = template.Must(template.New("").Parse(
	`<dl class="contact">{{range .}}<dt>{{.Name}}</dt><dd>{{if .Link}}<a href="{{.Link}}">{{.Text}}</a>{{else}}{{.Text}}{{end}}</dd>{{end}}</dl>`))

// A row is one way to reach a contact.
type row struct {
	Name, Text string
	Link       template.URL
}

// contact returns a contact as a list of terms. If there is no contact, it returns nothing.
func contact(c site.Contact, l lang.Language) template.HTML {
	var rows []row
	add := func(name lang.Text, text string, link string) {
		if text != "" {
			rows = append(rows, row{name.In(l), text, template.URL(link)}) // package site checked the address, the number and the page
		}
	}
	number := strings.Map(func(r rune) rune {
		if strings.ContainsRune("+0123456789", r) {
			return r
		}
		return -1
	}, c.Phone)
	add(lang.Text{JA: "窓口", EN: "Contact"}, c.Title.In(l), "")
	add(lang.Text{JA: "ページ", EN: "Page"}, c.Page, c.Page)
	add(lang.Text{JA: "メール", EN: "Mail"}, c.Mail, (&url.URL{Scheme: "mailto", Opaque: url.PathEscape(c.Mail)}).String())
	add(lang.Text{JA: "電話", EN: "Phone"}, c.Phone, "tel:"+number)
	add(lang.Text{JA: "受付時間", EN: "Hours"}, c.Hours.In(l), "")
	if rows == nil {
		return ""
	}
	return run(contactTemplate, rows)
}

var serversTemplate = template.Must(template.New("").Parse(
	`<table><thead><tr>{{range .Head}}<th scope="col">{{.}}</th>{{end}}</tr></thead><tbody>` +
		`{{range .Rows}}<tr><th scope="row">{{.Use}}</th><td>{{.Host}}</td><td>{{.Port}}</td><td>{{.TLS}}</td></tr>{{end}}</tbody></table>{{if .One}}<p>{{.One}}</p>{{end}}`))

// A server is a row of the table of the ISP's own servers.
type server struct {
	Use, Host, TLS string
	Port           policy.TCPPort
}

// servers returns the ISP's own mail servers as a table, and says that one of the ports for outgoing mail is enough.
func servers(m site.Mail, l lang.Language) template.HTML {
	var rows []server
	add := func(use, host string, ports []site.Port) {
		for _, p := range ports {
			rows = append(rows, server{use, host, p.TLS.Name(), p.Port})
		}
	}
	add(lang.Text{JA: "送信（SMTP）", EN: "outgoing (SMTP)"}.In(l), m.Outgoing.Host, m.Outgoing.Preferred())
	for _, in := range m.Incoming {
		use := lang.Text{JA: "受信（IMAP）", EN: "incoming (IMAP)"}
		if in.Protocol == site.POP3 {
			use = lang.Text{JA: "受信（POP）", EN: "incoming (POP)"}
		}
		add(use.In(l), in.Host, in.Ports)
	}
	head := []lang.Text{{JA: "用途", EN: "For"}, {JA: "サーバー名", EN: "Server"}, {JA: "ポート番号", EN: "Port"}, {JA: "暗号化", EN: "Encryption"}}
	names := make([]string, len(head))
	for i := range head {
		names[i] = head[i].In(l)
	}
	one := ""
	if ports := m.Outgoing.Preferred(); len(ports) > 1 {
		one = lang.Text{
			JA: fmt.Sprintf("送信のポートは、いずれか一つだけを設定してください。%d番をおすすめします。", ports[0].Port),
			EN: fmt.Sprintf("Set only one of the ports for outgoing mail. We recommend port %d.", ports[0].Port),
		}.In(l)
	}
	return run(serversTemplate, struct {
		Head []string
		Rows []server
		One  string
	}{names, rows, one})
}

// encryption returns a sentence that says whether the ISP's own servers require encryption, and since when.
func encryption(m site.Mail, l lang.Language) template.HTML {
	day := m.EncryptionSince
	text := lang.Text{
		JA: fmt.Sprintf("%d年%d月%d日から、当社のメールサーバーでの受信と送信には、暗号化（SSL/TLS）と認証が必要です。", day.Year, day.Month, day.Day),
		EN: fmt.Sprintf("Since %d %v %d, our mail servers require encryption (SSL/TLS) and authentication, both for receiving and for sending.", day.Day, day.Month, day.Year),
	}
	if day.IsZero() {
		text = lang.Text{
			JA: "当社のメールサーバーは、暗号化（SSL/TLS）と認証に対応しています。メールの内容とパスワードを守るため、必ず有効にしてください。",
			EN: "Our mail servers offer encryption (SSL/TLS) and authentication. Turn both on, to protect your mail and your password.",
		}
	}
	return template.HTML("<p>" + template.HTMLEscapeString(text.In(l)) + "</p>")
}

// run executes one of this file's templates.
func run(t *template.Template, data any) template.HTML {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		panic(err) // a test executes every template
	}
	return template.HTML(b.String())
}
