package openconfig

import gpb "github.com/openconfig/gnmi/proto/gnmi"

// newSchema returns the root of the served model.
func newSchema() *schema {
	root := container("", "", interfacesModel(), aclModel(), systemModel())
	root.finish()
	return root
}

// finish creates the path elements of s and of all nodes below it.
func (s *schema) finish() {
	if !s.list() {
		s.elem = &gpb.PathElem{Name: s.name}
		s.wire = appendElem(nil, s.elem)
	}
	for _, c := range s.children {
		c.finish()
	}
}

func systemModel() *schema {
	const m = modSystem
	return grouped(container(m, "system",
		container(m, "state",
			applied(m, "hostname", typeString),
			leaf(m, "current-datetime", typeClock),
			leaf(m, "boot-time", typeUint64),
			leaf(m, "software-version", typeString))))
}

func interfacesModel() *schema {
	const m = modInterfaces
	return container(m, "interfaces",
		grouped(list(m, "interface", keys(m, "name", typeString),
			container(m, "state",
				applied(m, "name", typeString),
				leaf(m, "ifindex", typeUint32),
				leaf(m, "admin-status", typeString),
				leaf(m, "oper-status", typeString),
				leaf(m, "last-change", typeUint64),
				applied(modP4RT, "id", typeUint32),
				container(m, "counters",
					leaf(m, "in-octets", typeCounter64), leaf(m, "in-pkts", typeCounter64),
					leaf(m, "in-discards", typeCounter64), leaf(m, "in-errors", typeCounter64),
					leaf(m, "out-octets", typeCounter64), leaf(m, "out-pkts", typeCounter64),
					leaf(m, "out-discards", typeCounter64), leaf(m, "out-errors", typeCounter64),
					leaf(m, "last-clear", typeUint64),
					leaf(m, "interface-transitions", typeUint64)))))) // it changes only with oper-status, so changes are reported
}

func aclModel() *schema {
	const m = modACL
	counted := func() *schema { // the entry of a set on one interface
		return container(m, "state",
			leaf(m, "sequence-id", typeUint32),
			leaf(m, "matched-packets", typeCounter64),
			leaf(m, "matched-octets", typeCounter64))
	}
	return container(m, "acl",
		grouped(container(m, "state", leaf(m, "counter-capability", typeIdentity))),
		container(m, "acl-sets",
			grouped(list(m, "acl-set", append(keys(m, "name", typeString), keys(m, "type", typeIdentity)...),
				container(m, "state", applied(m, "name", typeString), applied(m, "type", typeIdentity)),
				of(PartACL, grouped(container(m, "acl-entries",
					list(m, "acl-entry", keys(m, "sequence-id", typeUint32),
						container(m, "config", config(m, "sequence-id", typeUint32), config(m, "description", typeString)),
						container(m, "state",
							applied(m, "sequence-id", typeUint32),
							applied(m, "description", typeString),
							leaf(m, "matched-packets", typeCounter64),
							leaf(m, "matched-octets", typeCounter64)),
						container(m, "actions",
							container(m, "config", config(m, "forwarding-action", typeIdentity)),
							container(m, "state", applied(m, "forwarding-action", typeIdentity))))))),
				of(PartLines, linesModel()),
				of(PartLegs, legsModel())))),
		of(PartACL, container(m, "interfaces",
			grouped(list(m, "interface", keys(m, "id", typeString),
				container(m, "state", applied(m, "id", typeString)),
				container(m, "ingress-acl-sets",
					list(m, "ingress-acl-set", append(keys(m, "set-name", typeString), keys(m, "type", typeIdentity)...),
						container(m, "state", applied(m, "set-name", typeString), applied(m, "type", typeIdentity)),
						container(m, "acl-entries",
							list(m, "acl-entry", keys(m, "sequence-id", typeUint32), counted())))))))))
}

func linesModel() *schema {
	const m = modFilter
	return grouped(container(m, "lines",
		list(m, "line", keys(m, "id", typeUint32),
			container(m, "state",
				leaf(m, "id", typeUint32),
				leaf(m, "passed-packets", typeCounter64), leaf(m, "passed-octets", typeCounter64),
				leaf(m, "monitored-packets", typeCounter64), leaf(m, "monitored-octets", typeCounter64),
				leaf(m, "stopped-packets", typeCounter64), leaf(m, "stopped-octets", typeCounter64),
				leaf(m, "unsolicited-packets", typeCounter64), leaf(m, "unsolicited-octets", typeCounter64)))))
}

func legsModel() *schema {
	const m = modFilter
	three := append(append(keys(m, "epoch", typeUint32), keys(m, "leg", typeString)...), keys(m, "sequence-id", typeUint32)...)
	return grouped(container(m, "leg-entries",
		list(m, "leg-entry", three,
			container(m, "state",
				leaf(m, "epoch", typeUint32),
				leaf(m, "leg", typeString),
				leaf(m, "sequence-id", typeUint32),
				leaf(m, "matched-packets", typeCounter64),
				leaf(m, "matched-octets", typeCounter64)))))
}

func container(module, name string, children ...*schema) *schema {
	return &schema{name: name, module: module, children: children}
}

func list(module, name string, keys []*schema, children ...*schema) *schema {
	s := &schema{name: name, module: module, children: append(keys, children...)}
	for _, k := range keys {
		s.keys = append(s.keys, k.name)
	}
	return s
}

// keys returns the key leaf of a list. For a list with several keys, the results are appended.
func keys(module, name string, typ leafType) []*schema {
	return []*schema{{name: name, module: module, typ: typ, key: true}}
}

func leaf(module, name string, typ leafType) *schema {
	return &schema{name: name, module: module, typ: typ}
}

func applied(module, name string, typ leafType) *schema {
	return &schema{name: name, module: module, typ: typ, applied: true}
}

func config(module, name string, typ leafType) *schema {
	return &schema{name: name, module: module, typ: typ, config: true}
}

// of marks s as belonging to a part of the State, and returns s.
func of(part Parts, s *schema) *schema {
	s.part = part
	return s
}

// grouped makes the path of s the prefix of the notifications with its leaves, and returns s.
func grouped(s *schema) *schema {
	s.group = true
	return s
}
