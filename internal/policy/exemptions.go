package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"op25b/internal/strict"
)

// The largest lengths of the texts of an exemption in bytes.
const (
	MaxOwner           = 128
	MaxExemptionReason = 256
	MaxTicket          = 64
)

// An Exemption lets the addresses of one line, or of one prefix, send to port 25 of any server until a date.
type Exemption struct {
	// Line names a line of the inventory. The line's prefixes are exempt on the line's switch. Exactly one of Line and Prefix must be set.
	Line string `yaml:"line,omitempty"`
	// Prefix is exempt on every switch.
	Prefix netip.Prefix `yaml:"prefix,omitempty"`
	// Owner, Reason and Expires are required. The decoder accepts a document without them, so that Validate can explain why each is
	// required.
	Owner  string `yaml:"owner,omitempty"`
	Reason string `yaml:"reason,omitempty"`
	Ticket string `yaml:"ticket,omitempty"`
	// Expires is the last day on which the exemption is in force.
	Expires Date `yaml:"expires,omitempty"`
	// Review is the day from which ReviewsDue reports the exemption. It must not be after Expires.
	Review Date `yaml:"review,omitempty"`
}

// Subject names what an exemption exempts: a line or a prefix.
func (e *Exemption) Subject() string {
	if e.Line != "" {
		return "line " + e.Line
	}
	return "prefix " + e.Prefix.String()
}

// CompareExemptions orders exemptions by what they exempt: lines by name, then prefixes by address and length. Equal means that both exempt the same
// line or prefix.
func CompareExemptions(a, b Exemption) int {
	if (a.Line == "") != (b.Line == "") {
		return -cmp.Compare(a.Line, b.Line) // lines come first
	}
	return cmp.Or(cmp.Compare(a.Line, b.Line), a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
}

// An exemptionsDocument is a document of kind Exemptions.
type exemptionsDocument struct {
	Exemptions []Exemption `yaml:"exemptions"`
}

// EncodeExemptions returns a document of kind Exemptions, with one line of text for each exemption. Load accepts the document if the exemptions are
// valid.
func EncodeExemptions(list []Exemption) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nexemptions:", strict.APIVersion, KindExemptions)
	if len(list) == 0 {
		b.WriteString(" []")
	}
	b.WriteByte('\n')
	for i := range list {
		e := &list[i]
		before := "  - {"
		put := func(key, text string) {
			if text != "" {
				b.WriteString(before + key + ": " + text)
				before = ", "
			}
		}
		put("line", strict.Text(e.Line))
		if e.Prefix.IsValid() {
			put("prefix", strict.Text(e.Prefix.String()))
		}
		put("owner", strict.Text(e.Owner))
		put("reason", strict.Text(e.Reason))
		put("ticket", strict.Text(e.Ticket))
		if !e.Review.IsZero() {
			put("review", e.Review.String())
		}
		if !e.Expires.IsZero() {
			put("expires", e.Expires.String())
		}
		b.WriteString("}\n")
	}
	return []byte(b.String())
}

// exemptions checks that each exemption has one subject, an owner, a reason and an expiry date. Lines may be treated unequally only for a
// recorded reason.
func (v *validator) exemptions() {
	p := v.p
	first := make(map[string]int, len(p.Exemptions))
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		switch {
		case e.Line != "" && e.Prefix.IsValid():
			v.inExemptions(i, "", fmt.Sprintf("the exemption names both line %q and prefix %v", e.Line, e.Prefix), "keep one: a line's prefixes come from the inventory")
			continue
		case e.Line == "" && !e.Prefix.IsValid():
			v.inExemptions(i, "", "the exemption names neither a line nor a prefix", "give line: and the name of a line of the inventory, or prefix:")
			continue
		case e.Line == "":
			v.prefix(p.exemptSrc, at("exemptions", i, "prefix"), e.Prefix, "every line would be exempt")
		}
		if earlier, again := first[e.Subject()]; again {
			v.inExemptions(i, "", "a second "+e.what(), "the first is at "+p.exemptSrc.Place(at("exemptions", earlier, ""))+": move its expiry instead")
		} else {
			first[e.Subject()] = i
		}
		v.exemption(i, e)
	}
}

// exemption checks the texts and dates of one exemption.
func (v *validator) exemption(i int, e *Exemption) {
	if strings.TrimSpace(e.Owner) == "" {
		v.inExemptions(i, "", "the "+e.what()+" has no owner", "name who answers for it: owner: ...")
	}
	if strings.TrimSpace(e.Reason) == "" {
		v.inExemptions(i, "", "the "+e.what()+" has no reason", "equal lines are treated equally unless a reason is on record: reason: ...")
	}
	v.exemptionTexts(i, e)
	if e.Expires.IsZero() {
		v.inExemptions(i, "", "the "+e.what()+" has no expiry", "an exemption that is never looked at again stays open for the next holder of the line: expires: and the last day it holds")
	} else if e.Expires.Before(e.Review) {
		v.inExemptions(i, "review", fmt.Sprintf("the %s is to be reviewed on %v, after it expires on %v", e.what(), e.Review, e.Expires), "give a day on which it still holds")
	}
}

func (v *validator) exemptionTexts(i int, e *Exemption) {
	for _, text := range []struct {
		key, text string
		most      int
	}{{"owner", e.Owner, MaxOwner}, {"reason", e.Reason, MaxExemptionReason}, {"ticket", e.Ticket, MaxTicket}} {
		if len(text.text) > text.most {
			v.inExemptions(i, text.key, fmt.Sprintf("the %s of the %s has %d bytes", text.key, e.what(), len(text.text)), fmt.Sprintf("it must have at most %d", text.most))
		}
	}
}

// what describes an exemption for a message.
func (e *Exemption) what() string {
	if e.Line != "" {
		return fmt.Sprintf("exemption of line %q", e.Line)
	}
	return fmt.Sprintf("exemption of prefix %v", e.Prefix)
}

// inExemptions adds a fault in exemption i. key is the key that the fault is about, or empty for the whole exemption.
func (v *validator) inExemptions(i int, key, what, way string) {
	if v.p.exemptKept {
		way += "; the exemption is stored already: end it first, or give a document of kind " + KindExemptions + " without it"
	}
	v.note(v.p.exemptSrc, at("exemptions", i, key), what, way)
}

// exemptLines checks that the lines that exemptions name exist and can have an exemption.
func (v *validator) exemptLines() {
	if len(v.inv.Switches) == 0 {
		return // another check reports the unknown line
	}
	lines, switches := make(map[string]*Line), make(map[string]*Switch)
	var known []string
	for i := range v.inv.Switches {
		for j := range v.inv.Switches[i].Lines {
			line := &v.inv.Switches[i].Lines[j]
			lines[line.Name], switches[line.Name] = line, &v.inv.Switches[i]
			known = append(known, line.Name)
		}
	}
	for i := range v.p.Exemptions {
		e := &v.p.Exemptions[i]
		if e.Line == "" || e.Prefix.IsValid() {
			continue
		}
		line, ok := lines[e.Line]
		if !ok {
			v.inExemptions(i, "line", fmt.Sprintf("exemption of unknown line %q", e.Line), strict.Nearest(e.Line, known, "lines of the inventory"))
			continue
		}
		v.exemptLine(i, line, switches[e.Line])
	}
}

// exemptLine checks that a line of the switch sw can have exemption i.
func (v *validator) exemptLine(i int, line *Line, sw *Switch) {
	switch line.Exemptible(sw, v.p.LineGroup(line.Group)) {
	case ExemptionDynamic:
		v.inExemptions(i, "line", fmt.Sprintf("exemption of line %q, whose addresses are dynamic", line.Name),
			fmt.Sprintf("an exemption is by address, and would be lost with it: give switch %q identify, so that the exemption follows the line's sessions, "+
				"or give the line an address of its own and say so in the inventory, with addressing: static at the line", sw.Name))
	case ExemptionNoAddress:
		v.inExemptions(i, "line", fmt.Sprintf("exemption of line %q, which has no prefixes", line.Name), "an exemption is by address: give the line its prefixes in the inventory")
	}
}

// sortExemptions orders the exemptions, once no message needs their places in the document.
func (p *Policy) sortExemptions() { slices.SortStableFunc(p.Exemptions, CompareExemptions) }

// Exemption returns the index in Exemptions, which Load has ordered, of the exemption of the same line or prefix as e. If there is none, ok is false,
// and at is where it would be.
func (p *Policy) Exemption(e Exemption) (at int, ok bool) {
	return slices.BinarySearchFunc(p.Exemptions, e, CompareExemptions)
}

// WithExemption returns a copy of the policy in which next takes the place of the exemption of the same line or prefix as of. If next is nil, there
// is none any more.
func (p *Policy) WithExemption(of Exemption, next *Exemption) *Policy {
	q := *p
	q.Exemptions = ReplaceExemption(p.Exemptions, of, next)
	return &q
}

// ReplaceExemption returns a copy of an ordered list in which next takes the place of the exemption of the same line or prefix as of. If next is nil,
// there is none any more.
func ReplaceExemption(list []Exemption, of Exemption, next *Exemption) []Exemption {
	at, there := slices.BinarySearchFunc(list, of, CompareExemptions)
	all := make([]Exemption, 0, len(list)+1)
	all = append(all, list[:at]...)
	if next != nil {
		all = append(all, *next)
	}
	if there {
		at++
	}
	return append(all, list[at:]...)
}

// ValidateExemption performs those checks of Validate that concern one exemption. The error is a strict.Faults of kind ErrInvalid, without positions.
func ValidateExemption(b *Bundle, e Exemption) error {
	p := *b.Policy
	p.Exemptions, p.exemptSrc, p.exemptKept = []Exemption{e}, strict.Document{}, false
	v := validator{p: &p, inv: b.Inventory}
	return bare(v.Run(v.exemptions, v.exemptLines))
}

// bare removes the place in a list from the paths of faults.
func bare(err error) error {
	var faults strict.Faults
	if errors.As(err, &faults) {
		for i := range faults {
			faults[i].Path = strings.TrimPrefix(strings.TrimPrefix(faults[i].Path, "exemptions[0]"), ".")
		}
	}
	return err
}

// PastExemption returns the fault of an exemption whose last day has passed when it is added or renewed.
func PastExemption(e Exemption) error {
	return strict.Faults{{
		Path: "expires", Kind: ErrInvalid, What: fmt.Sprintf("the last day of the %s is %v, which has passed", e.what(), e.Expires), Way: "give a day on which it still holds",
	}}
}

// CheckExemptionTexts checks the lengths of the texts of an exemption that is not in a document. The error is as that of ValidateExemption.
func CheckExemptionTexts(e Exemption) error {
	v := validator{p: &Policy{}}
	return bare(v.Run(func() { v.exemptionTexts(0, &e) }))
}
