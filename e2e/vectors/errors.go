package vectors

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrSyntax is returned for an invalid file of vectors. Its message contains file:line:column, the value, and the valid
// values.
var ErrSyntax = errors.New("bad vector")

// A Pos is a position in a file. Lines and columns count from 1, and columns count bytes.
type Pos struct {
	File      string
	Line, Col int
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// fault returns an error that wraps ErrSyntax, with a position.
func fault(at Pos, format string, args ...any) error {
	return fmt.Errorf("%v: %s (%w)", at, fmt.Sprintf(format, args...), ErrSyntax)
}

// oneOf returns the sorted keys of valid as text.
func oneOf[V any](valid map[string]V) string {
	names := make([]string, 0, len(valid))
	for n := range valid {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
