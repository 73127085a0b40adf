package ledger

import (
	"context"
	"strings"

	"go.uber.org/zap"

	"op25b/internal/lease"
	"op25b/internal/store"
)

// take applies changes of the store.
func (l *Ledger) take(some []store.Event[stored]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takeLocked(some)
}

// takeMissed takes the deletions of leases that this ledger granted, and that the watch of the store has missed.
func (l *Ledger) takeMissed(ctx context.Context) {
	if err := l.missed.Take(ctx, &l.mu, l.ahead, l.takeLocked); err != nil {
		l.log.Debug("leases that the watch has not reported are not read yet", zap.Error(err))
	}
}

func (l *Ledger) takeLocked(some []store.Event[stored]) {
	for _, e := range some {
		ahead := l.ahead[e.Name]
		if !e.Deleted && e.Version < ahead {
			continue // the lease before the one that this ledger wrote
		}
		delete(l.ahead, e.Name)
		if !e.Deleted && e.Version == ahead {
			continue // the lease that this ledger wrote, which the followers know
		}
		if _, known := l.versions[e.Name]; e.Deleted && !known && l.sealed[e.Name].version == 0 {
			continue // a lease of another controller that has ended before this ledger knew it
		}
		holder, err := l.holderLocked(e)
		switch {
		case e.Deleted:
			delete(l.versions, e.Name)
			delete(l.names, e.Name)
			if _, unknown := l.sealed[e.Name]; unknown {
				delete(l.sealed, e.Name)
				continue
			}
			l.table.Delete(holder)
			l.changedLocked(holder)
		case err != nil:
			l.keepSealedLocked(e)
		case e.Err != nil: // it is replaced by the next grant, and deleted by the sweep
			l.setLocked(e.Name, e.Version, lease.Lease{Holder: holder})
			l.log.Warn("a lease in the store cannot be read, and is deleted", zap.String("line", e.Name))
		default:
			l.setLocked(e.Name, e.Version, e.Value.lease(holder))
		}
	}
}

// holderLocked returns the holder of a record's lease. It returns errSealed for an address that cannot be decrypted.
func (l *Ledger) holderLocked(e store.Event[stored]) (lease.Holder, error) {
	if !strings.HasPrefix(e.Name, sealedMark) {
		return lease.Holder{Line: e.Name}, nil
	}
	if a, known := l.names[e.Name]; known {
		return lease.Holder{Address: a}, nil
	}
	a, err := l.seal.open(e.Name, e.Value.Address)
	return lease.Holder{Address: a}, err
}

// keepSealedLocked notes the lease of an address that cannot be decrypted. It is deleted after its end.
func (l *Ledger) keepSealedLocked(e store.Event[stored]) {
	if len(l.sealed) == 0 {
		l.log.Warn("a lease of an address in the store cannot be decrypted, and is ignored; give all controllers the same --session-key")
	}
	l.sealed[e.Name] = sealedLease{e.Version, e.Value.End} // the zero Time if the record cannot be read
}

// setLocked replaces the lease of a holder, and reports the holder.
func (l *Ledger) setLocked(name string, version int64, held lease.Lease) {
	l.versions[name] = version
	if held.Holder.Line == "" {
		l.names[name] = held.Holder.Address
		delete(l.sealed, name)
	}
	l.table.Set(held)
	l.changedLocked(held.Holder)
}

// changedLocked reports a holder to the followers of its switches.
func (l *Ledger) changedLocked(h lease.Holder) {
	if l.rules == nil {
		return
	}
	if h.Line == "" {
		for _, name := range l.rules.switches {
			l.followers.Changed(name, h.Key())
		}
		return
	}
	if sw, _, ok := l.rules.lines.Line(h.Line); ok {
		l.followers.Changed(sw.Name, h.Line)
	}
}

// sweep deletes the leases that have ended.
func (l *Ledger) sweep(ctx context.Context) {
	if !l.isReady() {
		return
	}
	type gone struct {
		name    string
		version int64
	}
	now := l.now()
	var all []gone
	l.mu.RLock()
	r := l.rules
	for held := range l.table.All() {
		if ended, known := l.ended(r, held); !held.Holds(now) || ended && known {
			name := l.name(held.Holder)
			all = append(all, gone{name, l.versions[name]})
		}
	}
	for name, x := range l.sealed {
		if !now.Before(x.end) {
			all = append(all, gone{name, x.version})
		}
	}
	l.mu.RUnlock()
	for _, g := range all {
		// A conflict means that the holder has another lease, or that another controller swept it.
		if err := l.records.Delete(ctx, g.name, g.version); err != nil && !isConflict(err) {
			l.log.Debug("leases that have ended are not deleted yet", zap.Error(err))
			return
		}
	}
}
