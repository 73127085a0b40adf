package strict

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// An encoded holds the kinds of values that documents have.
type encoded struct {
	Text   string            `yaml:"text"`
	Texts  []string          `yaml:"texts,omitempty"`
	Number counted           `yaml:"number"`
	Yes    bool              `yaml:"yes,omitempty"`
	Nested []nestedForEncode `yaml:"nested,omitempty"`
}

type counted uint16

func (counted) Range() (lo, hi uint64) { return 0, 65535 }

type nestedForEncode struct {
	A string `yaml:"a"`
	B string `yaml:"b,omitempty"`
}

// TestEncode verifies that Decode reads what Encode has written, whatever the texts are.
func TestEncode(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"2006-10-01", "1e5", "0x1", "089", "on", "null", "~", "", " a ", "a: b", "# a", "- a", "a\nb", "a\n\n b\n", "\u2028", "\u0085", "\ufeff", "\x00", "'\"", "{a}", "[a", "*a", "&a", "!a", "<<", "?", "| a", "日本語: 〜", "\\u2028",
	}))
	rapid.Check(t, func(t *rapid.T) {
		want := encoded{
			Text: text.Draw(t, "text"), Texts: rapid.SliceOfN(text, 0, 3).Draw(t, "texts"), Number: counted(rapid.Uint16().Draw(t, "number")), Yes: rapid.Bool().Draw(t, "yes"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "nested") {
			want.Nested = append(want.Nested, nestedForEncode{text.Draw(t, "a"), text.Draw(t, "b")})
		}
		data, err := Encode("Thing", want)
		if err != nil {
			t.Fatal(err)
		}
		var got encoded
		if _, err := Decode(File{Name: "x", Data: data}, "Thing", &got); err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if len(want.Texts) == 0 {
			want.Texts = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-written +read:\n%s\n%s", diff, data)
		}
	})
}
