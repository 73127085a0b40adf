package strict

import (
	"slices"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	valid := []string{"smtp", "submission", "submissions", "pop3"}
	for given, want := range map[string]string{
		"stmp":        `did you mean "smtp"? services: smtp, submission, submissions, pop3`, // two letters swapped
		"SMTP":        `did you mean "smtp"? services: smtp, submission, submissions, pop3`,
		"submissionz": `did you mean "submission"? services: smtp, submission, submissions, pop3`, // the first of two as near
		"imap":        `services: smtp, submission, submissions, pop3`,
		"":            `services: smtp, submission, submissions, pop3`,
	} {
		if got := Nearest(given, valid, "services"); got != want {
			t.Errorf("nearest(%q) = %q, want %q", given, got, want)
		}
	}
	if got, want := Nearest("x", nil, "services"), "there are no services"; got != want {
		t.Errorf("nearest of none = %q, want %q", got, want)
	}
	many := strings.Split(strings.Repeat("line,", 14)+"line", ",")
	if got, want := Nearest("qqqq", many, "lines"), "lines: "+strings.Repeat("line, ", 11)+"line and 3 more"; got != want {
		t.Errorf("nearest of many = %q, want %q", got, want)
	}
}

// TestSimilar verifies that the most similar names come first, in the order of valid if they are equally similar, and that their number is bounded.
func TestSimilar(t *testing.T) {
	valid := []string{"sim-west-1", "sim-east-10", "sim-east-1", "sim-east-2", "fttx-7"}
	for given, want := range map[string][]string{
		"sim-east-1":  {"sim-east-1", "sim-east-10", "sim-east-2"}, // then sim-west-1, which is the fourth
		"SIM-EAST-1x": {"sim-east-10", "sim-east-1", "sim-east-2"},
		"fttx-8":      {"fttx-7"},
		"nothing":     nil,
		"":            nil,
	} {
		if got := Similar(given, valid, 3); !slices.Equal(got, want) {
			t.Errorf("similar(%q) = %q, want %q", given, got, want)
		}
	}
	if got := Similar(strings.Repeat("x", maxGuessed+1), []string{strings.Repeat("x", maxGuessed)}, 3); got != nil {
		t.Errorf("a name that is too long has %d similar names", len(got))
	}
}
