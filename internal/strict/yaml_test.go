package strict

import (
	"errors"
	"strings"
	"testing"
)

// A sheet is a document with a value of each kind that YAML could mistake for another kind.
type sheet struct {
	Title string     `yaml:"title,omitempty"`
	Port  portNumber `yaml:"port,omitempty"`
	On    bool       `yaml:"on,omitempty"`
	Rows  []row      `yaml:"rows,omitempty"`
}

type portNumber uint16

func (portNumber) Range() (lo, hi uint64) { return 1, 65535 }

type row struct {
	Name string `yaml:"name"`
}

const sheetHeader = "apiVersion: op25b/v1\nkind: Sheet\n"

// readSheet decodes a document and returns all faults in one text. The document begins with sheetHeader, so its own text begins at line 3.
func readSheet(t *testing.T, text string) (sheet, string) {
	t.Helper()
	var s sheet
	_, err := Decode(File{Name: "f", Data: []byte(text)}, "Sheet", &s)
	if err == nil {
		return s, ""
	}
	return s, err.Error()
}

// TestTextStaysText verifies that text which other YAML readers take for a date, a number or a truth value is read as text, unchanged.
func TestTextStaysText(t *testing.T) {
	for written, want := range map[string]string{
		"2006-10-01": "2006-10-01", "2006-10-01T00:00:00+09:00": "2006-10-01T00:00:00+09:00", "23:59": "23:59", "190:20:30": "190:20:30",
		"yes": "yes", "No": "No", "on": "on", "OFF": "OFF", "y": "y", "nULL": "nULL", "tRUE": "tRUE", "Nan": "Nan", "+.inf": "+.inf", "infinity": "infinity",
		"1e5": "1e5", "0X1F": "0X1F", "089": "089", "0o8": "0o8", "0b2": "0b2", "0x": "0x", "_1": "_1", "1.2.3": "1.2.3", ".": ".", "-a": "-a", "--5": "--5", "+": "+",
		"18446744073709551616": "18446744073709551616", "-9223372036854775809": "-9223372036854775809", "1.5e999": "1.5e999",
		"<<": "<<", "=": "=", "\ufffd": "\ufffd", "a#b": "a#b", "a # b": "a", "a\tb": "a\tb", "a\n  b": "a b",
		`"25"`: "25", "'25'": "25", `"null"`: "null", "'~'": "~", `"true"`: "true", "''": "", "'it''s'": "it's", `"\u0001\n\""`: "\x01\n\"", `"a\x20b"`: "a b",
		"|\n  a\n  b": "a\nb\n", "|-\n  25": "25", ">\n  a\n  b": "a b\n", ">-\n  null": "null", "|+\n  a\n": "a\n\n",
	} {
		got, faults := readSheet(t, sheetHeader+"title: "+written+"\n")
		if faults != "" || got.Title != want {
			t.Errorf("%q is %q, want %q: %s", written, got.Title, want, faults)
		}
	}
}

// TestValuesOfAnotherType verifies that a plain number or truth value is not accepted as text, and that text is not accepted as a number or
// truth value.
func TestValuesOfAnotherType(t *testing.T) {
	const text, number, truth = "it must be text", "it must be a whole number from 1 to 65535", "it must be true or false"
	for line, want := range map[string]string{
		"title: 25":                   "f:3:8: title is the number 25; " + text + ": put it in quotes if it is meant",
		"title: -0":                   "f:3:8: title is the number -0; " + text + ": put it in quotes if it is meant",
		"title: +5":                   "f:3:8: title is the number +5; " + text + ": put it in quotes if it is meant",
		"title: 017":                  "f:3:8: title is the number 017; " + text + ": put it in quotes if it is meant",
		"title: 0o17":                 "f:3:8: title is the number 0o17; " + text + ": put it in quotes if it is meant",
		"title: 0x1F":                 "f:3:8: title is the number 0x1F; " + text + ": put it in quotes if it is meant",
		"title: -0b11":                "f:3:8: title is the number -0b11; " + text + ": put it in quotes if it is meant",
		"title: 1_000":                "f:3:8: title is the number 1_000; " + text + ": put it in quotes if it is meant",
		"title: 18446744073709551615": "f:3:8: title is the number 18446744073709551615; " + text + ": put it in quotes if it is meant",
		"title: 1.5":                  "f:3:8: title is the number 1.5; " + text,
		"title: .5":                   "f:3:8: title is the number .5; " + text,
		"title: -5.":                  "f:3:8: title is the number -5.; " + text,
		"title: 01.5e3":               "f:3:8: title is the number 01.5e3; " + text,
		"title: -.INF":                "f:3:8: title is the number -.INF; " + text,
		"title: .NaN":                 "f:3:8: title is the number .NaN; " + text,
		"title: TRUE":                 "f:3:8: title is TRUE; " + text,
		"title: [a]":                  "f:3:8: title is a list; " + text,
		"title: {a: b}":               "f:3:8: title is a mapping; " + text,
		"title: Null":                 "f:3:8: title has no value; " + text + ", or leave the key out",
		"title: ~":                    "f:3:8: title has no value; " + text + ", or leave the key out",
		"title:":                      "f:3:7: title has no value; " + text + ", or leave the key out",
		"title: # later":              "f:3:7: title has no value; " + text + ", or leave the key out",
		"port: '25'":                  `f:3:7: port is the text "25"; ` + number,
		"port: 025":                   "f:3:7: port is 025; " + number,
		"port: +25":                   "f:3:7: port is +25; " + number,
		"port: -25":                   "f:3:7: port is -25; " + number,
		"port: 0x19":                  "f:3:7: port is 0x19; " + number,
		"port: 2_5":                   "f:3:7: port is 2_5; " + number,
		"port: 25.0":                  "f:3:7: port is the number 25.0; " + number,
		"port: 2e1":                   `f:3:7: port is the text "2e1"; ` + number,
		"port: 00:25":                 `f:3:7: port is the text "00:25"; ` + number,
		"port: 65536":                 "f:3:7: port is 65536; " + number,
		"port: true":                  "f:3:7: port is true; " + number,
		"on: yes":                     `f:3:5: on is the text "yes"; ` + truth,
		"on: 'true'":                  `f:3:5: on is the text "true"; ` + truth,
		"on: 1":                       "f:3:5: on is the number 1; " + truth,
		"on: |\n  true":               "f:3:5: on is a block of text; " + truth,
		"rows: x":                     `f:3:7: rows is the text "x"; it must be a list of mappings with the keys name`,
		"rows:\n- x":                  `f:4:3: rows[0] is the text "x"; it must be a mapping with the keys name`,
		"rows:\n-\n- {name: x}":       "f:4:2: rows[0] has no value; it must be a mapping with the keys name, or leave the key out",
		"title: \"日本\"\nrows: [{\"x\": 日}, ~]": "f:4:8: rows[0] has no \"name\"; it must be text\nf:4:9: unknown key \"x\"; known keys: name\nf:4:18: rows[1] has no value; it must be a mapping with the keys name, or leave the key out",
	} {
		if got, faults := readSheet(t, sheetHeader+line+"\n"); faults != want {
			t.Errorf("%q is %+v:\ngot  %s\nwant %s", line, got, faults, want)
		}
	}
	for line, want := range map[string]sheet{
		"port: 25":                    {Port: 25},
		"port: |-\n  25":              {Port: 25},
		"on: True":                    {On: true},
		"on: false":                   {},
		"rows: [name: x]":             {Rows: []row{{"x"}}},
		"rows: [\n {\"name\": x},\n]": {Rows: []row{{"x"}}},
		"'title' : x":                 {Title: "x"},
	} {
		got, faults := readSheet(t, sheetHeader+line+"\n")
		if faults != "" || got.Title != want.Title || got.Port != want.Port || got.On != want.On || len(got.Rows) != len(want.Rows) || len(got.Rows) > 0 && got.Rows[0] != want.Rows[0] {
			t.Errorf("%q is %+v, want %+v: %s", line, got, want, faults)
		}
	}
}

// TestHiddenMeanings verifies that anchors, aliases, tags, merge keys and question marks are refused by name wherever they occur.
func TestHiddenMeanings(t *testing.T) {
	const value = "; anchors, aliases, tags and merge keys are not supported: write the value out"
	const key, rowKey = "; keys are plain words: apiVersion, kind, title, port, on, rows", "; keys are plain words: name"
	for text, want := range map[string]string{
		"title: &a x":                        "f:3:8: title is written with an anchor" + value,
		"title: &a":                          "f:3:8: title is written with an anchor" + value,
		"title: *a":                          "f:3:8: title is written with an alias" + value,
		"title: &a x\nrows: *a":              "f:3:8: title is written with an anchor" + value + "\nf:4:7: rows is written with an alias" + value,
		"rows: &a [*a]":                      "f:3:7: rows is written with an anchor" + value,
		"title: !!str x":                     "f:3:8: title is written with the tag !!str" + value,
		"title: ! x":                         "f:3:8: title is written with the tag !" + value,
		"title: !!null ''":                   "f:3:8: title is written with the tag !!null" + value,
		"port: !!int '25'":                   "f:3:7: port is written with the tag !!int" + value,
		"rows: !mine [{name: x}]":            "f:3:7: rows is written with the tag !mine" + value,
		"&a title: x":                        "f:3:1: the document has a key written with an anchor" + key,
		"*a : x":                             "f:3:1: the document has a key written with an alias" + key,
		"!!str title: x":                     "f:3:1: the document has a key written with the tag !!str" + key,
		"<<: {title: x}":                     "f:3:1: the document has a key written with a merge key" + key,
		"[title]: x":                         "f:3:1: the document has a key written with a list" + key,
		"{title: x}: x":                      "f:3:1: the document has a key written with a mapping" + key,
		"? title\n: x":                       "f:3:1: the document has a key written with a question mark" + key,
		"?\n  title\n: x":                    "f:4:1: the document has a key written with a question mark" + key,
		"title: x\n? on\n: true":             "f:4:1: the document has a key written with a question mark" + key,
		"rows: [{? name: x}]":                "f:3:8: rows[0] has no \"name\"; it must be text\nf:3:9: rows[0] has a key written with a question mark" + rowKey,
		"rows: [? name : x]":                 "f:3:8: rows[0] has a key written with a question mark" + rowKey + "\nf:3:8: rows[0] has no \"name\"; it must be text",
		"# a\rrows: [{? name: x}]":           "f:4:8: rows[0] has no \"name\"; it must be text\nf:4:9: rows[0] has a key written with a question mark" + rowKey,
		"# a\r\nrows: [{?\tname: x}]":        "f:4:8: rows[0] has no \"name\"; it must be text\nf:4:9: rows[0] has a key written with a question mark" + rowKey,
		"\"<<\": x":                          "f:3:1: unknown key \"<<\"; known keys: apiVersion, kind, title, port, on, rows",
		"title: a?\n# why?\non: true":        "",
		"title: '? '\nrows: [{'name': '?'}]": "",
	} {
		if got, faults := readSheet(t, sheetHeader+text+"\n"); faults != want {
			t.Errorf("%q is %+v:\ngot  %s\nwant %s", text, got, faults, want)
		}
	}
}

// TestUnreadable verifies that a text that is not valid YAML, or uses an unsupported feature, yields one fault with its position.
func TestUnreadable(t *testing.T) {
	for text, want := range map[string]string{
		sheetHeader + "title: a: b\n":                 "f:3:9: not valid YAML: mapping values are not allowed in this context",
		sheetHeader + "rows:\n- name: x\n on: true\n": "f:5:2: not valid YAML: did not find expected key, while parsing a block mapping from 1:1",
		sheetHeader + "title: \"x\n":                  "f:4:1: not valid YAML: found unexpected end of stream, while scanning a quoted scalar from 3:8",
		sheetHeader + "title: @x\n":                   "f:3:8: not valid YAML: found character that cannot start any token, while scanning for the next token",
		sheetHeader + "---\n- ]\n":                    "f:4:3: not valid YAML: did not find expected node content, while parsing a block node",
		"%YAML 1.1\n---\n" + sheetHeader:              "f:1:1: the document begins with a directive; leave the lines with a percent sign out",
		"%TAG ! !x\n---\n" + sheetHeader:              "f:1:1: the document begins with a directive; leave the lines with a percent sign out",
		sheetHeader + "...\n%TAG ! !x\n---\na: b\n":   "f:4:1: the document begins with a directive; leave the lines with a percent sign out",
		sheetHeader + "title: é\x00\n":                `f:3:9: character U+0000 is not allowed unescaped; remove it, or write it as "\u0000", in double quotes`,
		sheetHeader + "title: 'a\u2028b'\n":           `f:3:10: character U+2028 is not allowed unescaped; remove it, or write it as "\u2028", in double quotes`,
		sheetHeader + "# \u0085\n":                    `f:3:3: character U+0085 is not allowed unescaped; remove it, or write it as "\u0085", in double quotes`,
		sheetHeader + "title: \uffff\n":               `f:3:8: character U+FFFF is not allowed unescaped; remove it, or write it as "\uffff", in double quotes`,
		sheetHeader + "title: \ufffe\n":               `f:3:8: character U+FFFE is not allowed unescaped; remove it, or write it as "\ufffe", in double quotes`,
		sheetHeader + "title: é\x83\n":                "f:3:9: byte 0x83 is not UTF-8; save the file as UTF-8",
	} {
		var s sheet
		_, err := Decode(File{Name: "f", Data: []byte(text)}, "Sheet", &s)
		if err == nil || err.Error() != want || !errors.Is(err, ErrSyntax) {
			t.Errorf("%q:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// TestEveryDocumentIsSeen verifies that empty documents neither count nor hide other documents.
func TestEveryDocumentIsSeen(t *testing.T) {
	const doc = sheetHeader + "title: x\n"
	for text, want := range map[string]int{
		"": 0, "\n": 0, "# a\n": 0, "---\n": 0, "---\n---\n": 0, "...\n": 0, "--- # a\n...\n--- # b\n": 0, "\ufeff": 0,
		doc: 1, "---\n---\n" + doc: 1, "---\n# a\n---\n\n---\n" + doc + "---\n": 1, doc + "...\n": 1, doc + "...\n# a\n": 1, "\ufeff---\n" + doc: 1,
		"---\r\n---\r\n" + strings.ReplaceAll(doc, "\n", "\r\n"): 1,
		"---\n---\n" + doc + "---\n---\n" + doc:                  2,
		doc + "...\n---\n...\n---\n" + doc:                       2,
		"--- ~\n---\n" + doc:                                     2, // an explicit null is not an empty document
		"--- &a\n---\n" + doc:                                    2, "--- ''\n---\n" + doc: 2, "--- !!null\n---\n" + doc: 2,
	} {
		docs, fault := Parse(t.Context(), File{Name: "f", Data: []byte(text)})
		if fault != nil || len(docs) != want {
			t.Errorf("%q has %d documents, want %d: %v", text, len(docs), want, fault)
		}
	}
	if _, faults := readSheet(t, "~\n"); faults != "f:1:1: the document is nothing; it must be a mapping that begins with apiVersion: op25b/v1 and kind: Sheet" {
		t.Error(faults)
	}
}

// TestHostileText verifies that text designed to exhaust a reader is refused like any other. A vulnerable reader would need time that grows
// with the square of the size.
func TestHostileText(t *testing.T) {
	const size = 1 << 18
	bomb := "a: &a x\n"
	for c := 'b'; c <= 'z'; c++ {
		name, last := string(c), string(c-1)
		bomb += name + ": &" + name + " [" + strings.Repeat("*"+last+",", 9) + "]\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"deep lists":       {strings.Repeat("[", size), "f:1:10001: not valid YAML: exceeded max depth of 10000, while increasing flow level"},
		"deep mappings":    {strings.Repeat("{", size), "f:1:10001: not valid YAML: exceeded max depth of 10000, while increasing flow level"},
		"deep blocks":      {strings.Repeat("- ", size/2), "f:1:20001: not valid YAML: exceeded max depth of 10000, while increasing indent level"},
		"question marks":   {strings.Repeat("? a\n", size/4), `f:1:1: the document has no "kind"`},
		"quoted keys":      {strings.Repeat("'a' : b\n", size/8), `f:1:1: the document has no "kind"`},
		"one long line":    {"rows: [" + strings.Repeat("? a: b,", size/7) + "]\n", `f:1:1: the document has no "kind"`},
		"documents":        {strings.Repeat("---\n", size/4), "there are 0 documents"},
		"bomb":             {sheetHeader + bomb, "unknown key \"z\""},
		"bomb for a value": {sheetHeader + "title: &a [*a, *a]\nrows: *a\n", "rows is written with an alias"},
	} {
		if _, faults := readSheet(t, c.text); !strings.Contains(faults, c.want) {
			t.Errorf("%s: %.300s", name, faults)
		}
	}
}
