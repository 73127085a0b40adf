package p4source

import (
	"fmt"
	"strconv"
	"strings"

	p4configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
)

// aclAnnotation marks the counter of an OpenConfig ACL, as in
//
//	@openconfig_acl("set=op25b,rule_bits=8")
const aclAnnotation = "@openconfig_acl"

// maxRuleBits limits the cells of one port, which are read in one request.
const maxRuleBits = 16

// An ACLLayout describes the P4 counter that holds the ACL counters, and the cells of ports and rules in it.
type ACLLayout struct {
	CounterID   uint32
	CounterName string // for messages
	Set         string // the set-name of openconfig-acl
	RuleBits    int    // width of the rule id, the low bits of the index; 1 to 16
	Size        int64  // cells
}

// Rules returns the number of cells of one port.
func (l *ACLLayout) Rules() int64 { return 1 << l.RuleBits }

// Ports returns the number of ports whose cells are all in the counter. Ports are numbered from 0.
func (l *ACLLayout) Ports() int64 { return l.Size >> l.RuleBits }

// Index returns the cell of a rule on a port.
func (l *ACLLayout) Index(port, rule uint32) int64 { return int64(port)<<l.RuleBits | int64(rule) }

// Split returns the port and rule of a cell.
func (l *ACLLayout) Split(index int64) (port, rule uint32) {
	return uint32(index >> l.RuleBits), uint32(index & (l.Rules() - 1))
}

// FindACLCounter finds the counter with the annotation @openconfig_acl("set=NAME,rule_bits=N"). The index of the counter is (ingress port
// << N) | rule id. The counter must count packets and bytes.
//
// It returns ErrNoACLCounter if no counter has the annotation. It returns ErrAnnotation, naming counter and annotation, if an annotation
// does not parse, does not fit its counter, or occurs twice.
func FindACLCounter(info *p4configv1.P4Info) (*ACLLayout, error) {
	for _, d := range info.GetDirectCounters() {
		for _, a := range d.GetPreamble().GetAnnotations() {
			if isACL(a) {
				return nil, fmt.Errorf("%w: direct counter %q: %s: only an indexed counter can carry it", ErrAnnotation, d.GetPreamble().GetName(), a)
			}
		}
	}
	var found *ACLLayout
	for _, c := range info.GetCounters() {
		name := c.GetPreamble().GetName()
		for _, a := range c.GetPreamble().GetAnnotations() {
			if !isACL(a) {
				continue
			}
			if found != nil {
				return nil, fmt.Errorf("%w: counter %q: %s: counter %q carries one already", ErrAnnotation, name, a, found.CounterName)
			}
			set, bits, err := parseACL(a)
			if err != nil {
				return nil, fmt.Errorf("%w: counter %q: %s: %w", ErrAnnotation, name, a, err)
			}
			if unit := c.GetSpec().GetUnit(); unit != p4configv1.CounterSpec_BOTH {
				return nil, fmt.Errorf("%w: counter %q: %s: it counts %v; it must count packets and bytes", ErrAnnotation, name, a, unit)
			}
			if c.GetSize() < 1<<bits {
				return nil, fmt.Errorf("%w: counter %q: %s: %d cells; one port needs %d", ErrAnnotation, name, a, c.GetSize(), 1<<bits)
			}
			found = &ACLLayout{CounterID: c.GetPreamble().GetId(), CounterName: name, Set: set, RuleBits: bits, Size: c.GetSize()}
		}
	}
	if found == nil {
		return nil, ErrNoACLCounter
	}
	return found, nil
}

// isACL reports whether an annotation is @openconfig_acl, well formed or not. @openconfig_acl_other is a different annotation.
func isACL(annotation string) bool {
	rest, ok := strings.CutPrefix(annotation, aclAnnotation)
	return ok && (rest == "" || !isWord(rest[0]))
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// parseACL parses the annotation: each of its two settings once, in any order, with spaces anywhere but in a value.
func parseACL(annotation string) (set string, bits int, err error) {
	body := strings.TrimSpace(strings.TrimPrefix(annotation, aclAnnotation))
	inner, open := strings.CutPrefix(body, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	inner = strings.TrimSpace(inner)
	inner, quoted := strings.CutPrefix(inner, `"`)
	inner, unquoted := strings.CutSuffix(inner, `"`)
	if !open || !closed || !quoted || !unquoted {
		return "", 0, fmt.Errorf(`it must read %s("set=NAME,rule_bits=N")`, aclAnnotation)
	}
	seen := make(map[string]bool)
	for setting := range strings.SplitSeq(inner, ",") {
		key, val, ok := strings.Cut(setting, "=")
		key, val = strings.TrimSpace(key), strings.TrimSpace(val)
		if !ok {
			return "", 0, fmt.Errorf("setting %q: it must be KEY=VALUE", strings.TrimSpace(setting))
		}
		if seen[key] {
			return "", 0, fmt.Errorf("setting %q is there twice", key)
		}
		seen[key] = true
		switch key {
		case "set":
			if !isSetName(val) {
				return "", 0, fmt.Errorf("set %q: it must be letters, digits, '_', '-' or '.', at least one", val)
			}
			set = val
		case "rule_bits":
			n, err := strconv.ParseUint(val, 10, 8)
			if err != nil || n < 1 || n > maxRuleBits {
				return "", 0, fmt.Errorf("rule_bits %q: it must be a number from 1 to %d", val, maxRuleBits)
			}
			bits = int(n)
		default:
			return "", 0, fmt.Errorf("setting %q is unknown; known: set, rule_bits", key)
		}
	}
	for _, key := range []string{"set", "rule_bits"} {
		if !seen[key] {
			return "", 0, fmt.Errorf("setting %q is missing", key)
		}
	}
	return set, bits, nil
}

func isSetName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isWord(c) && c != '-' && c != '.' {
			return false
		}
	}
	return s != ""
}
