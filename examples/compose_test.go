package examples

import (
	"os"
	"slices"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestComposeIsConfined verifies that no service of docker-compose.yml runs as root, can write to its root file system, has a
// capability, or can fill the disk with logs. It also verifies that every data directory is on a volume.
func TestComposeIsConfined(t *testing.T) {
	text, err := os.ReadFile("../docker-compose.yml")
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
