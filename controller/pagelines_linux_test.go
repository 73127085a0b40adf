package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	date    = regexp.MustCompile(`\b20\d\d-\d\d-\d\d`)
	instant = regexp.MustCompile(`\b(20\d\d-\d\d-\d\d)([ T])(\d\d:\d\d:\d\d)(\.\d+)?(Z| [+-]\d{4}\b)?`)
	// whenHead matches the heading of a column of times and captures the UTC offset of the column.
	whenHead = regexp.MustCompile(`\bWHEN \(([+-]\d{4})\)`)
)

// moveDates moves every date in a text by the given number of days.
func moveDates(text string, days int) string {
	return date.ReplaceAllStringFunc(text, func(s string) string {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return s
		}
		return d.AddDate(0, 0, days).Format(time.DateOnly)
	})
}

// A shownLine is a line in two forms: as a page shows it, and as the test compares it.
type shownLine struct{ page, compared string }

// onPage converts a line of the page. In the compared form, each time on pageDay becomes "<now>", because it stands for a time during the
// test.
func (r *reader) onPage(line string) shownLine {
	return shownLine{line, plain(instant.ReplaceAllStringFunc(line, func(s string) string {
		if strings.HasPrefix(s, pageDay.Format(time.DateOnly)) {
			return "<now>"
		}
		return s
	}))}
}

// printed converts a line that a command printed. Times during the test are moved to pageDay for the page, and become "<now>" in the compared
// form. All other dates are moved back by days.
func (r *reader) printed(line string, days int) shownLine {
	var moments []string // the times that replace the marks, moved to pageDay
	const mark = "\x00"
	if m := whenHead.FindStringSubmatch(line); m != nil {
		r.zone = m[1]
	}
	line = instant.ReplaceAllStringFunc(line, func(s string) string {
		m := instant.FindStringSubmatch(s)
		zone := strings.TrimSpace(m[5])
		switch {
		case zone == "Z":
			zone = "+0000"
		case zone == "":
			zone = r.zone
		}
		at, err := time.Parse(time.DateTime+" -0700", m[1]+" "+m[3]+" "+zone)
		if err != nil || at.Before(r.begun) || at.After(time.Now()) {
			return s
		}
		moments = append(moments, pageDay.Format(time.DateOnly)+s[len(m[1]):])
		return mark
	})
	line = moveDates(line, -days)
	shown, compared := line, plain(strings.ReplaceAll(line, mark, "<now>"))
	for _, m := range moments {
		shown = strings.Replace(shown, mark, m, 1)
	}
	return shownLine{strings.TrimRight(shown, " "), compared}
}

// runs matches the parts of a line that differ from run to run: durations, hashes (which depend on times), and the number of packets that TCP
// needed.
var runs = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`^ *\d+\.\ds(  \S+ )`), "   <t>$1"},
	{regexp.MustCompile(`converged after \d+\.\ds\.$`), "converged after <t>."},
	{regexp.MustCompile(`  (\d+m)?\d+s +(\d+m)?\d+s$`), "  <t>  <t>"},
	{regexp.MustCompile(` values of \d+s ago `), " values of <t> ago "},
	{regexp.MustCompile(`  (20\d\d-\d\d-\d\d +)\d+ days  `), "  $1<n> days  "}, // left, which is one less after midnight
	{regexp.MustCompile(`^(  \S+ +(?:any|-|up_dst|up_src|down_dst|down_src) .* \d+ +\d+ +)(?:-|<?[\d.]+)$`), "$1<rate>"},
	{regexp.MustCompile(`^(  \S+ +(?:up|down) +(?:in|out) +\d+ +\d+ +)(?:-|<?[\d.]+) +(\d+ +\d+)$`), "$1<rate> $2"},
	{regexp.MustCompile(`^head (\d+):[0-9a-f]{64}$`), "head $1:<hash>"},
	{regexp.MustCompile(` +\d+ packets   sent +\d+   `), " <n> packets   sent <n>   "},
	{regexp.MustCompile(`  soaks, \S+ so far$`), "  soaks, <t> so far"},
	// The records of a rollout depend on how often it had to wait for counters.
	{regexp.MustCompile(`^Audit records 1 to \d+ were moved`), "Audit records 1 to <n> were moved"},
	{regexp.MustCompile(`^Record \d+ says so\.`), "Record <n> says so."},
	{regexp.MustCompile(`intact: \d+ records, \d+ of them in`), "intact: <n> records, <n> of them in"},
	{regexp.MustCompile(`\b\d+ keys with [\d.]+ [KM]iB\b`), "<n> keys with <size>"},
}

// plain returns a line without trailing spaces and without the parts that differ from run to run.
func plain(line string) string {
	line = strings.TrimRight(line, " ")
	for _, x := range runs {
		line = x.what.ReplaceAllString(line, x.as)
	}
	var compact bytes.Buffer
	if strings.HasPrefix(line, "{") && json.Compact(&compact, []byte(line)) == nil { // protojson varies its spaces from build to build
		line = compact.String()
	}
	return line
}

// settled keeps only the last progress line of each switch and sorts these lines by switch name. The order of the switches and the number of
// steps shown differ from run to run.
func settled(lines []shownLine) []shownLine {
	var all []shownLine
	last := map[string]shownLine{}
	flush := func() {
		var ends []shownLine
		for _, line := range last {
			ends = append(ends, line)
		}
		slices.SortFunc(ends, func(a, b shownLine) int { return strings.Compare(a.compared, b.compared) }) // each line begins with the switch's name
		all = append(all, ends...)
		clear(last)
	}
	for _, line := range lines {
		rest, progress := strings.CutPrefix(line.compared, "   <t>  ")
		switch {
		case progress:
			name, _, _ := strings.Cut(rest, " ")
			last[name] = line
		case len(last) > 0 && strings.HasPrefix(line.compared, "         "): // the line continues the line above
		default:
			flush()
			all = append(all, line)
		}
	}
	flush()
	return all
}

// matches reports whether got equals want, where a line "..." in want matches any number of lines.
func matches(got, want []shownLine) bool {
	switch {
	case len(want) == 0:
		return len(got) == 0
	case want[0].compared == "...":
		for i := range len(got) + 1 {
			if matches(got[i:], want[1:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && got[0].compared == want[0].compared && matches(got[1:], want[1:])
}

func compared(lines []shownLine) []string {
	var all []string
	for _, line := range lines {
		all = append(all, line.compared)
	}
	return all
}

// mendable records the printed lines as the new output of a command on the page, and reports whether that was possible. If the page shows only
// parts of the output, each part begins with the first printed line that has the same first two words as before, and keeps its number of
// lines. The last part is taken from the end of the output.
func (r *reader) mendable(c pageCommand, got []shownLine) bool {
	start := func(line string) string {
		words := strings.Fields(line)
		return strings.Join(words[:min(2, len(words))], " ")
	}
	var lines []string
	parts := split(c.want)
	for i, part := range parts {
		from := 0
		switch {
		case i > 0 && i == len(parts)-1:
			from = len(got) - len(part)
		case i > 0 && len(part) > 0:
			from = slices.IndexFunc(got, func(line shownLine) bool { return start(line.page) == start(part[0]) })
		case len(parts) == 1:
			part = make([]string, len(got))
		}
		if from < 0 || from+len(part) > len(got) {
			return false
		}
		if i > 0 {
			lines = append(lines, "...")
		}
		for _, line := range got[from : from+len(part)] {
			lines = append(lines, line.page)
		}
		got = got[from+len(part):]
	}
	r.mended[c.line] = pageCommand{line: c.line, text: c.text, want: lines}
	return true
}

// split splits the lines at each line of three dots.
func split(lines []string) [][]string {
	parts := [][]string{nil}
	for _, line := range lines {
		if line == "..." {
			parts = append(parts, nil)
		} else {
			parts[len(parts)-1] = append(parts[len(parts)-1], line)
		}
	}
	return parts
}

// mend rewrites the page with the outputs that mendable recorded.
func (r *reader) mend() {
	if len(r.mended) == 0 {
		return
	}
	was, err := os.ReadFile(r.page)
	if err != nil {
		r.t.Fatal(err)
	}
	var now []string
	within := false // whether the line is old output of a mended command
	for i, line := range strings.Split(string(was), "\n") {
		if within && !strings.HasPrefix(line, "$ ") && line != "```" {
			continue
		}
		within = false
		now = append(now, line)
		if c, mended := r.mended[i+1]; mended {
			within = true
			now = append(now, c.want...)
		}
	}
	if err := os.WriteFile(r.page, []byte(strings.Join(now, "\n")), 0o644); err != nil {
		r.t.Fatal(err)
	}
}
