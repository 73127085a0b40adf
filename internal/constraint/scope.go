package constraint

import (
	"fmt"
	"slices"
	"strings"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
)

type scopeKind int

const (
	ofTable scopeKind = iota
	ofAction
)

func (k scopeKind) String() string {
	if k == ofAction {
		return "action"
	}
	return "table"
}

// A scope is a table or action, with its restrictions and the names that they may use.
type scope struct {
	kind    scopeKind
	name    string
	vars    []variable // keys or parameters
	clauses []clause   // the conditions of the restrictions; all must hold
}

// A variable is a key or a parameter.
type variable struct {
	id   uint32
	name string
	typ  typ
}

func (s *scope) String() string { return fmt.Sprintf("%v %q", s.kind, s.name) }

func tableScope(t *configv1.Table) *scope {
	s := &scope{kind: ofTable, name: t.GetPreamble().GetName()}
	kinds := map[configv1.MatchField_MatchType]typeKind{
		configv1.MatchField_EXACT: exactType, configv1.MatchField_LPM: lpmType, configv1.MatchField_TERNARY: ternaryType,
		configv1.MatchField_RANGE: rangeType, configv1.MatchField_OPTIONAL: optionalType,
	}
	for _, m := range t.GetMatchFields() {
		s.vars = append(s.vars, variable{m.GetId(), m.GetName(), typ{kinds[m.GetMatchType()], int(m.GetBitwidth())}})
	}
	return s
}

func actionScope(a *configv1.Action) *scope {
	s := &scope{kind: ofAction, name: a.GetPreamble().GetName()}
	for _, p := range a.GetParams() {
		s.vars = append(s.vars, variable{p.GetId(), p.GetName(), typ{bitType, int(p.GetBitwidth())}})
	}
	return s
}

// things returns the word for a variable of the scope: "key" or "parameter".
func (s *scope) things() string {
	if s.kind == ofAction {
		return "parameter"
	}
	return "key"
}

// names names the variables of the scope, for messages.
func (s *scope) names() string {
	if len(s.vars) == 0 {
		return fmt.Sprintf("the %v has no %ss", s.kind, s.things())
	}
	var all []string
	for _, v := range s.vars {
		all = append(all, v.name)
	}
	return fmt.Sprintf("the %v has %s", s.kind, strings.Join(all, ", "))
}

// lookup returns the index of the variable with the given name. It returns an error if there is no such variable,
// if its name is ambiguous, or if it cannot be restricted.
func (s *scope) lookup(name string) (int, error) {
	called := func(v variable) bool { return v.name == name }
	i := slices.IndexFunc(s.vars, called)
	if i < 0 {
		return 0, fmt.Errorf("not a %s; %s", s.things(), s.names())
	}
	switch v := s.vars[i]; {
	case slices.IndexFunc(s.vars[i+1:], called) >= 0:
		return 0, fmt.Errorf("more than one %s has this name; %s", s.things(), s.names())
	case v.typ.kind == unknownType:
		return 0, fmt.Errorf("its match type cannot be restricted; exact, lpm, ternary, range and optional can")
	case v.typ.width < 1 || v.typ.width > maxWidth:
		return 0, fmt.Errorf("has %d bits; 1 to %d can be restricted", v.typ.width, maxWidth)
	}
	return i, nil
}

func (s *scope) byID(id uint32) int {
	return slices.IndexFunc(s.vars, func(v variable) bool { return v.id == id })
}
