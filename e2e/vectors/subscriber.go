package vectors

import "net/netip"

// The lines for entries of subscribers, as error messages show them.
const (
	exemptForm = "exempt PREFIX [line=NAME] [until=SECOND]"
	leaseForm  = "lease PREFIX of=NAME [line=NAME] [until=SECOND]"
)

// subscribers reads the lines in exemptForm and leaseForm at the head of a block. It returns the other lines.
func subscribers(lines []span) (all []Subscriber, rest []span, err error) {
	for len(lines) > 0 {
		keyword, words := firstField(lines[0])
		if keyword.s != "exempt" && keyword.s != "lease" {
			break
		}
		e, err := subscriber(keyword, words)
		if err != nil {
			return nil, nil, err
		}
		all, lines = append(all, e), lines[1:]
	}
	return all, lines, nil
}

func subscriber(keyword, rest span) (e Subscriber, err error) {
	what, form, valid := "an exemption", exemptForm, "line=NAME and until=SECOND"
	if keyword.s == "lease" {
		what, form, valid = "a lease", leaseForm, "of=NAME, line=NAME and until=SECOND"
	}
	words := rest.fields()
	if len(words) == 0 {
		return e, fault(keyword.pos(), "%s of nothing; it wants: %s", what, form)
	}
	if e.Prefix, err = netip.ParsePrefix(words[0].s); err != nil || e.Prefix != e.Prefix.Masked() {
		return e, fault(words[0].pos(), "prefix %q; it wants a prefix without host bits such as 192.0.2.0/24", words[0].s)
	}
	for _, w := range words[1:] {
		switch key, value, _ := w.cut("="); {
		case key.s == "of" && keyword.s == "lease":
			e.Lease = value.s
		case key.s == "line":
			e.Line = value.s
		case key.s == "until":
			if e.Until, err = clockSecond(value); err != nil {
				return e, err
			}
		default:
			return e, fault(w.pos(), "%q of %s; valid are %s", w.s, what, valid)
		}
	}
	if keyword.s == "lease" && e.Lease == "" {
		return e, fault(keyword.pos(), "a lease without a name; it wants: %s", leaseForm)
	}
	return e, nil
}
