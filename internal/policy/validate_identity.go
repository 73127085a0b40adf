package policy

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// identities checks the values by which an access server names the lines of a switch. Each value must name one line.
func (v *validator) identities(sw *Switch, path string) {
	first := make(map[string]int)
	for i, line := range sw.Lines {
		linePath := at(path+".lines", i, "identity")
		if line.Identity != "" {
			v.identity(sw, line, linePath)
		}
		if sw.Identify == "" {
			continue
		}
		if other, again := first[line.identity()]; again {
			v.inInventory(linePath, fmt.Sprintf("identity %q of line %q is line %q's", line.identity(), line.Name, sw.Lines[other].Name),
				fmt.Sprintf("an access server tells lines apart by %s: give each line of a switch its own, or none for the line's name", sw.Identify))
			continue
		}
		first[line.identity()] = i
	}
}

// identity checks the form of a line's own identity.
func (v *validator) identity(sw *Switch, line Line, path string) {
	switch {
	case sw.Identify == "":
		v.inInventory(path, fmt.Sprintf("line %q has an identity, and switch %q has no identify", line.Name, sw.Name), "say which RADIUS attribute has it: give the switch identify, "+sw.Identify.Accepts())
	case len(line.Identity) > MaxIdentity:
		v.inInventory(path, fmt.Sprintf("the identity of line %q has %d bytes", line.Name, len(line.Identity)), fmt.Sprintf("the value of a RADIUS attribute has at most %d", MaxIdentity))
	case !Printable(line.Identity):
		v.inInventory(path, fmt.Sprintf("the identity of line %q has characters that cannot be printed", line.Name), "write such a value as 0x and lower-case hexadecimal digits")
	}
}

// Printable reports whether a text is UTF-8 without control characters. Other values of RADIUS attributes are written in hexadecimal.
func Printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
