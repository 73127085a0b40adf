// Package readfile reads files whose size is not known to be small.
package readfile

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrLarge is returned if a file has more bytes than its limit.
var ErrLarge = errors.New("file too large")

// Bounded returns the content of a file of at most the given number of bytes. It reads at most one byte more, so a device that never ends,
// such as /dev/zero, is an error and not a process that runs out of memory. It returns ErrLarge if the file has more bytes.
func Bounded(path string, most int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > most:
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrLarge, path, most)
	}
	return data, nil
}
