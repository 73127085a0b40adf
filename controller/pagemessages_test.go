package main

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// foreignMessages are fragments of messages that other modules and the operating system print.
var foreignMessages = []string{
	`invalid argument "-1" for "--max-clock-skew" flag`, "address already in use", "connection refused", "unexpected EOF", "no space left on device",
	"tls: failed to verify certificate: x509: certificate signed by unknown authority", "tls: certificate required",
	"error reading server preface: EOF", "did not find expected ',' or '}'", "while parsing a flow mapping",
	"failed to commit tx",
}

// TestTroubleshootingQuotesMessages verifies that each word of a message quoted in docs/troubleshooting.md occurs in a string literal of the
// product. Values are not checked: they contain capitals, digits or quotes, or are part of a path.
func TestTroubleshootingQuotesMessages(t *testing.T) {
	page, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := append(productTexts(t), foreignMessages...)
	word := regexp.MustCompile(`(?:^| )([a-z']{4,})[,:;.]?(?: |$)`)
	messages := regexp.MustCompile("\\*\\*`([^`]+)`").FindAllStringSubmatch(string(page), -1)
	if len(messages) < 50 {
		t.Fatalf("%d messages", len(messages))
	}
	for _, m := range messages {
		message := strings.Join(strings.Fields(m[1]), " ")
		known := []byte(message)
		for _, text := range texts {
			for from := 0; ; {
				i := strings.Index(message[from:], text)
				if i < 0 {
					break
				}
				for k := from + i; k < from+i+len(text); k++ {
					if known[k] != ' ' {
						known[k] = '_'
					}
				}
				from += i + len(text)
			}
		}
		for i := range message { // find texts that the page cuts off with three dots
			cut, _, dots := strings.Cut(message[i:], "...")
			if cut = strings.TrimSpace(cut); dots && strings.Contains(cut, " ") && slices.ContainsFunc(texts, func(text string) bool { return strings.HasPrefix(text, cut) }) {
				copy(known[i:], strings.Repeat("_", len(cut)))
			}
		}
		left := strings.ReplaceAll(string(known), " ", "  ") // the pattern must match adjacent words
		for _, w := range word.FindAllStringSubmatch(left, -1) {
			t.Errorf("docs/troubleshooting.md quotes %q, and no text of the product has %q there", message, w[1])
		}
	}
}

// productTexts returns the parts of the product's string literals that formatting verbs and newlines separate.
func productTexts(t *testing.T) []string {
	t.Helper()
	verb := regexp.MustCompile(`%[-+#0-9.\[\]*]*[a-zA-Z]|\n`)
	seen := map[string]bool{}
	var texts []string
	for _, root := range []string{"../internal", "../controller", "../e2e", "../p4src"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || d.IsDir() || filepath.Ext(path) != ".go":
				return err
			case strings.HasSuffix(path, "_test.go") && root != "../e2e": // of the tests, only the end-to-end tests print messages that users see
				return nil
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			set := token.NewFileSet()
			var s scanner.Scanner
			s.Init(set.AddFile(path, -1, len(source)), source, nil, 0)
			for {
				_, tok, lit := s.Scan()
				if tok == token.EOF {
					return nil
				}
				if tok != token.STRING {
					continue
				}
				text, err := strconv.Unquote(lit)
				if err != nil {
					return err
				}
				for _, part := range verb.Split(text, -1) {
					if part = strings.TrimSpace(part); len(part) >= 4 && !seen[part] {
						seen[part] = true
						texts = append(texts, part)
					}
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return texts
}
