package markdown

import (
	"bytes"
	"strings"

	"op25b/internal/strict"
)

// Front reads the YAML front matter of a Markdown file into a struct, as strict.Decode does, and returns the text after it. The front matter
// stands between two lines of three hyphens, of which the first is the first line of the file. The positions in doc and in src are those of
// the file. The caller sets the language of src.
//
// The error is a strict.Faults. It is of the kind ErrMarkdown if there is no front matter.
func Front(f strict.File, kind string, into any) (doc strict.Document, src Source, err error) {
	head, body, line := divide(f.Data)
	if head == nil {
		return doc, src, strict.Faults{{
			Pos: strict.Pos{File: f.Name}, Kind: ErrMarkdown, What: "the file has no front matter",
			Way: "begin it with a line ---, then apiVersion: " + strict.APIVersion + ", kind: " + kind + " and the other keys, and end them with a line ---",
		}}
	}
	doc, err = strict.Decode(strict.File{Name: f.Name, Data: head}, kind, into)
	return doc, Source{File: f.Name, Text: body, Line: line}, err
}

// divide returns the front matter, with its opening line so that positions are those of the file, the text after it, and the line at which
// the text begins. head is nil if there is no front matter.
func divide(data []byte) (head, body []byte, line int) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors write a byte order mark
	for at := 0; at < len(data); line++ {
		end := bytes.IndexByte(data[at:], '\n') + 1
		if end == 0 {
			end = len(data) - at
		}
		mark := strings.TrimRight(string(data[at:at+end]), " \t\r\n") == "---"
		switch {
		case line == 0 && !mark:
			return nil, nil, 0
		case line > 0 && mark:
			return data[:at], data[at+end:], line + 2
		}
		at += end
	}
	return nil, nil, 0
}
