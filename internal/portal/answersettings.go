package portal

import (
	"cmp"
	"html/template"
	"slices"
	"strings"
	"time"

	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/guide"
	"op25b/internal/portal/site"
)

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
			if l := s.AfterLogin; l.Lasts > 0 {
				d.Blocked = append(d.Blocked, v.T("setting by login", v.number(int(s.Port)), v.afterLogin(time.Duration(l.Lasts), l.TLS)))
			} else {
				d.Blocked = append(d.Blocked, v.T("setting blocked", v.number(int(s.Port)), line))
			}
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
