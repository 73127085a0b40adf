package portal

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/published"
	"op25b/internal/portal/site"
)

// policyVersion is the version of the form of /policy.json. Keys may be added to a version, but never removed or changed.
const policyVersion = "op25b.portal/v1"

// A publicPolicy is the policy for programs.
type publicPolicy struct {
	Version   string          `json:"version"`
	Publisher titleText       `json:"publisher"`
	Name      string          `json:"name"`
	Revision  uint64          `json:"revision"`
	Stored    time.Time       `json:"stored"`
	Confirmed time.Time       `json:"confirmed"`
	Current   bool            `json:"current"`
	UTCOffset string          `json:"utcOffset"`
	Groups    []publicGroup   `json:"lineGroups"`
	Services  []publicService `json:"services"`
	Servers   []publicServers `json:"serverClasses"`
	Standing  []publicRule    `json:"standingRules"`
	Phases    []publicPhase   `json:"phases"`
	Programme []publicDates   `json:"programme"`
}

type publicGroup struct {
	Name       string    `json:"name"`
	Title      titleText `json:"title"`
	Access     string    `json:"access,omitempty"`
	Addressing string    `json:"addressing,omitempty"`
}

type publicService struct {
	Name  string           `json:"name"`
	Ports []policy.TCPPort `json:"ports"`
}

type publicServers struct {
	Name     string         `json:"name"`
	Title    titleText      `json:"title"`
	Own      bool           `json:"own"`
	Prefixes []netip.Prefix `json:"prefixes"`
}

type publicRule struct {
	Name       string    `json:"name"`
	Action     string    `json:"action"`
	Service    string    `json:"service,omitempty"`
	Servers    string    `json:"serverClass,omitempty"`
	LineGroups []string  `json:"lineGroups,omitempty"`
	Legs       []string  `json:"legs,omitempty"`
	Text       titleText `json:"text"`
}

type publicPhase struct {
	Name   string    `json:"name"`
	Title  titleText `json:"title"`
	Begins time.Time `json:"begins"`
	// BeginsFor has other dates of some line groups.
	BeginsFor []publicGroupDate `json:"beginsFor,omitempty"`
	Rules     []publicRule      `json:"rules"`
}

type publicGroupDate struct {
	LineGroups []string  `json:"lineGroups"`
	Begins     time.Time `json:"begins"`
}

// A publicDates has the phases of the lines of a group in an area.
type publicDates struct {
	Area      string       `json:"area"`
	LineGroup string       `json:"lineGroup"`
	Phase     string       `json:"phase,omitempty"`
	Switches  uint32       `json:"switches"`
	Seen      uint32       `json:"confirmedSwitches"`
	Dates     []publicDate `json:"dates"`
}

type publicDate struct {
	Phase  string    `json:"phase"`
	Begins time.Time `json:"begins"`
}

// A titleText is a text in both languages.
type titleText struct {
	JA string `json:"ja"`
	EN string `json:"en"`
}

// both returns a text that depends on the language.
func both(b base, text func(base) string) titleText {
	ja, en := b, b
	ja.Lang, en.Lang = string(lang.Japanese), string(lang.English)
	return titleText{text(ja), text(en)}
}

// public returns the policy for programs.
func (v *visit) public(p *published.Publication) publicPolicy {
	b, pol := v.base, p.Policy()
	d := publicPolicy{
		Version: policyVersion, Name: pol.Name, Revision: p.Revision, Stored: p.Stored.Truncate(time.Second), Confirmed: v.Confirmed.Truncate(time.Second), Current: v.Current, UTCOffset: pol.UTCOffset.String(),
	}
	d.Publisher = titleText{v.Content.Site.Name.JA, v.Content.Site.Name.EN}
	for _, g := range pol.LineGroups {
		d.Groups = append(d.Groups, publicGroup{g.Name, both(b, func(b base) string { return b.groupTitle(pol, g.Name) }), string(g.Access), string(g.Addressing)})
	}
	for _, s := range pol.Services {
		d.Services = append(d.Services, publicService{s.Name, s.Ports})
	}
	for i := range pol.Remotes {
		r := &pol.Remotes[i]
		d.Servers = append(d.Servers, publicServers{r.Name, both(b, func(b base) string { return b.remoteTitle(r) }), r.Ours(), r.Prefixes})
	}
	for _, name := range policy.StandingRules() {
		d.Standing = append(d.Standing, publicRule{Name: name, Action: string(policy.Permit), Text: both(b, func(b base) string { return b.standing(pol, name) })})
	}
	for i := range pol.Phases {
		ph := &pol.Phases[i]
		x := publicPhase{Name: ph.Name, Title: both(b, func(b base) string { return b.phaseTitle(pol, ph.Name) }), Begins: pol.Begins(ph)}
		for _, d := range ph.EffectiveFor {
			x.BeginsFor = append(x.BeginsFor, publicGroupDate{d.Groups, d.Effective.Start(pol.UTCOffset)})
		}
		for _, r := range ph.Rules {
			rule := publicRule{Name: r.Name, Action: string(r.Action), Service: r.Service, LineGroups: r.Groups, Text: both(b, func(b base) string { return b.ruleText(pol, ph, r) })}
			if !r.ForAnyRemote() {
				rule.Servers = r.Remote
			}
			for _, leg := range pol.LegsOf(r) {
				rule.Legs = append(rule.Legs, string(leg))
			}
			x.Rules = append(x.Rules, rule)
		}
		d.Phases = append(d.Phases, x)
	}
	for _, s := range p.States {
		x := publicDates{Area: s.Area, LineGroup: s.Group, Phase: s.Phase, Switches: s.Switches, Seen: s.Confirmed}
		for _, t := range turnsOf(p, s, v.Now) {
			x.Dates = append(x.Dates, publicDate{t.phase, t.at.In(v.Zone)})
		}
		d.Programme = append(d.Programme, x)
	}
	return d
}

// policyJSON serves the policy for programs.
func (v *visit) policyJSON() (reply, error) {
	p, err := v.pub()
	if err != nil {
		return reply{}, err
	}
	data, err := json.MarshalIndent(v.public(p), "", "  ")
	return reply{kind: "application/json", body: append(data, '\n')}, err
}

type policyData struct {
	base
	Policy     string
	Groups     []choice
	Services   []publicService
	Servers    []serversData
	Standing   []string
	Phases     []phaseData
	Programmes []programmeOf
}

type serversData struct{ Title, Prefixes string }

type phaseData struct {
	ID, Title string
	Begins    time.Time
	Others    []groupDate // other dates of some line groups
	Rules     []ruleData
}

type groupDate struct {
	Groups string
	Begins time.Time
}

type ruleData struct{ Text, Groups, Name string }

// policyPage shows the policy as a document.
func (v *visit) policyPage() (reply, error) {
	p, err := v.pub()
	if err != nil {
		return reply{}, err
	}
	pol := p.Policy()
	v.titled("policy", v.T("policy title"))
	d := policyData{base: v.base, Policy: pol.Name, Programmes: v.programmes(p)}
	for _, s := range pol.Services {
		d.Services = append(d.Services, publicService{s.Name, s.Ports})
	}
	for _, g := range pol.LineGroups {
		d.Groups = append(d.Groups, choice{Value: g.Name, Text: v.groupTitle(pol, g.Name)})
	}
	for i := range pol.Remotes {
		r := &pol.Remotes[i]
		texts := make([]string, len(r.Prefixes))
		for j, prefix := range r.Prefixes {
			texts[j] = prefix.String()
		}
		d.Servers = append(d.Servers, serversData{v.remoteTitle(r), strings.Join(texts, ", ")})
	}
	for _, name := range policy.StandingRules() {
		d.Standing = append(d.Standing, v.standing(pol, name))
	}
	for i := range pol.Phases {
		ph := &pol.Phases[i]
		x := phaseData{ID: "phase-" + v.number(i+1), Title: v.stepTitle(pol, ph.Name), Begins: pol.Begins(ph)}
		for _, d := range ph.EffectiveFor {
			x.Others = append(x.Others, groupDate{v.groupTitles(pol, d.Groups), d.Effective.Start(pol.UTCOffset)})
		}
		for _, r := range ph.Rules {
			groups := v.T("every line")
			if len(r.Groups) > 0 {
				groups = v.groupTitles(pol, r.Groups)
			}
			x.Rules = append(x.Rules, ruleData{v.ruleText(pol, ph, r), groups, r.Name})
		}
		d.Phases = append(d.Phases, x)
	}
	return reply{name: "policy.html", data: d}, nil
}

// standing describes a rule that comes before those of every phase.
func (b base) standing(p *policy.Policy, name string) string {
	if name == policy.RuleExempt {
		return b.T("standing exempt")
	}
	if name == policy.RuleRelay && closesOwn(p) {
		return b.T("standing relay")
	}
	return b.decided(p, name, "")
}

// title returns the name of an element of the policy for customers: that of the site file, the title of the policy, or the name.
func (b base) title(of site.Element, name, title string) string {
	if text := b.Content.Site.Title(of, name, b.language()); text != "" {
		return text
	}
	return titled(name, title)
}

// groupTitle returns the title of a line group. The name is empty for lines of no group.
func (b base) groupTitle(p *policy.Policy, name string) string {
	if name == "" {
		return b.T("other line")
	}
	title := ""
	if g := p.LineGroup(name); g != nil {
		title = g.Title
	}
	return b.title(site.LineGroup, name, title)
}

// groupTitles returns the titles of line groups as a list.
func (b base) groupTitles(p *policy.Policy, names []string) string {
	titles := make([]string, len(names))
	for i, g := range names {
		titles[i] = b.groupTitle(p, g)
	}
	return strings.Join(titles, b.T("list comma"))
}

// listTitle returns the title of a line group in a list. Lines of no group are others there, not what a visitor does not know.
func (b base) listTitle(p *policy.Policy, name string) string {
	if name == "" {
		return b.T("other lines")
	}
	return b.groupTitle(p, name)
}

// phaseTitle returns the title of a phase.
func (b base) phaseTitle(p *policy.Policy, name string) string {
	title := ""
	if ph, ok := p.Phase(name); ok {
		title = ph.Title
	}
	return b.title(site.Phase, name, title)
}

// stepTitle returns the title of a phase as a step of the programme. If a phase of the policy stops new connections only, the title says of each
// phase that stops something whether it does so, because the titles of two such phases can be alike.
func (b base) stepTitle(p *policy.Policy, name string) string {
	title := b.phaseTitle(p, name)
	ph, ok := p.Phase(name)
	switch {
	case !ok || !drains(p) || !slices.ContainsFunc(ph.Rules, stops):
		return title
	case ph.SynOnly:
		return title + b.T("step new only")
	}
	return title + b.T("step open too")
}

// remoteTitle returns the title of a class of servers.
func (b base) remoteTitle(r *policy.Remote) string {
	if r.Ours() {
		return b.T("own servers")
	}
	return b.title(site.Remote, r.Name, r.Title)
}
