package strict

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Bounds of documents, whoever wrote them.
const (
	// MaxNodes is how many nodes the documents of an intent may have together: keys, values, items. A line of an inventory in braces counts as
	// 29 (6 keys with a value each, 3 items, and what separates them), so that 32 x 400,000 is room for 400,000 lines. A node takes about 220
	// bytes while documents are read: 2.8 GB at the most, and 1.7 GB for 400,000 lines.
	MaxNodes = 32 * 400_000
	// MaxFaults is how many faults are collected before reading and checking end.
	MaxFaults = 1000
	// maxFaultText is the most bytes of each text of a fault. The texts quote the documents.
	maxFaultText = 1024
	// maxAnchors is how many anchors and aliases are told by their place; none is allowed.
	maxAnchors = 1000
	// maxQuestions is how many question marks a file may have where a key could begin.
	maxQuestions = 100_000
	// maxDocuments is how many documents a file may have: one Policy and one Inventory are valid.
	maxDocuments = 1000
)

// Nodes returns an upper bound of how many nodes the documents of files have, from a look at their text.
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

// weight is the most nodes that a character brings about. Where a text or a comment has it, it brings about none.
func weight(text []byte, i int, c byte) int {
	switch c {
	case ',', '{': // a key, and a value that may be absent
		return 2
	case '[':
		return 1 // its first item
	case '-', ':', '?':
		if i+1 < len(text) && !strings.ContainsRune(" \t\r\n,[]{}\"'", rune(text[i+1])) && (c != ':' || i == 0 || !strings.ContainsRune("\"']}", rune(text[i-1]))) {
			return 0 // within a text
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

// A patient reader reads a text as long as somebody waits for it, in pieces, so that the YAML reader ends with it.
type patient struct {
	ctx  context.Context
	text []byte
}

// Read reads the next piece.
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
