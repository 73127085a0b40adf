package vectors

import (
	"net/netip"
	"strconv"
)

// maxSecond is the last second of a switch's clock, which then starts again at 0.
const maxSecond = 1<<28 - 1

// exemptions reads the lines "exempt PREFIX [line=NAME] [until=SECOND]" that precede the first frame. It returns the other lines.
func (v *Vector) exemptions(lines []span) ([]span, error) {
	for len(lines) > 0 {
		keyword, rest := firstField(lines[0])
		if keyword.s != "exempt" {
			break
		}
		e, err := exemption(keyword, rest)
		if err != nil {
			return nil, err
		}
		v.Exempt, lines = append(v.Exempt, e), lines[1:]
	}
	return lines, nil
}

func exemption(keyword, rest span) (e Exemption, err error) {
	words := rest.fields()
	if len(words) == 0 {
		return e, fault(keyword.pos(), "an exemption of nothing; it wants: exempt PREFIX [line=NAME] [until=SECOND]")
	}
	if e.Prefix, err = netip.ParsePrefix(words[0].s); err != nil || e.Prefix != e.Prefix.Masked() {
		return e, fault(words[0].pos(), "prefix %q; it wants a prefix without host bits such as 192.0.2.0/24", words[0].s)
	}
	for _, w := range words[1:] {
		switch key, value, _ := w.cut("="); key.s {
		case "line":
			e.Line = value.s
		case "until":
			if e.Until, err = clockSecond(value); err != nil {
				return e, err
			}
		default:
			return e, fault(w.pos(), "%q of an exemption; valid are line=NAME and until=SECOND", w.s)
		}
	}
	return e, nil
}

// at reads a line "at SECOND", which sets the clock of the steps below it. If there is none, the second remains. Either all steps of a vector
// have a second or none has.
func (v *Vector) at(lines []span, second uint32) ([]span, uint32, error) {
	keyword, rest := firstField(lines[0])
	if keyword.s != "at" {
		return lines, second, nil
	}
	if len(v.Steps) > 0 && !v.Timed {
		return nil, 0, fault(keyword.pos(), "the clock is set for this frame and not for the first; set it before all frames: at SECOND")
	}
	at, err := clockSecond(rest)
	if err != nil {
		return nil, 0, err
	}
	if len(lines) == 1 {
		return nil, 0, fault(keyword.pos(), "no frame follows this second; it wants: in PORT FRAME")
	}
	v.Timed = true
	return lines[1:], at, nil
}

func clockSecond(t span) (uint32, error) {
	n, err := strconv.ParseUint(t.s, 10, 32)
	if err != nil || n > maxSecond {
		return 0, fault(t.pos(), "clock second %q; it wants a number from 0 to %d", t.s, maxSecond)
	}
	return uint32(n), nil
}
