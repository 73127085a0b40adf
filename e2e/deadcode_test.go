package e2e

import (
	"flag"
	"os/exec"
	"strings"
	"testing"
)

var deadcodeFlag = flag.Bool("deadcode", false, "run TestDeadCode, which analyses the whole program and takes about 20 s of CPU")

// unreached lists the functions that no command reaches. The key is a directory, a file, or a function in a file. The value is
// the reason.
var unreached = map[string]string{
	"examples/examples.go: LibmoMobile":               "tests of plans and of examples load the second example",
	"internal/p4rt/flow.go":                           "tests read the counters of lines over P4Runtime, to compare them with gNMI",
	"internal/pipeline/linemail.go":                   "as internal/p4rt/flow.go, whose messages it reads",
	"internal/reference/model.go: New":                "tests judge whole policies by the model; a proof judges the phases in force",
	"internal/reference/parse.go: TinyFaults":         "tests inject faults into the model",
	"internal/reference/parse.go: UndeterminedFaults": "as TinyFaults",
	"internal/reference/reference.go: Shapes":         "tests count the shapes that they have met",
	"internal/reference/reference.go: Ways":           "as Shapes",
}

// TestDeadCode verifies that every function is reachable from a command, except those listed in unreached.
func TestDeadCode(t *testing.T) {
	if !*deadcodeFlag {
		t.Skip("without -deadcode")
	}
	cmd := exec.Command("go", "tool", "-modfile=tools/go.mod", "deadcode", "./controller", "./p4src/compile", "./internal/native/generate")
	cmd.Dir = ".."
	var notes strings.Builder // on standard error, where the go command also tells what it downloads
	cmd.Stderr = &notes
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, notes.String())
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		at, name, _ := strings.Cut(strings.TrimSpace(line), ": unreachable func: ")
		file, _, _ := strings.Cut(at, ":")
		listed := false
		for entry := range unreached {
			if file == entry || file+": "+name == entry || strings.HasSuffix(entry, "/") && strings.HasPrefix(file, entry) {
				listed, found[entry] = true, true
			}
		}
		if !listed {
			t.Errorf("%s: no command reaches %s: delete it, or list it with its reason", at, name)
		}
	}
	for entry := range unreached {
		if !found[entry] {
			t.Errorf("%s is reached, or gone: take it off the list", entry)
		}
	}
}
