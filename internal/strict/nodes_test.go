package strict

import (
	"testing"

	"go.yaml.in/yaml/v4"
)

// count returns the number of nodes in a tree.
func count(n *yaml.Node) int {
	all := 1
	for _, c := range n.Content {
		all += count(c)
	}
	return all
}

// FuzzNodes verifies that Nodes never returns less than the number of nodes in a text.
func FuzzNodes(f *testing.F) {
	for _, text := range []string{
		"apiVersion: op25b/v1\nkind: Policy\nname: p\nservices: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]\n", "a: [b, {c: d}, {e, f: }]\n? g\n: h\n", `{"a":b,"c":[],[]:{},"d" : 'e'}`, "- - - a\n  -\n- b: c\n  d:\n", "{a: [b: c, ? d]}", "--- a\n--- b\n...\n", "[a\n,b]", "a:\t1\n", "-\ta\n",
		"{a:,b:}", "[{}:[]]", "? - a\n  - b\n: - c\n", "[a:]\n", "{?}", "{? a, ?: b}", "!!a b", "&a b: *a", "|\n a\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		docs, fault := Parse(t.Context(), File{Name: "f", Data: []byte(text)})
		if fault != nil {
			return
		}
		n := 0
		for _, doc := range docs {
			n += count(doc.root)
		}
		if most := Nodes([]File{{Data: []byte(text)}}); n > most {
			t.Errorf("%q has %d nodes, and counts as %d", text, n, most)
		}
	})
}
