package northbound

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/fleet"
	"op25b/internal/openconfig"
)

// targets provides the switches of the inventory as gNMI targets.
type targets struct{ s *Service }

var _ openconfig.Targets = targets{}

// Source returns the Source of a switch. This controller must own the switch, and the counters must be current.
func (t targets) Source(_ context.Context, target string) (openconfig.Source, error) {
	if _, err := t.s.where(target); err != nil {
		return nil, err
	}
	st, there := t.s.cfg.Counters.Status(target)
	if err := notCurrent(st, there); err != nil {
		return nil, err
	}
	return source{t.s, target}, nil
}

// Names returns the names of the switches in the inventory.
func (t targets) Names(context.Context) []string {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if t.s.intent == nil {
		return nil
	}
	var names []string
	for _, sw := range t.s.intent.Switches() {
		names = append(names, sw.Name)
	}
	return slices.Clip(names)
}

// A home is the controller that serves a switch.
type home struct {
	owner string // the name of the owner; empty if it is this controller
	addrs fleet.Addresses
}

// where returns the controller that serves a switch. It returns openconfig.ErrNoTarget if the switch is not in the inventory, and
// ErrNoOwner if no controller can serve it.
func (s *Service) where(name string) (home, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.intent == nil {
		return home{}, fmt.Errorf("%w: this controller has not read an inventory yet: try again, or apply one", ErrNoOwner)
	}
	if _, there := s.intent.Switch(name); !there {
		return home{}, openconfig.ErrNoTarget
	}
	if s.switches[name] != nil {
		return home{}, nil
	}
	h, owned := s.owners[name]
	addrs, present := s.members[h.Holder]
	switch {
	case !owned:
		return home{}, fmt.Errorf("%w: it has no owner yet: try again in a few seconds", ErrNoOwner)
	case h.Holder == s.cfg.Name:
		return home{}, fmt.Errorf("%w: %s takes it over or gives it up at the moment: try again in a few seconds", ErrNoOwner, h.Holder)
	case !present || !h.Alive:
		return home{}, fmt.Errorf("%w: its owner %s has ended; another controller takes it over within seconds: try again", ErrNoOwner, h.Holder)
	case addrs.GNMI == "":
		return home{}, fmt.Errorf("%w: its owner %s serves no gNMI: start that controller with --gnmi", ErrNoOwner, h.Holder)
	}
	return home{h.Holder, addrs}, nil
}

// settleWithin is the time for which a stream that has lost its owner waits for the next owner, so that the stream's last message can
// name the new owner.
const settleWithin = 3 * time.Second

// awaitMove waits until a switch is no longer served at was, and returns the reason as a gRPC status. It returns nil if ctx ends first.
func (s *Service) awaitMove(ctx context.Context, name string, was home) error {
	var late <-chan time.Time // set while the switch has no owner
	over := false
	for {
		s.mu.Lock()
		moved := s.moved
		s.mu.Unlock()
		now, err := s.where(name)
		switch {
		case errors.Is(err, openconfig.ErrNoTarget):
			return status.Errorf(codes.NotFound, "%s is no longer in the inventory", name)
		case err != nil && over:
			return status.Errorf(codes.Unavailable, "%s: %v", name, err)
		case err != nil && late == nil:
			timer := time.NewTimer(settleWithin)
			defer timer.Stop()
			late = timer.C
		case err == nil && now == was:
			late = nil // the same owner is back
		case err == nil && now.owner == "":
			return status.Errorf(codes.Unavailable, "%s is now owned by %s, which serves this stream, subscribe again", name, s.cfg.Name)
		case err == nil:
			return status.Errorf(codes.Unavailable, "%s is now owned by %s at %s, subscribe again", name, now.owner, now.addrs.GNMI)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-late:
			over = true
		case <-moved:
		}
	}
}
