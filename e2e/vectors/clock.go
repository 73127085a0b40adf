package vectors

import "strconv"

// maxSecond is the last second of a switch's clock, which then starts again at 0.
const maxSecond = 1<<28 - 1

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
