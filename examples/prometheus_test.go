package examples

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestPrometheusRules verifies the rules for Prometheus with promtool: their syntax, and the alerts that given series raise.
func TestPrometheusRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		fmt.Fprintln(os.Stderr, "SKIPPED TestPrometheusRules: promtool is not here: install Debian's package prometheus")
		t.Skip("no promtool")
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint-fatal", "op25b.records.yml", "op25b.alerts.yml"},
		{"check", "config", "--syntax-only", "prometheus.yml"}, // the token and the CA are not here
		{"test", "rules", "op25b.test.yml"},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", cmd, err, out)
		}
	}
}

// TestEveryAlertIsTested verifies that the tests of promtool name every alert.
func TestEveryAlertIsTested(t *testing.T) {
	alerts, err := os.ReadFile("prometheus/op25b.alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("prometheus/op25b.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(alerts), -1)
	if len(names) < 20 {
		t.Errorf("only %d alerts found", len(names))
	}
	for _, m := range names {
		if !regexp.MustCompile(`\b` + m[1] + `\b`).Match(tests) {
			t.Errorf("no test of promtool raises %s", m[1])
		}
	}
	if n := strings.Count(string(alerts), "\n          description:"); n != len(names) {
		t.Errorf("%d alerts, %d descriptions", len(names), n)
	}
}
