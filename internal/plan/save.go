package plan

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	op25bv1 "op25b/proto/op25b/v1"
)

// ErrSaved is returned for a file that is not a saved plan or cannot be applied.
var ErrSaved = errors.New("not a saved plan")

// magic is the first line of a saved plan.
const magic = "op25b plan 1\n"

// Save writes a plan with its files. The result contains the inventory's data about subscribers, and is as confidential.
func Save(w io.Writer, p *op25bv1.Plan, files []*op25bv1.File) error {
	if len(files) == 0 {
		return fmt.Errorf("%w: there are no files to save with it", ErrSaved)
	}
	saved := proto.CloneOf(p)
	saved.Files = files
	data, err := proto.Marshal(saved)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, magic); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// Load reads what Save wrote, or returns ErrSaved.
func Load(r io.Reader) (*op25bv1.Plan, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	data, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, fmt.Errorf("%w: it does not begin with %q; `op25b plan --out FILE` writes one", ErrSaved, magic[:len(magic)-1])
	}
	var p op25bv1.Plan
	if err := proto.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("%w: it is damaged: %w", ErrSaved, err)
	}
	if len(p.Files) == 0 {
		return nil, fmt.Errorf("%w: it has no files", ErrSaved)
	}
	return &p, nil
}
