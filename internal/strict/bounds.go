package strict

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Bounds of documents.
const (
	// MaxNodes is the most nodes (keys, values and items) that the documents of an intent may have together. A line of an inventory in
	// braces counts as 29: 6 keys with a value each, 3 items, and separators. MaxNodes therefore allows 400,000 lines. A node takes about
	// 220 bytes while documents are read: 2.8 GB at most, and 1.7 GB for 400,000 lines.
	MaxNodes = 32 * 400_000
	// MaxFaults is the number of faults after which reading and checking end.
	MaxFaults = 1000
	// maxFaultText bounds each text of a fault, in bytes. The texts quote the documents.
	maxFaultText = 1024
	// maxAnchors is the number of anchors and aliases after which reading ends. Each of them is a fault.
	maxAnchors = 1000
	// maxQuestions is the most question marks that a file may have where a key could begin.
	maxQuestions = 100_000
	// maxDocuments is the most documents that a file may have. Callers accept far fewer.
	maxDocuments = 1000
)

// Nodes returns an upper bound of the number of nodes in files. Nodes scans the text and does not parse it.
func Nodes(files []File) int {
	n := 0
	for _, f := range files {
		n += 2
		for i, c := range f.Data {
			n += weight(f.Data, i, c)
		}
	}
	return n
}

// weight returns the maximum number of nodes that a character can add. Some characters in texts and comments are counted too.
func weight(text []byte, i int, c byte) int {
	switch c {
	case ',', '{': // a key, and a value that may be absent
		return 2
	case '[':
		return 1 // the first item
	case '-', ':', '?':
		if i+1 < len(text) && !strings.ContainsRune(" \t\r\n,[]{}\"'", rune(text[i+1])) && (c != ':' || i == 0 || !strings.ContainsRune("\"']}", rune(text[i-1]))) {
			return 0 // inside a text
		}
		if c == '-' {
			return 1
		}
		return 2
	}
	return 0
}

// TooMany returns the fault of documents with too many nodes.
func TooMany(file string) *Fault {
	return &Fault{
		Pos: Pos{File: file}, Kind: ErrSyntax, What: fmt.Sprintf("the documents have more than %d keys, values and items together", MaxNodes),
		Way: "divide the inventory among several controllers",
	}
}

// A patient is a reader that returns a text in pieces. Read fails after the context has ended, so that the YAML reader ends too.
type patient struct {
	ctx  context.Context
	text []byte
}

// Read returns the next piece.
func (p *patient) Read(b []byte) (int, error) {
	if p.ctx != nil && p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	if len(p.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), 64<<10)], p.text)
	p.text = p.text[n:]
	return n, nil
}
