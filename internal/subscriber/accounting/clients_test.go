package accounting

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"op25b/internal/subscriber"
)

// write writes a file below dir and returns its path.
func write(t *testing.T, dir, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

const header = "apiVersion: op25b/v1\nkind: RadiusClients\n"

// TestClients reads a valid file, with a secret whose file ends with a line end.
func TestClients(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "one.secret", "a secret of 16 b\n", 0o600)
	other := write(t, t.TempDir(), "two.secret", strings.Repeat("x", 128), 0o644)
	path := write(t, dir, "clients.yaml", header+"clients:\n"+
		"  - {name: bng-1, address: 192.0.2.1, secretFile: one.secret, interim: 5m, switches: [edge-1]}\n"+
		"  - {name: bng-2, address: \"2001:db8::1\", secretFile: "+other+"}\n", 0o600)
	c, warnings, err := OpenClients(path)
	if err != nil {
		t.Fatal(err)
	}
	one, two := c.by[netip.MustParseAddr("192.0.2.1")], c.by[netip.MustParseAddr("2001:db8::1")]
	if one == nil || string(one.secret) != "a secret of 16 b" || time.Duration(one.Interim) != 5*time.Minute || len(one.Switches) != 1 {
		t.Errorf("%+v", one)
	}
	if two == nil || len(two.secret) != 128 || time.Duration(two.Interim) != subscriber.DefaultInterval || two.Switches != nil {
		t.Errorf("%+v", two)
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "RADIUS secret "+other+": every user of this host can read it") {
		t.Errorf("%q", warnings)
	}
}

// TestClientsRefused has one case for each fault in a file of clients.
func TestClientsRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "good", "a secret of 16 b", 0o600)
	write(t, dir, "short", "15 bytes, short\n", 0o600)
	write(t, dir, "long", strings.Repeat("x", 129), 0o600)
	for name, c := range map[string]struct{ clients, want string }{
		"none":        {"[]", "clients.yaml:3:10: there are no clients; give at least one access server"},
		"no name":     {"\n  - {name: \"\", address: 192.0.2.1, secretFile: good}", "clients.yaml:4:12: the name of a client has 0 bytes; must be 1 to 64"},
		"name twice":  {"\n  - {name: a, address: 192.0.2.1, secretFile: good}\n  - {name: a, address: 192.0.2.2, secretFile: good}", `clients.yaml:5:12: client "a" is listed twice; give each its own name`},
		"one address": {"\n  - {name: a, address: 192.0.2.1, secretFile: good}\n  - {name: b, address: \"::ffff:192.0.2.1\", secretFile: good}", `clients.yaml:5:24: address 192.0.2.1 of client "b" is client "a"'s; give each its own`},
		"short":       {"\n  - {name: a, address: 192.0.2.1, secretFile: short}", `clients.yaml:4:47: the secret of client "a" has 15 bytes; must be 16 to 128`},
		"long":        {"\n  - {name: a, address: 192.0.2.1, secretFile: long}", `clients.yaml:4:47: the secret of client "a" has 129 bytes; must be 16 to 128`},
		"no file":     {"\n  - {name: a, address: 192.0.2.1, secretFile: absent}", `clients.yaml:4:47: the secret of client "a" cannot be read: open ` + filepath.Join(dir, "absent") + `: no such file or directory; give the file with the shared secret`},
		"interim":     {"\n  - {name: a, address: 192.0.2.1, secretFile: good, interim: 30s}", `clients.yaml:4:62: clients[0].interim is "30s"; it must be a time from 1m to 24h, such as 10m`},
		"not a time":  {"\n  - {name: a, address: 192.0.2.1, secretFile: good, interim: often}", `clients.yaml:4:62: clients[0].interim is "often"; it must be a time from 1m to 24h, such as 10m`},
		"unknown key": {"\n  - {name: a, address: 192.0.2.1, secretFile: good, secret: x}", `clients.yaml:4:53: unknown key "secret"; known keys: name, address, secretFile, interim, switches`},
	} {
		path := write(t, dir, "clients.yaml", header+"clients: "+c.clients+"\n", 0o600)
		_, _, err := OpenClients(path)
		if !errors.Is(err, ErrClients) || !strings.Contains(strings.ReplaceAll(err.Error(), dir+"/clients.yaml", "clients.yaml"), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, _, err := OpenClients(filepath.Join(dir, "absent.yaml")); !errors.Is(err, ErrClients) {
		t.Errorf("%v", err)
	}
}
