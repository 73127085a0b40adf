package p4fuzz

import (
	"fmt"
	"slices"
	"strings"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// Shrink shortens a failing sequence of steps in at most the given number of tries. It first removes whole steps from the front, and
// then steps and updates anywhere. fails must play a sequence on a fresh switch and report whether the sequence fails.
func Shrink(steps []Step, tries int, fails func([]Step) bool) []Step {
	try := func(s []Step) bool {
		tries--
		return tries >= 0 && fails(s)
	}
	for n := 1; n < len(steps); n *= 2 { // try short sequences first, because the cause is usually near the end
		if last := steps[len(steps)-n:]; try(last) {
			steps = last
			break
		}
	}
	steps = without(steps, func(s []Step) bool { return try(s) })
	for i := len(steps) - 1; i >= 0; i-- {
		at := func(u []*p4v1.Update) []Step {
			s := slices.Clone(steps)
			s[i] = Step{s[i].Request, u}
			return s
		}
		steps = at(without(steps[i].Updates, func(u []*p4v1.Update) bool { return len(u) > 0 && try(at(u)) }))
	}
	return steps
}

// without removes elements that are not needed for the failure. It tries to remove halves first, then quarters, and so on down to
// single elements.
func without[T any](all []T, fails func([]T) bool) []T {
	for n := len(all) / 2; n > 0; n /= 2 {
		for from := 0; from+n <= len(all); {
			if less := slices.Concat(all[:from], all[from+n:]); fails(less) {
				all = less
			} else {
				from += n
			}
		}
	}
	return all
}

// Describe returns the steps as text, with one line for each update.
func Describe(steps []Step) string {
	var b strings.Builder
	for i, s := range steps {
		fmt.Fprintf(&b, "request %d %s\n", i+1, s.Request)
		for _, u := range s.Updates {
			fmt.Fprintf(&b, "  %v\n", u)
		}
	}
	return b.String()
}
