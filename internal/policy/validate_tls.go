package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"op25b/internal/strict"
)

// tls checks the TLS options of a switch.
func (v *validator) tls(sw *Switch, path string) {
	t := sw.TLS
	if !t.Used() {
		return
	}
	for _, file := range []struct{ key, name, path string }{{"ca", "CA", t.CA}, {"cert", "certificate", t.Cert}, {"key", "key", t.Key}} {
		if file.path != "" && !isPath(file.path) {
			v.inInventory(strict.Join(path, file.key), fmt.Sprintf("switch %q has the %s file %q", sw.Name, file.name, file.path), "it must be the path of a PEM file, such as /etc/op25b/ca.pem")
		}
	}
	if t.CA == "" {
		v.inInventory(path+".ca", fmt.Sprintf("switch %q has tls without ca", sw.Name), "a certificate that nobody checks protects nothing: give the file of the authorities' certificates")
	}
	switch {
	case t.Cert != "" && t.Key == "":
		v.inInventory(path+".cert", fmt.Sprintf("switch %q has tls with cert and without key", sw.Name), "they are of no use alone: give both, or neither")
	case t.Key != "" && t.Cert == "":
		v.inInventory(path+".key", fmt.Sprintf("switch %q has tls with key and without cert", sw.Name), "they are of no use alone: give both, or neither")
	}
	if t.ServerName != "" && !isHost(t.ServerName) {
		v.inInventory(path+".serverName", fmt.Sprintf("switch %q has serverName %q", sw.Name, t.ServerName),
			"it must be the name or the address in the switch's certificate, such as edge-1.example, without a port")
	}
}

// isPath reports whether a text can be a file path: it has neither surrounding blanks nor control characters, and
// does not end in a slash.
func isPath(s string) bool {
	return s == strings.TrimSpace(s) && !strings.ContainsFunc(s, unicode.IsControl) && !strings.HasSuffix(s, "/")
}

// isHost reports whether a text is a host name (RFC 1123 section 2.1) or an IP address.
func isHost(s string) bool {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Zone() == ""
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return true
}
