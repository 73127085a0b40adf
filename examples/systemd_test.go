package examples

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestUnitIsStartedAgain verifies that systemd never stops restarting the unit. By default, systemd gives up after five starts in
// ten seconds, and the setting that prevents this must be in the [Unit] section.
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

// TestUnitIsConfined verifies that systemd rates the exposure of the unit at 2.0 or less, on a scale from 0 (confined) to 10
// (exposed).
func TestUnitIsConfined(t *testing.T) {
	const most = "20" // in tenths
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
