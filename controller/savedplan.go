package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"

	op25bv1 "op25b/proto/op25b/v1"
)

// errSaved is returned for a file that is not a saved plan or cannot be applied.
var errSaved = errors.New("not a saved plan")

// magic is the first line of a saved plan.
const magic = "op25b plan 1\n"

// savePlan writes a plan with its documents. Only the owner can read the file, because documents contain subscribers' addresses.
func savePlan(path string, p *op25bv1.Plan, docs []document) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("--out %s: %w", path, withoutPath(err))
	}
	if err := errors.Join(encodePlan(f, p, messages(docs)), f.Close()); err != nil {
		return fmt.Errorf("--out %s: %w", path, err)
	}
	return nil
}

// loadPlan reads a file that savePlan wrote.
func loadPlan(path string) (*op25bv1.Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("saved plan %s: %w", path, withoutPath(err))
	}
	defer f.Close()
	p, err := decodePlan(f)
	if err != nil {
		return nil, fmt.Errorf("saved plan %s: %w", path, err)
	}
	return p, nil
}

// encodePlan writes a plan with its files. The output contains the inventory's subscriber data and is therefore confidential.
func encodePlan(w io.Writer, p *op25bv1.Plan, files []*op25bv1.File) error {
	if len(files) == 0 {
		return fmt.Errorf("%w: there are no files to save with it", errSaved)
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

// decodePlan reads a plan that encodePlan wrote. It returns errSaved if the data is not a valid saved plan.
func decodePlan(r io.Reader) (*op25bv1.Plan, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	data, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, fmt.Errorf("%w: it does not begin with %q; `op25b plan --out FILE` writes one", errSaved, magic[:len(magic)-1])
	}
	var p op25bv1.Plan
	if err := proto.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("%w: it is damaged: %w", errSaved, err)
	}
	if len(p.Files) == 0 {
		return nil, fmt.Errorf("%w: it has no files", errSaved)
	}
	return &p, nil
}
