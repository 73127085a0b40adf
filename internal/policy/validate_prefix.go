package policy

import (
	"fmt"
	"net/netip"
	"slices"

	"op25b/internal/strict"
)

// The shortest valid prefix lengths for own servers. Port 25 is open to every address of these prefixes, submission to them can be stopped, and
// no ISP has 65,536 mail servers.
const (
	minRelayBitsV4 = 16
	minRelayBitsV6 = 32
)

// remotes checks that at least one class has Relay set, and that no address belongs to two classes.
func (v *validator) remotes() {
	p := v.p
	v.counted("remotes", len(p.Remotes), MaxRemotes, "remote classes")
	v.named(p.src, Names(p.Remotes), pathTo("remotes", "name"), "remote class")
	relays := 0
	for i, r := range p.Remotes {
		if r.Name == AnyRemote {
			v.inPolicy(at("remotes", i, "name"), fmt.Sprintf("remote class %q cannot be used", r.Name), "in a rule it stands for every server: choose another name")
		}
		if r.Ours() {
			relays++
		}
		if r.Relay && r.Own {
			v.inPolicy(at("remotes", i, "relay"), fmt.Sprintf("remote class %q is marked with relay and own", r.Name), "own: true includes what relay: true says: keep own")
		}
		if len(r.Prefixes) == 0 {
			way := "give the prefixes of its servers"
			if r.Ours() {
				way = "without an address of the relay, mail to it would be blocked: " + way
			}
			v.inPolicy(at("remotes", i, "prefixes"), fmt.Sprintf("remote class %q has no prefixes", r.Name), way)
		}
		for j, prefix := range r.Prefixes {
			path := at(at("remotes", i, "prefixes"), j, "")
			everything := fmt.Sprintf("every server would be in class %q", r.Name)
			if r.Ours() {
				everything = "port 25 would be open to every server"
			}
			if !v.prefix(p.src, path, prefix, everything) || prefix.Bits() >= minRelayBits(prefix) {
				continue
			}
			switch {
			case r.Own:
				v.inPolicy(path, fmt.Sprintf("own prefix %v is wider than any ISP's mail servers", prefix),
					fmt.Sprintf("port 25 is open to all of it, and a phase can stop submission to it: name the servers' own prefixes, /%d or longer", minRelayBits(prefix)))
			case r.Relay:
				v.inPolicy(path, fmt.Sprintf("relay prefix %v is wider than any ISP's relays", prefix),
					fmt.Sprintf("port 25 is open to all of it: name the relays' own prefixes, /%d or longer", minRelayBits(prefix)))
			}
		}
		for j, outer := range r.Within {
			if p.Remote(outer) == nil || outer == r.Name {
				others := slices.DeleteFunc(Names(p.Remotes), func(n string) bool { return n == r.Name })
				v.inPolicy(at(at("remotes", i, "within"), j, ""), fmt.Sprintf("class %q cannot be within %q", r.Name, outer), strict.Nearest(outer, others, "other classes"))
			}
		}
	}
	if relays == 0 && len(p.Remotes) > 0 {
		v.inPolicy("remotes", "no remote class is the ISP's own relay", "customers send their mail through it when port 25 is blocked: mark its class with relay: true or own: true")
	}
	v.oneClassEach()
}

func minRelayBits(p netip.Prefix) int {
	if p.Addr().Is4() {
		return minRelayBitsV4
	}
	return minRelayBitsV6
}

// oneClassEach refuses a prefix that is in two classes, and a prefix inside another class's prefix unless Within allows it.
func (v *validator) oneClassEach() {
	p := v.p
	type owner struct {
		class int
		path  string
	}
	index := NewPrefixIndex[owner]()
	for i := range p.Remotes {
		r := &p.Remotes[i]
		prefixes, of := p.reached(r)
		for j, prefix := range prefixes {
			path := at(at("remotes", i, "prefixes"), of[j], "")
			if first, again := index.Add(prefix, owner{i, path}); again {
				way := "keep one"
				if first.class != i {
					way = "an address has one class: keep it in one of the two"
				}
				v.inPolicy(path, fmt.Sprintf("prefix %v of class %q is already in class %q", seenAs(r.Prefixes[of[j]], prefix), r.Name, p.Remotes[first.class].Name),
					"the first is at "+p.src.Place(first.path)+": "+way)
			}
		}
	}
	for i := range p.Remotes {
		r := &p.Remotes[i]
		prefixes, of := p.reached(r)
		for j, prefix := range prefixes {
			outer, around, ok := index.Around(prefix)
			if !ok || around.class == i || slices.Contains(r.Within, p.Remotes[around.class].Name) {
				continue
			}
			name := p.Remotes[around.class].Name
			v.inPolicy(at(at("remotes", i, "prefixes"), of[j], ""), fmt.Sprintf("prefix %v of class %q lies inside %v of class %q", seenAs(r.Prefixes[of[j]], prefix), r.Name, outer, name),
				fmt.Sprintf("the longer prefix wins and takes its addresses out of %q: if that is meant, add within: [%s] to class %q", name, name, r.Name))
		}
	}
}

// seenAs describes a prefix as written in the policy, and as a switch sees it through NAT64 if that differs.
func seenAs(written, seen netip.Prefix) string {
	if written == seen {
		return written.String()
	}
	return fmt.Sprintf("%v, seen through NAT64 as %v,", written, seen)
}

// prefix checks that a prefix can be a table entry of a switch, and reports whether it can.
func (v *validator) prefix(src strict.Document, path string, p netip.Prefix, everything string) bool {
	switch {
	case !p.IsValid():
		v.note(src, path, "the prefix is not valid", "it must be an address prefix such as 192.0.2.0/24 or 2001:db8::/32")
	case p.Bits() == 0:
		v.note(src, path, fmt.Sprintf("prefix %v holds every address", p), everything+": give the prefixes that are meant")
	case p.Addr().Is4In6():
		way := "write the IPv4 prefix"
		if p.Bits() >= 96 {
			way += " " + netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked().String()
		}
		v.note(src, path, fmt.Sprintf("prefix %v is an IPv4 address in IPv6 form, which no packet carries", p), way)
	case p.Addr().IsMulticast():
		v.note(src, path, fmt.Sprintf("prefix %v is multicast", p), "give the addresses of hosts: no packet comes from a group, and TCP is not sent to one")
	case p != p.Masked():
		v.note(src, path, fmt.Sprintf("prefix %v has bits set behind its length", p),
			fmt.Sprintf("write %v for the network, or %v for the address", p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen())))
	default:
		return true
	}
	return false
}

// A PrefixIndex finds the prefixes that contain a given prefix. It needs one map look-up for each prefix length in use.
type PrefixIndex[T any] struct {
	entries map[netip.Prefix]T
	v4, v6  []int // prefix lengths in use, ascending
}

// NewPrefixIndex returns an empty index.
func NewPrefixIndex[T any]() *PrefixIndex[T] {
	return &PrefixIndex[T]{entries: make(map[netip.Prefix]T)}
}

// Add adds a prefix with a value. If the index already has the prefix, Add returns the existing value and true. A prefix of length 0 is
// ignored, because it contains every other prefix; other checks refuse it.
func (x *PrefixIndex[T]) Add(p netip.Prefix, value T) (first T, again bool) {
	if first, again = x.entries[p]; again || p.Bits() <= 0 {
		return first, again
	}
	x.entries[p] = value
	x.length(p)
	return value, false
}

// At returns the value stored for exactly this prefix.
func (x *PrefixIndex[T]) At(p netip.Prefix) (value T, ok bool) {
	value, ok = x.entries[p]
	return value, ok
}

// length records that a prefix length is in use.
func (x *PrefixIndex[T]) length(p netip.Prefix) {
	lengths := &x.v6
	if p.Addr().Is4() {
		lengths = &x.v4
	}
	if i, found := slices.BinarySearch(*lengths, p.Bits()); !found {
		*lengths = slices.Insert(*lengths, i, p.Bits())
	}
}

// Around returns the longest prefix in the index that contains p and is shorter than p.
func (x *PrefixIndex[T]) Around(p netip.Prefix) (outer netip.Prefix, value T, ok bool) {
	lengths := x.v6
	if p.Addr().Is4() {
		lengths = x.v4
	}
	for _, bits := range slices.Backward(lengths) {
		if bits >= p.Bits() {
			continue
		}
		outer = netip.PrefixFrom(p.Addr(), bits).Masked()
		if value, ok = x.entries[outer]; ok {
			return outer, value, true
		}
	}
	return netip.Prefix{}, value, false
}

// linesOutsideRelays refuses a prefix of own servers that contains a subscriber's prefix, because every line could then send mail to that
// subscriber, and a phase could stop submission to it.
func (v *validator) linesOutsideRelays() {
	relays := NewPrefixIndex[*Remote]()
	for i := range v.p.Remotes {
		r := &v.p.Remotes[i]
		if !r.Ours() {
			continue
		}
		prefixes, _ := v.p.reached(r)
		for _, prefix := range prefixes {
			relays.Add(prefix, r)
		}
	}
	for i, sw := range v.inv.Switches {
		for j, line := range sw.Lines {
			for k, prefix := range line.Prefixes {
				class, ok := relays.At(prefix)
				outer := prefix
				if !ok {
					outer, class, ok = relays.Around(prefix)
				}
				if ok {
					kind, of := "relay class", "a relay's addresses"
					if class.Own {
						kind, of = "own class", "the addresses of own servers"
					}
					v.inInventory(at(at(at("switches", i, "lines"), j, "prefixes"), k, ""),
						fmt.Sprintf("prefix %v of line %q lies inside %v of %s %q", prefix, line.Name, outer, kind, class.Name),
						"port 25 is open to "+of+": take the subscribers out of the class")
				}
			}
		}
	}
}

// onePrefixEach refuses two lines' prefixes that are equal or overlap, because an exemption of one line would exempt the other. It also refuses
// a RejectFrom address that lies in a line's prefix.
func (v *validator) onePrefixEach() {
	type owner struct{ line, path string }
	index := NewPrefixIndex[owner]()
	each := func(do func(prefix netip.Prefix, o owner)) {
		for i, sw := range v.inv.Switches {
			for j, line := range sw.Lines {
				for k, prefix := range line.Prefixes {
					do(prefix, owner{line.Name, at(at(at("switches", i, "lines"), j, "prefixes"), k, "")})
				}
			}
		}
	}
	each(func(prefix netip.Prefix, o owner) {
		if first, again := index.Add(prefix, o); again {
			v.inInventory(o.path, fmt.Sprintf("prefix %v of line %q is listed twice", prefix, o.line),
				fmt.Sprintf("line %q has it at %s: an address is one line's", first.line, v.inv.src.Place(first.path)))
		}
	})
	each(func(prefix netip.Prefix, o owner) {
		if outer, around, ok := index.Around(prefix); ok && around.line != o.line {
			v.inInventory(o.path, fmt.Sprintf("prefix %v of line %q lies inside %v of line %q", prefix, o.line, outer, around.line),
				"an exemption of one would reach the other: give each line its own")
		}
	})
	for i, sw := range v.inv.Switches {
		for j, addr := range sw.RejectFrom {
			host := netip.PrefixFrom(addr, addr.BitLen())
			o, ok := index.At(host)
			if !ok {
				_, o, ok = index.Around(host)
			}
			if ok {
				v.inInventory(at(at("switches", i, "rejectFrom"), j, ""), fmt.Sprintf("address %v of switch %q is line %q's", addr, sw.Name, o.line),
					"a rejecting ICMP error must not seem to come from a subscriber: give an address of the switch's own")
			}
		}
	}
}
