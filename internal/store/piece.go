package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Content is stored in pieces, each under its SHA-256. So its size is not restricted by etcd's limits of 1.5 MiB for a request and 128
// operations for a transaction. The boundary of a piece depends on the bytes before it, not on their offset. So a line that is added to
// 20 MiB of exemptions creates one or two new pieces and leaves the others unchanged.
const (
	minPiece   = 64 << 10
	maxPiece   = 1 << 20
	cutBits    = 17 // makes the average size of a piece about minPiece + 128 KiB
	batchBytes = maxPiece
	batchOps   = 100     // number of operations in a transaction; etcd allows 128
	readBytes  = 8 << 20 // target size of one answer in bytes
	// littleBytes and littleOps limit the pieces that are stored in the same transaction as their revision.
	littleBytes = 64 << 10
	littleOps   = 16
)

// A piece names a part of some content.
type piece struct {
	Hash  string `json:"sha256"` // SHA-256 of the piece, in hexadecimal
	Bytes int    `json:"bytes"`
}

// cut splits content into pieces. It adds the bytes of each piece to known, indexed by their hash.
func cut(content []byte, known map[string][]byte) []piece {
	gear := gearTable()
	var pieces []piece
	for len(content) > 0 {
		n := cutAt(content, &gear)
		sum := sha256.Sum256(content[:n])
		p := piece{Hash: hex.EncodeToString(sum[:]), Bytes: n}
		known[p.Hash] = content[:n]
		pieces = append(pieces, p)
		content = content[n:]
	}
	return pieces
}

// cutAt returns the length of the first piece of content. It determines the boundary by a gear hash over the last 64 bytes.
func cutAt(content []byte, gear *[256]uint64) int {
	if len(content) <= minPiece {
		return len(content)
	}
	const mask = (1<<cutBits - 1) << (64 - cutBits)
	end := min(len(content), maxPiece)
	var h uint64
	for i := minPiece - 64; i < end; i++ {
		h = h<<1 + gear[content[i]]
		if i >= minPiece && h&mask == 0 {
			return i
		}
	}
	return end
}

// gearTable returns a fixed table of arbitrary numbers. A different table would only move the boundaries of pieces.
func gearTable() (table [256]uint64) {
	for i := range table {
		sum := sha256.Sum256([]byte{byte(i)})
		for _, b := range sum[:8] {
			table[i] = table[i]<<8 | uint64(b)
		}
	}
	return table
}

func (s *Store) pieceKey(hash string) string { return s.key("intent/piece/" + hash) }

// putPieces stores pieces, with one request for each batch. If the last batch is small, putPieces does not store it, but returns its
// operations for the caller's transaction.
func (s *Store) putPieces(ctx context.Context, pieces map[string][]byte) ([]clientv3.Op, error) {
	var batch []clientv3.Op
	size := 0
	flush := func() error {
		_, err := ask(ctx, s, "store content", func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return s.client.Txn(ctx).Then(batch...).Commit()
		})
		batch, size = nil, 0
		return err
	}
	for hash, content := range pieces {
		if len(batch) > 0 && (size+len(content) > batchBytes || len(batch) == batchOps) {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		batch = append(batch, clientv3.OpPut(s.pieceKey(hash), string(content)))
		size += len(content)
	}
	if size > littleBytes || len(batch) > littleOps {
		if err := flush(); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

// getPieces reads contents from their pieces, as of etcd's revision rev. It returns ErrCorrupt if a piece does not match its hash.
func (s *Store) getPieces(ctx context.Context, rev int64, contents map[string][]piece) (map[string][]byte, error) {
	parts := make(map[string][]byte)
	known := make(map[string]bool) // hashes of the pieces whose content was verified
	var batch []clientv3.Op
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		resp, err := ask(ctx, s, "read content", func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return s.client.Txn(ctx).Then(batch...).Commit()
		})
		batch, size = nil, 0
		if err != nil {
			return err
		}
		for key, kv := range keysOf(resp.Responses) {
			parts[key] = kv.Value
		}
		return nil
	}
	for _, pieces := range contents {
		for _, p := range pieces {
			key := s.pieceKey(p.Hash)
			if _, ok := parts[key]; ok {
				continue
			}
			if content, ok := s.recent.find(p.Hash); ok {
				parts[key], known[p.Hash] = content, true
				continue
			}
			parts[key] = nil
			batch = append(batch, clientv3.OpGet(key, clientv3.WithRev(rev)))
			if size += p.Bytes; size >= readBytes || len(batch) == batchOps {
				if err := flush(); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	whole := make(map[string][]byte, len(contents))
	for name, pieces := range contents {
		joined := make([][]byte, len(pieces))
		for i, p := range pieces {
			part := parts[s.pieceKey(p.Hash)]
			if joined[i] = part; known[p.Hash] {
				continue
			}
			if sum := sha256.Sum256(part); hex.EncodeToString(sum[:]) != p.Hash {
				return nil, fmt.Errorf("%w: piece %s of %s has %d bytes that hash to %x", ErrCorrupt, p.Hash, name, len(part), sum)
			}
			s.recent.learn(p.Hash, part)
			known[p.Hash] = true
		}
		whole[name] = bytes.Join(joined, nil)
	}
	return whole, nil
}

// compacted reports whether a read failed because etcd has compacted the requested revision. The caller must then read again at a newer
// revision.
func compacted(err error) bool { return errors.Is(err, rpctypes.ErrCompacted) }
