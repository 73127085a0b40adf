// Package secretfile warns about unsafe file permissions: tokens and private keys that every user of the host can read, and access files
// that every user can write.
//
// The package only examines mode bits, and returns warnings instead of errors. A file may also be protected by its directory or by a file
// system without mode bits.
package secretfile

import (
	"fmt"
	"io/fs"
	"os"
)

// Mode bits for users who are neither the owner of a file nor in its group.
const (
	othersRead  fs.FileMode = 0o004
	othersWrite fs.FileMode = 0o002
)

// Readable returns a warning if every user of this host can read a file that contains a secret, and an empty string otherwise. what
// describes the file, such as "token file". If path is empty or cannot be examined, Readable returns no warning, because opening the file
// will report the error.
func Readable(what, path string) string {
	return warn(what, path, othersRead, "read", "chmod 600")
}

// Writable returns a warning if every user of this host can write a file that grants access. It is otherwise like Readable.
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
