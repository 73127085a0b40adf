// Package secretfile warns of unsafe file permissions: tokens and private keys that every user of the host can read, and access files that
// every user can write.
//
// The package only examines mode bits and returns no errors, because a file may also be protected by its directory, or by a system without
// mode bits.
package secretfile

import (
	"fmt"
	"io/fs"
	"os"
)

// Mode bits of users that are neither the owner nor in the group of a file.
const (
	othersRead  fs.FileMode = 0o004
	othersWrite fs.FileMode = 0o002
)

// Readable returns a warning if every user of this host can read a file with a secret, and "" otherwise. what is the file's purpose, such
// as "token file". A path that is empty or cannot be examined causes no warning, because opening the file reports the error.
func Readable(what, path string) string {
	return warn(what, path, othersRead, "read", "chmod 600")
}

// Writable is like Readable, for a file that grants access.
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
	return fmt.Sprintf("%s %s: every user of this host can %s it (mode %04o); run %s %s", what, path, verb, info.Mode().Perm(), mend, path)
}
