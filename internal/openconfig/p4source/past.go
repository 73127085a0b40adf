package p4source

import (
	"context"
	"time"

	"op25b/internal/openconfig"
)

// A linkPast is the recorded history of an interface.
type linkPast struct {
	oper           openconfig.OperStatus
	index          uint32    // the last known index
	changed, clear time.Time // the times when oper changed and when another interface replaced this one; zero if not observed
	transitions    uint64    // the number of changes of oper to or from UP
}

// seen compares a link with the recorded state, and returns the interface's history. An interface that was created anew has a different
// index.
func (s *Source) seen(name string, l Link) (past linkPast, following bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	past, known := s.pasts[name]
	now := time.Now()
	if known && past.oper != l.Oper {
		past.changed = now
		if past.oper == openconfig.OperUp || l.Oper == openconfig.OperUp {
			past.transitions++
		}
	}
	if known && past.index != 0 && l.Index != 0 && past.index != l.Index {
		past.clear = now
	}
	past.oper = l.Oper
	if l.Index != 0 {
		past.index = l.Index
	}
	s.pasts[name] = past
	return past, s.following
}

// Follow counts the interfaces' transitions until ctx ends. Snapshots contain the number of transitions once Follow has started. Follow
// does not notice a link that goes down and up again before the link is read. Follow returns nil when ctx ends, or the error of Links.
func (s *Source) Follow(ctx context.Context) error {
	if s.links == nil {
		<-ctx.Done()
		return nil
	}
	changed := make(chan struct{}, 1)
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- s.links.Watch(watching, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}()
	s.mu.Lock()
	s.following = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.following = false
		s.mu.Unlock()
	}()
	for {
		select {
		case err := <-ended:
			return err
		case <-changed:
			for _, p := range s.ports {
				// The error is ignored, because the next Snapshot returns it.
				_, _ = s.readLink(ctx, p)
			}
		}
	}
}
