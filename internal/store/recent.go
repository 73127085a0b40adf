package store

import "sync"

// recentBytes is the most content kept in memory, in bytes.
const recentBytes = 64 << 20

// recentPieces holds recently read and written content, by hash. A revision shares most of its content with the previous revision. The
// content of a hash never changes.
type recentPieces struct {
	mu     sync.Mutex // guards everything that follows
	byHash map[string][]byte
	bytes  int
}

func (p *recentPieces) find(hash string) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	content, ok := p.byHash[hash]
	return content, ok
}

// forget drops everything.
func (p *recentPieces) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byHash, p.bytes = nil, 0
}

// learn adds content whose hash was verified. The content must not be changed afterwards. If there is no room, learn first drops everything
// else.
func (p *recentPieces) learn(hash string, content []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.byHash[hash]; known || len(content) > recentBytes {
		return
	}
	if p.byHash == nil || p.bytes+len(content) > recentBytes {
		p.byHash, p.bytes = make(map[string][]byte), 0
	}
	p.byHash[hash] = content
	p.bytes += len(content)
}
