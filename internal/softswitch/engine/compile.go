package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A compiler turns the JSON into code. On an error, it panics with the error and its position in the JSON, and Load recovers from the panic.
type compiler struct {
	e        *Engine
	j        *jsonProgram
	l        *layout
	places   []string
	scratch  int     // number of scratch words that wide arithmetic needs
	act      *action // the action being compiled, whose parameters an expression may use
	errs     map[string]uint64
	prims    map[string]builder
	calcs    map[string]*calculation
	lists    map[int]*fieldList
	states   *parserStates   // nil if the program has no parser
	actions  map[int]*action // by id
	keyMax   int             // length of the longest key, in words
	reserved int64           // memory of the program's state that has been reserved so far, in bytes
	bufMax   int             // length of the longest calculation input without payload, in bytes
}

type loadError struct{ error }

// fail stops the compilation with a new error of the given kind.
func (c *compiler) fail(kind error, format string, args ...any) {
	where := strings.Join(c.places, ": ")
	if where != "" {
		where += ": "
	}
	panic(loadError{fmt.Errorf("%s%w: %s", where, kind, fmt.Sprintf(format, args...))})
}

// check stops the compilation if err is not nil.
func (c *compiler) check(err error) {
	if err == nil {
		return
	}
	where := strings.Join(c.places, ": ")
	if where != "" {
		where += ": "
	}
	if !errors.Is(err, ErrProgram) && !errors.Is(err, ErrUnsupported) {
		err = fmt.Errorf("%w: %w", ErrProgram, err)
	}
	panic(loadError{fmt.Errorf("%s%w", where, err)})
}

// at adds the name of the object being compiled to error messages until the returned function is called.
func (c *compiler) at(format string, args ...any) func() {
	c.places = append(c.places, fmt.Sprintf(format, args...))
	n := len(c.places)
	return func() { c.places = c.places[:n-1] }
}

// decode decodes a part of the JSON and stores it in to. The error says that the form want was expected.
func (c *compiler) decode(raw json.RawMessage, to any, want string) {
	if err := json.Unmarshal(raw, to); err != nil {
		c.fail(ErrProgram, "want %s, got %.80s", want, raw)
	}
}

// text reads a JSON string.
func (c *compiler) text(raw json.RawMessage) string {
	s, err := str(raw)
	c.check(err)
	return s
}

// temp reserves scratch words for wide arithmetic and returns the index of the first word.
func (c *compiler) temp(words int) int {
	at := c.scratch
	c.scratch += words
	if 8*c.scratch > maxWorker {
		c.fail(ErrProgram, "the program's intermediate values need more than %d bytes", maxWorker)
	}
	return at
}
