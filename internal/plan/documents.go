package plan

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"op25b/internal/intent"
)

// MaxDiff is the maximum size, in bytes, of a DocumentDiff's text.
const MaxDiff = 64 << 10

// A DocumentDiff describes the difference of one document between the base and the proposal.
type DocumentDiff struct {
	Path    string // "files/" followed by the file's name
	Added   bool   // the base does not have the document
	Removed bool   // the proposal does not have the document
	// Unified is the difference in unified format. Truncated reports whether it was cut at MaxDiff.
	Unified   string
	Truncated bool
}

// Detail returns the difference between two intents' documents in unified format, for an audit record. The text has at most the
// given number of bytes.
func Detail(base, proposed *intent.Intent, most int) string {
	const more = "... and more\n"
	var b strings.Builder
	for _, d := range documentDiffs(base, proposed) {
		b.WriteString(d.Unified)
		if d.Truncated {
			b.WriteString(more)
		}
		if b.Len() > most {
			break
		}
	}
	text, cut := Cut(b.String(), most)
	if cut {
		text, _ = Cut(text, most-len(more))
		text += more
	}
	return text
}

// documentDiffs returns the differences of those documents that the proposal changes.
func documentDiffs(base, proposed *intent.Intent) []DocumentDiff {
	if base == proposed {
		return nil
	}
	var old, now []file
	if base != nil {
		for _, f := range base.Documents() {
			old = append(old, file{f.Name, f.Data})
		}
	}
	for _, f := range proposed.Documents() {
		now = append(now, file{f.Name, f.Data})
	}
	return diffs(old, now)
}

// A file is a document and its name.
type file struct {
	name string
	data []byte
}

// diffs compares two lists of files, each ordered by name.
func diffs(old, now []file) []DocumentDiff {
	var all []DocumentDiff
	for len(old) > 0 || len(now) > 0 {
		switch {
		case len(now) == 0 || len(old) > 0 && old[0].name < now[0].name:
			all = append(all, documentDiff(old[0].name, old[0].data, nil, false, true))
			old = old[1:]
		case len(old) == 0 || now[0].name < old[0].name:
			all = append(all, documentDiff(now[0].name, nil, now[0].data, true, false))
			now = now[1:]
		default:
			if !bytes.Equal(old[0].data, now[0].data) {
				all = append(all, documentDiff(now[0].name, old[0].data, now[0].data, false, false))
			}
			old, now = old[1:], now[1:]
		}
	}
	return all
}

func documentDiff(name string, old, now []byte, added, removed bool) DocumentDiff {
	oldName, newName := "current/"+name, "proposed/"+name
	if added {
		oldName = "/dev/null"
	}
	if removed {
		newName = "/dev/null"
	}
	text := string(diff.Diff(oldName, old, newName, now))
	_, text, _ = strings.Cut(text, "\n") // remove the first line, which is the diff command
	text, cut := Cut(text, MaxDiff)
	return DocumentDiff{Path: "files/" + name, Added: added, Removed: removed, Unified: text, Truncated: cut}
}

// Cut shortens a text to at most the given number of bytes and reports whether it did. It cuts after the last whole line, or
// after the last whole character if there is no whole line.
func Cut(text string, most int) (string, bool) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text, false
	}
	text = text[:most]
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		return text[:i+1], true
	}
	for len(text) > 0 && !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text, true
}
