package main

import (
	"fmt"
	"strconv"
	"strings"

	"op25b/internal/softswitch"
)

// An attachment is the value of one -i flag: a port of the switch and the link attached to that
// port.
type attachment struct {
	port uint32
	kind linkKind
	name string // the name of the Linux interface, or of the port in gNMI
	in   string // the pcap file with the frames that the port receives; may be empty
	out  string // the pcap file for the frames that the port sends; may be empty
}

type linkKind string

const (
	linuxLink     linkKind = "linux"
	dataplaneLink linkKind = "dataplane"
	pcapLink      linkKind = "pcap"
)

const attachmentSyntax = "PORT@INTERFACE, PORT@dataplane:NAME or PORT@pcap:NAME:IN.pcap:OUT.pcap"

// parseAttachments parses all -i flags. It returns an error if a port or a name occurs twice.
func parseAttachments(flags []string) ([]attachment, error) {
	var all []attachment
	ports, names := map[uint32]string{}, map[string]string{}
	for _, f := range flags {
		a, err := parseAttachment(f)
		if err != nil {
			return nil, fmt.Errorf("-i %q: %w; must be %s, such as 1@veth0", f, err, attachmentSyntax)
		}
		if other, ok := ports[a.port]; ok {
			return nil, fmt.Errorf("-i %q: port %d is already used by -i %q", f, a.port, other)
		}
		if other, ok := names[a.name]; ok {
			return nil, fmt.Errorf("-i %q: name %q is already used by -i %q", f, a.name, other)
		}
		ports[a.port], names[a.name] = f, f
		all = append(all, a)
	}
	return all, nil
}

func parseAttachment(flag string) (attachment, error) {
	number, spec, ok := strings.Cut(flag, "@")
	if !ok || spec == "" {
		return attachment{}, fmt.Errorf("no interface")
	}
	port, err := strconv.ParseUint(number, 10, 32)
	if err != nil || port > softswitch.MaxPort {
		return attachment{}, fmt.Errorf("port %q is not a number from 0 to %d", number, softswitch.MaxPort)
	}
	a := attachment{port: uint32(port), kind: linuxLink, name: spec}
	kind, rest, ok := strings.Cut(spec, ":")
	if !ok {
		return a, nil
	}
	switch linkKind(kind) {
	case dataplaneLink:
		a.kind, a.name = dataplaneLink, rest
	case pcapLink:
		parts := strings.Split(rest, ":")
		if len(parts) != 3 {
			return attachment{}, fmt.Errorf("pcap requires a name and two files, which may be empty")
		}
		a.kind, a.name, a.in, a.out = pcapLink, parts[0], parts[1], parts[2]
	default:
		return attachment{}, fmt.Errorf("unknown kind %q", kind)
	}
	if a.name == "" {
		return attachment{}, fmt.Errorf("empty name")
	}
	return a, nil
}
