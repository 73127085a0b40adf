package portal

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"op25b/internal/page/pagetest"
)

func TestTexts(t *testing.T) { pagetest.Texts(t, templateFiles, texts) }

// TestPunctuation verifies that no Japanese page has a half-width colon or bracket next to Japanese text, and that no English text counts things
// in a way that is wrong for one of them.
func TestPunctuation(t *testing.T) {
	half := regexp.MustCompile(`[\p{Han}\p{Hiragana}\p{Katakana}ー]\s*[:(,]|\)\s*[\p{Han}\p{Hiragana}\p{Katakana}]`)
	action := regexp.MustCompile(`\{\{.*?\}\}`)
	plural := regexp.MustCompile(`%(\[\d\])?s (switches|lines|answers|days|servers)`)
	for key, text := range texts {
		if bad := half.FindString(text[1]); bad != "" {
			t.Errorf("text %q has %q", key, bad)
		}
		if bad := plural.FindString(text[0]); bad != "" {
			t.Errorf("text %q has %q", key, bad)
		}
	}
	err := fs.WalkDir(templateFiles, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(templateFiles, path)
		for n, line := range strings.Split(string(data), "\n") {
			line = action.ReplaceAllString(line, "…")
			for _, bad := range []string{"…:", "… (", "(…", "…)", "…,"} {
				if strings.Contains(line, bad) {
					t.Errorf("%s:%d has %q, which is not Japanese punctuation: take it from the texts", path, n+1, bad)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
