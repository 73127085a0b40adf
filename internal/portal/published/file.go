package published

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"op25b/internal/writefile"
	op25bv1 "op25b/proto/op25b/v1"
)

// fileHead is the first line of a state file.
const fileHead = "op25b portal state 1"

// maxFile is the limit on the size of a state file, in bytes. The controller accepts documents of at most 64 MiB.
const maxFile = 80 << 20

// save writes a message to the state file. heard is the time of this host at which the message was received. The file is replaced at once,
// so that a crash leaves either the old or the new file.
func save(path string, m *op25bv1.WatchPublicationResponse, heard time.Time) error {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return err
	}
	body = append([]byte(heard.UTC().Format(time.RFC3339Nano)+"\n"), body...)
	if len(body) > maxFile {
		return fmt.Errorf("%w: %s: the publication has %d bytes, the limit is %d", ErrState, path, len(body), maxFile)
	}
	return writefile.ReplaceFunc(path, 0o600, func(f *os.File) error {
		_, err := fmt.Fprintf(f, "%s\n%x\n%s", fileHead, sha256.Sum256(body), body)
		return err
	})
}

// load reads the state file. It returns nil without an error if there is no file, and ErrState if the file is damaged.
func load(path string) (m *op25bv1.WatchPublicationResponse, heard time.Time, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, heard, nil
	}
	if err != nil {
		return nil, heard, err
	}
	defer f.Close()
	fail := func(what string) (*op25bv1.WatchPublicationResponse, time.Time, error) {
		return nil, time.Time{}, fmt.Errorf("%w: %s: %s; delete the file, and the portal gets the publication from the controller", ErrState, path, what)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, heard, err
	case len(data) > maxFile:
		return fail(fmt.Sprintf("more than %d bytes", maxFile))
	}
	head, rest, _ := strings.Cut(string(data), "\n")
	sum, body, _ := strings.Cut(rest, "\n")
	if head != fileHead {
		return fail(fmt.Sprintf("the first line is not %q", fileHead))
	}
	if sum != fmt.Sprintf("%x", sha256.Sum256([]byte(body))) {
		return fail("the digest does not match the content")
	}
	at, message, _ := strings.Cut(body, "\n")
	m = &op25bv1.WatchPublicationResponse{}
	if heard, err = time.Parse(time.RFC3339Nano, at); err != nil || proto.Unmarshal([]byte(message), m) != nil || m.Publication == nil || !m.Time.IsValid() {
		return fail("the content is not a publication")
	}
	return m, heard, nil
}
