package examples

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"op25b/internal/policy"
	"op25b/internal/rollout/rings"
	"op25b/internal/strict"
)

// TestComposeIsConfined verifies that no service of the compose files runs as root, can write to its root file system, has a
// capability, or can fill the disk with logs. It also verifies that every data directory is on a volume.
func TestComposeIsConfined(t *testing.T) {
	for _, file := range []string{"../docker-compose.yml", "compose/fleet.yml"} {
		t.Run(filepath.Base(file), func(t *testing.T) { confined(t, file) })
	}
}

func confined(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			User        string
			ReadOnly    bool     `yaml:"read_only"`
			CapDrop     []string `yaml:"cap_drop"`
			CapAdd      []string `yaml:"cap_add"`
			SecurityOpt []string `yaml:"security_opt"`
			Privileged  bool
			Ports       []string
			Volumes     []string
			Command     []string
			Logging     struct{ Options map[string]string }
		}
		Volumes map[string]any
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	if len(compose.Services) < 8 {
		t.Fatalf("only %d services", len(compose.Services))
	}
	for name, s := range compose.Services {
		if s.User == "" || s.User == "root" || s.User[0] == '0' {
			t.Errorf("%s runs as %q", name, s.User)
		}
		if !s.ReadOnly || s.Privileged || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: read only %v, privileged %v, drops %v, adds %v, %v", name, s.ReadOnly, s.Privileged, s.CapDrop, s.CapAdd, s.SecurityOpt)
		}
		if s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			t.Errorf("%s: logs are not bounded: %v", name, s.Logging.Options)
		}
		keeps := slices.ContainsFunc(s.Command, func(arg string) bool { return arg == "--data-dir=/data/etcd" || arg == "--data-dir=/data/op25b" })
		if keeps && !slices.Contains(s.Volumes, name+":/data") {
			t.Errorf("%s keeps data in /data, which is not on the volume %s: %v", name, name, s.Volumes)
		}
		if _, there := compose.Volumes[name]; keeps && !there {
			t.Errorf("the volume %s is not declared", name)
		}
	}
}

// TestFleet verifies that the documents of the compose fleet are valid with its rings, and that the two changes to try differ from the policy of 2006
// in one line each.
func TestFleet(t *testing.T) {
	file := func(name string) strict.File {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return strict.File{Name: name, Data: data}
	}
	before := file("spinnet-2006/policy.yaml")
	for name, edit := range map[string][2]string{
		"second-relay.yaml":    {"[198.51.100.16/28, ", "[198.51.100.16/28, 198.51.100.48/28, "},
		"forgotten-relay.yaml": {"[198.51.100.16/28, ", "["},
	} {
		next := file("compose/fleet/" + name)
		if want := strings.Replace(string(before.Data), edit[0], edit[1], 1); string(next.Data) != want {
			t.Errorf("%s is not examples/spinnet-2006/policy.yaml with %q in place of %q", name, edit[1], edit[0])
		}
		b, err := policy.Load([]strict.File{next, file("compose/fleet/inventory.yaml"), file("compose/fleet/exemptions.yaml")})
		if err != nil {
			t.Fatal(err)
		}
		stages, err := rings.Read(file("compose/fleet/rings.yaml"), b)
		if err != nil {
			t.Fatal(err)
		}
		var sizes []int
		for _, s := range stages {
			sizes = append(sizes, len(s.Switches))
		}
		if !slices.Equal(sizes, []int{1, 2, 3, 6}) {
			t.Errorf("the rings have %v switches", sizes)
		}
	}
	b, err := policy.Load(LibmoMobile())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rings.Read(file("rings.yaml"), b); err != nil {
		t.Error(err)
	}
}
