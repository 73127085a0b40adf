package strict

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A Scalar is a value that is written as one text in a document. A pointer to the value's type must implement it.
type Scalar interface {
	// Parse sets the value from its text. The decoder only checks whether the error is nil, because the message comes from Accepts.
	Parse(text string) error
	// Accepts describes the valid texts as the object of a sentence: "a date such as 2006-10-01".
	Accepts() string
}

// A Number is an unsigned integer that is written in decimal. A leading zero is refused, because YAML reads such numbers as octal.
type Number interface {
	// Range returns the smallest and the largest valid number.
	Range() (lo, hi uint64)
}

// ParseWord sets *into to the word in valid that equals text. It returns strconv.ErrSyntax if there is none.
func ParseWord[T ~string](into *T, text string, valid []T) error {
	i := slices.Index(valid, T(text))
	if i < 0 {
		return strconv.ErrSyntax
	}
	*into = valid[i]
	return nil
}

// OneOf returns a list of words for Accepts: "off, monitor or drop".
func OneOf[T ~string](valid []T) string {
	var b strings.Builder
	for i, word := range valid {
		switch {
		case i > 0 && i == len(valid)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(word))
	}
	return b.String()
}

// InRange describes the range of a number: "a whole number from 1 to 65535".
func InRange(n Number) string {
	lo, hi := n.Range()
	return fmt.Sprintf("a whole number from %d to %d", lo, hi)
}

// A form describes how the values of a type are written: as text, a number, or a boolean.
type form struct {
	accepts string
	numeric bool
	lo, hi  uint64                                      // the range, if numeric
	parse   func(text string, into reflect.Value) error // nil for a number or a truth value
}

// form returns the form of a type, or nil if the type is not a scalar. Forms are computed once per type.
func (d *Decoder) form(t reflect.Type) *form {
	f, ok := d.forms[t]
	if !ok {
		f = formOf(t)
		d.forms[t] = f
	}
	return f
}

func formOf(t reflect.Type) *form {
	switch zero := reflect.New(t).Interface().(type) {
	case Scalar:
		return &form{accepts: zero.Accepts(), parse: func(s string, v reflect.Value) error { return v.Addr().Interface().(Scalar).Parse(s) }}
	case Number:
		lo, hi := zero.Range()
		return &form{accepts: InRange(zero), numeric: true, lo: lo, hi: hi}
	case *netip.Prefix:
		return textForm("an address prefix such as 192.0.2.0/24 or 2001:db8::/32", netip.ParsePrefix)
	case *netip.Addr:
		return textForm("an address such as 192.0.2.1 or 2001:db8::1", netip.ParseAddr)
	}
	switch t.Kind() {
	case reflect.String:
		return textForm("text", func(s string) (string, error) { return s, nil })
	case reflect.Bool:
		return &form{accepts: "true or false"}
	}
	return nil
}

func textForm[T any](accepts string, parse func(string) (T, error)) *form {
	return &form{accepts: accepts, parse: func(s string, v reflect.Value) error {
		got, err := parse(s)
		if err == nil {
			v.Set(reflect.ValueOf(got).Convert(v.Type()))
		}
		return err
	}}
}

// set fills v from a text.
func (f *form) set(text string, v reflect.Value) error {
	if !f.numeric {
		return f.parse(text, v)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err == nil && (n < f.lo || n > f.hi || len(text) > 1 && text[0] == '0') {
		err = strconv.ErrRange
	}
	if err == nil {
		v.SetUint(n)
	}
	return err
}

// scalar decodes a node into v, a type with the form f. written is the node's shape.
func (d *Decoder) scalar(n *yaml.Node, written shape, v reflect.Value, path string, f *form) {
	text := n.Value
	switch {
	case v.Kind() == reflect.Bool && written == boolShape:
		v.SetBool(strings.EqualFold(text, "true"))
		return
	case v.Kind() == reflect.Bool, written == textShape && f.numeric:
		d.wrongType(n, v.Type(), path)
		return
	case written == integerShape && !f.numeric:
		d.fault(ErrDecode, d.pos(n), path, fmt.Sprintf("%s is the number %s", label(path), text), fmt.Sprintf("it must be %s: put it in quotes if it is meant", f.accepts))
		return
	case written != textShape && written != blockShape && written != integerShape:
		d.wrongType(n, v.Type(), path)
		return
	}
	if err := f.set(text, v); err != nil {
		if !f.numeric {
			text = strconv.Quote(text)
		}
		d.fault(ErrDecode, d.pos(n), path, fmt.Sprintf("%s is %s", label(path), text), "it must be "+f.accepts)
	}
}

// accepted describes the valid values of a type.
func (d *Decoder) accepted(t reflect.Type) string {
	if f := d.form(t); f != nil {
		return f.accepts
	}
	if t.Kind() == reflect.Slice {
		if f := d.form(t.Elem()); f != nil {
			return "a list, each item " + f.accepts
		}
		return "a list of mappings with the keys " + strings.Join(d.keys(t.Elem()).inOrder, ", ")
	}
	return "a mapping with the keys " + strings.Join(d.keys(t).inOrder, ", ")
}
