package constraint

import (
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"
)

// A pos is a position in a restriction's text. Lines and columns are counted from 1, columns in characters.
type pos struct{ line, column int }

func (p pos) String() string { return fmt.Sprintf("%d:%d", p.line, p.column) }

type tokenKind int

const (
	end tokenKind = iota
	word
	number
	quoted // a quoted string; text does not include the quotes
	symbol
	bad // an invalid token; the field why contains the reason
)

type token struct {
	kind tokenKind
	text string
	at   pos
	// The token's byte offsets in the source.
	from, to int

	num *big.Int // value of a number token
	why string   // reason why a token is invalid
}

func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return fmt.Sprintf("%q", clip(t.text))
}

// symbols lists the operators and punctuation. A longer symbol comes before any symbol that is its prefix.
var symbols = []string{"&&", "||", "->", "::", "==", "!=", ">=", "<=", "!", "(", ")", ">", "<", ".", ";", "-"}

// A lexer splits a restriction into tokens. It never fails: it turns invalid text into a bad token, which the parser
// reports.
type lexer struct {
	src string
	off int
	at  pos
}

// lex splits a restriction into tokens. The last token is an end token.
func lex(src string) []token {
	l := &lexer{src: src, at: pos{1, 1}}
	for out := []token{}; ; {
		t := l.next()
		out = append(out, t)
		if t.kind == end {
			return out
		}
	}
}

// advance moves over n bytes and counts lines and columns. Each of \r\n, \n and \r ends a line.
func (l *lexer) advance(n int) {
	for stop := l.off + n; l.off < stop; {
		r, size := utf8.DecodeRuneInString(l.src[l.off:])
		l.off += size
		switch {
		case r == '\n', r == '\r' && !strings.HasPrefix(l.src[l.off:], "\n"):
			l.at = pos{l.at.line + 1, 1}
		default:
			l.at.column++
		}
	}
}

func (l *lexer) next() token {
	if t, unclosed := l.skip(); unclosed {
		return t
	}
	rest := l.src[l.off:]
	t := token{at: l.at, from: l.off}
	n := 0
	switch r, size := utf8.DecodeRuneInString(rest); {
	case rest == "":
	case isLetter(r), isDigit(r):
		n = len(rest) - len(strings.TrimLeftFunc(rest, func(r rune) bool { return isLetter(r) || isDigit(r) }))
		t.kind, t.text = word, rest[:n]
		if isDigit(r) {
			t.readNumber()
		}
	case r == '\'':
		if i := strings.IndexByte(rest[1:], '\''); i >= 0 {
			n = i + 2
			t.kind, t.text = quoted, rest[1:i+1]
		} else {
			n = len(rest)
			t.kind, t.text, t.why = bad, rest, "the address does not end; a ' must close it"
		}
	default:
		n = size
		t.kind, t.text = bad, rest[:n]
		for _, s := range symbols {
			if strings.HasPrefix(rest, s) {
				n = len(s)
				t.kind, t.text = symbol, s
				break
			}
		}
	}
	l.advance(n)
	t.to = l.off
	return t
}

// skip skips white space and comments. If a comment is not closed, skip returns a bad token and true.
func (l *lexer) skip() (t token, unclosed bool) {
	for {
		rest := l.src[l.off:]
		n := len(rest) - len(strings.TrimLeft(rest, " \t\r\n"))
		switch {
		case n > 0:
		case strings.HasPrefix(rest, "//"):
			if n = strings.IndexAny(rest, "\r\n"); n < 0 {
				n = len(rest)
			}
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest[2:], "*/")
			if i < 0 {
				t = token{kind: bad, text: rest, at: l.at, from: l.off, to: len(l.src), why: "the comment does not end; a */ must close it"}
				l.advance(len(rest))
				return t, true
			}
			n = i + 4
		default:
			return token{}, false
		}
		l.advance(n)
	}
}

// maxDigits limits the length of a number. A 128-bit number has 130 characters in binary notation.
const maxDigits = 256

// readNumber converts a word that begins with a digit to a number, or to a bad token.
func (t *token) readNumber() {
	digits, base := t.text, 10
	if len(digits) > 1 && digits[0] == '0' {
		switch digits[1] {
		case 'x', 'X':
			base = 16
		case 'b', 'B':
			base = 2
		case 'o', 'O':
			base = 8
		case 'd', 'D':
			digits = digits[2:]
		}
		if base != 10 {
			digits = digits[2:]
		}
	}
	n, ok := new(big.Int), false
	if len(digits) <= maxDigits {
		n, ok = n.SetString(digits, base)
	}
	if !ok {
		t.kind, t.why = bad, fmt.Sprintf("not a number; it must be decimal (12 or 0d12), 0x1f, 0b101 or 0o17, of at most %d digits", maxDigits)
		return
	}
	t.kind, t.num = number, n
}

func isLetter(r rune) bool { return r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
func isDigit(r rune) bool  { return '0' <= r && r <= '9' }
