package meaning

import (
	"cmp"
	"fmt"
	"slices"

	"op25b/internal/view/prose"
)

// DefaultSingle is the number of exemptions, or of moved lines, up to which Of has a sentence for each of them. If more of them change,
// Of sums them up.
const DefaultSingle = 20

// An item is the change of one exemption or of one line.
type item struct {
	severity Severity
	what     string // the change without the name, such as "exemptions of lines added"
	name     string // the line or the prefix
	text     string // the whole sentence
	before   string // the words before the date, such as "until "
	date     string // the date of the change or of its end in ISO 8601, or "" if no date is reported
	owner    string // the owner of the exemption, or "" if it is not reported
}

// each reports items. Up to w.single items have a sentence each. More items are summed up by severity and kind of change.
func (w *words) each(kind Kind, list []item) {
	if len(list) <= w.single {
		for _, c := range list {
			w.say(kind, c.severity, "%s", c.text)
		}
		return
	}
	type way struct {
		severity Severity
		what     string
	}
	ways := make(map[way][]item)
	var order []way
	for _, c := range list {
		x := way{c.severity, c.what}
		if ways[x] == nil {
			order = append(order, x)
		}
		ways[x] = append(ways[x], c)
	}
	for _, x := range order {
		alike := ways[x]
		text := alike[0].text
		if len(alike) > 1 {
			names := prose.List(texts(alike, func(c item) string { return c.name }), maxNamed)
			text = fmt.Sprintf("%s %s%s: %s", prose.Number(len(alike)), x.what, terms(alike), names)
		}
		w.sum(kind, x.severity, len(alike), x.what, terms(alike), text)
	}
}

// sum adds a sentence about a number of lines or exemptions.
func (w *words) sum(kind Kind, severity Severity, count int, what, terms, text string) {
	w.sentences = append(w.sentences, Sentence{Kind: kind, Severity: severity, Text: text, Count: count, What: what, Terms: terms})
}

// terms describes the dates and the owners of exemptions, beginning with a space or a comma. It returns "" if the changes have neither.
func terms(list []item) string {
	text := ""
	byDate := func(a, b item) int { return cmp.Compare(a.date, b.date) }
	if first, last := slices.MinFunc(list, byDate), slices.MaxFunc(list, byDate); last.date != "" {
		text = " " + first.before + first.date
		if first.date != last.date {
			text += " to " + last.date
		}
	}
	owners := make(map[string]bool)
	for _, c := range list {
		owners[c.owner] = true
	}
	switch {
	case owners[""]:
	case len(owners) == 1:
		text += ", owner " + list[0].owner
	default:
		text += ", " + prose.Count(len(owners), "owner")
	}
	return text
}
