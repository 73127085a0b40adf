package strict

import (
	"fmt"
	"strings"
)

// maxGuessed is the length, in bytes, above which a name is not compared: the cost is the product of both lengths.
const maxGuessed = 128

// maxListed is the number of valid names that a message lists. The message counts the rest.
const maxListed = 12

// Nearest lists the valid names of a kind, beginning with the name most similar to given, if one is similar.
func Nearest(given string, valid []string, kind string) string {
	if len(valid) == 0 {
		return fmt.Sprintf("there are no %s", kind)
	}
	var b strings.Builder
	// Up to one wrong letter in three counts as a typing error.
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

// distance is the number of letters to insert, delete, exchange or swap with their neighbour to turn a into b (optimal string alignment).
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
