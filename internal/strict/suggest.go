package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxGuessed is the maximum length, in bytes, of the names that Similar compares. The cost of a comparison is the product of both
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
	if similar := Similar(given, valid, 1); len(similar) > 0 {
		fmt.Fprintf(&b, "did you mean %q? ", similar[0])
	}
	fmt.Fprintf(&b, "%s: %s", kind, strings.Join(valid[:min(len(valid), maxListed)], ", "))
	if len(valid) > maxListed {
		fmt.Fprintf(&b, " and %d more", len(valid)-maxListed)
	}
	return b.String()
}

// Similar returns at most the given number of the valid names that are similar to given, with the most similar first. A name is similar if at
// most one letter in three differs.
func Similar(given string, valid []string, most int) []string {
	type near struct {
		name  string
		slips int
	}
	if given == "" || len(given) > maxGuessed {
		return nil
	}
	var all []near
	slips := max(1, len(given)/3)
	for _, v := range valid {
		if len(v) > maxGuessed {
			continue
		}
		if d := distance(strings.ToLower(given), strings.ToLower(v)); d <= slips {
			all = append(all, near{v, d})
		}
	}
	slices.SortStableFunc(all, func(a, b near) int { return cmp.Compare(a.slips, b.slips) })
	var names []string
	for _, n := range all[:min(len(all), most)] {
		names = append(names, n.name)
	}
	return names
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
