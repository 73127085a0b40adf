package store

import "sync"

// recentBytes is the maximum size of the content that is kept in memory, in bytes.
const recentBytes = 64 << 20

// recentPieces caches content that was recently read or written, indexed by its hash. The cache is useful because a revision shares most of
// its content with the previous revision. Entries never become stale, because the content of a hash never changes.
type recentPieces struct {
	mu     sync.Mutex // guards all following fields
	byHash map[string][]byte
	bytes  int
}

func (p *recentPieces) find(hash string) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	content, ok := p.byHash[hash]
	return content, ok
}

// forget clears the cache.
func (p *recentPieces) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byHash, p.bytes = nil, 0
}

// learn adds content whose hash was verified. The caller must not modify the content afterwards. If there is no room, learn first clears
// the cache.
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
