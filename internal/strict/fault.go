package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Pos is a position in a file. Lines and columns count from 1. Both are 0 for a value that was not read from a file.
type Pos struct {
	File      string
	Line, Col int
}

// String returns the position as file:line:column, which editors and terminals can open.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// A Fault is one error in a document. It has a position, a description, and a statement of what would be valid.
type Fault struct {
	Pos
	// Path is the path of the value in its document, such as phases[1].rules[0].action.
	Path string
	// What describes the fault and names the value. Way states what would be valid or what to do.
	What, Way string
	// Kind is a sentinel error of this package or of the caller.
	Kind error
}

// Error returns the fault as one line.
func (f Fault) Error() string {
	at := f.Pos.String()
	if f.Line == 0 && f.Path != "" {
		if at != "" {
			at += ": "
		}
		at += f.Path
	}
	text := f.What
	if f.Way != "" {
		text += "; " + f.Way
	}
	if at == "" {
		return text
	}
	return at + ": " + text
}

// Unwrap returns the fault's kind.
func (f Fault) Unwrap() error { return f.Kind }

// Faults is a list of faults, ordered by file and line. A Faults that is returned as an error is never empty.
type Faults []Fault

// Error returns one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns all faults, so that errors.Is finds their kinds.
func (f Faults) Unwrap() []error {
	errs := make([]error, len(f))
	for i := range f {
		errs[i] = f[i]
	}
	return errs
}

// OrNil sorts the faults by position and returns them as an error, or returns nil if there are none.
func (f Faults) OrNil() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return f
}

var (
	_ error = Fault{}
	_ error = Faults(nil)
)
