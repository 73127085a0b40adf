package telemetry

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// ParsePath reads a path as people write it: /interfaces/interface[name=access-1]/state. Within a key's value a closing
// bracket and a backslash are written with a backslash before them. "/" is the root.
func ParsePath(text string) (*gpb.Path, error) {
	bad := func(why string) (*gpb.Path, error) { return nil, fmt.Errorf("%w %q: %s", ErrPath, text, why) }
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return bad("it must begin with /")
	}
	p := &gpb.Path{}
	for rest != "" {
		end := strings.IndexAny(rest, "/[")
		if end < 0 {
			end = len(rest)
		}
		e := &gpb.PathElem{Name: rest[:end]}
		rest = rest[end:]
		if e.Name == "" {
			return bad("an element has no name")
		}
		for strings.HasPrefix(rest, "[") {
			key, after, ok := strings.Cut(rest[1:], "=")
			if !ok || key == "" || strings.ContainsAny(key, "/[]") {
				return bad("a key must read [NAME=VALUE]")
			}
			val, after, ok := cutValue(after)
			if !ok {
				return bad("a key has no closing bracket")
			}
			if _, twice := e.Key[key]; twice {
				return bad(fmt.Sprintf("key %q is there twice", key))
			}
			if e.Key == nil {
				e.Key = make(map[string]string)
			}
			e.Key[key], rest = val, after
		}
		p.Elem = append(p.Elem, e)
		if rest == "" {
			break
		}
		if rest, ok = strings.CutPrefix(rest, "/"); !ok {
			return bad("after a key there must be another, a / or the end")
		}
		if rest == "" {
			return bad("it must not end with /")
		}
	}
	return p, nil
}

func cutValue(s string) (val, after string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == ']':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// steps builds a path of elements without keys, which in a request selects all entries of its lists.
func steps(names ...string) *gpb.Path {
	p := &gpb.Path{}
	for _, n := range names {
		p.Elem = append(p.Elem, &gpb.PathElem{Name: n})
	}
	return p
}

// local takes the module from a name or an identity: openconfig-acl:ACL_MIXED is ACL_MIXED.
func local(name string) string {
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// pathText writes a path as ParsePath reads it.
func pathText(path []*gpb.PathElem) string {
	if len(path) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, e := range path {
		b.WriteString("/" + e.GetName())
		for _, k := range slices.Sorted(maps.Keys(e.GetKey())) {
			val := strings.NewReplacer(`\`, `\\`, `]`, `\]`).Replace(e.Key[k])
			b.WriteString("[" + k + "=" + val + "]")
		}
	}
	return b.String()
}
