package openconfig

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Targets provides the switches of a server with several targets. The methods are called from many goroutines at once.
type Targets interface {
	// Source returns the Source of the target that the prefix of a request names. It returns ErrNoTarget if there is no such target, or if
	// the caller in ctx must not learn of it. Any other error that is not a gRPC status becomes UNAVAILABLE.
	//
	// Calls share the readings of equal Sources. Source must therefore return the same Source for a target at every call. The dynamic type
	// of the Source must be comparable.
	Source(ctx context.Context, target string) (Source, error)
	// Names returns the targets that the caller may name, for error messages.
	Names(ctx context.Context) []string
}

// source returns the Source of a request's target (gNMI specification 2.2.2.1).
func (s *Server) source(ctx context.Context, prefix *gpb.Path) (Source, error) {
	if s.targets == nil {
		return s.only, nil // the client may choose any name for the only target
	}
	name := prefix.GetTarget()
	switch name {
	case "":
		return nil, status.Errorf(codes.InvalidArgument, "prefix.target is missing: this server has several targets; valid: %s", s.valid(ctx))
	case "*":
		return nil, status.Errorf(codes.Unimplemented, `prefix.target "*" is not supported: name one target in each request; valid: %s`, s.valid(ctx))
	}
	source, err := s.targets.Source(ctx, name)
	_, isStatus := status.FromError(err)
	switch {
	case err == nil && !reflect.ValueOf(source).Comparable():
		return nil, status.Errorf(codes.Internal, "prefix.target %.*q: its source has the type %T, which is not comparable", mostText, name, source)
	case err == nil:
		return source, nil
	case errors.Is(err, ErrNoTarget):
		return nil, status.Errorf(codes.NotFound, "prefix.target %.*q is unknown; valid: %s", mostText, name, s.valid(ctx))
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case isStatus:
		return nil, err
	default:
		return nil, status.Errorf(codes.Unavailable, "prefix.target %.*q: %v", mostText, name, err)
	}
}

// valid lists the targets that the caller may name, at most mostNames of them.
func (s *Server) valid(ctx context.Context) string {
	const mostNames = 10
	names := slices.Sorted(slices.Values(s.targets.Names(ctx)))
	switch n := len(names); {
	case n == 0:
		return "none now"
	case n > mostNames:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNames], ", "), n-mostNames)
	default:
		return strings.Join(names, ", ")
	}
}
