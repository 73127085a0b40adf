// Package check determines how a switch treats a connection: whether the connection is delivered, monitored, limited, rejected or blocked,
// since when, and by which rule.
//
// The package sends the connection's first two segments through the embedded pipeline with the entries of a compiled policy, and reads
// from the trace which entries decided. An answer therefore agrees with any switch that has these entries. The package neither interprets
// the policy's rules nor contacts switches. It derives the phases in force from the policy's dates and the activations.
package check

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"op25b/internal/compile"
	"op25b/internal/policy"
)

// A Resolver finds the addresses of a host. *net.Resolver implements it.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options are the dependencies of a Checker. The zero value is usable.
type Options struct {
	// Now returns the time for questions without At. If Now is nil, time.Now is used.
	Now func() time.Time
	// Resolver finds the addresses of hosts. If Resolver is nil, questions must name servers by address.
	Resolver Resolver
}

// A Source contains the documents and activations that define the desired state of the switches. A Source must not be modified while it is
// in use.
type Source struct {
	// Bundle contains documents that policy.Load or policy.Validate has accepted.
	Bundle *policy.Bundle
	// Numbers maps the names in the documents to their numbers on the switches; see compile.NewCompiler.
	Numbers *compile.Numbers
	// Activations are the operators' activations, in the order in which the store accepted them.
	Activations []policy.Activation
}

// A Checker answers questions about one source. It is safe for concurrent use.
type Checker struct {
	policy      *policy.Policy
	inventory   *policy.Inventory
	activations []policy.Activation
	compiler    func() (*compile.Compiler, error) // compiles the documents on the first call
	lines       func() *policy.LineIndex          // the lines of the inventory
	leases      func() *policy.AddressLeases      // which addresses outside all lines can have a lease
	ends        func() []time.Time                // the times at which exemptions end, in order
	opts        Options

	mu      sync.Mutex // guards the fields below
	loaded  map[place]*loaded
	lastUse map[place]uint64
	used    uint64
	turns   map[string][]policy.Turn // by switch; see turnsOf
}

// New returns a checker for a source. The checker compiles the documents and loads pipelines only when a question needs them.
func New(s Source, o Options) *Checker {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Checker{
		policy: s.Bundle.Policy, inventory: s.Bundle.Inventory, activations: s.Activations, opts: o,
		compiler: sync.OnceValues(func() (*compile.Compiler, error) { return compile.NewCompiler(s.Bundle, s.Numbers) }),
		lines:    sync.OnceValue(func() *policy.LineIndex { return policy.NewLineIndex(s.Bundle.Inventory) }),
		leases:   sync.OnceValue(func() *policy.AddressLeases { return policy.NewAddressLeases(s.Bundle.Policy) }),
		ends:     sync.OnceValue(func() []time.Time { return endsOf(s.Bundle.Policy) }),
		loaded:   map[place]*loaded{}, lastUse: map[place]uint64{}, turns: map[string][]policy.Turn{},
	}
}

func endsOf(p *policy.Policy) []time.Time {
	all := make([]time.Time, len(p.Exemptions))
	for i := range p.Exemptions {
		all[i] = p.Ends(&p.Exemptions[i])
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// Ask answers a question. It returns an error of this package under the condition that the error's comment describes. It returns
// policy.ErrUnknownPhase for an unknown phase, compile.ErrUnknownSwitch for an unknown switch, and an error of package compile if the
// source does not compile.
func (c *Checker) Ask(ctx context.Context, q Question) (*Answer, error) {
	if q.Port == 0 {
		return nil, fmt.Errorf("%w: port 0: TCP ports are 1 to 65535, as in 25, 465 or 587", ErrQuestion)
	}
	s, err := c.subscriber(&q)
	if err != nil {
		return nil, err
	}
	now := c.opts.Now()
	if q.At.IsZero() {
		q.At = now
	}
	q.At = q.At.In(c.policy.UTCOffset.Location())
	h, err := c.history(&q, s, now)
	if err != nil {
		return nil, err
	}
	addrs, err := c.addresses(ctx, q.To)
	if err != nil {
		return nil, err
	}
	a := &Answer{Switch: s.sw.Name, To: q.To, Port: q.Port, At: q.At, Phase: c.phaseOf(h.asked.in.Phase(h.group), h.asked.since), Notes: s.notes}
	if s.line != nil {
		a.Line, a.Group = s.line.Name, c.group(s.line.Group)
		if s.from.IsValid() && len(s.line.Prefixes) > 0 && !slices.ContainsFunc(s.line.Prefixes, func(p netip.Prefix) bool { return p.Contains(s.from) }) {
			a.Notes = append(a.Notes, fmt.Sprintf("%v is not one of the addresses that line %q has in the inventory", s.from, s.line.Name))
		}
	}
	if s.line != nil && c.exemptBySession(s, q.At) {
		a.Notes = append(a.Notes, fmt.Sprintf("the exemption of line %q follows its sessions: the answer is for the line without a session; with one, its mail to port 25 passes", s.line.Name))
	}
	for _, to := range addrs {
		from, ok := s.source(to)
		if !ok {
			a.Notes = append(a.Notes, fmt.Sprintf("%v was skipped: %s has no address of that family", to, s))
			continue
		}
		if s.line != nil && len(s.line.Prefixes) == 0 && !s.from.IsValid() {
			a.Notes = append(a.Notes, fmt.Sprintf("line %q has no address in the inventory: the answer is for the example address %v, because packets need one; no line has it, and no exemption covers it", s.line.Name, from))
		}
		r, err := c.result(&q, s, h, from, to)
		if err != nil {
			return nil, err
		}
		if r.phase != a.Phase.Name {
			note := fmt.Sprintf("the switch cannot assign replies to %s and takes them for an unnamed line's: phase %s decides", s, r.phase)
			if !slices.Contains(a.Notes, note) {
				a.Notes = append(a.Notes, note)
			}
		}
		for _, l := range r.leases {
			if note := leaseNote(s, l); !slices.Contains(a.Notes, note) {
				a.Notes = append(a.Notes, note)
			}
		}
		a.Results = append(a.Results, *r)
		if len(a.Results) == 1 || r.Outcome.rank() > a.Outcome.rank() {
			a.Outcome = r.Outcome
		}
		if len(a.Results) == 1 || r.Outcome.rank() < a.Best.rank() {
			a.Best = r.Outcome
		}
	}
	if len(a.Results) == 0 {
		return nil, fmt.Errorf("%w: %s has none for %s (%s)", ErrFamily, s, q.To, joined(addrs))
	}
	return a, nil
}

// String returns the name of the subscriber for use in a sentence.
func (s *subscriber) String() string {
	switch {
	case s.from.IsValid():
		return s.from.String()
	case s.line != nil:
		return fmt.Sprintf("line %q", s.line.Name)
	}
	return "an unnamed line"
}

func joined(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

// Server parses the name or the address of a server. The result has either an address, or a host name in DNS form. Server returns ErrQuestion
// if the text is neither, or is an address that no server has.
func Server(text string) (addr netip.Addr, host string, err error) {
	to := strings.Trim(strings.TrimSpace(text), "[]")
	if addr, err := netip.ParseAddr(to); err == nil {
		if addr = addr.Unmap(); !ofHost(addr) {
			return netip.Addr{}, "", fmt.Errorf("%w: to %s: no server has this address", ErrQuestion, to)
		}
		return addr, "", nil
	}
	host = strings.TrimSuffix(to, ".")
	if fault := hostFault(host); fault != "" {
		return netip.Addr{}, "", fmt.Errorf("%w: to %q: %s: give a server's name, as in mail.example.jp, or its address", ErrQuestion, to, fault)
	}
	return netip.Addr{}, host, nil
}

// addresses returns the addresses of a server, IPv4 first, without duplicates.
func (c *Checker) addresses(ctx context.Context, to string) ([]netip.Addr, error) {
	addr, host, err := Server(to)
	switch {
	case err != nil:
		return nil, err
	case addr.IsValid():
		return []netip.Addr{addr}, nil
	}
	if c.opts.Resolver == nil {
		return nil, fmt.Errorf("%w: %q: names are not resolved here: give an address", ErrResolve, host)
	}
	found, err := c.opts.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrResolve, host, err)
	}
	var all []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); ofHost(a) {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	if all = slices.Compact(all); len(all) == 0 {
		return nil, fmt.Errorf("%w: %q: it has no address that a server can have", ErrResolve, host)
	}
	return all, nil
}

// hostFault returns the reason why a host name is invalid (RFC 1123 section 2.1), or an empty string if it is valid.
func hostFault(host string) string {
	if host == "" {
		return "it is empty"
	}
	if len(host) > 253 {
		return fmt.Sprintf("it has %d letters, a name has at most 253", len(host))
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Sprintf("%q is not a part of a name", label)
		}
		if i := strings.IndexFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}); i >= 0 {
			return fmt.Sprintf("%q cannot be in a name", string([]rune(label[i:])[:1]))
		}
	}
	return ""
}

func (c *Checker) group(name string) Named {
	for _, g := range c.policy.LineGroups {
		if g.Name == name {
			return Named{g.Name, g.Title}
		}
	}
	return Named{Name: name}
}

// exemptBySession reports whether a line has an exemption that holds only for the addresses of its session.
func (c *Checker) exemptBySession(s *subscriber, at time.Time) bool {
	if _, sessions := s.line.SessionIdentity(s.sw, c.policy.LineGroup(s.line.Group)); !sessions {
		return false
	}
	return slices.ContainsFunc(c.policy.Exemptions, func(e policy.Exemption) bool { return e.Line == s.line.Name && !c.policy.Ended(&e, at) })
}
