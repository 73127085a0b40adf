package api

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/auth"
)

const (
	// recheckEvery is how often an open stream asks whether its caller is still known and still may.
	recheckEvery = time.Second
	// maxAge is how old a connection gets, and up to a quarter more, so that not all come again at once. Calls that are under way end in peace.
	maxAge = 30 * time.Minute
)

// errOld is why a stream ends that goes on for ever on a connection that is old enough.
var errOld = errors.New("this connection is as old as it may be")

// verify returns auth.ErrUnknown if a client certificate is not good any more, which it was when the connection was made: it has expired, or
// its authority is no longer among those that are trusted.
func (c connection) verify(now time.Time) error {
	if c.cert == nil {
		return nil
	}
	if now.After(c.cert.NotAfter) {
		return fmt.Errorf("%w: the client certificate of %s has expired at %s", auth.ErrUnknown, brief(c.cert.Subject.CommonName), c.cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if c.tracked == nil || c.tracked.all.authorities == nil {
		return nil
	}
	return c.tracked.verify(c.chain, now)
}

// verify verifies a chain by the authorities of now. It remembers for a second that one was good: each verification costs a signature.
func (t *trackedConn) verify(chain []*x509.Certificate, now time.Time) error {
	roots := t.all.authorities()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.verifiedBy == roots && now.Sub(t.verified) < recheckEvery && !now.Before(t.verified) {
		return nil
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return fmt.Errorf("%w: the client certificate of %s: %w", auth.ErrUnknown, brief(chain[0].Subject.CommonName), err)
	}
	t.verifiedBy, t.verified = roots, now
	return nil
}

// age is how long a connection may live, which differs from one to another.
func (t *trackedConn) age() time.Duration {
	h := fnv.New32()
	_, _ = h.Write([]byte(t.Conn.RemoteAddr().String()))
	return t.all.maxAge + time.Duration(h.Sum32()%1000)*t.all.maxAge/4000
}

// old says whether the connection has lived long enough: the next answer asks its caller for a new one.
func (t *trackedConn) old(now time.Time) bool { return now.Sub(t.since) > t.age() }

// An admission is what a caller was let in by. It is kept for as long as a stream is open.
type admission struct {
	verb      Verb
	procedure string
	who       string
	again     func() (auth.Identity, error) // identifies the caller anew
}

type admissionKey struct{}

// still returns an error if the caller of a stream would not be let in now.
func still(ctx context.Context) error {
	a, ok := ctx.Value(admissionKey{}).(admission)
	if !ok {
		return nil
	}
	id, err := a.again()
	switch {
	case err != nil:
		return refused(connect.CodeUnauthenticated, fmt.Errorf("%w; %s wants the role %s", err, a.procedure, a.verb.Least), id, a.verb.Least)
	case id.Who != a.who || !id.Role.May(a.verb.Least):
		return refused(connect.CodePermissionDenied, fmt.Errorf("%s may not go on: %s wants the role %s", a.who, a.procedure, a.verb.Least), id, a.verb.Least)
	}
	return nil
}

// watched ends a stream by end when its caller would not be let in any more, and one that would go on for ever when its connection is old.
func watched(ctx context.Context, every time.Duration, end context.CancelCauseFunc) {
	a, _ := ctx.Value(admissionKey{}).(admission)
	c, _ := ctx.Value(connectionKey{}).(connection)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := still(ctx); err != nil {
				end(err)
				return
			}
			if a.verb.Name == "" && c.tracked != nil && c.tracked.old(now) {
				end(errOld)
				return
			}
		}
	}
}
