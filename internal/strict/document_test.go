package strict

import "testing"

func TestDecode(t *testing.T) {
	type thing struct {
		Name  string       `yaml:"name"`
		Ports []portNumber `yaml:"ports,omitempty"`
		On    bool         `yaml:"on,omitempty"`
	}
	type doc struct {
		Things []thing `yaml:"things"`
	}
	read := func(text string) (*doc, func(string) Pos, error) {
		d := &doc{}
		doc, err := Decode(File{"f.yaml", []byte(text)}, "Things", d)
		return d, doc.At, err
	}
	const header = "apiVersion: op25b/v1\nkind: Things\n"
	d, at, err := read(header + "things:\n  - {name: a, ports: [25, 587], on: true}\n")
	if err != nil || len(d.Things) != 1 || d.Things[0].Name != "a" || len(d.Things[0].Ports) != 2 || !d.Things[0].On {
		t.Fatalf("%+v, %v", d, err)
	}
	if pos := at("things[0].ports[1]").String(); pos != "f.yaml:4:27" {
		t.Errorf("587 is at %s", pos)
	}
	for text, want := range map[string]string{
		header + "things:\n  - {nam: a}\n":          "f.yaml:4:5: things[0] has no \"name\"; it must be text\nf.yaml:4:6: unknown key \"nam\"; did you mean \"name\"? known keys: name, ports, on",
		"apiVersion: op25b/v1\nkind: Policy\n":      `f.yaml:2:7: unknown kind "Policy"; known: Things`,
		header + "things: []\n---\n" + header:       "f.yaml: there are 2 documents; keep one, of kind: Things",
		"- a\n":                                     "f.yaml:1:1: the document is a list; it must be a mapping that begins with apiVersion: op25b/v1 and kind: Things",
		header + "things:\n  - {name: a, on: on}\n": `f.yaml:4:19: things[0].on is the text "on"; it must be true or false`,
		"\xff": "f.yaml:1:1: byte 0xff is not UTF-8; save the file as UTF-8",
	} {
		if _, _, err := read(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}
