package main

import (
	"strings"
	"testing"

	"op25b/internal/client"
	"op25b/internal/view/prose"
)

// The message of an error may quote a document or a switch. The test verifies that a quotation cannot move the
// cursor or hide text on a terminal, and that the line breaks of the message itself are kept.
func TestFailuresSteerNoTerminal(t *testing.T) {
	const hostile = "\x1b[2J\u202e\u200b\r"
	for want, f := range map[string]client.Failure{
		"op25b: a" + `\u001b[2J\u202e\u200b\u000d` + "\nb\n":                                              {Message: "a" + hostile + "\nb"},
		`policy.yaml:1:2: a\u001b[2J\u202e\u200b\u000d\u000ab` + "\nop25b: the documents are not valid\n": {Message: "a", Faults: []client.Fault{{File: "policy.yaml", Line: 1, Column: 2, What: "a" + hostile + "\nb"}}},
	} {
		var out strings.Builder
		printFailure(&out, f)
		if out.String() != want || prose.EscapeLines(out.String()) != out.String() {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}
