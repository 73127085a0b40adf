package store

import (
	"fmt"
	"testing"
)

// The size of the cache is limited, and a piece that was dropped is read again.
func TestRecentPiecesAreBounded(t *testing.T) {
	var p recentPieces
	p.learn("too large", make([]byte, recentBytes+1))
	for i := range 70 {
		p.learn(fmt.Sprint(i), make([]byte, 1<<20))
	}
	if _, ok := p.find("too large"); ok || p.bytes > recentBytes {
		t.Errorf("%d bytes are kept, of %d at most", p.bytes, recentBytes)
	}
	if _, ok := p.find("69"); !ok {
		t.Error("what was learned last is forgotten")
	}
}
