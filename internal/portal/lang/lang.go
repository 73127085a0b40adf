// Package lang has the languages of the customers' portal, and texts that exist in each of them.
package lang

import "op25b/internal/strict"

// A Language is the BCP 47 tag of a language of the portal.
type Language string

// The languages of the portal.
const (
	Japanese Language = "ja"
	English  Language = "en"
)

// All returns the languages of the portal. The first is the default.
func All() []Language { return []Language{Japanese, English} }

// Accepts lists the languages.
func (Language) Accepts() string { return strict.OneOf(All()) }

// Parse parses the tag of a language.
func (l *Language) Parse(text string) error { return strict.ParseWord(l, text, All()) }

// A Text is a text in each language of the portal.
type Text struct {
	JA string `yaml:"ja"`
	EN string `yaml:"en"`
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

var _ strict.Scalar = (*Language)(nil)
