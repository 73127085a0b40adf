// Package secretfile warns of files whose permissions give away what they are trusted for: tokens and private keys that every user of the
// machine can read, and access files that every user can write.
//
// It only looks at mode bits. It refuses nothing: a file on a system that has no such bits, or in a directory that nobody else may enter, is
// the operator's decision.
package secretfile

import (
	"fmt"
	"io/fs"
	"os"
)

// Mode bits of the users that are neither the owner nor in the group of a file.
const (
	othersRead  fs.FileMode = 0o004
	othersWrite fs.FileMode = 0o002
)

// Readable returns a warning if every user of this machine can read a file that holds a secret, and "" otherwise. what names the file's
// purpose, such as "token file". A path that is empty or cannot be examined has no warning: whoever opens the file reports that.
func Readable(what, path string) string {
	return warn(what, path, othersRead, "read", "chmod 600")
}

// Writable is Readable for a file that decides who may do something.
func Writable(what, path string) string {
	return warn(what, path, othersWrite, "write", "chmod o-w")
}

func warn(what, path string, bit fs.FileMode, verb, mend string) string {
	if path == "" {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode()&bit == 0 {
		return ""
	}
	return fmt.Sprintf("%s %s: every user of this machine can %s it (mode %04o): %s %s", what, path, verb, info.Mode().Perm(), mend, path)
}
