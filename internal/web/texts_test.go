package web

import (
	"regexp"
	"testing"

	"op25b/internal/page/pagetest"
)

func TestTexts(t *testing.T) { pagetest.Texts(t, templateFiles, texts) }

// TestJapanesePunctuation verifies that Japanese texts have the full-width forms of colons, brackets and commas.
func TestJapanesePunctuation(t *testing.T) {
	half := regexp.MustCompile(`: |:$|[()]|, `)
	japanese := regexp.MustCompile(`[\p{Hiragana}\p{Katakana}\p{Han}]`)
	for key, text := range texts {
		if japanese.MatchString(text[1]) && half.MatchString(text[1]) {
			t.Errorf("text %q has half-width punctuation: %s", key, text[1])
		}
	}
}
