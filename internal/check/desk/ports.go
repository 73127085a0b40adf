package desk

import (
	"context"
	"errors"

	"op25b/internal/check"
)

// A PortAnswer is the answer about one port of a server.
type PortAnswer struct {
	Port uint16
	// Result is the worst result for the server's addresses. It is nil if Err is set.
	Result *check.Result
	// Err is the reason why the outcome is not known. It wraps check.ErrResolve if the server's name could not be looked up for now, and
	// check.ErrFamily if the line and the server have no address family in common.
	Err error
}

// Ports answers the same question for several ports of a server. If the outcome on each port is the same for all servers, the server's name is
// not looked up. If the look-up fails, the outcome is known only for such ports. Ports returns the errors of check.Checker.Ask; it returns
// check.ErrResolve only if no server has the name.
func (d *Desk) Ports(ctx context.Context, s Source, q check.Question, ports ...uint16) ([]PortAnswer, error) {
	addr, _, err := check.Server(q.To)
	if err != nil {
		return nil, err
	}
	all := make([]PortAnswer, len(ports))
	same := make([]*check.Result, len(ports)) // nil if the outcome depends on the server
	depends := false
	for i, port := range ports {
		all[i].Port, q.Port = port, port
		if !addr.IsValid() {
			a, err := d.anywhere(ctx, s, q)
			if err != nil {
				return nil, err
			}
			if a != nil {
				same[i] = a.Worst()
			}
		}
		depends = depends || same[i] == nil
	}
	for i, port := range ports {
		q.Port = port
		if !depends {
			all[i].Result = same[i]
			continue
		}
		a, err := d.connection(ctx, s, q)
		switch {
		case err == nil:
			all[i].Result = a.Worst()
		case errors.Is(err, check.ErrResolve) && Failed(err) && same[i] != nil:
			all[i].Result = same[i]
		case errors.Is(err, check.ErrResolve) && Failed(err), errors.Is(err, check.ErrFamily):
			all[i].Err = err
		default:
			return nil, err
		}
	}
	return all, nil
}

// anywhere returns the answer about a server that is in no remote class, if the outcome and its changes are the same for servers in all classes.
// Otherwise it returns nil.
func (d *Desk) anywhere(ctx context.Context, s Source, q check.Question) (same *check.Answer, err error) {
	var found *check.Answer
	plain := false // found is about a server in no class
	for _, r := range d.of(s).servers() {
		q.To = r.Addr.String()
		a, err := d.connection(ctx, s, q)
		switch {
		case errors.Is(err, check.ErrFamily):
			continue
		case err != nil:
			return nil, err
		}
		if found != nil && !found.Worst().Same(a.Worst()) {
			return nil, nil
		}
		if found == nil || r.Class == nil && !plain {
			found, plain = a, r.Class == nil
		}
	}
	return found, nil
}
