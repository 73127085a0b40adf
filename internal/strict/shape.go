package strict

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A shape is the kind of a node. It depends on the node's text and not on the type that a YAML library resolves. Libraries and their
// versions disagree on whether 2006-10-01, 1e5, on or 089 is text.
type shape int

const (
	mappingShape  shape = iota
	listShape           // a sequence
	textShape           // a quoted scalar, or a plain scalar of no other shape below
	blockShape          // a block scalar, after | or >
	integerShape        // an integer in any base, of which Number accepts only decimal integers
	floatShape          // a number with a point, an infinity or NaN
	boolShape           // true or false
	nullShape           // null, or an empty value
	anchorShape         // a node with an anchor
	aliasShape          // a reference to an anchor
	tagShape            // a node with an explicit tag
	questionShape       // a key after a question mark
)

// questionTag is the tag that mark sets on a key after a question mark. It cannot occur in a document, because written tags begin with
// an exclamation mark.
const questionTag = "?"

// mergeKey is the key with which YAML merges another mapping.
const mergeKey = "<<"

const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle

// shapeOf returns the shape of a node.
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

// marked reports whether a node has an anchor or a tag.
func marked(n *yaml.Node) bool {
	return n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.Tag == "!"
}

// absent reports whether a node stands for an empty place in the text.
func absent(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && !marked(n) && n.Style == 0
}

// plainShape returns the shape of a scalar without quotes.
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

// keyText returns the text of a mapping key. ok is false if the key is a merge key, or is not a plain or quoted scalar.
func keyText(n *yaml.Node) (string, bool) {
	switch shapeOf(n) {
	case textShape:
		return n.Value, n.Style&quoted != 0 || n.Value != mergeKey
	case integerShape, floatShape, boolShape, nullShape:
		return n.Value, true
	}
	return "", false
}

// keyName describes a key for which keyText returns false.
func keyName(n *yaml.Node) string {
	if shapeOf(n) == textShape {
		return "a merge key"
	}
	return nodeName(n)
}

// nodeName describes a node for a message.
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
