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
	"op25b/proto/op25b/v1/op25bv1connect"
)

const (
	// recheckEvery is the interval at which the caller of an open stream is authenticated and authorised again.
	recheckEvery = time.Second
	// maxAge is the minimum age at which a connection is closed. The actual age is up to a quarter higher and differs for each connection,
	// so that callers do not all reconnect at the same time. Calls in progress are completed.
	maxAge = 30 * time.Minute
)

// errOld ends a watch whose connection has reached its maximum age.
var errOld = errors.New("the connection has reached its maximum age")

// verify returns auth.ErrUnknown if the client certificate of a connection has expired, or is no longer signed by a trusted CA. The
// certificate was valid when the connection was made.
func (c connection) verify(now time.Time) error {
	if c.cert == nil {
		return nil
	}
	if now.After(c.cert.NotAfter) {
		return fmt.Errorf("%w: the client certificate of %s expired at %s", auth.ErrUnknown, brief(c.cert.Subject.CommonName), c.cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if c.tracked == nil || c.tracked.all.authorities == nil {
		return nil
	}
	return c.tracked.verify(c.chain, now)
}

// verify verifies a certificate chain against the current CAs. Because each verification checks signatures, verify caches a success for a
// second.
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

// age returns the maximum age of the connection.
func (t *trackedConn) age() time.Duration {
	h := fnv.New32()
	_, _ = h.Write([]byte(t.Conn.RemoteAddr().String()))
	return t.all.maxAge + time.Duration(h.Sum32()%1000)*t.all.maxAge/4000
}

// old reports whether the connection has reached its maximum age, so that the client must reconnect.
func (t *trackedConn) old(now time.Time) bool { return now.Sub(t.since) > t.age() }

// An admission is the result of admitting a caller. It is valid until the call ends.
type admission struct {
	verb      Verb
	procedure string
	who       string
	again     func() (auth.Caller, error) // authenticates the caller again
}

// ages reports whether the call ends when its connection has reached its maximum age. Changes end by themselves.
func (a admission) ages() bool {
	return a.verb.Name == "" || a.procedure == op25bv1connect.SubscriberServiceReportProcedure
}

type admissionKey struct{}

// callerNow authenticates and authorises the caller of a stream again, and returns its present identity. It returns an error if the caller is no
// longer authenticated or has lost the required role.
func callerNow(ctx context.Context) (auth.Caller, error) {
	a, ok := ctx.Value(admissionKey{}).(admission)
	if !ok {
		return caller(ctx), nil
	}
	id, err := a.again()
	switch {
	case err != nil:
		return auth.Caller{}, refused(connect.CodeUnauthenticated, fmt.Errorf("%w; %s requires the role %s", err, a.procedure, a.verb.Least), id, a.verb.Least)
	case id.Who != a.who || !id.Role.May(a.verb.Least):
		return auth.Caller{}, refused(connect.CodePermissionDenied, fmt.Errorf("%s has lost the required role: %s requires the role %s", a.who, a.procedure, a.verb.Least), id, a.verb.Least)
	}
	return id, nil
}

// watched checks the caller of a stream at the given interval until ctx ends. If the caller is no longer admitted, or if the connection of a watch
// has reached its maximum age, watched calls end with the cause and returns.
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
			if _, err := callerNow(ctx); err != nil {
				end(err)
				return
			}
			if a.ages() && c.tracked != nil && c.tracked.old(now) {
				end(errOld)
				return
			}
		}
	}
}
