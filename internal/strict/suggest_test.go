package strict

import (
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
