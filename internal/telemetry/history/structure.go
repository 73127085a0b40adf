package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// This is the file format of bbolt, version 2. A page has a header of 16 bytes in the byte order of the machine.
const (
	pageHeader  = 16 // id uint64, flags uint16, count uint16, overflow uint32
	element     = 16 // in a branch: pos, ksize uint32, id uint64; in a leaf: flags, pos, ksize, vsize uint32
	metaSum     = 56 // the number of bytes of a meta page's content before the checksum
	flagBranch  = 0x01
	flagLeaf    = 0x02
	flagFree    = 0x10
	flagBucket  = 0x01 // a flag of a leaf element
	boltMagic   = 0xED0CDAED
	boltVersion = 2
	noFreelist  = 1<<64 - 1
	maxPageSize = 64 << 10
	maxPage     = 1 << 30 // the largest size of a page with its overflow, in bytes
)

// checkFile checks the structure of a file before bbolt opens it. It returns ErrInUse if another process has the file open, and ErrDamaged if
// the structure is invalid.
//
// bbolt follows page numbers without a check. A branch that leads back to itself would overflow the stack, and Go cannot recover from that.
// checkFile reads the meta pages, the list of free pages, all branches, and the headers of all leaves. Every page must lie in the file and must
// be reached only once. checkFile does not read the contents of leaves. guard and the decoder detect damage there.
func checkFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return inUse(path)
	} else if err != nil {
		return fmt.Errorf("%s: lock: %w", path, err)
	}
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if fi.Size() == 0 {
		return nil
	}
	if err := checkStructure(f, fi.Size()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// A structure walks the pages of a file.
type structure struct {
	r    io.ReaderAt
	size uint64 // the page size
	end  uint64 // the first page id that is not in use
	used []uint64
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

func checkStructure(r io.ReaderAt, size int64) error {
	root, free, s, err := readMeta(r, size)
	if err != nil {
		return err
	}
	s.used = make([]uint64, s.end/64+1)
	if free != noFreelist {
		if err := s.freelist(free); err != nil {
			return err
		}
	}
	return s.walk(root, true)
}

// readMeta reads the valid meta page, or the newer one if both are valid.
func readMeta(r io.ReaderAt, size int64) (root, free uint64, s *structure, err error) {
	le := binary.LittleEndian
	var newest uint64
	for i := range 17 {
		// Page 0 is at the start of the file. Page 1 follows at a distance of one page, and the page size is a power of two.
		at := int64(0)
		if i > 0 {
			at = 512 << i
		}
		b := make([]byte, pageHeader+metaSum+8)
		if _, err := r.ReadAt(b, at); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0, 0, nil, err
		}
		m := b[pageHeader:]
		sum := fnv.New64a()
		sum.Write(m[:metaSum])
		pageSize := uint64(le.Uint32(m[8:]))
		if le.Uint32(m) != boltMagic || le.Uint32(m[4:]) != boltVersion || le.Uint64(m[metaSum:]) != sum.Sum64() || i > 0 && at != int64(pageSize) {
			continue
		}
		if pageSize < 1024 || pageSize > maxPageSize || pageSize&(pageSize-1) != 0 {
			return 0, 0, nil, damaged("page size %d: want a power of two up to %d", pageSize, maxPageSize)
		}
		if tx := le.Uint64(m[48:]); s == nil || tx > newest {
			newest = tx
			root, free, s = le.Uint64(m[16:]), le.Uint64(m[32:]), &structure{r: r, size: pageSize, end: le.Uint64(m[40:])}
		}
	}
	switch {
	case s == nil:
		return 0, 0, nil, damaged("it has no valid meta page")
	case s.end > uint64(size)/s.size:
		return 0, 0, nil, damaged("%d pages of %d bytes are in use, but the file has %d bytes", s.end, s.size, size)
	}
	return root, free, s, nil
}

// A pageHead is the header of a page.
type pageHead struct {
	flags, count uint16
	bytes        uint64 // the size of the page with its overflow
}

// head reads the header of a page, and marks the page and its overflow as used.
func (s *structure) head(id uint64) (pageHead, error) {
	if id < 2 || id >= s.end {
		return pageHead{}, damaged("page %d: pages 2 to %d are in use", id, s.end)
	}
	var b [pageHeader]byte
	if _, err := s.r.ReadAt(b[:], int64(id*s.size)); err != nil {
		return pageHead{}, err
	}
	le := binary.LittleEndian
	overflow := uint64(le.Uint32(b[12:]))
	if got := le.Uint64(b[:]); got != id || overflow >= s.end-id {
		return pageHead{}, damaged("page %d has the header of page %d with %d more", id, got, overflow)
	}
	h := pageHead{le.Uint16(b[8:]), le.Uint16(b[10:]), (overflow + 1) * s.size}
	for p := id; p <= id+overflow; p++ {
		if err := s.mark(p); err != nil {
			return pageHead{}, err
		}
	}
	return h, nil
}

func (s *structure) mark(p uint64) error {
	if s.used[p/64]&(1<<(p%64)) != 0 {
		return damaged("page %d is used twice", p)
	}
	s.used[p/64] |= 1 << (p % 64)
	return nil
}

// body reads a page without its header, after checking that n elements fit.
func (s *structure) body(id uint64, h pageHead, n, size uint64) ([]byte, error) {
	if h.bytes > maxPage || n > (h.bytes-pageHeader)/size {
		return nil, damaged("page %d: %d elements in %d bytes", id, n, h.bytes)
	}
	b := make([]byte, h.bytes-pageHeader)
	_, err := s.r.ReadAt(b, int64(id*s.size)+pageHeader)
	return b, err
}

// freelist checks the list of free pages.
func (s *structure) freelist(id uint64) error {
	h, err := s.head(id)
	if err != nil {
		return err
	}
	if h.flags != flagFree {
		return damaged("page %d: flags %#x: want a list of free pages", id, h.flags)
	}
	n := uint64(h.count)
	b, err := s.body(id, h, n%0xFFFF, 8)
	if err != nil {
		return err
	}
	if n == 0xFFFF { // the first element holds the number
		if n = binary.LittleEndian.Uint64(b); n > uint64(len(b))/8-1 {
			return damaged("page %d: %d free pages in %d bytes", id, n, len(b))
		}
		b = b[8:]
	}
	for ; n > 0; n-- {
		p := binary.LittleEndian.Uint64(b)
		if b = b[8:]; p < 2 || p >= s.end {
			return damaged("free page %d: pages 2 to %d are in use", p, s.end)
		}
		if err := s.mark(p); err != nil {
			return err
		}
	}
	return nil
}

// walk checks a tree. The leaves of the root tree contain buckets, whose trees are checked too.
func (s *structure) walk(id uint64, isRoot bool) error {
	// The stack is a slice, so the number of pages limits it, and not the size of the goroutine's stack.
	for todo := []uint64{id}; len(todo) > 0; {
		id, todo = todo[len(todo)-1], todo[:len(todo)-1]
		h, err := s.head(id)
		if err != nil {
			return err
		}
		switch {
		case h.flags == flagBranch && h.count > 0:
			b, err := s.body(id, h, uint64(h.count), element)
			if err != nil {
				return err
			}
			for i := range int(h.count) {
				e := b[i*element:]
				pos, ksize := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
				if uint64(pos)+uint64(ksize) > uint64(len(e)) {
					return damaged("page %d: key %d is outside of the page", id, i)
				}
				todo = append(todo, binary.LittleEndian.Uint64(e[8:]))
			}
		case h.flags != flagLeaf:
			return damaged("page %d: flags %#x: want a branch or a leaf", id, h.flags)
		case isRoot:
			if err := s.buckets(id, h); err != nil {
				return err
			}
		}
	}
	return nil
}

// buckets checks the trees of the buckets in a leaf.
func (s *structure) buckets(id uint64, h pageHead) error {
	b, err := s.body(id, h, uint64(h.count), element)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	for i := range int(h.count) {
		e := b[i*element:]
		flags, pos, ksize, vsize := le.Uint32(e), uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
		if flags != flagBucket || vsize < 16 || pos+ksize+vsize > uint64(len(e)) {
			return damaged("page %d: element %d is not a bucket", id, i)
		}
		v := e[pos+ksize:][:vsize]
		if root := le.Uint64(v); root != 0 {
			if err := s.walk(root, false); err != nil {
				return err
			}
			continue
		}
		// The value of a small bucket contains the leaf itself.
		page := v[16:]
		if len(page) < pageHeader || le.Uint16(page[8:]) != flagLeaf || uint64(le.Uint16(page[10:]))*element > uint64(len(page)-pageHeader) {
			return damaged("page %d: element %d is not a valid bucket", id, i)
		}
	}
	return nil
}
