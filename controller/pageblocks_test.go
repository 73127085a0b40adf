package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A pageBlock is a fenced block of a documentation page. Its kind follows the opening fence:
//
//	console                     commands behind "$ ", each followed by its output; TestPages replays them
//	console skipped: REASON     commands that no test can run; TestPages prints them with the reason
//	diff                        one hunk, which TestPages applies to a document of the examples
//	json, p4, text, yaml        text in that format, which no test replays
//	none                        drawings, and commands that run tests; only the names in them are checked
//
// An HTML comment whose first line is "<!-- console" contains commands that must run before the commands of the page. Their output is not
// compared. These commands may also be
//
//	mail ...     sends traffic to a switch; see sendMail
//	lose ...     deletes an entry from a switch; see lose
//	hurry N      makes rollouts measure and soak for an N-th of their time, on controllers that are started later; see hurried
type pageBlock struct {
	line    int // the line number of the block's first line
	kind    string
	skipped string // the reason why the block is skipped; empty if it is not
	hidden  bool
	text    []string
}

// A pageCommand is a command in a console block, with the output that the page shows for it.
type pageCommand struct {
	line int
	text string
	want []string
}

// pages returns the paths of all documentation pages.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"../*.md", "../docs/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no pages in %s: %v", pattern, err)
		}
		all = append(all, found...)
	}
	return all
}

func pageBlocks(t *testing.T, path string) []pageBlock {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []pageBlock
	var end string // the line that ends the current block; empty outside blocks
	for i, line := range strings.Split(string(page), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case end != "" && line == end:
			end = ""
		case end != "":
			last := &all[len(all)-1]
			last.text = append(last.text, line)
		case line == "<!-- console":
			all, end = append(all, pageBlock{line: i + 2, kind: "console", hidden: true}), "-->"
		case fence:
			kind, skipped, _ := strings.Cut(info, " skipped: ")
			all, end = append(all, pageBlock{line: i + 2, kind: kind, skipped: skipped}), "```"
			switch kind {
			case "console", "diff", "json", "p4", "text", "yaml", "":
			default:
				t.Fatalf("%s:%d: a block of kind %q", path, i+1, info)
			}
		}
	}
	return all
}

func (b pageBlock) commands(t *testing.T) []pageCommand {
	t.Helper()
	var all []pageCommand
	for i, line := range b.text {
		if text, is := strings.CutPrefix(line, "$ "); is {
			all = append(all, pageCommand{line: b.line + i, text: text})
		} else if len(all) == 0 {
			t.Fatalf("line %d: a console block begins with a command", b.line)
		} else {
			last := &all[len(all)-1]
			last.want = append(last.want, line)
		}
	}
	return all
}
