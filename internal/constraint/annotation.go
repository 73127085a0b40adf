package constraint

import (
	"fmt"
	"strings"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
)

// annotationOf maps each kind of scope to the name of its annotation.
var annotationOf = map[scopeKind]string{ofTable: "entry_restriction", ofAction: "action_restriction"}

// restrictions returns the texts of all restrictions of a table or action.
func restrictions(kind scopeKind, p *configv1.Preamble) ([]string, error) {
	mine, other := annotationOf[kind], annotationOf[1-kind]
	misplaced := fmt.Errorf("@%s: is not for %vs; @%s is", other, kind, mine)
	var out []string
	for _, a := range p.GetAnnotations() {
		name, body := splitAnnotation(a)
		switch name {
		case other:
			return nil, misplaced
		case mine:
			text, err := unquote(body)
			if err != nil {
				return nil, fmt.Errorf("@%s: %w", mine, err)
			}
			out = append(out, text)
		}
	}
	for _, a := range p.GetStructuredAnnotations() {
		switch a.GetName() {
		case other:
			return nil, misplaced
		case mine:
			for _, e := range a.GetExpressionList().GetExpressions() {
				if _, ok := e.GetValue().(*configv1.Expression_StringValue); !ok {
					return nil, fmt.Errorf("@%s[...]: holds %v; it must hold strings", mine, e)
				}
				out = append(out, e.GetStringValue())
			}
			if len(a.GetExpressionList().GetExpressions()) == 0 {
				return nil, fmt.Errorf("@%s[...]: holds no string; write @%s(\"...\") or @%s[\"...\"]", mine, mine, mine)
			}
		}
	}
	return out, nil
}

// splitAnnotation splits `@name(body)` into name and `(body)`.
func splitAnnotation(a string) (name, body string) {
	a = strings.TrimPrefix(strings.TrimSpace(a), "@")
	end := strings.IndexFunc(a, func(r rune) bool { return !isLetter(r) && !isDigit(r) })
	if end < 0 {
		return a, ""
	}
	return a[:end], strings.TrimSpace(a[end:])
}

// unquote decodes the body of an annotation as p4c prints it: one or more string literals between parentheses, with their escapes
// unchanged. Each literal becomes a line of the result, so that a // comment ends with its literal. P4 does not define the escapes. \"
// \\ \n and \t have the same meaning as in C. A backslash before any other character is kept.
func unquote(body string) (string, error) {
	const want = `it must be one or more strings, as in ("port != 0")`
	in, ok := strings.CutPrefix(body, "(")
	if ok {
		in, ok = strings.CutSuffix(in, ")")
	}
	if !ok {
		return "", fmt.Errorf("body %q: not between ( and ); %s", clip(body), want)
	}
	var lines []string
	for in = strings.TrimSpace(in); in != ""; in = strings.TrimSpace(in) {
		if in[0] != '"' {
			return "", fmt.Errorf("body %q: %q is not a string; %s", clip(body), clip(in), want)
		}
		line, rest, ok := literal(in[1:])
		if !ok {
			return "", fmt.Errorf("body %q: a string does not end; %s", clip(body), want)
		}
		lines, in = append(lines, line), rest
	}
	if len(lines) == 0 {
		return "", fmt.Errorf("body %q: no string; %s", clip(body), want)
	}
	return strings.Join(lines, "\n"), nil
}

// literal reads a string literal up to its closing quote. ok is false if there is no closing quote.
func literal(in string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(in); i++ {
		switch c := in[i]; {
		case c == '"':
			return b.String(), in[i+1:], true
		case c == '\\' && i+1 < len(in):
			i++
			switch e := in[i]; e {
			case '"', '\\':
				b.WriteByte(e)
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(c)
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// clip shortens source text for messages.
func clip(s string) string {
	const most = 60
	for i := range s {
		if i >= most {
			return s[:i] + "..."
		}
	}
	return s
}
