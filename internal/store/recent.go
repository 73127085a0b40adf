package store

import "sync"

// recentBytes is how much content is kept in memory.
const recentBytes = 64 << 20

// recentPieces are what was read and written last, by hash. A revision has most of its content in common with the one before it, and what a hash
// stands for never changes.
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

// learn keeps content that is known to have this hash, and that nobody changes. Where there is no room it forgets all others.
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
