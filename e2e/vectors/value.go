package vectors

import (
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// names maps words that a file defines to their values, which are MAC addresses, IP addresses or numbers.
type names map[string]span

// resolve returns the value of a word, or the word itself if it is not a name.
func (n names) resolve(t span) string {
	if v, ok := n[t.s]; ok {
		return v.s
	}
	return t.s
}

// A reader parses the words of one layer. After a fault, it returns zero values and keeps only the first
// fault.
type reader struct {
	names names
	kind  string
	at    Pos
	args  []span          // the words without =, in order
	keys  map[string]span // the values of words with =, by key
	known []string        // the keys and flags that the builder accepts
	err   error
}

func newReader(n names, t span) *reader {
	words := t.fields()
	r := &reader{names: n, at: t.pos(), keys: map[string]span{}}
	if len(words) == 0 {
		r.err = fault(t.pos(), "there is nothing between two |; a layer is one of %s", layerKinds)
		return r
	}
	r.kind = words[0].s
	for _, w := range words[1:] {
		key, value, found := w.cut("=")
		if !found {
			r.args = append(r.args, w)
			continue
		}
		if _, again := r.keys[key.s]; again {
			r.fail(key.pos(), "%s of layer %s is there twice; keep one", key.s, r.kind)
		}
		r.keys[key.s] = value
	}
	return r
}

func (r *reader) fail(at Pos, format string, args ...any) {
	if r.err == nil {
		r.err = fault(at, format, args...)
	}
}

// number parses a decimal or hexadecimal number from 0 to limit.
func (r *reader) number(t span, what string, limit uint64) uint64 {
	v, err := strconv.ParseUint(r.names.resolve(t), 0, 64)
	if err != nil || v > limit {
		r.fail(t.pos(), "%s %q of layer %s: it wants a number from 0 to %d", what, t.s, r.kind, limit)
		return 0
	}
	return v
}

// key returns the number of the word name=NUMBER. If the word is missing, key returns otherwise.
func (r *reader) key(name string, limit, otherwise uint64) uint64 {
	r.known = append(r.known, name+"=")
	t, ok := r.keys[name]
	if !ok {
		return otherwise
	}
	delete(r.keys, name)
	return r.number(t, name, limit)
}

// text returns the value of the word name=VALUE, or false if the word is missing.
func (r *reader) text(name string) (span, bool) {
	r.known = append(r.known, name+"=")
	t, ok := r.keys[name]
	delete(r.keys, name)
	return t, ok
}

// flag reports whether the word name is present.
func (r *reader) flag(name string) bool {
	r.known = append(r.known, name)
	i := slices.IndexFunc(r.args, func(t span) bool { return t.s == name })
	if i < 0 {
		return false
	}
	r.args = slices.Delete(slices.Clone(r.args), i, i+1)
	return true
}

// arg returns the next word without =.
func (r *reader) arg(what string) (span, bool) {
	if len(r.args) == 0 {
		r.fail(r.at, "layer %s has no %s", r.kind, what)
		return span{}, false
	}
	t := r.args[0]
	r.args = r.args[1:]
	return t, true
}

// pair returns the two parts of the next word without =. sep separates the parts.
func (r *reader) pair(what, sep string) (a, b span, ok bool) {
	t, ok := r.arg(what)
	if !ok {
		return a, b, false
	}
	a, b, found := t.cut(sep)
	if !found {
		r.fail(t.pos(), "%q of layer %s: it wants %s", t.s, r.kind, what)
	}
	return a, b, found
}

// done returns the first fault. A word that the builder has not read is a fault.
func (r *reader) done() error {
	valid := slices.Clone(r.known)
	slices.Sort(valid)
	for _, t := range r.args {
		r.fail(t.pos(), "layer %s has no %q; it knows %s", r.kind, t.s, strings.Join(valid, ", "))
	}
	for key, t := range r.keys {
		r.fail(t.pos(), "layer %s has no %q; it knows %s", r.kind, key+"=", strings.Join(valid, ", "))
	}
	return r.err
}

func (r *reader) mac(t span) []byte {
	mac, err := net.ParseMAC(r.names.resolve(t))
	if err != nil || len(mac) != 6 {
		r.fail(t.pos(), "station %q of layer %s: it wants a MAC address such as 02:00:00:00:01:01, or a name of one", t.s, r.kind)
		return make([]byte, 6)
	}
	return mac
}

func (r *reader) addr(t span, v4 bool) []byte {
	a, err := netip.ParseAddr(r.names.resolve(t))
	if err != nil || a.Is4() != v4 {
		family, such := "IPv6", "2001:db8::1"
		if v4 {
			family, such = "IPv4", "192.0.2.1"
		}
		r.fail(t.pos(), "address %q of layer %s: it wants an %s address such as %s, or a name of one", t.s, r.kind, family, such)
		if v4 {
			return make([]byte, 4)
		}
		return make([]byte, 16)
	}
	return a.AsSlice()
}

func (r *reader) hex(t span) []byte {
	b, err := hex.DecodeString(strings.TrimPrefix(t.s, "0x"))
	if err != nil {
		r.fail(t.pos(), "bytes %q of layer %s: they want an even number of hexadecimal digits, such as 0x00ff", t.s, r.kind)
	}
	return b
}
