// Package guide has the steps with which a customer enters a setting for outgoing mail in a mail program.
//
// The steps are data. guide.yaml is the default, which an ISP can replace by its own file. A name of a menu is in it only if somebody read it
// on a page of the vendor's; the program then has the page and the day of reading. All other steps avoid such names.
package guide

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/markdown"
	"op25b/internal/portal/site"
	"op25b/internal/strict"
)

// Kind is the document kind of a settings guide.
const Kind = "Guide"

// Limits of a settings guide.
const (
	MaxFile     = 256 << 10 // bytes
	maxPrograms = 64
	maxSteps    = 20
	maxTitle    = 100 // characters
)

//go:embed guide.yaml
var defaultGuide []byte

// A Guide has the programs in the order in which a page lists them. It is safe for concurrent use.
type Guide struct {
	Programs []Program `yaml:"programs"`
}

// A Program is a mail program, or a device that sends mail.
type Program struct {
	// Name identifies the program. It is part of the page's address.
	Name    string    `yaml:"name"`
	Title   lang.Text `yaml:"title"`
	Sources Sources   `yaml:"sources,omitempty"`
	Text    Steps     `yaml:"steps"`

	ja, en []*markdown.Document
}

// Sources has where the names of menus in each language come from.
type Sources struct {
	JA Source `yaml:"ja,omitempty"`
	EN Source `yaml:"en,omitempty"`
}

// A Source is a page of the vendor's, and the day on which somebody read it. It is zero if the steps were not compared with any page.
type Source struct {
	Published string      `yaml:"published"`
	Looked    policy.Date `yaml:"looked"`
	// SourceCode reports whether Published is code of the program. The portal does not send customers there.
	SourceCode bool `yaml:"sourceCode,omitempty"`
}

// Steps has the steps in each language. Each step is one paragraph of Markdown, in which {{host}}, {{port}} and {{encryption}} are the
// setting; {{signin}} and {{second}} are sentences about signing in and about a second port.
type Steps struct {
	JA []string `yaml:"ja"`
	EN []string `yaml:"en"`
}

// A Setting is a server for outgoing mail. It requires authentication with a user name and a password (RFC 4954).
type Setting struct {
	Host string // empty if it is not known, for example because it differs from customer to customer
	Port uint16
	TLS  site.TLS
	// Note is what the provider says about signing in, in the language of the steps, as a sentence. It may be empty.
	Note string
	// Second is another port of the same server with its encryption, for programs that do not offer the first one; nil if there is none.
	Second *Setting
}

// Source returns the source of the steps in a language.
func (p *Program) Source(l lang.Language) Source {
	if l == lang.Japanese {
		return p.Sources.JA
	}
	return p.Sources.EN
}

// unknownHost stands in the steps in place of a host that is not known.
var unknownHost = lang.Text{JA: "メールの提供元または会社のメール担当者が案内する送信サーバー名", EN: "the name of the outgoing server that your provider or your company gave you"}

// The sentences about signing in, and about a second port.
var (
	signIn     = lang.Text{JA: "ユーザー名とパスワードには、メールサービスから案内されているものを入力します。", EN: "Enter the user name and the password that your mail service gave you."}
	signInNote = lang.Text{JA: "ユーザー名とパスワードを入力します。%s", EN: "Enter your user name and password. %s"}
	secondPort = lang.Text{JA: "選べない場合は、ポート番号を%dにし、暗号化を%sにします。", EN: "If this is not offered, use port %d with %s."}
)

// signIn returns the sentence about signing in.
func (s *Setting) signIn(l lang.Language) string {
	if s.Note == "" {
		return signIn.In(l)
	}
	first, size := utf8.DecodeRuneInString(s.Note)
	return fmt.Sprintf(signInNote.In(l), string(unicode.ToUpper(first))+s.Note[size:])
}

// second returns the sentence about a second port; empty if there is none.
func (s *Setting) second(l lang.Language) string {
	if s.Second == nil {
		return ""
	}
	return fmt.Sprintf(secondPort.In(l), s.Second.Port, s.Second.TLS.Name())
}

// Steps returns the steps to enter a setting, each as the inner HTML of a list item.
func (p *Program) Steps(l lang.Language, s Setting) []template.HTML {
	docs := p.en
	if l == lang.Japanese {
		docs = p.ja
	}
	host := s.Host
	if host == "" {
		host = unknownHost.In(l)
	}
	values := markdown.Values{Text: map[string]string{"host": host, "port": fmt.Sprint(s.Port), "encryption": s.TLS.Name(), "signin": s.signIn(l), "second": s.second(l)}}
	steps := make([]template.HTML, len(docs))
	for i, d := range docs {
		step, err := d.RenderLine(values)
		if err != nil {
			panic(err) // values has every name that Load accepts
		}
		steps[i] = step
	}
	return steps
}

// Find returns the program with a name.
func (g *Guide) Find(name string) (*Program, bool) {
	for i := range g.Programs {
		if g.Programs[i].Name == name {
			return &g.Programs[i], true
		}
	}
	return nil, false
}

// Default returns the settings guide that is part of the program.
func Default() *Guide {
	g, err := Load(strict.File{Name: "guide.yaml", Data: defaultGuide})
	if err != nil {
		panic(err) // a test loads it
	}
	return g
}

// Load reads a settings guide. The error is a strict.Faults of the kinds of that package, of ErrGuide or of markdown.ErrMarkdown.
func Load(f strict.File) (*Guide, error) {
	if len(f.Data) > MaxFile {
		return nil, strict.Faults{{Pos: strict.Pos{File: f.Name}, Kind: ErrGuide, What: fmt.Sprintf("the file has %d bytes", len(f.Data)), Way: fmt.Sprintf("must be at most %d", MaxFile)}}
	}
	g := &Guide{}
	doc, err := strict.Decode(f, Kind, g)
	if err != nil {
		return nil, err
	}
	v := validator{doc: doc, file: f.Name}
	if err := v.Run(func() { v.guide(g) }); err != nil {
		return nil, err
	}
	return g, nil
}

// programName is the form of a program's name.
var programName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// words lists the values that steps may use.
var words = markdown.Vocabulary{Texts: []string{"host", "port", "encryption", "signin", "second"}}

// A validator checks a decoded guide and parses its steps.
type validator struct {
	strict.Collector
	doc  strict.Document
	file string
}

func (v *validator) fault(path, what, way string) {
	v.Add(strict.Fault{Pos: v.doc.At(path), Path: path, What: what, Way: way, Kind: ErrGuide})
}

func (v *validator) guide(g *Guide) {
	if len(g.Programs) == 0 || len(g.Programs) > maxPrograms {
		v.fault("programs", fmt.Sprintf("the guide has %d programs", len(g.Programs)), fmt.Sprintf("must be 1 to %d", maxPrograms))
		return
	}
	seen := map[string]bool{}
	for i := range g.Programs {
		p, path := &g.Programs[i], fmt.Sprintf("programs[%d]", i)
		switch {
		case !programName.MatchString(p.Name):
			v.fault(path+".name", fmt.Sprintf("program name %q", p.Name), "must begin with a small letter, and have at most 64 small letters, digits and hyphens")
		case seen[p.Name]:
			v.fault(path+".name", fmt.Sprintf("program name %q is given twice", p.Name), "give each its own")
		}
		seen[p.Name] = true
		v.title(p.Title.JA, path+".title.ja")
		v.title(p.Title.EN, path+".title.en")
		v.source(p.Sources.JA, path+".sources.ja")
		v.source(p.Sources.EN, path+".sources.en")
		p.ja = v.steps(p.Text.JA, path+".steps.ja", lang.Japanese)
		p.en = v.steps(p.Text.EN, path+".steps.en", lang.English)
	}
}

func (v *validator) title(text, path string) {
	if strings.TrimSpace(text) == "" || utf8.RuneCountInString(text) > maxTitle || strings.ContainsFunc(text, unicode.IsControl) {
		v.fault(path, fmt.Sprintf("%s is %q", path, text), fmt.Sprintf("must be 1 to %d characters on one line", maxTitle))
	}
}

func (v *validator) source(s Source, path string) {
	if u, err := url.Parse(s.Published); s != (Source{}) && (err != nil || u.Scheme != "https" || u.Host == "") {
		v.fault(path+".published", fmt.Sprintf("%s.published is %q", path, s.Published), "must be the https address of a page of the vendor's, or leave the source out")
	}
}

func (v *validator) steps(list []string, path string, l lang.Language) []*markdown.Document {
	if len(list) == 0 || len(list) > maxSteps {
		v.fault(path, fmt.Sprintf("%s has %d steps", path, len(list)), fmt.Sprintf("must be 1 to %d", maxSteps))
		return nil
	}
	docs := make([]*markdown.Document, 0, len(list))
	for i, text := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		d, err := markdown.Parse(markdown.Source{File: v.file, Text: []byte(text), Line: v.doc.At(at).Line, Language: l}, words)
		if err != nil {
			for _, f := range err.(strict.Faults) { // the columns are those of the step
				f.Pos, f.Path = v.doc.At(at), at
				v.Add(f)
			}
			continue
		}
		if !d.IsLine() {
			v.fault(at, "a step is not a single paragraph", "write one step an item, without lists, headings and empty lines")
		}
		docs = append(docs, d)
	}
	return docs
}
