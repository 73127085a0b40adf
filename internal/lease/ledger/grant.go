package ledger

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"op25b/internal/lease"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// Grant grants or renews a lease of a line, by its name in the policy. When Grant returns without an error, the lease is in the store. It returns
// an error of this package or of package lease if the grant is refused, and otherwise an error of the store.
func (l *Ledger) Grant(ctx context.Context, line, name string) (Held, lease.Outcome, error) {
	granted, outcome, err := l.grantLine(ctx, line, name)
	l.metrics.grant("api", outcome, err)
	return granted, outcome, err
}

func (l *Ledger) grantLine(ctx context.Context, line, name string) (Held, lease.Outcome, error) {
	r, err := l.current()
	if err != nil {
		return Held{}, "", err
	}
	at, ok := r.line(line)
	if !ok {
		return Held{}, "", fmt.Errorf("%w: the inventory has no line %q", ErrNoLine, line)
	}
	terms := r.policy.Lease(name)
	switch {
	case terms == nil:
		return Held{}, "", fmt.Errorf("%w: the policy has no lease %q; %s", ErrNoLease, name, strict.Nearest(name, policy.Names(r.policy.Leases), "leases"))
	case !at.has(terms):
		return Held{}, "", fmt.Errorf("%w: the lease %q is not for the group %q of line %q", ErrNoLease, name, at.line.Group, line)
	}
	granted, outcome, err := l.grant(ctx, r, at, terms, l.now())
	return Held{granted, at.sw.Name}, outcome, err
}

// Login grants or renews the lease of the line that has an address: the first lease of the policy that is for the line. If no line has the address,
// the first lease that the address can have is granted to the address. source names the kind of the report in metrics. The errors are as for Grant
// and GrantAddress, and ErrPlain.
func (l *Ledger) Login(ctx context.Context, source string, remote netip.Addr, tls bool, at time.Time) (lease.Lease, lease.Outcome, error) {
	granted, outcome, err := l.login(ctx, remote, tls, at)
	l.metrics.grant(source, outcome, err)
	return granted, outcome, err
}

func (l *Ledger) login(ctx context.Context, remote netip.Addr, tls bool, when time.Time) (lease.Lease, lease.Outcome, error) {
	r, err := l.current()
	if err != nil {
		return lease.Lease{}, "", err
	}
	if when.IsZero() {
		when = l.now()
	}
	when = when.UTC().Round(0)
	at, ok := l.at(r, remote)
	if !ok {
		return l.loginAddress(ctx, r, remote, tls, when)
	}
	first := slices.IndexFunc(r.policy.Leases, func(terms policy.Lease) bool { return at.has(&terms) })
	if first < 0 {
		return lease.Lease{}, "", fmt.Errorf("%w: the policy has none for the group %q", ErrNoLease, at.line.Group)
	}
	terms := &r.policy.Leases[first]
	if terms.TLS == policy.TLSRequired && !tls {
		return lease.Lease{}, "", fmt.Errorf("%w: lease %q", ErrPlain, terms.Name)
	}
	return l.grant(ctx, r, at, terms, when)
}

// at returns the line that has an address, by the inventory or by its session.
func (l *Ledger) at(r *rules, remote netip.Addr) (place, bool) {
	if _, line, ok := r.lines.At(remote); ok {
		return r.line(line.Name)
	}
	if l.cfg.Sessions == nil {
		return place{}, false
	}
	found, ok := l.cfg.Sessions.Holder(remote)
	if !ok {
		return place{}, false
	}
	return r.line(found.Name)
}

// current returns what the documents say, or ErrNotReady.
func (l *Ledger) current() (*rules, error) {
	if !l.isReady() {
		return nil, ErrNotReady
	}
	if l.cfg.Sessions != nil && !l.sessionsReady() {
		return nil, ErrNotReady
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.rules, nil
}

// grant grants a lease to a line that can have it.
func (l *Ledger) grant(ctx context.Context, r *rules, at place, terms *policy.Lease, when time.Time) (lease.Lease, lease.Outcome, error) {
	name := at.line.Name
	if e := r.exempt().lines[name]; e != nil && !r.policy.Ended(e, l.now()) {
		return lease.Lease{}, "", fmt.Errorf("%w: line %q reaches own servers without a lease", ErrExempt, name)
	}
	l.mu.RLock()
	reason, blind := l.blind[at.sw.Name]
	l.mu.RUnlock()
	if blind {
		return lease.Lease{}, "", fmt.Errorf("%w: switch %q: %s", ErrNoClock, at.sw.Name, reason)
	}
	g := lease.Grant{
		Holder: lease.Holder{Line: name}, Name: terms.Name, At: when,
		Terms: lease.Terms{For: time.Duration(terms.For), Cap: time.Duration(terms.Cap)},
	}
	var err error
	if g.Session, err = l.session(at); err != nil {
		return lease.Lease{}, "", err
	}
	return l.put(ctx, g)
}

// session returns when the session of a line began; the zero Time if the line has none. It returns ErrNoAddress if the line has no address.
func (l *Ledger) session(at place) (began time.Time, err error) {
	has := false
	if at.sessions {
		if l.cfg.Sessions == nil {
			return began, fmt.Errorf("%w: the addresses of line %q are dynamic, and this controller reads no sessions: start it with --session-key", ErrNoAddress, at.line.Name)
		}
		known := false
		if began, has, known = l.cfg.Sessions.Began(at.line.Name); !known {
			return began, ErrNotReady
		}
	}
	if !has && len(at.line.Prefixes) == 0 {
		return began, fmt.Errorf("%w: line %q has no session, and no prefix in the inventory", ErrNoAddress, at.line.Name)
	}
	return began, nil
}

// put decides about a grant, and stores the lease.
func (l *Ledger) put(ctx context.Context, g lease.Grant) (lease.Lease, lease.Outcome, error) {
	name := l.name(g.Holder)
	mu := &l.writing[maphash.String(l.seed, name)%shards]
	mu.Lock()
	defer mu.Unlock()
	now := l.now()
	l.mu.Lock()
	after, outcome, err := l.table.Grant(g, now)
	version := l.versions[name]
	l.mu.Unlock()
	if g.At.After(now) {
		g.At = now
	}
	for range maxTries {
		if err != nil || outcome == lease.Unchanged {
			return after, outcome, err
		}
		version, err = l.writer.PutIf(ctx, name, version, l.stored(name, after))
		if err == nil {
			l.wrote(name, version, after)
		}
		if err == nil || !isConflict(err) {
			return after, outcome, err
		}
		var before lease.Lease
		if before, version, err = l.read(ctx, name, g.Holder); err == nil {
			after, outcome, err = g.After(before)
		}
	}
	return lease.Lease{}, "", ErrBusy
}

// wrote notes a lease before the watch of the store reports it, so that a grant is known when it is acknowledged.
func (l *Ledger) wrote(name string, version int64, after lease.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if version <= l.versions[name] {
		return // the watch was faster
	}
	l.ahead[name] = version
	l.setLocked(name, version, after)
}

// read returns the lease of a holder in the store, and the version of its record, which has the given name.
func (l *Ledger) read(ctx context.Context, name string, h lease.Holder) (lease.Lease, int64, error) {
	found, err := l.records.Get(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return lease.Lease{}, 0, nil
	case errors.Is(err, store.ErrCorrupt):
		return lease.Lease{}, store.AnyVersion, nil
	case err != nil:
		return lease.Lease{}, 0, err
	}
	return found.Value.lease(h), found.Version, nil
}

// Revoke ends the lease of a line. It returns the lease, and false if the line had none. When it returns without an error, the lease is not in the
// store. It returns ErrNoLine if the inventory has no such line.
func (l *Ledger) Revoke(ctx context.Context, line string) (Held, bool, error) {
	r, err := l.current()
	if err != nil {
		return Held{}, false, err
	}
	before, had, err := l.remove(ctx, lease.Holder{Line: line})
	if err != nil {
		return Held{}, false, err
	}
	at, ok := r.line(line)
	if !ok && !had {
		return Held{}, false, fmt.Errorf("%w: the inventory has no line %q", ErrNoLine, line)
	}
	held := Held{Lease: before}
	if ok && had {
		held.Switch = at.sw.Name
	}
	return held, before.Holds(l.now()), nil
}

// remove deletes the record of a holder. It returns the lease, and false if there was no record.
func (l *Ledger) remove(ctx context.Context, h lease.Holder) (before lease.Lease, had bool, err error) {
	name := l.name(h)
	mu := &l.writing[maphash.String(l.seed, name)%shards]
	mu.Lock()
	defer mu.Unlock()
	before, version, err := l.read(ctx, name, h)
	if err != nil || version == 0 {
		return before, false, err
	}
	return before, true, l.records.Delete(ctx, name, store.AnyVersion)
}
