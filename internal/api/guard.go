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

// An Auth says how callers are known. The zero value knows nobody but who calls from the same machine, and that one as an admin.
type Auth struct {
	// Access says who may what, by bearer token and client certificate. With it, whoever shows neither may nothing, also on this machine.
	Access *auth.File
	// Anonymous, without Access, is the role of who calls from another machine; None refuses.
	Anonymous auth.Role
}

// A guard lets callers do what they may, and writes down what changes nothing because it was refused.
type guard struct {
	auth     Auth
	now      func() time.Time
	log      *zap.Logger
	audit    *store.Audit
	refusals *refusals
	once     sync.Once // logs that everybody on this machine is admin
}

// A connection is what is known of a caller beside the call.
type connection struct {
	remote netip.Addr // invalid if it is not an IP address
	host   string     // that the caller asked for
	direct bool       // no proxy says that it asks for somebody else
	cert   *x509.Certificate
	chain  []*x509.Certificate // cert, and what came with it

	tracked *trackedConn // nil on a listener that is not Listen's
}

type connectionKey struct{}

// local says whether the caller is a program on this machine, and not a page in its browser that resolves a name of its own to loopback.
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

// LocalCaller is who calls where nothing but the machine says who that is.
const LocalCaller = "local"

// identify says who a caller is, or auth.ErrUnknown with what would be needed. A token counts before a certificate.
func (g *guard) identify(c connection, header http.Header) (auth.Identity, error) {
	if g.auth.Access == nil {
		switch {
		case c.local():
			g.once.Do(func() {
				g.log.Warn("no access file: every program on this machine is admin", zap.String("who", LocalCaller))
			})
			return auth.Identity{Who: LocalCaller, Role: auth.Admin, By: auth.ByLoopback}, nil
		case g.auth.Anonymous != auth.None:
			return auth.Identity{Who: "anonymous from " + c.remote.String(), Role: g.auth.Anonymous, By: auth.ByNothing}, nil
		case c.remote.IsLoopback():
			return auth.Identity{}, fmt.Errorf("%w: without an access file only programs on this machine are let in, under localhost or a loopback "+
				"address and not through a proxy; the host that was asked for is %q", auth.ErrUnknown, c.host)
		}
		return auth.Identity{}, fmt.Errorf("%w: without an access file only programs on this machine are let in", auth.ErrUnknown)
	}
	access := g.auth.Access.Access()
	token, ok, err := auth.Bearer(header.Get("Authorization"))
	switch {
	case err != nil:
		return auth.Identity{}, err
	case ok:
		return access.Token(token, g.now())
	case c.cert != nil:
		if err := c.verify(time.Now()); err != nil { // by the clock that TLS goes by
			return auth.Identity{}, err
		}
		return access.Certificate(c.cert), nil
	}
	return auth.Identity{}, fmt.Errorf("%w: show a bearer token, or a client certificate", auth.ErrUnknown)
}

type identityKey struct{}

// caller is who calls; the guard has let them in.
func caller(ctx context.Context) auth.Identity {
	id, _ := ctx.Value(identityKey{}).(auth.Identity)
	return id
}

// admit lets a call pass, or says by a *connect.Error why not. Whoever has asked for a change and is refused is written down.
func (g *guard) admit(ctx context.Context, procedure string, header http.Header) (context.Context, error) {
	verb, known := verbs[procedure]
	if !known {
		return ctx, connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%s is nobody's to call", procedure))
	}
	if verb.Least == auth.None {
		return ctx, nil
	}
	c, _ := ctx.Value(connectionKey{}).(connection)
	id, err := g.identify(c, header)
	if err != nil {
		refusal := refused(connect.CodeUnauthenticated, fmt.Errorf("%w; %s wants the role %s", err, procedure, verb.Least), id, verb.Least)
		if verb.Name != "" {
			g.record(ctx, "", auth.Identity{Who: "unknown from " + c.remote.String()}, verb, err.Error())
		}
		return ctx, refusal
	}
	if !id.Role.May(verb.Least) {
		has := "no role"
		if id.Role != auth.None {
			has = "the role " + string(id.Role)
		}
		err := fmt.Errorf("%s has %s, and %s wants %s", id.Who, has, procedure, verb.Least)
		if verb.Name != "" {
			g.record(ctx, id.Who, id, verb, err.Error())
		}
		return ctx, refused(connect.CodePermissionDenied, err, id, verb.Least)
	}
	ctx = context.WithValue(ctx, admissionKey{}, admission{verb, procedure, id.Who, func() (auth.Identity, error) { return g.identify(c, header) }})
	return context.WithValue(ctx, identityKey{}, id), nil
}

func refused(code connect.Code, err error, id auth.Identity, needed auth.Role) *connect.Error {
	return withDetail(connect.NewError(code, err), &op25bv1.Denied{Who: id.Who, Role: string(id.Role), Needed: string(needed)})
}

// record writes down that a change was refused, unless there are too many such records of the caller already. The refusal stands even if
// that fails, as it does while the store has no quorum or is full.
func (g *guard) record(ctx context.Context, counted string, id auth.Identity, verb Verb, why string) {
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
		g.log.Error("a refused change could not be written to the audit chain", zap.String("who", id.Who), zap.String("verb", verb.Name), zap.Error(err))
	}
}

// outcome writes down a change that the caller may make and that was refused for what it is. That there was nothing to change is none: who
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

// WrapUnary records the outcome of calls of one message. The door has admitted their callers.
func (g *guard) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		answer, err := next(ctx, req)
		err = asConnectError(err)
		g.outcome(ctx, req.Spec().Procedure, err)
		return answer, err
	}
}

// WrapStreamingHandler records the outcome of streams.
func (g *guard) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		err := asConnectError(next(ctx, conn))
		g.outcome(ctx, conn.Spec().Procedure, err)
		return err
	}
}

// WrapStreamingClient is for clients, of which there are none here.
func (g *guard) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

var _ connect.Interceptor = (*guard)(nil)
