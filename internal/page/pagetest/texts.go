package pagetest

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"op25b/internal/page"
)

// Texts verifies that every text that the templates, or the Go files of the current directory, use by a call of T exists in both languages with
// the same arguments, and that every text is used.
func Texts(t *testing.T, templates fs.FS, texts page.Texts) {
	t.Helper()
	used := map[string]bool{}
	inTemplates := regexp.MustCompile(`\.T "([^"]+)"`)
	inCode := regexp.MustCompile(`\.T\("([^"]+)"`)
	err := fs.WalkDir(templates, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(templates, path)
		for _, m := range inTemplates.FindAllStringSubmatch(string(data), -1) {
			used[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".go") && !strings.HasSuffix(f.Name(), "_test.go") {
			data, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range inCode.FindAllStringSubmatch(string(data), -1) {
				used[m[1]] = true
			}
		}
	}
	verbs := regexp.MustCompile(`%(\[\d\])?[sd]`)
	for key := range used {
		text, known := texts[key]
		if !known || text[0] == "" || text[1] == "" {
			t.Errorf("text %q: %q", key, text)
		}
		if len(verbs.FindAllString(text[0], -1)) != len(verbs.FindAllString(text[1], -1)) {
			t.Errorf("text %q has other arguments in Japanese: %q", key, text)
		}
	}
	for key := range texts {
		if !used[key] {
			t.Errorf("no page uses the text %q", key)
		}
	}
}
