package lang

import "testing"

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
	}
	if got := Language("").Accepts(); got != "ja or en" {
		t.Errorf("Accepts returns %q", got)
	}
	if text.IsZero() || !(Text{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}
