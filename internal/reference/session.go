package reference

import "net/netip"

// Bind adds a prefix that a line has by its session, which the documents do not contain. Frames from its addresses are not forged (section 5).
func (m *Model) Bind(prefix netip.Prefix, line string) {
	for i := range m.lines {
		if m.lines[i].name == line {
			m.lines[i].prefixes = append(m.lines[i].prefixes[:len(m.lines[i].prefixes):len(m.lines[i].prefixes)], prefix)
		}
	}
}
