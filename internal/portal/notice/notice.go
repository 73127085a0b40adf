// Package notice reads the notices that an ISP publishes for its customers. A notice is a Markdown file with YAML front matter. Its name is
// ID.LANGUAGE.md, and the notices with the same ID are the same notice in several languages.
//
// The package is pure but for reading the folder: it has no clock, and knows no policy.
package notice

import (
	"context"
	"fmt"
	"html/template"
	"regexp"
	"slices"

	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/portal/markdown"
	"op25b/internal/strict"
)

// Kind is the document kind of a notice's front matter.
const Kind = "Notice"

// MaxFile is the maximum size of a notice in bytes, with its front matter.
const MaxFile = markdown.MaxSource

// maxGroups is the maximum number of line groups that a notice names.
const maxGroups = 256

// A Notice is a notice in one language.
type Notice struct {
	// ID is the file's name without language and ending. It is part of the notice's address, so it never changes.
	ID       string
	Language lang.Language
	Title    markdown.Line
	// Date is the day on which the notice is published. Revised is the day of its last change; it is zero if there was none.
	Date, Revised policy.Date
	// End is the last day on which the notice is current. From the next day on it is a back number. If it is zero, the notice stays current.
	End policy.Date
	// Groups names the line groups that the notice concerns. If it is empty, the notice concerns every line.
	Groups []string

	body *markdown.Document
}

// Render returns the text of the notice as HTML. Its headings begin at level 2. It returns markdown.ErrValue if v lacks a value that the
// notice uses.
func (n *Notice) Render(v markdown.Values) (template.HTML, error) { return n.body.Render(v) }

// Changed returns the day of the last change.
func (n *Notice) Changed() policy.Date {
	if n.Revised.IsZero() {
		return n.Date
	}
	return n.Revised
}

// front is the front matter of a notice.
type front struct {
	Date     policy.Date   `yaml:"date"`
	Revised  policy.Date   `yaml:"revised,omitempty"`
	End      policy.Date   `yaml:"end,omitempty"`
	Language lang.Language `yaml:"language"`
	Title    markdown.Line `yaml:"title"`
	Groups   []string      `yaml:"groups,omitempty"`
}

var (
	// fileName is the form of a notice's file name: the ID, the language and the ending.
	fileName = regexp.MustCompile(`^([a-z0-9][a-z0-9-]{0,63})\.(ja|en)\.md$`)
	// groupName is the form of a line group's name in a policy.
	groupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$`)
)

// Parse reads a notice. words lists the values and pages that its text may use. The error is a strict.Faults of the kinds of that package, of
// ErrNotice or of markdown.ErrMarkdown.
func Parse(f strict.File, words markdown.Vocabulary) (*Notice, error) {
	name := fileName.FindStringSubmatch(f.Name)
	if name == nil {
		return nil, strict.Faults{{
			Pos: strict.Pos{File: f.Name}, Kind: ErrNotice, What: "this is not the name of a notice",
			Way: "must be ID.ja.md or ID.en.md, with at most 64 small letters, digits and hyphens as its ID, such as 2006-05-18-port25.ja.md",
		}}
	}
	var fr front
	doc, src, err := markdown.Front(f, Kind, &fr)
	if err != nil {
		return nil, err
	}
	v := validator{Collector: strict.NewCollector(context.Background()), doc: doc}
	if err := v.Run(func() { v.front(fr, lang.Language(name[2])) }); err != nil {
		return nil, err
	}
	n := &Notice{ID: name[1], Language: fr.Language, Title: fr.Title, Date: fr.Date, Revised: fr.Revised, End: fr.End, Groups: fr.Groups}
	src.Language = fr.Language
	if n.body, err = markdown.Parse(src, words); err != nil {
		return nil, err
	}
	return n, nil
}

// A validator checks the front matter of a notice.
type validator struct {
	strict.Collector
	doc strict.Document
}

func (v *validator) fault(path, what, way string) {
	v.Add(strict.Fault{Pos: v.doc.At(path), Path: path, What: what, Way: way, Kind: ErrNotice})
}

func (v *validator) front(f front, named lang.Language) {
	if f.Language != named {
		v.fault("language", fmt.Sprintf("language is %s in a file whose name says %s", f.Language, named), "rename the file, or correct the language")
	}
	for _, later := range []struct {
		key string
		day policy.Date
	}{{"revised", f.Revised}, {"end", f.End}} {
		if !later.day.IsZero() && later.day.Before(f.Date) {
			v.fault(later.key, fmt.Sprintf("%s is %v, before the date %v", later.key, later.day, f.Date), "must be that day or a later one")
		}
	}
	if len(f.Groups) > maxGroups {
		v.fault("groups", fmt.Sprintf("the notice has %d groups", len(f.Groups)), fmt.Sprintf("must be at most %d, or leave the key out if the notice concerns every line", maxGroups))
		return
	}
	for i, g := range f.Groups {
		path := fmt.Sprintf("groups[%d]", i)
		switch {
		case !groupName.MatchString(g):
			v.fault(path, fmt.Sprintf("group %q is not a name", g), "must be the name of a line group of the policy, such as adsl")
		case slices.Contains(f.Groups[:i], g):
			v.fault(path, fmt.Sprintf("group %q is given twice", g), "keep one")
		}
	}
}
