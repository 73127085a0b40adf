package examples

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestUnitIsStartedAgain: systemd gives up after five starts in ten seconds unless the unit says otherwise, in its first section.
func TestUnitIsStartedAgain(t *testing.T) {
	unit, err := os.ReadFile("systemd/op25b.service")
	if err != nil {
		t.Fatal(err)
	}
	head, service, _ := strings.Cut(string(unit), "\n[Service]\n")
	if !strings.Contains(head, "\nStartLimitIntervalSec=0\n") || !strings.Contains(service, "\nRestart=always\n") {
		t.Errorf("the unit is not started again for ever:\n%s", unit)
	}
}

// TestUnitIsConfined asks systemd how much the unit leaves open: at most 2.0 on its scale of 0 (nothing) to 10 (everything).
func TestUnitIsConfined(t *testing.T) {
	const most = "20" // tenths
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		fmt.Fprintln(os.Stderr, "SKIPPED TestUnitIsConfined: systemd-analyze is not here: install Debian's package systemd")
		t.Skip("no systemd-analyze")
	}
	cmd := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold="+most, "systemd/op25b.service")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", cmd, err, out)
	}
}
