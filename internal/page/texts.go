package page

import (
	"fmt"
	"maps"

	"op25b/internal/lang"
)

// Texts contains texts in English and Japanese, by key. A text may have the verbs of package fmt.
type Texts map[string][2]string

// Join returns the texts of all parts. It panics if two parts have the same key, which would be a programming error.
func Join(parts ...Texts) Texts {
	all := make(Texts)
	for _, p := range parts {
		for key := range p {
			if _, twice := all[key]; twice {
				panic(fmt.Sprintf("two texts have the key %q", key))
			}
		}
		maps.Copy(all, p)
	}
	return all
}

// T returns a text in a language; any other than Japanese means English. A missing key is a programming error, which a test detects; T then returns
// the key in brackets.
func (t Texts) T(language, key string, args ...any) string {
	both, known := t[key]
	if !known {
		return "[" + key + "]"
	}
	text := both[0]
	if lang.Language(language) == lang.Japanese {
		text = both[1]
	}
	if len(args) > 0 {
		return fmt.Sprintf(text, args...)
	}
	return text
}
