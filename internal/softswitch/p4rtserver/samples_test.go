package p4rtserver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"

	"op25b/internal/softswitch/engine"
)

func loadEngine(b []byte) (*engine.Engine, error) { return engine.Load(b, engine.Options{}) }

// readConfig reads a program's JSON and P4Info.
func readConfig(t testing.TB, jsonPath, infoPath string) *p4v1.ForwardingPipelineConfig {
	t.Helper()
	prog, err := os.ReadFile(jsonPath)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(infoPath)
	if err != nil {
		t.Fatal(err)
	}
	info := &p4cfg.P4Info{}
	if err := prototext.Unmarshal(text, info); err != nil {
		t.Fatalf("%s: %v", infoPath, err)
	}
	return &p4v1.ForwardingPipelineConfig{P4Info: info, P4DeviceConfig: prog}
}

// limits lists parts of the messages with which a valid program may be refused. They concern features that P4Runtime or this server does not
// support, and tables that are in p4c's P4Info although p4c has optimized them out of the JSON.
var limits = []string{
	"@p4runtime_translation, which is not supported", "RANGE is not supported in value sets", "P4DataTypeSpec_Error is not supported",
	"bitwidth 0; it must be positive", "in the P4Info; the JSON has tbl_", "config.p4_device_config: ",
}

// TestSamples binds every program in the directory OP25B_P4_SAMPLES. A program consists of NAME.json and either NAME.p4info.txtpb or
// NAME.proto.txt, as p4c writes them.
func TestSamples(t *testing.T) {
	dir := os.Getenv("OP25B_P4_SAMPLES")
	if dir == "" {
		t.Skip("OP25B_P4_SAMPLES is not set; it names a directory of compiled v1model programs to bind")
	}
	all, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%s: no *.json (%v)", dir, err)
	}
	s, err := New(Options{DeviceID: device, Load: loadEngine})
	if err != nil {
		t.Fatal(err)
	}
	bound, refused := 0, 0
	for _, path := range all {
		base := strings.TrimSuffix(path, ".json")
		info := ""
		for _, ext := range []string{".p4info.txtpb", ".proto.txt"} {
			if _, err := os.Stat(base + ext); err == nil {
				info = base + ext
			}
		}
		if info == "" {
			continue
		}
		t.Run(filepath.Base(base), func(t *testing.T) {
			c := readConfig(t, path, info)
			p, err := s.newPipeline(c)
			if err != nil {
				m := status.Convert(err).Message()
				if slices.ContainsFunc(limits, func(l string) bool { return strings.Contains(m, l) }) {
					refused++
					t.Skip(m)
				}
				t.Fatal(m)
			}
			bound++
			err = p.state(func(u carried) error { // the state that the program declares can be read back
				if u.update.GetEntity() == nil {
					t.Error("an update of the state is empty")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	t.Logf("%d programs bound, %d refused for what this server does not support", bound, refused)
}
