package main

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	date       = regexp.MustCompile(`\b20\d\d-\d\d-\d\d\b`)
	instant    = regexp.MustCompile(`\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ?`)
	pageMoment = regexp.MustCompile(`\b` + pageDay.Format(time.DateOnly) + `[ T]\d\d:\d\d:\d\dZ?`)
)

// moveDates moves every date in a text by some days.
func moveDates(text string, days int) string {
	return date.ReplaceAllStringFunc(text, func(s string) string {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return s
		}
		return d.AddDate(0, 0, days).Format(time.DateOnly)
	})
}

// timeless is a line without the moments at which the page was played, and with all other dates as they are on the page.
func (o *operator) timeless(line string) string {
	line = instant.ReplaceAllStringFunc(line, func(s string) string {
		at, err := time.Parse(time.DateTime, strings.TrimSuffix(strings.Replace(s, "T", " ", 1), "Z"))
		if err != nil || at.Before(o.begun) || at.After(time.Now()) {
			return s
		}
		return "<now>"
	})
	return moveDates(line, -o.days)
}

// runs are what differs from run to run on one line: how long something took or has been so, and hashes, which are of moments too.
var runs = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`^ *\d+\.\ds(  \S+ )`), "   <t>$1"},
	{regexp.MustCompile(`converged after \d+\.\ds\.$`), "converged after <t>."},
	{regexp.MustCompile(`  (\d+m)?\d+s +(\d+m)?\d+s$`), "  <t>  <t>"},
	{regexp.MustCompile(`^head (\d+):[0-9a-f]{64}$`), "head $1:<hash>"},
}

// plain is a line without what differs from run to run, and without blanks at its end.
func plain(line string) string {
	line = strings.TrimRight(line, " ")
	for _, x := range runs {
		line = x.what.ReplaceAllString(line, x.as)
	}
	return line
}

// settled keeps of the lines that tell how a change comes along the last of each switch, by the names of the switches: which is first, and
// what is seen of the way, differs from run to run.
func settled(lines []string) []string {
	var all []string
	last := map[string]string{}
	flush := func() {
		var ends []string
		for _, line := range last {
			ends = append(ends, line)
		}
		slices.Sort(ends) // they begin with the switch
		all = append(all, ends...)
		clear(last)
	}
	for _, line := range lines {
		rest, comes := strings.CutPrefix(line, "   <t>  ")
		switch {
		case comes:
			name, _, _ := strings.Cut(rest, " ")
			last[name] = line
		case len(last) > 0 && strings.HasPrefix(line, "         "): // goes on with the line above
		default:
			flush()
			all = append(all, line)
		}
	}
	flush()
	return all
}

// matches reports whether lines are the wanted ones, of which "..." is any number.
func matches(got, want []string) bool {
	switch {
	case len(want) == 0:
		return len(got) == 0
	case want[0] == "...":
		for i := range len(got) + 1 {
			if matches(got[i:], want[1:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && got[0] == want[0] && matches(got[1:], want[1:])
}
