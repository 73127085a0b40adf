package policy

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parse reads the documents of a file. Documents with nothing in them are left out.
func parse(f File) ([]ast.Node, *Fault) {
	text := bytes.TrimPrefix(f.Data, []byte("\ufeff")) // some editors begin a file with it
	if fault := checkUTF8(f.Name, text); fault != nil {
		return nil, fault
	}
	var docs []ast.Node
	for _, tokens := range split(lexer.Tokenize(string(text))) {
		// Repeated keys are found in decoding, where both places can be named.
		parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
		if err != nil {
			return nil, syntaxFault(f.Name, err)
		}
		for _, doc := range parsed.Docs {
			if doc.Body == nil {
				return nil, syntaxFault(f.Name, errNoBody)
			}
			docs = append(docs, doc.Body)
		}
	}
	return docs, nil
}

var errNoBody = errors.New("a document could not be read")

// split cuts a file's tokens before each document header and behind each document end, and drops the pieces without content. The
// parser does the same, but stops without a word at two headers in a row: a document behind them would be lost.
func split(tokens token.Tokens) []token.Tokens {
	var pieces []token.Tokens
	var piece token.Tokens
	content := false
	cut := func() {
		if content {
			pieces = append(pieces, piece)
		}
		piece, content = nil, false
	}
	for _, t := range tokens {
		switch t.Type {
		case token.DocumentHeaderType:
			cut()
		case token.DocumentEndType:
			cut()
			continue
		case token.CommentType:
		default:
			content = true
		}
		piece = append(piece, t)
	}
	cut()
	return pieces
}

// syntaxFault is what the parser says, with the place that it says.
func syntaxFault(file string, err error) *Fault {
	fault := &Fault{Pos: Pos{File: file}, What: "not valid YAML: " + err.Error(), Kind: ErrSyntax}
	if yerr := yaml.Error(nil); errors.As(err, &yerr) {
		fault.What = "not valid YAML: " + yerr.GetMessage()
		if t := yerr.GetToken(); t != nil && t.Position != nil {
			fault.Line, fault.Col = t.Position.Line, t.Position.Column
		}
	}
	return fault
}

// checkUTF8 finds the first byte that is not UTF-8.
func checkUTF8(file string, text []byte) *Fault {
	line, col := 1, 1
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			return &Fault{Pos: Pos{file, line, col}, Kind: ErrSyntax, What: fmt.Sprintf("byte 0x%02x is not UTF-8", rest[0]), Way: "save the file as UTF-8"}
		}
		col++
		if r == '\n' {
			line, col = line+1, 1
		}
		rest = rest[size:]
	}
	return nil
}
