package vectors

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrSyntax is returned for an invalid file of vectors. Its message has file:line:column, the value, and the valid values.
var ErrSyntax = errors.New("bad vector")

// A Pos is a position in a file. Lines and columns (in bytes) count from 1.
type Pos struct {
	File      string
	Line, Col int
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// fault returns an ErrSyntax at a position.
func fault(at Pos, format string, args ...any) error {
	return fmt.Errorf("%v: %s (%w)", at, fmt.Sprintf(format, args...), ErrSyntax)
}

// oneOf returns the valid values as text, sorted.
func oneOf[V any](valid map[string]V) string {
	names := make([]string, 0, len(valid))
	for n := range valid {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
