// Package longform selects the long form of tests: OP25B_LONG=1 means the counts of a nightly run instead of the small counts of every run. It
// is for tests only.
package longform

import (
	"flag"
	"os"
)

// Checks is the number of cases of a property test in the long form: 20 times rapid's default of 100.
const Checks = "2000"

// On reports whether the long form is selected.
func On() bool { return os.Getenv("OP25B_LONG") != "" }

// Rapid sets the number of cases of the package's property tests. TestMain calls it before it runs the tests. -rapid.checks takes precedence.
func Rapid() {
	if !On() {
		return
	}
	if err := flag.Set("rapid.checks", Checks); err != nil {
		panic("longform: this test binary has no property tests: " + err.Error())
	}
}
