package pipeline

import (
	"errors"
	"fmt"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"

	"op25b/internal/constraint"
	"op25b/internal/p4entry"
)

// A Contract contains the limits of a program: the guaranteed size of each table, and the restrictions of tables and actions. The
// embedded switch enforces both. bmv2 does not enforce restrictions.
//
// A nil Contract allows everything.
type Contract struct {
	sizes        map[Table]int64
	restrictions *constraint.Set
}

// NewContract returns the contract of a program. It returns ErrMismatch, with all differences, if this package does not support the
// program. It also returns ErrMismatch if the program's restrictions cannot be parsed.
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

// Size returns the number of entries that a table is guaranteed to hold. ok is false if the contract has no size for the table.
func (c *Contract) Size(table Table) (size int64, ok bool) {
	if c == nil {
		return 0, false
	}
	size, ok = c.sizes[table]
	return size, ok
}

// Entries returns the same entries as State.Entries. It returns ErrInvalid, with all offending entries, if an entry violates a
// restriction. Entries of a Shared are checked only once.
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

// Allows returns ErrInvalid, with all offending entries, if an entry violates a restriction.
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
