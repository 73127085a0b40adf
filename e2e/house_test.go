package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"op25b/e2e/longform"
	"op25b/p4src"
)

// TestMain verifies that no goroutine of a switch, host, server or client is left after the tests.
func TestMain(m *testing.M) {
	if isChild() {
		return
	}
	longform.Rapid()
	_ = flag.Set("test.parallel", "4")                                    // unless the command line says something else; tests that are parallel mostly wait
	const gnmic = "github.com/openconfig/gnmic/pkg/api/target.(*Target)." // these functions leave a goroutine behind at the end of a subscription
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(gnmic+"SubscribeOnceChan.func1"), goleak.IgnoreAnyFunction(gnmic+"SubscribeStreamChan.func1"),
		goleak.Cleanup(func(code int) {
			removeBinary()
			os.Exit(code)
		}))
}

// A goPackage is a package as printed by go list.
type goPackage struct {
	ImportPath string
	Doc        string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports", "op25b/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages found", len(all))
	}
	return all
}

// TestEveryPackageHasAComment verifies that every package has a package comment.
func TestEveryPackageHasAComment(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" && p.ImportPath != "op25b/e2e" { // package e2e contains only tests
			t.Errorf("package %s has no package comment", p.ImportPath)
		}
	}
}

// TestBuildsOfProgramsAreCurrent verifies that the builds of the test and example programs match the present
// sources. A test of p4src verifies the build of the pipeline itself.
func TestBuildsOfProgramsAreCurrent(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || d.Name() != "testdata" && filepath.Base(filepath.Dir(path)) != "examples" {
			return err
		}
		programs, err := filepath.Glob(filepath.Join(path, "*.p4"))
		if err != nil || len(programs) == 0 {
			return err
		}
		found += len(programs)
		want, err := p4src.Digest(os.DirFS(".."), filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator))))
		if err != nil {
			return err
		}
		out := path
		if d.Name() != "testdata" {
			out = filepath.Join(path, "build")
		}
		built, err := os.ReadFile(filepath.Join(out, "sources.sha256"))
		if err != nil || strings.TrimSpace(string(built)) != want {
			t.Errorf("%s: the build is of other sources (%v): go run op25b/p4src/compile PROGRAM.p4 %s", path, err, out)
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d test programs found, %v", found, err)
	}
}

// mayImport lists the packages of this module that each package and its subpackages may import directly.
var mayImport = map[string][]string{
	"proto/bm":            {},
	"proto/op25b":         {},
	"p4src":               {},
	"internal/wire":       {"proto/bm"},
	"internal/tlsfiles":   {},
	"internal/p4entry":    {},
	"internal/native":     {"internal/softswitch"},
	"internal/constraint": {"internal/p4entry"},
	"internal/pipeline":   {"internal/constraint", "internal/p4entry"},
	"internal/p4rt":       {"internal/p4entry", "internal/pipeline", "proto/op25b"},
	"internal/openconfig": {"internal/wire"}, // for the state of the kernel's interfaces
	"internal/store":      {},
	"internal/telemetry":  {},
	"internal/exposition": {},
	"internal/tally":      {"internal/exposition", "internal/intent", "internal/policy", "internal/telemetry", "internal/tlsfiles"},
	"internal/northbound": {"internal/api", "internal/auth", "internal/fleet", "internal/intent", "internal/openconfig", "internal/policy", "internal/store", "internal/telemetry", "internal/tlsfiles"},
	"internal/abuse":      {"internal/compile", "internal/intent", "internal/pipeline", "internal/policy", "internal/readfile", "internal/tlsfiles", "internal/webhook", "internal/writefile"},
	"internal/strict":     {},
	"internal/policy":     {"internal/pipeline", "internal/strict"},
	"internal/compile":    {"internal/pipeline", "internal/policy", "internal/strict"},
	"internal/meaning":    {"internal/compile", "internal/pipeline", "internal/policy", "internal/view/prose"},
	"internal/reconcile":  {"internal/p4rt", "internal/pipeline"},
	"internal/prove": {
		"internal/compile", "internal/meaning", "internal/p4rt", "internal/pipeline", "internal/policy", "internal/reconcile", "internal/reference",
		"internal/softswitch", "p4src",
	},
	// The model imports nothing of what it judges: neither the pipeline's view, nor the compiler, nor a switch.
	"internal/reference":          {"internal/policy"},
	"internal/reference/generate": {"internal/pipeline", "internal/policy", "internal/reference", "internal/strict"},
	"internal/clock":              {"internal/store"},
	"internal/grpcserve":          {},
	"internal/intent":             {"internal/clock", "internal/compile", "internal/policy", "internal/store", "internal/strict"},
	"internal/auth":               {"internal/readfile", "internal/strict"},
	"internal/readfile":           {},
	"internal/clientfile":         {"internal/auth", "internal/readfile", "internal/secretfile", "internal/strict"},
	"internal/webhook":            {},
	"internal/writefile":          {},
	"internal/api": {
		"internal/abuse", "internal/auth", "internal/bring", "internal/check", "internal/clock", "internal/compile", "internal/exposition", "internal/fleet", "internal/grpcserve", "internal/intent", "internal/lang", "internal/lease", "internal/plan", "internal/policy", "internal/prove", "internal/publication", "internal/rollout", "internal/schedule", "internal/store", "internal/strict", "internal/subscriber", "internal/tally", "internal/telemetry", "internal/tlsfiles", "internal/view",
		"proto/op25b",
	},
	"internal/publication": {"internal/check", "internal/compile", "internal/pipeline", "internal/policy", "internal/strict", "proto/op25b"},
	"internal/check/desk":  {"internal/check", "internal/policy"},
	"internal/client":      {"internal/tlsfiles", "proto/op25b"},
	"internal/controller": {
		"internal/abuse", "internal/api", "internal/check", "internal/clock", "internal/exposition", "internal/fleet", "internal/grpcserve", "internal/intent", "internal/lease", "internal/northbound", "internal/openconfig", "internal/openid", "internal/p4rt", "internal/pipeline", "internal/plan", "internal/policy", "internal/rollout", "internal/schedule", "internal/store", "internal/strict", "internal/subscriber", "internal/tally",
		"internal/telemetry", "internal/tlsfiles", "p4src", "internal/web",
	},
	"internal/view":       {"proto/op25b"},
	"internal/view/prose": {},
	"internal/lang":       {"internal/strict"},
	"internal/page":       {"internal/lang"},
	"internal/openid":     {"internal/auth", "internal/readfile", "internal/tlsfiles"},
	"internal/web":        {"internal/auth", "internal/openid", "internal/page", "internal/view", "internal/view/prose", "proto/op25b"},
	// The content of the portal. Each package is pure, and none imports the controller's.
	"internal/portal/folder":     {"internal/strict"},
	"internal/portal/markdown":   {"internal/lang", "internal/strict"},
	"internal/portal/site":       {"internal/lang", "internal/policy", "internal/strict"},
	"internal/portal/notice":     {"internal/lang", "internal/policy", "internal/portal/folder", "internal/portal/markdown", "internal/strict"},
	"internal/portal/guide":      {"internal/lang", "internal/policy", "internal/portal/markdown", "internal/portal/site", "internal/strict"},
	"internal/portal/article":    {"internal/lang", "internal/policy", "internal/portal/folder", "internal/portal/markdown", "internal/portal/site", "internal/strict"},
	"internal/portal/content":    {"internal/portal/article", "internal/portal/folder", "internal/portal/guide", "internal/portal/notice", "internal/portal/site", "internal/strict"},
	"internal/portal/feed":       {"internal/lang", "internal/policy", "internal/portal/notice", "internal/portal/site"},
	"internal/etcd":              {},
	"internal/bring":             {"internal/compile", "internal/intent", "internal/p4rt", "internal/pipeline", "internal/policy", "internal/reconcile", "p4src"},
	"internal/portal/published":  {"internal/check", "internal/client", "internal/policy", "internal/strict", "internal/writefile", "proto/op25b"},
	"internal/portal/visitor":    {},
	"internal/portal/answer":     {"internal/check", "internal/policy", "internal/portal/published"},
	"internal/portal":            {"internal/check", "internal/lang", "internal/page", "internal/policy", "proto/op25b"},
	"internal/portal/portaltest": {"internal/check/mailbox", "internal/client", "internal/policy", "internal/publication", "internal/strict", "proto/op25b"},
	"internal/plan": {
		"internal/bring", "internal/compile", "internal/intent", "internal/meaning", "internal/p4rt", "internal/pipeline", "internal/policy", "internal/prove", "internal/reconcile", "internal/tlsfiles",
	},
	"internal/netsim": {"internal/wire"},
	// The switch imports no package of the controller.
	"internal/softswitch": {"internal/constraint", "internal/grpcserve", "internal/openconfig", "internal/wire", "proto/bm"},
	"internal/agent":      {"internal/openconfig"},
	"internal/demo": {
		"internal/api", "internal/check/mailbox", "internal/client", "internal/clock", "internal/compile", "internal/controller", "internal/intent", "internal/netsim", "internal/pipeline",
		"internal/policy", "internal/softswitch", "internal/strict", "internal/telemetry", "internal/wire", "proto/op25b",
	},
	"internal/check":         {"internal/compile", "internal/p4rt", "internal/pipeline", "internal/policy", "internal/softswitch", "internal/strict", "p4src"},
	"internal/check/mailbox": {"internal/check", "internal/lang", "internal/policy", "internal/strict"},
	"internal/fleet": {
		"internal/bring", "internal/clock", "internal/compile", "internal/exposition", "internal/intent", "internal/lease", "internal/p4rt", "internal/pipeline", "internal/policy", "internal/prove", "internal/reconcile",
		"internal/store", "internal/tlsfiles",
		"proto/op25b", // for the enums of state and reason
	},
	"internal/telemetry/history": {}, // switches and rules are names to it

	"internal/rollout":          {"internal/rollout/evidence"},
	"internal/rollout/evidence": {},
	"internal/rollout/rings":    {"internal/policy", "internal/rollout", "internal/strict"},
	"internal/rollout/drive": {
		"internal/abuse", "internal/fleet", "internal/intent", "internal/pipeline", "internal/policy", "internal/rollout", "internal/store", "internal/tally", "internal/telemetry",
	},
	"internal/rollout/tickets": {"internal/clientfile", "internal/webhook"},

	"internal/schedule": {"internal/intent", "internal/policy", "internal/store"},

	"internal/subscriber":            {"internal/policy"},
	"internal/subscriber/accounting": {"internal/clientfile", "internal/policy", "internal/strict", "internal/subscriber"},
	"internal/subscriber/report":     {"internal/policy", "internal/strict", "internal/subscriber", "proto/op25b"},
	"internal/subscriber/register":   {"internal/intent", "internal/readfile", "internal/store", "internal/subscriber"},

	"internal/lease":            {},
	"internal/lease/login":      {},
	"internal/lease/mailserver": {"internal/clientfile", "internal/lease", "internal/lease/login", "internal/webhook"},
	"internal/lease/ledger":     {"internal/intent", "internal/lease", "internal/policy", "internal/store", "internal/strict", "internal/subscriber/follow", "internal/subscriber/register"},
}

// TestImportArrows verifies that imports follow mayImport, and that only tests import the packages under e2e.
func TestImportArrows(t *testing.T) {
	for _, p := range packages(t) {
		if !within(p.ImportPath, "op25b/e2e") {
			for _, imported := range p.Imports {
				if within(imported, "op25b/e2e") {
					t.Errorf("%s imports %s, which is for tests only", p.ImportPath, imported)
				}
			}
		}
		room, allowed, bound := roomOf(p.ImportPath)
		if !bound {
			continue
		}
		for _, imported := range p.Imports {
			path, ours := strings.CutPrefix(imported, "op25b/")
			if !ours || within(path, room) || slices.ContainsFunc(allowed, func(a string) bool { return within(path, a) }) {
				continue
			}
			t.Errorf("%s imports %s; %s may import only %v", p.ImportPath, imported, room, allowed)
		}
	}
}

// TestPlanAndCheckImportNoMessages verifies that packages plan and check do not use protobuf messages. They return
// Go values, which package api converts to messages.
func TestPlanAndCheckImportNoMessages(t *testing.T) {
	found := 0
	for _, p := range packages(t) {
		if !within(p.ImportPath, "op25b/internal/plan") && !within(p.ImportPath, "op25b/internal/check") {
			continue
		}
		found++
		for _, imported := range p.Imports {
			if within(imported, "op25b/proto") || within(imported, "google.golang.org/protobuf") {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
	if found < 4 {
		t.Errorf("only %d packages found", found)
	}
}

func within(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

// roomOf returns the entry of mayImport for a package. If several entries contain the package, it returns the one
// with the longest path.
func roomOf(importPath string) (room string, allowed []string, bound bool) {
	path := strings.TrimPrefix(importPath, "op25b/")
	for r := range mayImport {
		if within(path, r) && len(r) > len(room) {
			room = r
		}
	}
	allowed, bound = mayImport[room]
	return room, allowed, bound
}
