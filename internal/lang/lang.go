// Package lang has the languages of the NOC's page and of the customers' portal, and texts that exist in each of them.
package lang

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"op25b/internal/strict"
)

// MaxText is the limit on the characters of a Text in one language.
const MaxText = 200

// A Language is the BCP 47 tag of a language of the pages.
type Language string

// The languages of the pages.
const (
	Japanese Language = "ja"
	English  Language = "en"
)

// All returns the languages of the pages.
func All() []Language { return []Language{Japanese, English} }

// Find returns the language with a tag, which must be in small letters. It returns false if the pages do not have the language.
func Find(tag string) (Language, bool) {
	if i := slices.Index(All(), Language(tag)); i >= 0 {
		return All()[i], true
	}
	return "", false
}

// Accepts lists the languages.
func (Language) Accepts() string { return strict.OneOf(All()) }

// Parse parses the tag of a language.
func (l *Language) Parse(text string) error { return strict.ParseWord(l, text, All()) }

// A Text is a text in each language of the pages.
type Text struct {
	JA string `yaml:"ja" json:"ja"`
	EN string `yaml:"en" json:"en"`
}

// In returns the text in a language. Any language other than Japanese means English.
func (t Text) In(l Language) string {
	if l == Japanese {
		return t.JA
	}
	return t.EN
}

// IsZero reports whether the text is absent.
func (t Text) IsZero() bool { return t == Text{} }

// Check calls fault for each language in which the text is empty, has more than MaxText characters, or has a control character such as a line
// break. path is the path of the text in its document. The arguments of fault are those of a strict.Fault.
func (t Text) Check(path string, fault func(path, what, way string)) {
	for _, l := range All() {
		at, text := strict.Join(path, string(l)), t.In(l)
		switch {
		case strings.TrimSpace(text) == "":
			fault(at, fmt.Sprintf("%s is empty", at), "write it in both languages")
		case utf8.RuneCountInString(text) > MaxText:
			fault(at, fmt.Sprintf("%s has %d characters", at, utf8.RuneCountInString(text)), fmt.Sprintf("must be at most %d", MaxText))
		case strings.ContainsFunc(text, unicode.IsControl):
			fault(at, fmt.Sprintf("%s has a line break or another control character", at), "write it on one line")
		}
	}
}

var _ strict.Scalar = (*Language)(nil)
