package strict

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Limits on documents.
const (
	// MaxNodes is the maximum number of nodes (keys, values and items) in all documents of an intent together. A line of an inventory in
	// braces counts as 29 nodes: 6 keys, 6 values, 3 items, and separators. MaxNodes therefore allows 400,000 lines. While documents are
	// read, a node takes about 220 bytes, which is 2.8 GB at most, and 1.7 GB for 400,000 lines.
	MaxNodes = 32 * 400_000
	// MaxFaults is the number of faults at which reading and checking stop.
	MaxFaults = 1000
	// maxFaultText is the maximum length, in bytes, of each text in a fault. The texts quote the documents.
	maxFaultText = 1024
	// maxAnchors is the number of anchors and aliases above which reading stops. Each of them is a fault.
	maxAnchors = 1000
	// maxQuestions is the maximum number of question marks in a file at places where a key could begin.
	maxQuestions = 100_000
	// maxDocuments is the maximum number of documents in a file. Callers accept far fewer.
	maxDocuments = 1000
)

// Nodes returns an upper bound on the number of nodes in files. It scans the text without parsing it.
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

// weight returns the maximum number of nodes that a character can add. It also counts some characters in texts and comments.
func weight(text []byte, i int, c byte) int {
	switch c {
	case ',', '{': // a key and a value, which may be absent
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

// TooMany returns the fault that reports too many nodes.
func TooMany(file string) *Fault {
	return &Fault{
		Pos: Pos{File: file}, Kind: ErrSyntax, What: fmt.Sprintf("the documents have more than %d keys, values and items together", MaxNodes),
		Way: "divide the inventory among several controllers",
	}
}

// A patient is a reader that returns a text in pieces. Its Read fails after the context has ended, which also ends the YAML reader.
type patient struct {
	ctx  context.Context
	text []byte
}

// Read implements io.Reader.
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
