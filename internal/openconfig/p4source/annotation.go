package p4source

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	p4configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
)

// An annotated is an object of a P4Info that has a given annotation.
type annotated struct {
	kind, name string
	text       string // the annotation
	indexed    *p4configv1.Counter
	direct     *p4configv1.DirectCounter
}

// fail returns an error that wraps ErrAnnotation and names the object and its annotation.
func (a *annotated) fail(err error) error {
	return fmt.Errorf("%w: %s %q: %s: %w", ErrAnnotation, a.kind, a.name, a.text, err)
}

// find returns the counter with an annotation, or nil if there is none. It returns ErrAnnotation if two counters have the annotation.
func find(info *p4configv1.P4Info, annotation string) (*annotated, error) {
	var all []*annotated
	add := func(a annotated, p *p4configv1.Preamble) {
		a.name = p.GetName()
		for _, text := range p.GetAnnotations() {
			if isAnnotation(text, annotation) {
				a.text = text
				all = append(all, &a)
			}
		}
	}
	for _, c := range info.GetCounters() {
		add(annotated{kind: "counter", indexed: c}, c.GetPreamble())
	}
	for _, c := range info.GetDirectCounters() {
		add(annotated{kind: "direct counter", direct: c}, c.GetPreamble())
	}
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	default:
		return nil, all[1].fail(fmt.Errorf("%s %q carries one already", all[0].kind, all[0].name))
	}
}

// isAnnotation reports whether a text is the given annotation, well formed or not. @openconfig_acl_other is not @openconfig_acl.
func isAnnotation(text, annotation string) bool {
	rest, ok := strings.CutPrefix(text, annotation)
	return ok && (rest == "" || !isWord(rest[0]))
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// counts returns an error unless the counter counts packets and bytes, and is indexed or direct as required.
func (a *annotated) counts(indexed bool) error {
	spec := a.indexed.GetSpec()
	if !indexed {
		spec = a.direct.GetSpec()
	}
	switch unit := spec.GetUnit(); {
	case indexed && a.indexed == nil:
		return a.fail(errors.New("only an indexed counter can carry it"))
	case !indexed && a.direct == nil:
		return a.fail(errors.New("only a direct counter can carry it"))
	case unit != p4configv1.CounterSpec_BOTH:
		return a.fail(fmt.Errorf("it counts %v; it must count packets and bytes", unit))
	}
	return nil
}

// settings parses the annotation. Each setting must occur once. The order is arbitrary, and spaces are allowed outside of values. form is the
// full form of the annotation, for error messages.
func (a *annotated) settings(form string, names ...string) (map[string]string, error) {
	begin, body, _ := strings.Cut(a.text, "(")
	word, _, _ := strings.Cut(form, "(")
	inner, closed := strings.CutSuffix(strings.TrimSpace(body), ")")
	inner = strings.TrimSpace(inner)
	inner, quoted := strings.CutPrefix(inner, `"`)
	inner, unquoted := strings.CutSuffix(inner, `"`)
	if !closed || !quoted || !unquoted || strings.TrimSpace(begin) != word {
		return nil, a.fail(fmt.Errorf("it must read %s", form))
	}
	set := make(map[string]string)
	for setting := range strings.SplitSeq(inner, ",") {
		key, val, ok := strings.Cut(setting, "=")
		key, val = strings.TrimSpace(key), strings.TrimSpace(val)
		_, twice := set[key]
		switch {
		case !ok:
			return nil, a.fail(fmt.Errorf("setting %q: it must be KEY=VALUE", strings.TrimSpace(setting)))
		case twice:
			return nil, a.fail(fmt.Errorf("setting %q is there twice", key))
		}
		if !slices.Contains(names, key) {
			return nil, a.fail(fmt.Errorf("setting %q is unknown; known: %s", key, strings.Join(names, ", ")))
		}
		set[key] = val
	}
	for _, n := range names {
		if _, ok := set[n]; !ok {
			return nil, a.fail(fmt.Errorf("setting %q is missing", n))
		}
	}
	return set, nil
}

// bits parses a setting whose value is a number of bits.
func (a *annotated) bits(name, val string, least, most uint64) (int, error) {
	n, err := strconv.ParseUint(val, 10, 8)
	if err != nil || n < least || n > most {
		return 0, a.fail(fmt.Errorf("%s %q: it must be a number from %d to %d", name, val, least, most))
	}
	return int(n), nil
}

func isSetName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isWord(c) && c != '-' && c != '.' {
			return false
		}
	}
	return s != ""
}
