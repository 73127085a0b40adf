package ledger

import (
	"context"
	"maps"

	"go.uber.org/zap"

	"op25b/internal/store"
)

// noClockKind is the kind of the records of switches whose clock cannot be read. Their names are those of the switches.
const noClockKind = "lease-no-clock"

// noClock is why the clock of a switch cannot be read.
type noClock struct {
	Reason string `json:"reason"`
}

// maxReason is the limit on the length of a reason in bytes. A switch is the source of a part of it.
const maxReason = 300

// Clock notes that the clock of a switch can be read, or why not. All controllers refuse grants for lines of switches whose clock cannot be read,
// because such a switch cannot end a lease. Clock does not block. Only the owner of the switch may call it.
func (l *Ledger) Clock(switchName string, err error) {
	reason := ""
	if err != nil {
		reason = err.Error()
		reason = reason[:min(len(reason), maxReason)]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.blind[switchName] == reason {
		delete(l.untold, switchName)
		return
	}
	l.untold[switchName] = reason
	select {
	case l.tell <- struct{}{}:
	default:
	}
}

// tellClocks stores what Clock noted. What cannot be stored is stored later.
func (l *Ledger) tellClocks(ctx context.Context) {
	l.mu.RLock()
	all := maps.Clone(l.untold)
	l.mu.RUnlock()
	for name, reason := range all {
		var err error
		if reason == "" {
			err = l.clocks.Delete(ctx, name, store.AnyVersion)
		} else {
			_, err = l.clocks.PutIf(ctx, name, store.AnyVersion, noClock{reason})
		}
		if err != nil {
			l.log.Debug("it is not stored yet whether the clock of a switch can be read", zap.String("switch", name), zap.Error(err))
			return
		}
		l.mu.Lock()
		if l.untold[name] == reason {
			delete(l.untold, name)
		}
		l.mu.Unlock()
	}
}

// takeClocks applies changes of the store.
func (l *Ledger) takeClocks(some []store.Event[noClock]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range some {
		if delete(l.blind, e.Name); !e.Deleted && e.Err == nil {
			l.blind[e.Name] = e.Value.Reason
		}
	}
}
