package tlsfiles

import (
	"crypto/x509"
	"sync"
	"time"
)

// Ends provides the times at which the certificates of a connection or listener end. It follows the files when they are read again. The
// zero value is usable. A nil *Ends provides no times. The methods may be called from several goroutines.
type Ends struct {
	mu   sync.Mutex // guards all following fields
	own  *reloaded[identity]
	ca   *reloaded[authorities]
	peer time.Time
}

// use sets the files that are in use from now on.
func (e *Ends) use(own *reloaded[identity], ca *reloaded[authorities]) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.own, e.ca = own, ca
}

// saw takes the certificate of a server that was verified.
func (e *Ends) saw(server *x509.Certificate) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.peer = server.NotAfter
}

// Own returns when the first certificate in the file Cert ends, including the intermediates. It returns the zero time if there is no such
// file.
func (e *Ends) Own() time.Time {
	if own, _, _ := e.files(); own != nil {
		return own.current().end
	}
	return time.Time{}
}

// CA returns when the next certificate in the file CA ends. A CA that has already ended counts only if no other is left, because a file
// often contains an old CA beside its successor. CA returns the zero time if there is no such file.
func (e *Ends) CA(now time.Time) time.Time {
	_, ca, _ := e.files()
	if ca == nil {
		return time.Time{}
	}
	var last time.Time
	for _, end := range ca.current().ends {
		if last = end; end.After(now) {
			break
		}
	}
	return last
}

// Server returns when the certificate ends that the server presented in the last successful handshake. It returns the zero time for a
// listener, and before the first handshake. Intermediates do not count, because servers also send some that verification does not need.
func (e *Ends) Server() time.Time {
	_, _, peer := e.files()
	return peer
}

func (e *Ends) files() (own *reloaded[identity], ca *reloaded[authorities], peer time.Time) {
	if e == nil {
		return nil, nil, time.Time{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.own, e.ca, e.peer
}
