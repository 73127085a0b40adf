package api

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/zap"

	"op25b/internal/auth"
	"op25b/internal/plan"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// An Auth holds the settings of authentication. The zero value admits only callers on this host, with the role admin.
type Auth struct {
	// Access maps bearer tokens and client certificates to roles. If Access is set, callers without a token or certificate are refused,
	// even on this host.
	Access *auth.File
	// Anonymous is the role of callers from other hosts if Access is nil. auth.None refuses these callers.
	Anonymous auth.Role
}

// A guard authenticates and authorises callers, and records refused changes in the audit chain.
type guard struct {
	auth     Auth
	now      func() time.Time
	log      *zap.Logger
	audit    *store.Audit
	refusals *recordLimit
	once     sync.Once // limits the warning that every program on this host is admin to one log line
}

// A connection describes the connection of a request.
type connection struct {
	remote netip.Addr // the caller's address; invalid if it is not an IP address
	host   string     // the host in the request
	direct bool       // true if the request has no proxy headers
	cert   *x509.Certificate
	chain  []*x509.Certificate // cert followed by its intermediates
	own    *auth.Caller        // nil unless the controller itself calls: see Own
	person *auth.Person        // nil unless a person calls in this process: see As

	tracked *trackedConn // nil if the listener was not opened by Listen
}

type connectionKey struct{}

// local reports whether the caller is a program on this host. A web page from another site is not local even if a browser on this host
// opens it, because the page's host name may resolve to a loopback address.
func (c connection) local() bool {
	if !c.remote.IsLoopback() || !c.direct {
		return false
	}
	host := c.host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && addr.IsLoopback()
}

type ownKey struct{}

// Own returns a context in which calls of the handler in this process have the role viewer. They come from the controller itself, such as
// from its page, and from no person.
func Own(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, ownKey{}, auth.Caller{Who: who, Role: auth.Viewer, By: auth.ByNothing})
}

// LocalCaller is the identity of an unauthenticated caller on this host.
const LocalCaller = "local"

// identify returns the identity of a caller, or auth.ErrUnknown if the caller cannot be authenticated. A person of As takes precedence over a
// token, and a token over a certificate.
func (g *guard) identify(c connection, header http.Header) (auth.Caller, error) {
	if c.own != nil {
		return *c.own, nil
	}
	if c.person != nil {
		if g.auth.Access == nil {
			return auth.Caller{}, fmt.Errorf("%w: without an access file nobody signs in by OpenID Connect", auth.ErrUnknown)
		}
		return g.auth.Access.Access().Person(*c.person)
	}
	if g.auth.Access == nil {
		switch {
		case c.local():
			g.once.Do(func() {
				g.log.Warn("no access file, every program on this host is admin", zap.String("who", LocalCaller))
			})
			return auth.Caller{Who: LocalCaller, Role: auth.Admin, By: auth.ByLoopback}, nil
		case g.auth.Anonymous != auth.None:
			return auth.Caller{Who: "anonymous from " + c.remote.String(), Role: g.auth.Anonymous, By: auth.ByNothing}, nil
		case c.remote.IsLoopback():
			return auth.Caller{}, fmt.Errorf("%w: without an access file only programs on the controller's host are admitted, through localhost or a "+
				"loopback address and without a proxy; the requested host is %q", auth.ErrUnknown, c.host)
		}
		return auth.Caller{}, fmt.Errorf("%w: without an access file only programs on the controller's host are admitted", auth.ErrUnknown)
	}
	access := g.auth.Access.Access()
	token, ok, err := auth.Bearer(header.Get("Authorization"))
	switch {
	case err != nil:
		return auth.Caller{}, err
	case ok:
		return access.Token(token, g.now())
	case c.cert != nil:
		if err := c.verify(time.Now()); err != nil { // time.Now is also the clock of crypto/tls
			return auth.Caller{}, err
		}
		return access.Certificate(c.cert), nil
	}
	return auth.Caller{}, fmt.Errorf("%w: a bearer token or a client certificate is required", auth.ErrUnknown)
}

type identityKey struct{}

// caller returns the identity of the admitted caller.
func caller(ctx context.Context) auth.Caller {
	id, _ := ctx.Value(identityKey{}).(auth.Caller)
	return id
}

// admit authenticates and authorises the caller of a procedure. It returns a *connect.Error if the caller is refused, and records a
// refused change in the audit chain.
func (g *guard) admit(ctx context.Context, procedure string, header http.Header) (context.Context, error) {
	verb, known := verbOf(procedure)
	if !known {
		return ctx, connect.NewError(connect.CodePermissionDenied, fmt.Errorf("unknown procedure %s", procedure))
	}
	if verb.Least == auth.None {
		return ctx, nil
	}
	c, _ := ctx.Value(connectionKey{}).(connection)
	id, err := g.identify(c, header)
	if err != nil {
		refusal := refused(connect.CodeUnauthenticated, fmt.Errorf("%w; %s requires the role %s", err, procedure, verb.Least), id, verb.Least)
		if verb.Name != "" {
			g.record(ctx, "", auth.Caller{Who: "unknown from " + c.remote.String()}, verb, err.Error())
		}
		return ctx, refusal
	}
	if !id.Role.May(verb.Least) {
		err := fmt.Errorf("%s has %s, but %s requires %s", id.Who, roleOf(id), procedure, verb.Least)
		if verb.Name != "" {
			g.record(ctx, id.Who, id, verb, err.Error())
		}
		return ctx, refused(connect.CodePermissionDenied, err, id, verb.Least)
	}
	ctx = context.WithValue(ctx, admissionKey{}, admission{verb, procedure, id.Who, func() (auth.Caller, error) { return g.identify(c, header) }})
	return context.WithValue(ctx, identityKey{}, id), nil
}

// roleOf describes the role of a caller in a message.
func roleOf(id auth.Caller) string {
	if id.Role == auth.None {
		return "no role"
	}
	return "the role " + string(id.Role)
}

func refused(code connect.Code, err error, id auth.Caller, needed auth.Role) *connect.Error {
	return withDetail(connect.NewError(code, err), &op25bv1.Denied{Who: id.Who, Role: string(id.Role), Needed: string(needed)})
}

// record adds a refused change to the audit chain, unless the caller already has too many such records. If the store has no quorum or is
// full, the change is not recorded but is still refused.
func (g *guard) record(ctx context.Context, counted string, id auth.Caller, verb Verb, why string) {
	missed, ok := g.refusals.tell(counted)
	if !ok {
		return
	}
	why, _ = plan.Cut(why, maxRefusal)
	if missed > 0 {
		why = fmt.Sprintf("%s; %d more since the last such record", why, missed)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
	defer cancel()
	_, err := g.audit.Append(ctx, store.AuditRecord{Who: id.Who, Role: string(id.Role), Verb: "refused " + verb.Name, Detail: why})
	if err != nil {
		g.log.Error("refused change not recorded in the audit chain", zap.String("who", id.Who), zap.String("verb", verb.Name), zap.Error(err))
	}
}

// outcome records a change that was refused because of its contents. ErrUnchanged is not recorded, because otherwise a caller that
// applies the same documents every hour would fill the chain.
func (g *guard) outcome(ctx context.Context, procedure string, err error) {
	verb := verbs[procedure]
	var e *connect.Error
	if verb.Name == "" || err == nil || errors.Is(err, store.ErrUnchanged) || !errors.As(err, &e) {
		return
	}
	switch e.Code() {
	case connect.CodeInvalidArgument, connect.CodeFailedPrecondition, connect.CodeAborted, connect.CodeNotFound, connect.CodePermissionDenied:
		g.record(ctx, caller(ctx).Who, caller(ctx), verb, e.Message())
	}
}

// WrapUnary records the outcome of unary calls whose callers the door has admitted.
func (g *guard) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		answer, err := next(ctx, req)
		err = asConnectError(err)
		g.outcome(ctx, req.Spec().Procedure, err)
		return answer, err
	}
}

// WrapStreamingHandler records the outcome of streams whose callers the door has admitted.
func (g *guard) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		err := asConnectError(next(ctx, conn))
		g.outcome(ctx, conn.Spec().Procedure, err)
		return err
	}
}

// WrapStreamingClient returns next unchanged, because the interceptor is for servers only.
func (g *guard) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

var _ connect.Interceptor = (*guard)(nil)
