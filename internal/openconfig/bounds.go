package openconfig

import (
	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// These constants limit a request, and the memory that all subscribers use.
const (
	// MaxPaths is the largest number of paths in a Get, or of subscriptions in a Subscribe. It allows two paths for each of 510 ports.
	MaxPaths = 1024
	// MaxElems is the largest number of elements in a path, including its prefix. The path of the deepest served leaf has 10 elements.
	MaxElems = 32
	// MaxKeys is the largest number of keys in a path element. No served list has more than two.
	MaxKeys = 8
	// MaxDeep is the largest number of "..." elements in a path, because each one multiplies the ways in which a node can be reached.
	MaxDeep = 2
	// MaxLeaves is the largest number of leaves in the answer to a Get, or in one answer to a ONCE or POLL subscription. 510 ports with 20
	// counting rules each have 38,000 leaves. A leaf takes about 200 bytes in an answer.
	MaxLeaves = 400_000
	// MaxTracked is the largest number of leaves in all STREAM subscriptions. A leaf takes up to 34 bytes in a subscription: 9 bytes for a
	// reference, which equal subscriptions share, and the value that was last sent. The value takes 9 bytes for a counter, and 25 bytes
	// for a leaf that changes rarely. SAMPLE without suppress_redundant stores no values.
	MaxTracked = 5_000_000
)

// checkPath checks a path against the limits before it is parsed.
func checkPath(prefix, path *gpb.Path) error {
	elems, deep := 0, 0
	for _, p := range []*gpb.Path{prefix, path} {
		elems += len(p.GetElem())
		if elems > MaxElems {
			return status.Errorf(codes.InvalidArgument, "path: more than %d elements with its prefix", MaxElems)
		}
		for _, e := range p.GetElem() {
			if len(e.GetKey()) > MaxKeys {
				return status.Errorf(codes.InvalidArgument, "path: an element with %d keys; at most %d", len(e.GetKey()), MaxKeys)
			}
			if e.GetName() == anyDepth {
				deep++
			}
		}
	}
	if deep > MaxDeep {
		return status.Errorf(codes.InvalidArgument, "path: %d times %q; at most %d", deep, anyDepth, MaxDeep)
	}
	return nil
}

func errPaths(what string, n int) error {
	return status.Errorf(codes.ResourceExhausted, "%s: %d paths; at most %d in one request", what, n, MaxPaths)
}

func errLeaves() error {
	return status.Errorf(codes.ResourceExhausted, "the answer would have more than %d leaves: ask for less at once", MaxLeaves)
}

// count returns n plus the number of leaves at and below a node. It returns an error if the sum exceeds MaxLeaves.
func count(n int, at *node) (int, error) {
	at.walk(func(c *node) bool {
		if c.schema.leaf() {
			n++
		}
		return n <= MaxLeaves
	})
	if n > MaxLeaves {
		return n, errLeaves()
	}
	return n, nil
}

// track adds the leaves of a plan to the total of all subscribers, and returns the number of the plan's leaves. was is the result of the
// previous call for the plan. track returns RESOURCE_EXHAUSTED if the plan has grown and the total exceeds MaxTracked.
func (s *Server) track(p *plan, was int) (int, error) {
	n := p.leaves()
	if all := s.tracked.Add(int64(n - was)); all > MaxTracked && n > was {
		return n, status.Errorf(codes.ResourceExhausted, "the subscribers of this server have %d leaves; at most %d are served: subscribe to less", all, MaxTracked)
	}
	return n, nil
}
