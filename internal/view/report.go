package view

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"op25b/internal/view/prose"
)

// A ReportedFile has what the events in a file changed.
type ReportedFile struct {
	File   string `json:"file"`
	Events int    `json:"events"`
	// Outcomes counts the events by outcome, and Lines has the numbers of their lines.
	Outcomes map[string]int   `json:"outcomes"`
	Lines    map[string][]int `json:"lines"`
}

// A reportedLine is the JSON form of the outcome of one line.
type reportedLine struct {
	Line    int    `json:"line"`
	Outcome string `json:"outcome"`
}

// unchanged has the meanings of the outcomes of events that changed nothing.
var unchanged = map[string]string{
	"no-line":   "no line of the inventory has this identity",
	"ambiguous": "several lines have this identity",
	"unknown":   "interim events of unknown sessions",
	"late":      "a later event is known, the event is too old, or its lease has ended",
}

// maxReportedLines is the number of lines that the table names for each outcome.
const maxReportedLines = 10

// ReportedLine shows the outcome of one line.
func (t *table) ReportedLine(line int, outcome string) error {
	_, err := fmt.Fprintf(t.w, "%d %s\n", line, outcome)
	return err
}

// ReportedFile shows the number of events by outcome, and the lines of events that changed nothing.
func (t *table) ReportedFile(f ReportedFile) error {
	g := grid{head: []string{"OUTCOME", "EVENTS"}}
	text := ""
	for _, o := range slices.Sorted(maps.Keys(f.Outcomes)) {
		g.add(o, prose.Number(f.Outcomes[o]))
		meaning, ok := unchanged[o]
		if !ok {
			continue
		}
		var lines []string
		for _, n := range f.Lines[o] {
			lines = append(lines, fmt.Sprint(n))
		}
		text += wrapped("", fmt.Sprintf("%s: %s (%s %s).", o, meaning, prose.Plural(len(lines), "line"), prose.List(lines, maxReportedLines)), 4)
	}
	if f.Events > 0 {
		text = g.text(t, "") + text
	}
	text += wrapped("", fmt.Sprintf("%s from %s, all in the store.", prose.Count(f.Events, "event"), plain(f.File)), 4)
	_, err := io.WriteString(t.w, text)
	return err
}

// ReportedLine writes the number and the outcome of one line.
func (d *documents) ReportedLine(line int, outcome string) error {
	return json.NewEncoder(d.w).Encode(reportedLine{line, outcome})
}

// ReportedFile writes the outcomes of all lines.
func (d *documents) ReportedFile(f ReportedFile) error { return json.NewEncoder(d.w).Encode(f) }
