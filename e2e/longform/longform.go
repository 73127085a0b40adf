// Package longform selects the long form of tests. If OP25B_LONG is set, tests run the number of cases of a nightly run instead of the
// default number. The package is for tests only.
package longform

import (
	"flag"
	"os"
)

// Checks is the number of cases of a property test in the long form. It is 20 times rapid's default of 100.
const Checks = "2000"

// On reports whether OP25B_LONG selects the long form.
func On() bool { return os.Getenv("OP25B_LONG") != "" }

// Rapid sets the number of cases of property tests if the long form is selected. TestMain must call Rapid before it runs the tests. The
// flag -rapid.checks takes precedence.
func Rapid() {
	if !On() {
		return
	}
	if err := flag.Set("rapid.checks", Checks); err != nil {
		panic("longform: this test binary has no property tests: " + err.Error())
	}
}
