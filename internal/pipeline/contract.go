package pipeline

import (
	"errors"
	"fmt"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"

	"op25b/internal/constraint"
	"op25b/internal/p4entry"
)

// A Contract has the limits of a program: the number of entries that each table holds, and the restrictions of tables and actions. A target may
// enforce both, as the embedded switch does, or no restriction, as bmv2.
//
// A nil Contract allows everything.
type Contract struct {
	sizes        map[Table]int64
	restrictions *constraint.Set
}

// NewContract reads the contract of a program. It returns ErrMismatch if the program is not the one that this package is for, with
// every difference, or if its restrictions cannot be read.
func NewContract(info *configv1.P4Info) (*Contract, error) {
	if err := Check(info); err != nil {
		return nil, err
	}
	restrictions, err := constraint.Load(info)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	c := &Contract{sizes: make(map[Table]int64, len(info.GetTables())), restrictions: restrictions}
	for _, t := range info.GetTables() {
		if known := tableByID(t.GetPreamble().GetId()); known != 0 {
			c.sizes[known] = t.GetSize()
		}
	}
	return c, nil
}

// Size returns how many entries a table holds at least; ok is false for a table that has no such bound.
func (c *Contract) Size(table Table) (size int64, ok bool) {
	if c == nil {
		return 0, false
	}
	size, ok = c.sizes[table]
	return size, ok
}

// Entries is State.Entries, and returns ErrInvalid with every entry that breaks a restriction. Entries that several states share are checked
// once.
func (c *Contract) Entries(s *State) ([]Entry, error) {
	own, err := s.own()
	if err == nil {
		err = c.Allows(own)
	}
	if err != nil || s.Shared == nil {
		return own, err
	}
	shared, err := s.Shared.allowed(c)
	if err != nil {
		return nil, err
	}
	return merge(own, shared), nil
}

// Allows returns ErrInvalid with every entry that breaks a restriction, or nil.
func (c *Contract) Allows(entries []Entry) error {
	if c == nil {
		return nil
	}
	var faults []error
	var form p4entry.Entry
	for i := range entries {
		if entries[i].Key.table.IsGroups() {
			continue
		}
		entries[i].Form(&form)
		if err := c.restrictions.Check(&form); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", entries[i], err))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(faults...))
	}
	return nil
}
