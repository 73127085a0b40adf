package answer

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/width"

	"op25b/internal/policy"
	"op25b/internal/portal/published"
)

// A Use is the way in which a visitor sends mail.
type Use string

// The uses.
const (
	Webmail  Use = "webmail"  // in a browser, or in the app of the provider
	Own      Use = "own"      // with a mail program, from a mailbox of the ISP
	Provider Use = "provider" // with a mail program, from a mailbox of another provider
	Server   Use = "server"   // with a mail server on the line
)

// Uses returns all uses in the order of the form.
func Uses() []Use { return []Use{Webmail, Own, Provider, Server} }

// A Question asks how the lines of a group are affected.
type Question struct {
	// Group is the name of the line group; empty for lines of no group.
	Group string
	Use   Use
	// Provider is the name of a provider in the directory. It is empty for a provider that is not in the directory, and for other uses than
	// Own and Provider.
	Provider string
}

// valid reports whether a publication can have an answer to the question.
func (q Question) valid(p *published.Publication) bool {
	if !slices.Contains(Uses(), q.Use) || !slices.ContainsFunc(p.States, func(s published.State) bool { return s.Group == q.Group }) {
		return false
	}
	of, known := providerOf(p, q.Provider)
	switch q.Use {
	case Own:
		return known && of.own
	case Provider:
		return q.Provider == "" || known && !of.own
	}
	return q.Provider == ""
}

type kindOfProvider struct{ own bool }

func providerOf(p *published.Publication, name string) (kindOfProvider, bool) {
	for i := range p.Directory.Providers {
		if x := &p.Directory.Providers[i]; x.Name == name {
			return kindOfProvider{x.Kind == "own"}, true
		}
	}
	return kindOfProvider{}, false
}

// Questions returns every question that a publication answers, in the order of the policy's line groups and of the directory.
func Questions(p *published.Publication) []Question {
	var all []Question
	for _, group := range append(policy.Names(p.Policy().LineGroups), "") {
		for _, use := range Uses() {
			names := []string{""}
			for i := range p.Directory.Providers {
				names = append(names, p.Directory.Providers[i].Name)
			}
			for _, name := range names {
				if q := (Question{group, use, name}); q.valid(p) {
					all = append(all, q)
				}
			}
		}
	}
	return all
}

// minDigits is the length of a code. With 1,000 questions, two of them share eight digits with a probability of 0.5 %; both codes are then
// longer.
const minDigits = 8

// Codes maps the questions of a publication to short codes and back. The code of a question is the beginning of a digest of it, in decimal
// digits, because the support desk reads it out. It does not depend on other questions, so a code stays valid when the policy or the
// directory changes. It contains nothing of the visitor.
type Codes struct {
	of       map[Question]string
	question []coded // ordered by digits
}

type coded struct {
	digits string // all digits of the digest
	Question
}

// NewCodes returns the codes of questions.
func NewCodes(questions []Question) *Codes {
	c := &Codes{of: make(map[Question]string, len(questions))}
	for _, q := range questions {
		c.question = append(c.question, coded{digits(q), q})
	}
	slices.SortFunc(c.question, func(a, b coded) int { return cmp.Compare(a.digits, b.digits) })
	for i, q := range c.question {
		n := minDigits
		for _, j := range []int{i - 1, i + 1} {
			if j >= 0 && j < len(c.question) {
				n = max(n, common(q.digits, c.question[j].digits)+1)
			}
		}
		c.of[q.Question] = q.digits[:min(n, len(q.digits))]
	}
	return c
}

// digits returns a digest of a question in decimal: 19 digits of each of its four words.
func digits(q Question) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{"op25b answer", q.Group, string(q.Use), q.Provider}, "\x00")))
	var b strings.Builder
	for i := 0; i < len(sum); i += 8 {
		fmt.Fprintf(&b, "%019d", binary.BigEndian.Uint64(sum[i:])%1e19)
	}
	return b.String()
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Of returns the code of a question; empty if the publication does not answer it.
func (c *Codes) Of(q Question) string { return c.of[q] }

// Spoken returns a code in groups of four digits, as a person reads it out.
func Spoken(code string) string {
	var parts []string
	for len(code) > 4 {
		parts, code = append(parts, code[:4]), code[4:]
	}
	return strings.Join(append(parts, code), "-")
}

// maxCode is the limit on the length of a code as a visitor enters it, in bytes.
const maxCode = 128

// Find returns the question with a code. The code may be longer than Of returns, and may have hyphens, blanks and full-width digits. ok is
// false if no question or more than one has the code.
func (c *Codes) Find(code string) (q Question, ok bool) {
	if len(code) > maxCode {
		return Question{}, false
	}
	code = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' || r == '‐' || r == 'ー' {
			return -1
		}
		return r
	}, width.Narrow.String(code))
	if len(code) < minDigits {
		return Question{}, false
	}
	i, _ := slices.BinarySearchFunc(c.question, code, func(x coded, code string) int { return cmp.Compare(x.digits, code) })
	if i == len(c.question) || !strings.HasPrefix(c.question[i].digits, code) || i+1 < len(c.question) && strings.HasPrefix(c.question[i+1].digits, code) {
		return Question{}, false
	}
	return c.question[i].Question, true
}
