// Package longform lets tests run in their long form: OP25B_LONG=1 asks for the nightly counts in place of the small share of each that
// every run does. It is for tests only.
package longform

import (
	"flag"
	"os"
)

// Checks is how many cases a property test draws in the long form: 20 times rapid's own 100.
const Checks = "2000"

// On says whether the long form was asked for.
func On() bool { return os.Getenv("OP25B_LONG") != "" }

// Rapid sets the number of cases of the package's property tests. TestMain calls it before it runs the tests; -rapid.checks still wins.
func Rapid() {
	if !On() {
		return
	}
	if err := flag.Set("rapid.checks", Checks); err != nil {
		panic("longform: this test binary has no property tests: " + err.Error())
	}
}
