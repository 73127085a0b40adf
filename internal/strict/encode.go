package strict

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v4"
)

// Encode returns a document of the given kind, with the keys that the yaml tags of a struct's fields name. Decode accepts the document if
// the values are valid. Types whose text differs from their Go value implement MarshalYAML. The result is the same for equal values.
func Encode(kind string, from any) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\n", APIVersion, kind)
	text, err := yaml.Dump(from, yaml.WithIndent(2), yaml.WithLineWidth(-1), yaml.WithFlowSimpleCollections())
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	b.Write(text)
	return b.Bytes(), nil
}
