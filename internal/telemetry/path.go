package telemetry

import (
	"maps"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// steps returns a path of elements without keys. In a request, such a path selects all entries of its lists.
func steps(names ...string) *gpb.Path {
	p := &gpb.Path{}
	for _, n := range names {
		p.Elem = append(p.Elem, &gpb.PathElem{Name: n})
	}
	return p
}

// local removes the module from a name or an identity: openconfig-acl:ACL_MIXED becomes ACL_MIXED.
func local(name string) string {
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// pathText formats a path in the usual notation: /interfaces/interface[name=access-1]. In the value of a key, a closing bracket and a
// backslash are escaped with a backslash.
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
