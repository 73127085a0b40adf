package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"strings"
	"syscall"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
)

// ErrConfig is returned by New if the Config is invalid.
var ErrConfig = errors.New("invalid client options")

// An Unreachable is returned for a request that no controller answered.
type Unreachable struct {
	Server string
	// Bare is true if the request used TLS without a client certificate.
	Bare bool
	Err  error
}

// Cause returns the address of the controller and the cause.
func (e *Unreachable) Cause() string {
	return fmt.Sprintf("no controller answers at %s: %v", e.Server, plain(e.Err))
}

// Error returns the address of the controller, the cause, and what the user can probably do.
func (e *Unreachable) Error() string {
	text := e.Cause()
	switch {
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		text += "; start one with op25b serve, or give its address with --server or OP25B_SERVER"
	case strings.Contains(e.Err.Error(), "does not look like a TLS handshake"):
		text += "; it serves plain text, use http://"
	case strings.Contains(e.Err.Error(), "unknown authority"):
		text += "; give the CA of the controller's certificate with --ca"
	case e.Bare && !errors.As(e.Err, new(*tls.CertificateVerificationError)): // with TLS 1.3, a missing client certificate is reported only when the request is sent
		text += "; it may require a client certificate: --cert and --key"
	}
	return text
}

// Unwrap returns the error of the connection.
func (e *Unreachable) Unwrap() error { return e.Err }

var _ error = (*Unreachable)(nil)

// plain returns the innermost cause of a network or file error, without addresses, paths and system calls.
func plain(err error) error {
	var op *net.OpError
	var path *fs.PathError
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno) && (errors.As(err, &op) || errors.As(err, &path)):
		return errno
	case errors.As(err, &op) && op.Err != nil:
		return op.Err
	}
	return err
}

// A Failure is an error in the form in which it is output, as text or as JSON.
type Failure struct {
	// Code is the name of the error's code in the API, such as "aborted". It is empty for local errors.
	Code string `json:"code,omitempty"`
	// Message is one sentence or several lines.
	Message string `json:"message"`
	// Faults lists the faults in documents or names.
	Faults []Fault `json:"faults,omitempty"`
	// Base and Current are set if a change was not based on the current revision.
	Base    *uint64 `json:"base,omitempty"`
	Current *uint64 `json:"current,omitempty"`
	// Who, Role and Needed are set if the caller does not have the required role.
	Who    string `json:"who,omitempty"`
	Role   string `json:"role,omitempty"`
	Needed string `json:"needed,omitempty"`
	// Request and Outcome are set if the answer to a change was lost. Request is the request id. Outcome is "not stored" or
	// "unknown".
	Request string `json:"request,omitempty"`
	Outcome string `json:"outcome,omitempty"`
}

// A Fault is a fault in a document or a name, with its place, its description and the remedy.
type Fault struct {
	File   string `json:"file,omitempty"`
	Line   uint32 `json:"line,omitempty"`
	Column uint32 `json:"column,omitempty"`
	Path   string `json:"path,omitempty"`
	What   string `json:"what"`
	Way    string `json:"way,omitempty"`
	// Place, if not nil, replaces Path in the text. A command sets it to the flag from which it filled the field of the request.
	Place *string `json:"-"`
}

// String returns the fault on one line. If the position is known, the line begins with FILE:LINE:COLUMN, which editors and terminals
// recognise.
func (f Fault) String() string {
	at := f.File
	switch {
	case f.Line != 0:
		at = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	case f.Place != nil:
		at = *f.Place
	case f.Path != "" && at != "":
		at += ": " + f.Path
	case f.Path != "":
		at = f.Path
	}
	text := f.What
	if f.Way != "" {
		text += "; " + f.Way
	}
	if at == "" {
		return text
	}
	return at + ": " + text
}

// httpStatus matches an error message that begins with an HTTP status. Such a message did not come from the API.
var httpStatus = regexp.MustCompile(`^[1-5][0-9][0-9] `)

// Explain converts an error to a Failure. If the error did not come from a controller, the Failure has only a message.
func Explain(err error) Failure {
	var unreachable *Unreachable
	if errors.As(err, &unreachable) {
		return Failure{Code: connect.CodeUnavailable.String(), Message: unreachable.Error()}
	}
	var answer *connect.Error
	if !errors.As(err, &answer) {
		return Failure{Message: err.Error()}
	}
	f := Failure{Code: answer.Code().String(), Message: answer.Message()}
	switch {
	case answer.Code() == connect.CodeDeadlineExceeded:
		f.Message = "the controller exceeded its time limit for the call"
	case answer.Code() == connect.CodeUnimplemented && httpStatus.MatchString(answer.Message()):
		f.Message = "the server is not a controller of this version: " + answer.Message()
	case httpStatus.MatchString(answer.Message()):
		f.Message = "the server is not a controller, or it requires https://: " + answer.Message()
	}
	for _, detail := range answer.Details() {
		value, err := detail.Value()
		if err != nil {
			continue // skip a detail that only a later version has
		}
		switch d := value.(type) {
		case *op25bv1.Faults:
			for _, x := range d.Faults {
				f.Faults = append(f.Faults, Fault{File: x.File, Line: x.Line, Column: x.Column, Path: x.Path, What: x.What, Way: x.Way})
			}
		case *op25bv1.Stale:
			f.Base, f.Current = &d.Base, &d.Current
		case *op25bv1.Denied:
			f.Who, f.Role, f.Needed = d.Who, d.Role, d.Needed
		}
	}
	if answer.Code() == connect.CodeUnauthenticated {
		f.Message += "; give credentials with --token-file, or with --cert and --key"
	}
	return f
}
