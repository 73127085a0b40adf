// Package login reads the reports of mail servers about logins: those of Dovecot's auth policy client, and weakforced's webhook.
//
// The package is pure. It keeps from a report only what decides about a lease. It drops all else while it reads, including the name of the user
// and the hash of the password. Its errors contain nothing from a report, because they are logged.
package login

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"time"
	"unicode/utf8"
)

// MaxBody is the largest size of a report in bytes. Dovecot's and weakforced's have less than 1 KiB, unless the mail server adds attributes.
const MaxBody = 64 << 10

// ErrMalformed is returned for a report that cannot be read.
var ErrMalformed = errors.New("malformed report of a login")

// A Protocol is a protocol of mailboxes.
type Protocol string

// The protocols whose logins can grant a lease.
const (
	POP3 Protocol = "pop3"
	IMAP Protocol = "imap"
)

// A Login is what a report says about a login.
type Login struct {
	// Remote is the address of the client. It is unmapped and has no zone.
	Remote netip.Addr
	// Protocol is empty for all protocols other than POP3 and IMAP, such as SMTP.
	Protocol Protocol
	// TLS is set if the client used TLS.
	TLS bool
	// Success is set if the password was right. PolicyReject is set if a policy refused the login.
	Success, PolicyReject bool
	// Time is when the login happened; the zero Time if the report does not say so.
	Time time.Time
}

// A Refusal is the reason why a login grants no lease. It is a label of metrics; the empty Refusal means that the login can grant one.
type Refusal string

// The reasons why a login grants no lease.
const (
	Failed   Refusal = "failed"   // the password was wrong
	Rejected Refusal = "rejected" // a policy of the mail server refused the login
	Foreign  Refusal = "protocol" // the protocol is neither POP3 nor IMAP
	NoRemote Refusal = "remote"   // the report has no address of a client, or one that no customer has
)

// Refused returns the reason why the login grants no lease, or the empty Refusal.
func (l Login) Refused() Refusal {
	switch {
	case !l.Success:
		return Failed
	case l.PolicyReject:
		return Rejected
	case l.Protocol == "":
		return Foreign
	case !l.Remote.IsValid() || l.Remote.IsLoopback() || l.Remote.IsUnspecified() || l.Remote.IsMulticast() || l.Remote.IsLinkLocalUnicast():
		return NoRemote
	}
	return ""
}

// Parse reads a report, which is a JSON object of at most MaxBody bytes. Unknown keys are ignored. Parse returns ErrMalformed if the report is not
// an object, has a known key twice, or has a value of the wrong type.
func Parse(body []byte) (l Login, err error) {
	if len(body) > MaxBody {
		return Login{}, fmt.Errorf("%w: it has more than %d bytes", ErrMalformed, MaxBody)
	}
	if !utf8.Valid(body) {
		return Login{}, fmt.Errorf("%w: it is not UTF-8", ErrMalformed)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return Login{}, fmt.Errorf("%w: it is not a JSON object", ErrMalformed)
	}
	seen := make(map[string]bool)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return Login{}, errSyntax()
		}
		name, _ := key.(string) // the decoder permits only strings here
		set, known := fields[name]
		if !known {
			set = skip
		}
		if known && seen[name] {
			return Login{}, fmt.Errorf("%w: it has the key %q twice", ErrMalformed, name)
		}
		seen[name] = known
		if err := set(&l, d); err != nil {
			if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || !known {
				return Login{}, errSyntax()
			}
			return Login{}, fmt.Errorf("%w: the value of %q is of the wrong type", ErrMalformed, name)
		}
	}
	if _, err := d.Token(); err != nil {
		return Login{}, errSyntax()
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Login{}, fmt.Errorf("%w: something follows the object", ErrMalformed)
	}
	return l, nil
}

func errSyntax() error { return fmt.Errorf("%w: it is not JSON", ErrMalformed) }

// fields has a function for each key of a report that decides about a lease.
var fields = map[string]func(*Login, *json.Decoder) error{
	"remote": func(l *Login, d *json.Decoder) error {
		var text string
		err := d.Decode(&text)
		if a, invalid := netip.ParseAddr(text); invalid == nil {
			l.Remote = a.Unmap().WithZone("")
		}
		return err
	},
	"protocol": func(l *Login, d *json.Decoder) error {
		var text string
		err := d.Decode(&text)
		if p := Protocol(text); p == POP3 || p == IMAP {
			l.Protocol = p
		}
		return err
	},
	"tls":           func(l *Login, d *json.Decoder) error { return d.Decode(&l.TLS) },
	"success":       func(l *Login, d *json.Decoder) error { return d.Decode(&l.Success) },
	"policy_reject": func(l *Login, d *json.Decoder) error { return d.Decode(&l.PolicyReject) },
	"t": func(l *Login, d *json.Decoder) error {
		var seconds float64
		if err := d.Decode(&seconds); err != nil {
			return err
		}
		if seconds <= 0 || seconds >= math.MaxInt32*2 {
			return errors.New("out of range")
		}
		whole, part := math.Modf(seconds)
		l.Time = time.Unix(int64(whole), int64(part*1e9)).UTC()
		return nil
	},
}

// skip reads a value and drops it.
func skip(_ *Login, d *json.Decoder) error {
	var dropped struct{}
	err := d.Decode(&dropped)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return nil // the value is not an object
	}
	return err
}
