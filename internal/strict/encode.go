package strict

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Encode returns a document of the given kind, with the keys that the yaml tags of a struct's fields name. Decode accepts the document if
// the values are valid. Types whose text differs from their Go value implement MarshalYAML. The result is the same for equal values.
func Encode(kind string, from any) ([]byte, error) {
	var values yaml.Node
	if err := values.Encode(from); err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	doc := yaml.Node{Kind: yaml.MappingNode}
	for _, text := range []string{"apiVersion", APIVersion, "kind", kind} {
		doc.Content = append(doc.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: text})
	}
	doc.Content = append(doc.Content, values.Content...)
	data, err := dump(&doc)
	if err == nil && bytes.ContainsFunc(data, func(r rune) bool { return !writable(r) }) {
		data, err = dump(&doc, yaml.WithUnicode(false)) // escapes every character outside ASCII
	}
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	return data, nil
}

func dump(doc *yaml.Node, more ...yaml.Option) ([]byte, error) {
	return yaml.Dump(doc, append(more, yaml.WithIndent(2), yaml.WithLineWidth(-1), yaml.WithFlowSimpleCollections())...)
}

// Text returns a text as a scalar for a document, in double quotes if necessary. Decode reads it as the same text.
func Text(text string) string {
	if text == "" || plainShape(text) != textShape || !utf8.ValidString(text) {
		return strconv.Quote(text)
	}
	for i, r := range text {
		word := unicode.IsLetter(r) || unicode.IsDigit(r)
		within := i > 0 && (strings.ContainsRune("-_./@+", r) || r == ' ' && i < len(text)-1)
		if !word && !within {
			return strconv.Quote(text)
		}
	}
	return text
}
