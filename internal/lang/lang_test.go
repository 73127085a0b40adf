package lang

import (
	"slices"
	"strings"
	"testing"
)

func TestLanguage(t *testing.T) {
	text := Text{JA: "通知", EN: "Notice"}
	for _, c := range []struct {
		tag, want string
		ok        bool
	}{{"ja", "通知", true}, {"en", "Notice", true}, {"JA", "", false}, {"de", "", false}, {"", "", false}} {
		var l Language
		if err := l.Parse(c.tag); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.tag, err)
		} else if c.ok && text.In(l) != c.want {
			t.Errorf("%q: %q, want %q", c.tag, text.In(l), c.want)
		}
		if l, ok := Find(c.tag); ok != c.ok || ok && string(l) != c.tag {
			t.Errorf("Find(%q): %q, %v", c.tag, l, ok)
		}
	}
	if got := Language("").Accepts(); got != "ja or en" {
		t.Errorf("Accepts returns %q", got)
	}
	if text.IsZero() || !(Text{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

// TestCheck verifies that a text is refused unless it is one line of bounded length in both languages.
func TestCheck(t *testing.T) {
	long := strings.Repeat("通", MaxText)
	for _, c := range []struct {
		text Text
		want []string
	}{
		{Text{JA: long, EN: "Notice"}, nil},
		{Text{JA: long + "知", EN: "Notice"}, []string{"a.note.ja: a.note.ja has 201 characters; must be at most 200"}},
		{Text{JA: "通知"}, []string{"a.note.en: a.note.en is empty; write it in both languages"}},
		{Text{JA: " ", EN: "a\nb"}, []string{
			"a.note.ja: a.note.ja is empty; write it in both languages", "a.note.en: a.note.en has a line break or another control character; write it on one line",
		}},
	} {
		var got []string
		c.text.Check("a.note", func(path, what, way string) { got = append(got, path+": "+what+"; "+way) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%.40v: %q, want %q", c.text, got, c.want)
		}
	}
}
