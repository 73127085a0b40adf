package ledger

import "net/netip"

// Place returns the switch and the name of the line with a name, or with an address by the inventory or its session if the name is empty. The names
// are empty if there is no such line. It returns ErrNotReady before the documents and the sessions have been read.
func (l *Ledger) Place(name string, address netip.Addr) (switchName, line string, err error) {
	r, err := l.current()
	if err != nil {
		return "", "", err
	}
	var at place
	ok := false
	if name != "" {
		at, ok = r.line(name)
	} else if address.IsValid() {
		at, ok = l.at(r, address)
	}
	if !ok {
		return "", "", nil
	}
	return at.sw.Name, at.line.Name, nil
}
