package strict

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A shape is what a node is. It goes by the text of the node and not by the type that the YAML library has found for it: libraries and
// their versions do not agree whether 2006-10-01, 1e5, on or 089 is text.
type shape int

const (
	mappingShape  shape = iota
	listShape           // a sequence
	textShape           // a scalar in quotes, or a plain one that is none of the others
	blockShape          // text behind | or >
	integerShape        // in any base; of them, decimals alone are read, see number
	floatShape          // with a point, infinite, or not a number
	boolShape           // true or false
	nullShape           // null, or nothing at all
	anchorShape         // a node with a name
	aliasShape          // the name of a node
	tagShape            // a node with a type
	questionShape       // a key behind a question mark
)

// questionTag is the tag of a key that was written behind a question mark. A document's own tags begin with an exclamation mark.
const questionTag = "?"

// mergeKey is the key of a mapping whose keys are to be those of another.
const mergeKey = "<<"

const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle

// shapeOf is a node's shape.
func shapeOf(n *yaml.Node) shape {
	switch {
	case n.Tag == questionTag:
		return questionShape
	case n.Kind == yaml.AliasNode:
		return aliasShape
	case n.Anchor != "":
		return anchorShape
	case marked(n):
		return tagShape
	case n.Kind == yaml.MappingNode:
		return mappingShape
	case n.Kind == yaml.SequenceNode:
		return listShape
	case n.Style&quoted != 0:
		return textShape
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return blockShape
	}
	return plainShape(n.Value)
}

// marked says whether a node is written with an anchor or a tag.
func marked(n *yaml.Node) bool {
	return n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.Tag == "!"
}

// absent says whether nothing is written where a node should be.
func absent(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && !marked(n) && n.Style == 0
}

// plainShape is the shape of a scalar without quotes.
func plainShape(text string) shape {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nullShape
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return boolShape
	case ".inf", ".Inf", ".INF", "-.inf", "-.Inf", "-.INF", ".nan", ".NaN", ".NAN":
		return floatShape
	}
	if !strings.ContainsRune("+-.0123456789", rune(text[0])) {
		return textShape
	}
	digits := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(text, "+"), "-"), "_", "")
	base := 10
	switch point := strings.Contains(text, "."); {
	case strings.HasPrefix(digits, "0x"):
		digits, base = digits[2:], 16
	case strings.HasPrefix(digits, "0o"):
		digits, base = digits[2:], 8
	case strings.HasPrefix(digits, "0b"):
		digits, base = digits[2:], 2
	case point:
		if _, err := strconv.ParseFloat(digits, 64); err != nil {
			return textShape
		}
		return floatShape
	case len(digits) > 1 && digits[0] == '0':
		base = 8
	}
	var err error
	if strings.HasPrefix(text, "-") {
		_, err = strconv.ParseInt("-"+digits, base, 64)
	} else {
		_, err = strconv.ParseUint(digits, base, 64)
	}
	if err != nil {
		return textShape
	}
	return integerShape
}

// keyText is a mapping's key, if it is a plain or quoted scalar.
func keyText(n *yaml.Node) (string, bool) {
	switch shapeOf(n) {
	case textShape:
		return n.Value, n.Style&quoted != 0 || n.Value != mergeKey
	case integerShape, floatShape, boolShape, nullShape:
		return n.Value, true
	}
	return "", false
}

// keyName is what a key that has no text is, in words.
func keyName(n *yaml.Node) string {
	if shapeOf(n) == textShape {
		return "a merge key"
	}
	return nodeName(n)
}

// nodeName is what a node is, in words.
func nodeName(n *yaml.Node) string {
	switch shapeOf(n) {
	case mappingShape:
		return "a mapping"
	case listShape:
		return "a list"
	case textShape:
		return fmt.Sprintf("the text %q", n.Value)
	case blockShape:
		return "a block of text"
	case integerShape, floatShape:
		return "the number " + n.Value
	case boolShape:
		return n.Value
	case anchorShape:
		return "an anchor"
	case aliasShape:
		return "an alias"
	case tagShape:
		return "the tag " + n.Tag
	case questionShape:
		return "a question mark"
	}
	return "nothing"
}
