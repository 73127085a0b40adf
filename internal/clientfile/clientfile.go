// Package clientfile reads the documents that list programs of other hosts that may report to a controller, such as access servers. Each program is a
// client with a name, and may share a secret with the controller that is in a file of its own.
package clientfile

import (
	"bytes"
	"fmt"
	"path/filepath"

	"op25b/internal/readfile"
	"op25b/internal/secretfile"
	"op25b/internal/strict"
)

// Limits of a document.
const (
	maxFile    = 1 << 20
	maxClients = 1000
	maxName    = 64
	minSecret  = 16
)

// A Form says what differs between the documents.
type Form struct {
	// Kind is the document's kind. Title is its name in warnings, such as "file of RADIUS clients".
	Kind, Title string
	// Err is what every error wraps.
	Err error
	// Client is what a client is, such as "access server".
	Client string
	// Secret is the name of a secret in warnings, such as "RADIUS secret". Give says which file has it. MaxSecret is its largest size in bytes.
	Secret, Give string
	MaxSecret    int
}

// A Reader checks a document and reads the files of its secrets.
type Reader struct {
	strict.Collector
	form     Form
	doc      strict.Document
	dir      string
	warnings []string
	names    map[string]bool
}

// Read reads a document into a struct and calls check, which reports faults to the Reader. warnings are about files that other users of the host
// can read or write. The error wraps form.Err, and strict.Faults for faults in the document.
func Read(path string, form Form, into any, check func(*Reader)) (warnings []string, err error) {
	data, err := readfile.Bounded(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", form.Err, err)
	}
	r := &Reader{form: form, dir: filepath.Dir(path), names: make(map[string]bool)}
	if r.doc, err = strict.Decode(strict.File{Name: path, Data: data}, form.Kind, into); err == nil {
		err = r.Run(func() { check(r) })
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", form.Err, err)
	}
	r.warn(secretfile.Writable(form.Title, path))
	return r.warnings, nil
}

func (r *Reader) warn(text string) {
	if text != "" {
		r.warnings = append(r.warnings, text)
	}
}

// Fault reports a fault at a path of the document.
func (r *Reader) Fault(path, what, way string) {
	r.Add(strict.Fault{Pos: r.doc.At(path), Path: path, What: what, Way: way, Kind: r.form.Err})
}

// Count checks the number of clients, and reports whether they should be checked.
func (r *Reader) Count(n int) bool {
	switch {
	case n == 0:
		r.Fault("clients", "there are no clients", "give at least one "+r.form.Client)
	case n > maxClients:
		r.Fault("clients", fmt.Sprintf("there are %d clients", n), fmt.Sprintf("must be at most %d", maxClients))
	}
	return n <= maxClients
}

// Name checks the name of the client with index i, and returns the client's path.
func (r *Reader) Name(i int, name string) (path string) {
	path = fmt.Sprintf("clients[%d]", i)
	switch {
	case name == "" || len(name) > maxName:
		r.Fault(path+".name", fmt.Sprintf("the name of a client has %d bytes", len(name)), fmt.Sprintf("must be 1 to %d", maxName))
	case r.names[name]:
		r.Fault(path+".name", fmt.Sprintf("client %q is listed twice", name), "give each its own name")
	}
	r.names[name] = true
	return path
}

// Secret reads the secret of a client from a file, without line ends at its end. A relative path begins at the directory of the document. It returns
// nil if there is a fault.
func (r *Reader) Secret(client, file, path string) []byte {
	if !filepath.IsAbs(file) {
		file = filepath.Join(r.dir, file)
	}
	r.warn(secretfile.Readable(r.form.Secret, file))
	data, err := readfile.Bounded(file, r.form.MaxSecret+2)
	secret := bytes.TrimRight(data, "\r\n")
	switch {
	case err != nil:
		r.Fault(path, fmt.Sprintf("the secret of client %q cannot be read: %v", client, err), r.form.Give)
	case len(secret) < minSecret || len(secret) > r.form.MaxSecret:
		r.Fault(path, fmt.Sprintf("the secret of client %q has %d bytes", client, len(secret)), fmt.Sprintf("must be %d to %d", minSecret, r.form.MaxSecret))
	default:
		return secret
	}
	return nil
}
