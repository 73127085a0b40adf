package strict

import (
	"fmt"
	"strings"
)

// maxGuessed is the maximum length, in bytes, of the names that Nearest compares. The cost of a comparison is the product of both
// lengths.
const maxGuessed = 128

// maxListed is the number of valid names that a message lists. If there are more, the message gives the number of the rest.
const maxListed = 12

// Nearest returns a text that lists the valid names of a kind. If one of them is similar to given, the text first suggests that name.
func Nearest(given string, valid []string, kind string) string {
	if len(valid) == 0 {
		return fmt.Sprintf("there are no %s", kind)
	}
	var b strings.Builder
	// A name is similar if at most one letter in three differs.
	best, slips := "", max(1, len(given)/3)
	for _, v := range valid {
		if len(given) > maxGuessed || len(v) > maxGuessed {
			continue
		}
		if d := distance(strings.ToLower(given), strings.ToLower(v)); d <= slips && (best == "" || d < distance(strings.ToLower(given), strings.ToLower(best))) {
			best = v
		}
	}
	if best != "" && given != "" {
		fmt.Fprintf(&b, "did you mean %q? ", best)
	}
	fmt.Fprintf(&b, "%s: %s", kind, strings.Join(valid[:min(len(valid), maxListed)], ", "))
	if len(valid) > maxListed {
		fmt.Fprintf(&b, " and %d more", len(valid)-maxListed)
	}
	return b.String()
}

// distance returns the number of letters that must be inserted, deleted, replaced, or swapped with a neighbour to turn a into b (optimal
// string alignment).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := range s {
		row[0] = i + 1
		for j := range t {
			change := 1
			if s[i] == t[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}
