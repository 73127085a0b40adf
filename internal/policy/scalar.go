package policy

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"op25b/internal/pipeline"
)

// A form is how one type of scalar is written.
type form struct {
	want    string // what is valid, for messages
	numeric bool   // a whole number, not text
	// read parses text. Of its error only the presence counts: want says what is valid.
	read func(text string) (any, error)
}

// scalarReader returns the form of a type, or nil for a type that is not a scalar.
func scalarReader(t reflect.Type) *form {
	switch t {
	case reflect.TypeFor[string]():
		return &form{want: "text", read: func(s string) (any, error) { return s, nil }}
	case reflect.TypeFor[bool]():
		return &form{want: "true or false", read: nil}
	case reflect.TypeFor[uint64]():
		return number[uint64](1, 1<<63-1)
	case reflect.TypeFor[pipeline.Port]():
		return number[pipeline.Port](MinPort, MaxPort)
	case reflect.TypeFor[pipeline.VID]():
		return number[pipeline.VID](0, MaxVLAN)
	case reflect.TypeFor[pipeline.Session]():
		return number(1, pipeline.MaxSession)
	case reflect.TypeFor[uint32]():
		return number(1, MaxRate)
	case reflect.TypeFor[TCPPort]():
		return number[TCPPort](1, 65535)
	case reflect.TypeFor[netip.Prefix]():
		return &form{want: "an address prefix such as 192.0.2.0/24 or 2001:db8::/32", read: func(s string) (any, error) { return netip.ParsePrefix(s) }}
	case reflect.TypeFor[NAT64]():
		return &form{want: wantNAT64, read: readNAT64}
	case reflect.TypeFor[netip.Addr]():
		return &form{want: "an address such as 192.0.2.1 or 2001:db8::1", read: func(s string) (any, error) { return netip.ParseAddr(s) }}
	case reflect.TypeFor[pipeline.MAC]():
		return &form{want: `a MAC address such as "02:00:00:00:01:01"`, read: readMAC}
	case reflect.TypeFor[Date]():
		return &form{want: "a date such as 2006-10-01", read: func(s string) (any, error) { return ParseDate(s) }}
	case reflect.TypeFor[Offset]():
		return &form{want: "a distance from UTC such as +09:00", read: func(s string) (any, error) { return ParseOffset(s) }}
	case reflect.TypeFor[Action]():
		return &form{want: wantAction, read: readAction}
	case reflect.TypeFor[Knob]():
		return &form{want: wantKnob, read: readKnob}
	case reflect.TypeFor[Access]():
		return &form{want: wantAccess(), read: readAccess}
	case reflect.TypeFor[Addressing]():
		return &form{want: wantAddressing, read: readAddressing}
	case reflect.TypeFor[Foreign]():
		return &form{want: wantForeign, read: readForeign}
	case reflect.TypeFor[SourceCheck]():
		return &form{want: wantSourceCheck, read: readSourceCheck}
	case reflect.TypeFor[Leg]():
		return &form{want: wantLeg, read: readLeg}
	case reflect.TypeFor[pipeline.Role]():
		return &form{want: "access or network", read: readRole}
	}
	return nil
}

// What is valid where a word is one of a few.
const (
	wantAction      = "permit, monitor, limit, reject or drop"
	wantKnob        = "permit, monitor or drop"
	wantSourceCheck = "off, monitor or drop"
	wantAddressing  = "static or dynamic"
	wantForeign     = "remove or keep"
	wantLeg         = "up_dst, down_src, down_dst or up_src"
)

// number is a decimal number from lo to hi. A leading zero is refused: YAML takes 010 for eight.
func number[T ~uint16 | ~uint32 | ~uint64](lo, hi T) *form {
	return &form{
		want: fmt.Sprintf("a whole number from %d to %d", lo, hi), numeric: true,
		read: func(s string) (any, error) {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return nil, err
			}
			if n < uint64(lo) || n > uint64(hi) || (len(s) > 1 && s[0] == '0') {
				return nil, strconv.ErrRange
			}
			return T(n), nil
		},
	}
}

func readMAC(s string) (any, error) {
	hw, err := net.ParseMAC(s)
	if err != nil {
		return nil, err
	}
	if len(hw) != 6 {
		return nil, fmt.Errorf("%d bytes", len(hw))
	}
	return pipeline.MAC(hw), nil
}

func readAction(s string) (any, error) {
	a := Action(s)
	if _, ok := a.Code(); !ok {
		return nil, strconv.ErrSyntax
	}
	return a, nil
}

func readKnob(s string) (any, error) {
	k := Knob(s)
	if s == "" || !k.valid() {
		return nil, strconv.ErrSyntax
	}
	return k, nil
}

func readSourceCheck(s string) (any, error) {
	c := SourceCheck(s)
	if _, _, ok := c.Code(); s == "" || !ok {
		return nil, strconv.ErrSyntax
	}
	return c, nil
}

// wantAccess is what is valid as access.
func wantAccess() string {
	all := Names(accesses())
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

func readAccess(s string) (any, error) {
	a := Access(s)
	if s == "" || !a.valid() {
		return nil, strconv.ErrSyntax
	}
	return a, nil
}

func readAddressing(s string) (any, error) {
	a := Addressing(s)
	if s == "" || !a.valid() {
		return nil, strconv.ErrSyntax
	}
	return a, nil
}

func readForeign(s string) (any, error) {
	f := Foreign(s)
	if s == "" || !f.valid() {
		return nil, strconv.ErrSyntax
	}
	return f, nil
}

func readLeg(s string) (any, error) {
	l := Leg(s)
	if _, ok := l.Code(); !ok {
		return nil, strconv.ErrSyntax
	}
	return l, nil
}

func readRole(s string) (any, error) {
	for _, r := range []pipeline.Role{pipeline.Access, pipeline.Network} {
		if s == roleName(r) {
			return r, nil
		}
	}
	return nil, strconv.ErrSyntax
}

// scalar fills v from a node in the given form. written is the node's shape.
func (d *decoder) scalar(n *yaml.Node, written shape, v reflect.Value, path string, f *form) {
	text := n.Value
	switch {
	case v.Kind() == reflect.Bool && written == boolShape:
		v.SetBool(strings.EqualFold(text, "true"))
		return
	case v.Kind() == reflect.Bool, written == textShape && f.numeric:
		d.wrongType(n, v.Type(), path)
		return
	case written == integerShape && !f.numeric:
		d.fault(ErrDecode, d.pos(n), path, fmt.Sprintf("%s is the number %s", label(path), text), fmt.Sprintf("it wants %s: put it in quotes if it is meant", f.want))
		return
	case written != textShape && written != blockShape && written != integerShape:
		d.wrongType(n, v.Type(), path)
		return
	}
	got, err := f.read(text)
	if err != nil {
		if !f.numeric {
			text = strconv.Quote(text)
		}
		d.fault(ErrDecode, d.pos(n), path, fmt.Sprintf("%s is %s", label(path), text), "it wants "+f.want)
		return
	}
	v.Set(reflect.ValueOf(got).Convert(v.Type()))
}

// wanted is what a key of a type wants, in words.
func wanted(t reflect.Type) string {
	if f := scalarReader(t); f != nil {
		return f.want
	}
	if t.Kind() == reflect.Slice {
		if f := scalarReader(t.Elem()); f != nil {
			return "a list, each item " + f.want
		}
		return "a list of mappings with the keys " + strings.Join(keys(t.Elem()).inOrder, ", ")
	}
	return "a mapping with the keys " + strings.Join(keys(t).inOrder, ", ")
}
