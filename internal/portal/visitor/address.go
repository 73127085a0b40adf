package visitor

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// A Header is the header in which the trusted proxies give the visitor's address.
type Header string

// The headers. A proxy must set the configured one itself: a header that it passes on would be the visitor's to forge.
const (
	ForwardedFor Header = "X-Forwarded-For"
	Forwarded    Header = "Forwarded" // RFC 7239
)

// ParseHeader parses the name of a header. Case does not matter.
func ParseHeader(text string) (Header, error) {
	for _, h := range []Header{ForwardedFor, Forwarded} {
		if strings.EqualFold(text, string(h)) {
			return h, nil
		}
	}
	return "", fmt.Errorf("%q: must be %s or %s", text, ForwardedFor, Forwarded)
}

// Proxies finds the address of a visitor.
type Proxies struct {
	// Trusted lists the prefixes of the proxies in front of the portal.
	Trusted []netip.Prefix
	// Header is the header that they set; empty means ForwardedFor. Other headers are ignored.
	Header Header
}

// maxHops is the limit on the number of addresses in the header that are read.
const maxHops = 32

// Address returns the address from which a request comes. It is the address of the connection, unless that is a trusted proxy. In this case, it
// is the rightmost address in the header that is not a trusted proxy. ok is false if the proxies give no valid address there.
//
// The addresses further left were given by the visitor, who may have made them up.
func (p Proxies) Address(r *http.Request) (addr netip.Addr, ok bool) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	addr = clean(at.Addr())
	if !p.trusts(addr) {
		return addr, true
	}
	name := p.Header
	if name == "" {
		name = ForwardedFor
	}
	hops := strings.Split(strings.Join(r.Header.Values(string(name)), ","), ",")
	for n := 0; len(hops) > 0 && n < maxHops; n++ {
		last := strings.TrimSpace(hops[len(hops)-1])
		hops = hops[:len(hops)-1]
		if last == "" && len(hops) == 0 {
			break // no header
		}
		if name == Forwarded {
			last = forNode(last)
		}
		if addr, ok = node(last); !ok || !p.trusts(addr) {
			return addr, ok
		}
	}
	return addr, len(hops) == 0 // every hop is a proxy: the request is from one of them
}

func (p Proxies) trusts(addr netip.Addr) bool {
	for _, prefix := range p.Trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// forNode returns the value of the parameter "for" of an element of the header Forwarded (RFC 7239 section 4), or an empty string.
func forNode(element string) string {
	found := ""
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if found != "" {
			return "" // section 4: each parameter at most once
		}
		found = strings.Trim(value, `"`)
	}
	return found
}

// node parses an address with or without a port (RFC 7239 section 6). It does not accept names such as "unknown" and "_hidden".
func node(text string) (netip.Addr, bool) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return clean(at.Addr()), true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return clean(addr), err == nil
}

// clean returns an address without a zone, and an IPv4-mapped address as IPv4.
func clean(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }
