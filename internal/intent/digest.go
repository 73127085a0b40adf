package intent

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"op25b/internal/strict"
)

// Digest identifies documents and the revision on which they are based: it is the SHA-256, in hexadecimal, of the revision, and of the name and the
// contents of each file in the order of the names. The revision, and the length before each name and before each contents, are 8 bytes in network
// byte order.
func Digest(files []strict.File, base uint64) string {
	h := sha256.New()
	number := func(n uint64) { h.Write(binary.BigEndian.AppendUint64(nil, n)) }
	number(base)
	for _, f := range slices.SortedFunc(slices.Values(files), func(a, b strict.File) int { return strings.Compare(a.Name, b.Name) }) {
		number(uint64(len(f.Name)))
		h.Write([]byte(f.Name))
		number(uint64(len(f.Data)))
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}
