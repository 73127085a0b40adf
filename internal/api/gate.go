package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/auth"
)

// A Gate admits the callers of the northbound gNMI, which has its own port. The same credentials, roles, limits, log lines, metrics and
// audit records apply as for the API.
type Gate struct{ door *door }

// GateOf returns the Gate of a handler that New returned. It panics for any other handler.
func GateOf(h http.Handler) *Gate { return &Gate{h.(*door)} }

type authorizationKey struct{}

// Admit admits the caller of a gRPC request, based on the request's header alone. It returns the context of the call. If Admit refuses the
// caller, it logs, counts and records the refusal, and returns a gRPC status.
//
// gNMI clients send a name and a password as metadata (gNMI authentication specification). Admit uses the password as the bearer token, and
// ignores the name.
func (g *Gate) Admit(r *http.Request) (context.Context, error) {
	d, path := g.door, r.URL.Path
	refuse := func(kind refusalKind, err error) (context.Context, error) {
		d.doorLog.add(kind, path, r.RemoteAddr, err)
		if _, known := gnmiVerbs[path]; known {
			d.onlooker.calls.WithLabelValues(path, connect.CodeOf(err).String()).Inc()
		}
		return nil, statusOf(err)
	}
	if err := d.origin.Check(r); err != nil {
		return refuse(refusedOrigin, connect.NewError(connect.CodePermissionDenied, err))
	}
	if _, known := gnmiVerbs[path]; !known {
		return refuse(refusedPath, connect.NewError(connect.CodeUnimplemented, fmt.Errorf("%s: this port serves only %s", brief(path), gnmiService[1:len(gnmiService)-1])))
	}
	header := r.Header.Clone()
	if token := header.Get("Password"); token != "" && header.Get("Authorization") == "" {
		header.Set("Authorization", "Bearer "+token)
	}
	ctx := context.WithValue(r.Context(), connectionKey{}, connectionOf(r))
	ctx, err := d.guard.admit(ctx, path, header)
	if err != nil {
		kind := refusedUnknown
		if connect.CodeOf(err) == connect.CodePermissionDenied {
			kind = refusedRole
		}
		return refuse(kind, err)
	}
	return context.WithValue(ctx, authorizationKey{}, header.Get("Authorization")), nil
}

// Caller returns the identity of an admitted caller, and the Authorization header for forwarding the call to another controller. The header
// is empty if the caller was admitted without a token.
func (g *Gate) Caller(ctx context.Context) (id auth.Caller, authorization string) {
	id = caller(ctx)
	if id.By == auth.ByToken {
		authorization, _ = ctx.Value(authorizationKey{}).(string)
	}
	return id, authorization
}

// Call runs the handler of an admitted call, and logs and counts the call when it ends. It cancels the context of handle when the call
// exceeds its time limit. It returns the handler's error as a gRPC status, or INTERNAL after a panic.
func (g *Gate) Call(ctx context.Context, procedure string, handle func(ctx context.Context) error) (err error) {
	defer func(began time.Time) {
		c, _ := ctx.Value(connectionKey{}).(connection)
		g.door.onlooker.ended(procedure, connect.Peer{Addr: c.remote.String(), Protocol: "gnmi"}, caller(ctx), time.Since(began), connectOf(err))
	}(time.Now())
	defer func() {
		if err != nil {
			err = statusOf(err)
		}
	}()
	defer (&recoverer{g.door.guard.log}).catch(procedure, &err)
	if most := gnmiVerbs[procedure].Within; most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	return handle(ctx)
}

// Stream is like Call, but for a stream. It also cancels the context of handle when the caller is no longer admitted, and then returns the
// reason.
func (g *Gate) Stream(ctx context.Context, procedure string, handle func(ctx context.Context) error) error {
	return g.Call(ctx, procedure, func(ctx context.Context) error {
		g.door.onlooker.streams.Inc()
		defer g.door.onlooker.streams.Dec()
		ctx, end := context.WithCancelCause(ctx)
		watching := make(chan struct{})
		go func() {
			defer close(watching)
			watched(ctx, recheckEvery, end)
		}()
		err := handle(ctx)
		var lost *connect.Error
		if err != nil && errors.As(context.Cause(ctx), &lost) {
			err = lost
		}
		end(nil)
		<-watching
		return err
	})
}

// statusOf converts an error of the API to a gRPC status. Both use the same numbers for codes.
func statusOf(err error) error {
	var e *connect.Error
	if errors.As(err, &e) {
		return status.Error(codes.Code(e.Code()), e.Message())
	}
	return err
}

// connectOf converts a gRPC status to an error of the API.
func connectOf(err error) error {
	var e *connect.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return connect.NewError(connect.Code(status.Code(err)), errors.New(status.Convert(err).Message()))
}
