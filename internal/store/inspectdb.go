package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
)

// A bbolt database consists of pages, each with a header. Pages 0 and 1 are two copies of the meta page; bbolt uses the newer valid copy.
// The other pages are free pages, or the branches and leaves of trees; each bucket is a tree. Numbers are in the host's byte order.
//
// bbolt itself cannot be used to check a database, because a damaged database ends the process: bbolt has assertions, reads past the end
// of a mapped file, and searches for free pages in a goroutine that panics.
const (
	pageHeader = 16 // sizes of the fields in bytes: id 8, flags 2, count 2, overflow 4
	branchItem = 16 // position 4, key size 4, page 8
	leafItem   = 16 // flags 4, position 4, key size 4, value size 4
	metaBytes  = 64 // magic 4, version 4, page size 4, flags 4, root page 8, sequence 8, freelist 8, pages 8, transaction 8, checksum 8

	branchPage, leafPage = 1, 2
	bucketItem           = 1
	boltMagic            = 0xED0CDAED
	boltVersion          = 2
	maxDepth             = 64 // maximum depth of a tree; with two items on each branch page, a deeper tree would need more pages than can exist
)

var endian = binary.NativeEndian

// A boltReader reads the tree of a bbolt database.
type boltReader struct {
	ctx   context.Context
	file  io.ReaderAt
	each  func(bucket string, key, value []byte) error
	seen  []uint64 // one bit for each page, set when the page is read
	root  uint64
	size  int64 // size of a page in bytes
	pages uint64
}

// openBolt reads the meta pages and uses the newer valid one.
func openBolt(file io.ReaderAt, size int64) (*boltReader, error) {
	b := &boltReader{file: file}
	newest := uint64(0)
	for _, n := range []int64{0, 1} {
		for pageSize := int64(1 << 10); pageSize <= 64<<10 && (n == 1 || pageSize == 1<<10); pageSize <<= 1 { // the second page begins where the first ends
			meta := make([]byte, metaBytes)
			if _, err := file.ReadAt(meta, n*pageSize+pageHeader); err != nil {
				continue
			}
			sum := fnv.New64a()
			_, _ = sum.Write(meta[:metaBytes-8])
			txn := endian.Uint64(meta[48:])
			if endian.Uint32(meta) != boltMagic || endian.Uint32(meta[4:]) != boltVersion || endian.Uint64(meta[56:]) != sum.Sum64() || b.pages > 0 && txn < newest {
				continue
			}
			newest, b.size, b.root, b.pages = txn, int64(endian.Uint32(meta[8:])), endian.Uint64(meta[16:]), endian.Uint64(meta[40:])
		}
	}
	switch {
	case b.pages == 0:
		return nil, errors.New("neither of its first two pages is valid")
	case b.size < 1<<10 || b.size > 64<<10 || b.pages > math.MaxInt64/uint64(b.size):
		return nil, fmt.Errorf("%d pages of %d bytes", b.pages, b.size)
	case size < b.size*int64(b.pages):
		return nil, fmt.Errorf("it was cut off: it has %d bytes of at least %d", size, b.size*int64(b.pages))
	}
	b.seen = make([]uint64, b.pages/64+1)
	return b, nil
}

// walk calls each for every entry of every bucket. It also checks that every entry is where the order of the keys in the tree requires
// it.
func (b *boltReader) walk() error { return b.tree("", b.root, nil, nil, 0) }

// tree reads the tree below page id. Every key must be at least low and, unless high is nil, less than high.
func (b *boltReader) tree(bucket string, id uint64, low, high []byte, depth int) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("page %d: a tree of more than %d levels", id, maxDepth)
	}
	page, err := b.page(id)
	if err != nil {
		return err
	}
	if err := b.items(bucket, page, low, high, depth); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// page reads a page and its overflow pages.
func (b *boltReader) page(id uint64) ([]byte, error) {
	if id < 2 || id >= b.pages {
		return nil, fmt.Errorf("page %d does not exist: there are %d", id, b.pages)
	}
	if b.seen[id/64]&(1<<(id%64)) != 0 {
		return nil, fmt.Errorf("page %d is used twice", id)
	}
	b.seen[id/64] |= 1 << (id % 64)
	page := make([]byte, b.size)
	if _, err := b.file.ReadAt(page, int64(id)*b.size); err != nil {
		return nil, err
	}
	if own := endian.Uint64(page); own != id {
		return nil, fmt.Errorf("page %d claims to be page %d", id, own)
	}
	overflow := uint64(endian.Uint32(page[12:]))
	if overflow >= b.pages-id {
		return nil, fmt.Errorf("page %d has %d overflow pages: there are %d pages", id, overflow, b.pages)
	}
	if overflow > 0 {
		page = append(page, make([]byte, overflow*uint64(b.size))...)
		if _, err := b.file.ReadAt(page[b.size:], int64(id+1)*b.size); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// items checks and reads the items of a page.
func (b *boltReader) items(bucket string, page, low, high []byte, depth int) error {
	flags, count := endian.Uint16(page[8:]), int(endian.Uint16(page[10:]))
	if flags != branchPage && flags != leafPage {
		return fmt.Errorf("flags %#x are neither a branch's nor a leaf's", flags)
	}
	if flags == branchPage && count == 0 || pageHeader+count*leafItem > len(page) {
		return fmt.Errorf("%d items on a page of %d bytes", count, len(page))
	}
	last := low
	for i := range count {
		key, value, child, isBucket, err := item(page, flags, i)
		switch {
		case err != nil:
			return err
		case i > 0 && bytes.Compare(key, last) <= 0, i == 0 && bytes.Compare(key, last) < 0, high != nil && bytes.Compare(key, high) >= 0:
			return fmt.Errorf("item %d is not in order: key %.40x", i, key)
		}
		last = key
		switch {
		case flags == branchPage:
			next := high
			if i+1 < count {
				if next, _, _, _, err = item(page, flags, i+1); err != nil {
					return err
				}
			}
			err = b.tree(bucket, child, key, next, depth+1)
		case isBucket:
			err = b.bucket(string(key), value, depth)
		default:
			err = b.each(bucket, key, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket reads a bucket. A bucket is a separate tree or, if it is small, a page within the value.
func (b *boltReader) bucket(name string, value []byte, depth int) error {
	if len(value) < 16 {
		return fmt.Errorf("bucket %.40q of %d bytes", name, len(value))
	}
	if root := endian.Uint64(value); root != 0 {
		return b.tree(name, root, nil, nil, depth+1)
	}
	if inline := value[16:]; len(inline) >= pageHeader {
		return b.items(name, inline, nil, nil, depth+1)
	}
	return fmt.Errorf("bucket %.40q within a page has %d bytes", name, len(value))
}

// item returns item i of a page. It returns the key and the value or, on a branch page, the key and the child page.
func item(page []byte, flags uint16, i int) (key, value []byte, child uint64, isBucket bool, err error) {
	at := pageHeader + i*leafItem
	head := page[at:]
	var from, keySize, valueSize uint64
	if flags == branchPage {
		from, keySize, child = uint64(endian.Uint32(head)), uint64(endian.Uint32(head[4:])), endian.Uint64(head[8:])
	} else {
		isBucket = endian.Uint32(head)&bucketItem != 0
		from, keySize, valueSize = uint64(endian.Uint32(head[4:])), uint64(endian.Uint32(head[8:])), uint64(endian.Uint32(head[12:]))
	}
	from += uint64(at)
	if from+keySize+valueSize > uint64(len(page)) {
		return nil, nil, 0, false, fmt.Errorf("item %d ends beyond the page", i)
	}
	return page[from : from+keySize], page[from+keySize : from+keySize+valueSize], child, isBucket, nil
}
