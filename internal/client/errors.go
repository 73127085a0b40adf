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

// ErrConfig is returned by New for a Config that cannot work.
var ErrConfig = errors.New("cannot speak to a controller")

// An Unreachable is a request that no controller answered.
type Unreachable struct {
	Server string
	// Bare is a request over TLS without a certificate that says who asks.
	Bare bool
	Err  error
}

// Error names the controller, what happened, and what may be wrong.
func (e *Unreachable) Error() string {
	text := fmt.Sprintf("no controller answers at %s: %v", e.Server, plain(e.Err))
	switch {
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		text += "; is op25b serve running there? --server or OP25B_SERVER says where to look"
	case strings.Contains(e.Err.Error(), "does not look like a TLS handshake"):
		text += "; it speaks plain text: http://"
	case strings.Contains(e.Err.Error(), "unknown authority"):
		text += "; --ca names the file with the authority of the controller's certificate"
	case e.Bare && !errors.As(e.Err, new(*tls.CertificateVerificationError)): // TLS 1.3 refuses in the midst of the first request
		text += "; it may want a certificate that says who asks: --cert and --key"
	}
	return text
}

// Unwrap returns what happened.
func (e *Unreachable) Unwrap() error { return e.Err }

var _ error = (*Unreachable)(nil)

// plain is an error without the addresses and system calls around it.
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

// A Failure is what an error says to people and to programs.
type Failure struct {
	// Code is the name of the API's code, such as "aborted"; empty for what failed here.
	Code string `json:"code,omitempty"`
	// Message is one sentence, or some lines of them.
	Message string `json:"message"`
	// Faults are what is wrong with documents or names.
	Faults []Fault `json:"faults,omitempty"`
	// Base and Current are the revisions of a change that was made on another revision than the current one.
	Base    *uint64 `json:"base,omitempty"`
	Current *uint64 `json:"current,omitempty"`
	// Who, Role and Needed are of a caller who may not.
	Who    string `json:"who,omitempty"`
	Role   string `json:"role,omitempty"`
	Needed string `json:"needed,omitempty"`
	// Request and Outcome are of a change whose answer was lost: its request id, and "not stored" or "unknown".
	Request string `json:"request,omitempty"`
	Outcome string `json:"outcome,omitempty"`
}

// A Fault is one thing that is wrong, where, and the way out.
type Fault struct {
	File   string `json:"file,omitempty"`
	Line   uint32 `json:"line,omitempty"`
	Column uint32 `json:"column,omitempty"`
	Path   string `json:"path,omitempty"`
	What   string `json:"what"`
	Way    string `json:"way,omitempty"`
}

// String is the fault on one line, in the form that editors and terminals follow.
func (f Fault) String() string {
	at := f.File
	switch {
	case f.Line != 0:
		at = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
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

// httpStatus is the message where the answer was HTTP's and not the API's.
var httpStatus = regexp.MustCompile(`^[1-5][0-9][0-9] `)

// Explain returns what an error says. Errors that did not come from a controller have nothing but their text.
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
		f.Message = "the controller gave up: it took too long"
	case answer.Code() == connect.CodeUnimplemented && httpStatus.MatchString(answer.Message()):
		f.Message = "who answers is no controller of this version: " + answer.Message()
	case httpStatus.MatchString(answer.Message()):
		f.Message = "who answers is no controller: " + answer.Message() + "; one with certificates is at https://"
	}
	for _, detail := range answer.Details() {
		value, err := detail.Value()
		if err != nil {
			continue // of a later version: the message has to do
		}
		switch d := value.(type) {
		case *op25bv1.Faults:
			for _, x := range d.Faults {
				f.Faults = append(f.Faults, Fault{x.File, x.Line, x.Column, x.Path, x.What, x.Way})
			}
		case *op25bv1.Stale:
			f.Base, f.Current = &d.Base, &d.Current
		case *op25bv1.Denied:
			f.Who, f.Role, f.Needed = d.Who, d.Role, d.Needed
		}
	}
	if answer.Code() == connect.CodeUnauthenticated {
		f.Message += "; --token-file or --cert and --key say who asks"
	}
	return f
}
