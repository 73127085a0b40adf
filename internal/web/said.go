package web

import "op25b/internal/view"

// A said is a text in the page's language, with a detail in English. Templates render it with "said", which marks the detail for readers of
// the Japanese page.
type said struct {
	base
	view.Said
}

// said returns a text with an English detail.
func (b base) said(text, detail string) said { return said{b, view.Said{Text: text, Detail: detail}} }

// foreign returns a text that is in English in every language.
func (b base) foreign(detail string) said { return b.said("", detail) }
