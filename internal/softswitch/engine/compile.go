package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A compiler turns the JSON into code. Errors unwind to Load by fail, which adds the place in the JSON.
type compiler struct {
	e        *Engine
	j        *jsonProgram
	l        *layout
	places   []string
	scratch  int     // words of wide arithmetic that a worker needs
	act      *action // whose parameters an expression may use
	errs     map[string]uint64
	prims    map[string]builder
	calcs    map[string]*calculation
	lists    map[int]*fieldList
	states   *parserStates   // nil without a parser
	actions  map[int]*action // by id
	keyMax   int             // words of the widest key
	reserved int64           // bytes of the program's state so far
	bufMax   int             // bytes of the longest calculation, without payload
}

type loadError struct{ error }

// fail stops the compilation.
func (c *compiler) fail(kind error, format string, args ...any) {
	where := strings.Join(c.places, ": ")
	if where != "" {
		where += ": "
	}
	panic(loadError{fmt.Errorf("%s%w: %s", where, kind, fmt.Sprintf(format, args...))})
}

// check stops the compilation with an error that is complete already.
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

// at names the object being compiled until the returned function is called.
func (c *compiler) at(format string, args ...any) func() {
	c.places = append(c.places, fmt.Sprintf(format, args...))
	n := len(c.places)
	return func() { c.places = c.places[:n-1] }
}

// decode parses the JSON of a part of an object.
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

// temp reserves scratch words for wide arithmetic.
func (c *compiler) temp(words int) int {
	at := c.scratch
	c.scratch += words
	if 8*c.scratch > maxWorker {
		c.fail(ErrProgram, "the program's intermediate values need more than %d bytes", maxWorker)
	}
	return at
}
