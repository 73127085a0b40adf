// Package constraint checks table entries and actions against the restrictions of a P4 program. A restriction is an
// @entry_restriction("...") on a table or an @action_restriction("...") on an action, in the language of p4-constraints. A P4Info
// contains the restrictions as annotations.
//
// Load parses and type-checks the restrictions and returns a Set, which checks entries. A Set does not check whether values are in
// P4Runtime's canonical form. It considers neither the entries that a switch already has nor the entries that a program declares itself.
//
// The language is defined by p4-constraints (docs/language-specification.md in its repository). Where the specification leaves a choice,
// this package does the following:
//
//   - A number that is compared with a bit<W> is taken modulo 2^W, as in p4-constraints. For example, -1 is all ones, and 256 is 0 for 8
//     bits.
//   - If a table or action has several restrictions, all must hold. p4-constraints reads the first one and ignores the others.
//   - Load returns an error for an unclosed comment, an @entry_restriction on an action, an @action_restriction on a table, and
//     ::priority in an action's restriction. p4-constraints reports these errors later or never.
//   - Keys and parameters with more than 128 bits cannot be restricted.
package constraint

import (
	"errors"
	"fmt"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/p4entry"
)

// A Set holds the restrictions of a program. It does not change after Load and is safe for concurrent use.
type Set struct {
	tables  map[uint32]*scope
	actions map[uint32]*scope
}

// Load reads the restrictions of all tables and actions of a P4Info. If any restriction is invalid, Load returns ErrRestriction with the
// first fault of each invalid restriction. A fault names the table or action, the line and column in the annotation's string, the token,
// and what would be valid. Lines and columns are counted from 1, columns in characters. Adjacent string literals are the lines of one
// string.
func Load(info *configv1.P4Info) (*Set, error) {
	s := &Set{tables: map[uint32]*scope{}, actions: map[uint32]*scope{}}
	var faults []error
	for _, t := range info.GetTables() {
		sc := tableScope(t)
		s.tables[t.GetPreamble().GetId()] = sc
		faults = append(faults, sc.load(t.GetPreamble())...)
	}
	for _, a := range info.GetActions() {
		sc := actionScope(a)
		s.actions[a.GetPreamble().GetId()] = sc
		faults = append(faults, sc.load(a.GetPreamble())...)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return s, nil
}

// load reads the restrictions of one table or action.
func (s *scope) load(p *configv1.Preamble) []error {
	texts, err := restrictions(s.kind, p)
	if err != nil {
		return []error{s.bad(err)}
	}
	var faults []error
	for _, text := range texts {
		clauses, err := compile(text, s)
		if err != nil {
			faults = append(faults, s.bad(err))
			continue
		}
		s.clauses = append(s.clauses, clauses...)
	}
	return faults
}

func (s *scope) bad(err error) error { return fmt.Errorf("%v: %w: %w", s, ErrRestriction, err) }

// CheckEntry checks an entry against the restriction of its table, unless it is the default entry. It also checks the entry's action or
// action set against the restrictions of those actions. Omitted ternary, lpm, range and optional fields match everything. Member and
// group ids are not resolved; use CheckAction for the members.
//
// CheckEntry returns ErrViolated if a restriction does not hold. The message contains the part of the restriction that fails and the
// values in it. CheckEntry returns ErrEntry if the entry does not match the P4Info and so cannot be checked.
func (s *Set) CheckEntry(e *p4v1.TableEntry) error {
	t, err := s.table(e.GetTableId())
	if err != nil {
		return err
	}
	if len(t.clauses) > 0 && !e.GetIsDefaultAction() {
		env, given := t.tableEnv(e.GetPriority()), make([]bool, len(t.vars))
		for _, m := range e.GetMatch() {
			if err := env.match(given, matchOf(m)); err != nil {
				return t.odd(err)
			}
		}
		if err := env.judge(given); err != nil {
			return err
		}
	}
	for _, a := range actionsOf(e.GetAction()) {
		if err := s.CheckAction(a); err != nil {
			return fmt.Errorf("%v: %w", t, err)
		}
	}
	return nil
}

// Check does the same as CheckEntry for an entry that is not a protobuf message.
func (s *Set) Check(e *p4entry.Entry) error {
	t, err := s.table(e.Table)
	if err != nil {
		return err
	}
	if len(t.clauses) > 0 && !e.Default {
		env, given := t.tableEnv(e.Priority), make([]bool, len(t.vars))
		for _, m := range e.Match {
			if err := env.match(given, m); err != nil {
				return t.odd(err)
			}
		}
		if err := env.judge(given); err != nil {
			return err
		}
	}
	if e.Action == 0 {
		return nil
	}
	a, err := s.action(e.Action)
	if err == nil && len(a.clauses) > 0 {
		env, given := a.actionEnv(), make([]bool, len(a.vars))
		for i := 0; i < len(e.Params) && err == nil; i++ {
			err = env.param(given, e.Params[i].ID, e.Params[i].Value)
		}
		err = env.judge(given, err)
	}
	if err != nil {
		return fmt.Errorf("%v: %w", t, err)
	}
	return nil
}

func (s *Set) table(id uint32) (*scope, error) {
	if t, ok := s.tables[id]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("table id %#x: %w: not a table of it", id, ErrEntry)
}

func (s *Set) action(id uint32) (*scope, error) {
	if a, ok := s.actions[id]; ok {
		return a, nil
	}
	return nil, fmt.Errorf("action id %#x: %w: not an action of it", id, ErrEntry)
}

// odd wraps err in ErrEntry, for an entry that does not match the P4Info.
func (s *scope) odd(err error) error { return fmt.Errorf("%v: %w: %w", s, ErrEntry, err) }

// judge checks the restriction. The caller must have read every match.
func (e *tableEnv) judge(given []bool) error {
	if err := e.end(given); err != nil {
		return e.scope.odd(err)
	}
	return e.scope.check(&e.env)
}

// judge checks the restriction. The caller must have read every parameter. failed is the error from reading the parameters, or nil.
func (e *actionEnv) judge(given []bool, failed error) error {
	if failed == nil {
		failed = e.end(given)
	}
	if failed != nil {
		return e.scope.odd(failed)
	}
	return e.scope.check(&e.env)
}

func actionsOf(a *p4v1.TableAction) []*p4v1.Action {
	switch v := a.GetType().(type) {
	case *p4v1.TableAction_Action:
		return []*p4v1.Action{v.Action}
	case *p4v1.TableAction_ActionProfileActionSet:
		var out []*p4v1.Action
		for _, m := range v.ActionProfileActionSet.GetActionProfileActions() {
			out = append(out, m.GetAction())
		}
		return out
	}
	return nil
}

// CheckAction checks an action and its parameters against the action's restriction. It is meant for members of action profiles. It
// returns the same errors as CheckEntry.
func (s *Set) CheckAction(a *p4v1.Action) error {
	sc, err := s.action(a.GetActionId())
	if err != nil || len(sc.clauses) == 0 {
		return err
	}
	env, given := sc.actionEnv(), make([]bool, len(sc.vars))
	for i := 0; i < len(a.GetParams()) && err == nil; i++ {
		err = env.param(given, a.GetParams()[i].GetParamId(), a.GetParams()[i].GetValue())
	}
	return env.judge(given, err)
}
