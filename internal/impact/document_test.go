package impact

import (
	"os"
	"strings"
	"testing"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/policy"
)

// TestDocument: what docs/check.md shows is what comes out.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile("../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	var blocked, mailbox strings.Builder
	a, err := check.New(check.Source{Bundle: b}, check.Options{}).Ask(t.Context(), check.Question{Line: "adsl-bot", To: "203.0.113.25", Port: 25, At: day("2006-07-01")})
	if err != nil {
		t.Fatal(err)
	}
	_ = a.WriteText(&blocked)
	m, err := desk(t).Ask(t.Context(), Question{Address: "taro@gmail.com", Line: "adsl-home", At: day("2006-12-01")})
	if err != nil {
		t.Fatal(err)
	}
	_ = m.WriteText(&mailbox, "en")
	for _, want := range []string{blocked.String(), mailbox.String()} {
		if !strings.Contains(string(doc), "```text\n"+want+"```\n") {
			t.Errorf("docs/check.md does not show\n%s", want)
		}
	}
}
