package accounting

import (
	"crypto/md5"
	"encoding/binary"
	"slices"
)

// resign changes an accounting request and signs it again, as RFC 2866 section 3 says. It does not use the library that the product uses.
func resign(datagram []byte, change func([]byte)) []byte {
	b := slices.Clone(datagram)
	b[0] = 4
	binary.BigEndian.PutUint16(b[2:4], uint16(len(b)))
	change(b)
	clear(b[4:20])
	sum := md5.Sum(append(slices.Clone(b), secret...))
	copy(b[4:20], sum[:])
	return b
}

// answers reports whether b is the answer to an accounting request, signed as RFC 2866 section 3 says.
func answers(b, request []byte) bool {
	if len(b) < 20 || b[0] != 5 || b[1] != request[1] || int(binary.BigEndian.Uint16(b[2:4])) != len(b) {
		return false
	}
	signed := slices.Clone(b)
	copy(signed[4:20], request[4:20])
	sum := md5.Sum(append(signed, secret...))
	return slices.Equal(sum[:], b[4:20])
}
