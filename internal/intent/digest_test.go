package intent

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"op25b/internal/strict"
)

// TestDigest computes the digest of two files by hand. The order of the files makes no difference, and everything else does.
func TestDigest(t *testing.T) {
	a, b := strict.File{Name: "a", Data: []byte("xy")}, strict.File{Name: "bc", Data: nil}
	eight := func(n byte) string { return "\x00\x00\x00\x00\x00\x00\x00" + string([]byte{n}) }
	sum := sha256.Sum256([]byte(eight(3) + eight(1) + "a" + eight(2) + "xy" + eight(2) + "bc" + eight(0)))
	want := hex.EncodeToString(sum[:])
	if got := Digest([]strict.File{b, a}, 3); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, other := range map[string]string{
		"another base":     Digest([]strict.File{a, b}, 4),
		"another file":     Digest([]strict.File{a}, 3),
		"another name":     Digest([]strict.File{{Name: "a", Data: a.Data}, {Name: "bd"}}, 3),
		"another boundary": Digest([]strict.File{{Name: "ax", Data: []byte("y")}, b}, 3),
	} {
		if other == want {
			t.Errorf("%s has the same digest", name)
		}
	}
}
