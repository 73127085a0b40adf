package p4source

import (
	"context"
	"time"

	"op25b/internal/openconfig"
)

// A linkPast is the recorded history of an interface.
type linkPast struct {
	oper           openconfig.OperStatus
	index          uint32    // last known index
	changed, clear time.Time // when oper changed, and when another interface replaced this one; zero if not observed
	transitions    uint64    // changes of oper to UP or from UP
}

// seen compares a link with the recorded one, and returns its history. An interface that is created anew has another index.
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

// Follow counts the transitions of the interfaces until ctx ends. Snapshots have them from its start on. A link that goes down and up again
// before it is looked at counts as unchanged. Follow returns nil at the end of ctx, or the error of Links.
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
				// An error is ignored, because the next Snapshot has it.
				_, _ = s.readLink(ctx, p)
			}
		}
	}
}
