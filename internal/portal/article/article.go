// Package article has the texts of the portal that are the same for every visitor: the questions and answers, the page for businesses, and
// what the ISP publishes and why.
//
// A text is Markdown. Each has a default, which an ISP replaces by a file of the same name. The texts have no port, date or domain of their
// own; they name values, which come from the site file, the policy and the directory.
package article

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"slices"

	"op25b/internal/lang"
	"op25b/internal/portal/folder"
	"op25b/internal/portal/markdown"
	"op25b/internal/strict"
)

// Kind is the document kind of the front matter of a text.
const Kind = "Page"

// The names of the texts.
const (
	Questions   = "questions"   // questions and answers
	Business    = "business"    // exemptions and fixed addresses
	Publication = "publication" // what is published, and why
)

// Names returns the names of all texts.
func Names() []string { return []string{Questions, Business, Publication} }

//go:embed pages/*.md
var defaults embed.FS

// A Set has every text in every language. It is safe for concurrent use.
type Set struct{ byName map[string]*Article }

// An Article is a text in one language.
type Article struct {
	Title markdown.Line
	body  *markdown.Document
}

// Render returns the text as HTML. Its headings begin at level 2. It returns markdown.ErrValue if v lacks a value that the text uses.
func (a *Article) Render(v markdown.Values) (template.HTML, error) { return a.body.Render(v) }

// Headings returns the headings that have an id, for a table of contents. Each id is a stable part of an address.
func (a *Article) Headings() []markdown.Heading { return a.body.Headings() }

// Find returns a text, which is one of Names, in a language.
func (s *Set) Find(name string, l lang.Language) (*Article, bool) {
	a, ok := s.byName[file(name, l)]
	return a, ok
}

// file returns the name of the file of a text.
func file(name string, l lang.Language) string { return name + "." + string(l) + ".md" }

// Load reads the texts of a folder, and the defaults of all others. own may be nil. words lists the values and pages that the texts may use.
//
// The error is a strict.Faults with every fault, or one of package folder.
func Load(own fs.FS, words markdown.Vocabulary) (*Set, error) {
	var names, valid []string
	var faults strict.Faults
	for _, name := range Names() {
		for _, l := range lang.All() {
			valid = append(valid, file(name, l))
		}
	}
	if own != nil {
		var err error
		if names, err = folder.List(own, 2*len(valid)); err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
	}
	for _, name := range names {
		if !slices.Contains(valid, name) {
			faults = append(faults, strict.Fault{Pos: strict.Pos{File: name}, Kind: ErrArticle, What: "the portal has no such text", Way: strict.Nearest(name, valid, "texts")})
		}
	}
	standard, err := fs.Sub(defaults, "pages")
	if err != nil {
		return nil, err
	}
	s := &Set{byName: make(map[string]*Article)}
	for _, name := range Names() {
		for _, l := range lang.All() {
			from := standard
			if slices.Contains(names, file(name, l)) {
				from = own
			}
			a, err := load(from, file(name, l), l, words)
			if more := strict.Faults(nil); errors.As(err, &more) {
				faults = append(faults, more...)
			} else if err != nil {
				return nil, fmt.Errorf("pages: %w", err)
			}
			s.byName[file(name, l)] = a
		}
	}
	if err := faults.OrNil(); err != nil {
		return nil, err
	}
	return s, nil
}

// front is the front matter of a text.
type front struct {
	Title markdown.Line `yaml:"title"`
}

func load(fsys fs.FS, name string, l lang.Language, words markdown.Vocabulary) (*Article, error) {
	f, err := folder.Read(fsys, name, markdown.MaxSource)
	if err != nil {
		return nil, err
	}
	var fr front
	_, src, err := markdown.Front(f, Kind, &fr)
	if err != nil {
		return nil, err
	}
	src.Language = l
	body, err := markdown.Parse(src, words)
	if err != nil {
		return nil, err
	}
	return &Article{Title: fr.Title, body: body}, nil
}
