package ledger

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"op25b/internal/lease"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// GrantAddress grants or renews a lease of an address outside all lines, by its name in the policy. It is otherwise like Grant. It returns ErrOfLine
// if a line has the address.
func (l *Ledger) GrantAddress(ctx context.Context, a netip.Addr, name string) (Held, lease.Outcome, error) {
	granted, outcome, err := l.grantAddressByName(ctx, a, name)
	l.metrics.grant("api", outcome, err)
	return Held{Lease: granted}, outcome, err
}

func (l *Ledger) grantAddressByName(ctx context.Context, a netip.Addr, name string) (lease.Lease, lease.Outcome, error) {
	r, err := l.current()
	if err != nil {
		return lease.Lease{}, "", err
	}
	terms := r.policy.Lease(name)
	if terms == nil {
		return lease.Lease{}, "", fmt.Errorf("%w: the policy has no lease %q; %s", ErrNoLease, name, strict.Nearest(name, policy.Names(r.policy.Leases), "leases"))
	}
	if _, line := l.at(r, a); line {
		return lease.Lease{}, "", fmt.Errorf("%w: grant the lease to the line", ErrOfLine)
	}
	if err := r.addresses.Check(a, terms); err != nil {
		return lease.Lease{}, "", err
	}
	return l.grantAddress(ctx, r, a, terms, l.now())
}

// loginAddress grants or renews the first lease of the policy that an address outside all lines can have.
func (l *Ledger) loginAddress(ctx context.Context, r *rules, a netip.Addr, tls bool, when time.Time) (lease.Lease, lease.Outcome, error) {
	terms, err := r.addresses.For(a)
	switch {
	case terms == nil:
		return lease.Lease{}, "", fmt.Errorf("%w: no line has the address of the client", ErrNoLine)
	case err != nil:
		return lease.Lease{}, "", err
	case terms.TLS == policy.TLSRequired && !tls:
		return lease.Lease{}, "", fmt.Errorf("%w: lease %q", ErrPlain, terms.Name)
	}
	return l.grantAddress(ctx, r, a, terms, when)
}

// grantAddress grants a lease to an address outside all lines that can have it.
func (l *Ledger) grantAddress(ctx context.Context, r *rules, a netip.Addr, terms *policy.Lease, when time.Time) (lease.Lease, lease.Outcome, error) {
	switch {
	case len(r.switches) == 0:
		return lease.Lease{}, "", fmt.Errorf("%w: no line has the address, and no switch has addressLeases", ErrNoLine)
	case l.seal == nil:
		return lease.Lease{}, "", ErrNoKey
	case r.exemptAddress(a, l.now()):
		return lease.Lease{}, "", fmt.Errorf("%w: it reaches own servers without a lease", ErrExemptAddress)
	}
	if err := l.allBlind(r.switches); err != nil {
		return lease.Lease{}, "", err
	}
	return l.put(ctx, lease.Grant{
		Holder: lease.Holder{Address: a}, Name: terms.Name, At: when,
		Terms: lease.Terms{For: time.Duration(terms.For), Cap: time.Duration(terms.Cap)},
	})
}

// allBlind returns ErrNoClock unless the clock of one of the switches can be read. The others cannot have the lease.
func (l *Ledger) allBlind(switches []string) (err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, name := range switches {
		reason, blind := l.blind[name]
		if !blind {
			return nil
		}
		err = fmt.Errorf("%w: switch %q: %s", ErrNoClock, name, reason)
	}
	return err
}

// RevokeAddress ends the lease of an address outside all lines. The results are as for Revoke.
func (l *Ledger) RevokeAddress(ctx context.Context, a netip.Addr) (Held, bool, error) {
	if _, err := l.current(); err != nil {
		return Held{}, false, err
	}
	if l.seal == nil {
		return Held{}, false, ErrNoKey
	}
	before, _, err := l.remove(ctx, lease.Holder{Address: a})
	return Held{Lease: before}, before.Holds(l.now()), err
}

// sessionsReady reports whether the sessions have been read.
func (l *Ledger) sessionsReady() bool {
	if l.cfg.Sessions == nil {
		return false
	}
	select {
	case <-l.cfg.Sessions.Ready():
		return true
	default:
		return false
	}
}

// sessionsChanged ends the leases of addresses that a line has now. lines are the lines whose sessions changed; all means any line.
func (l *Ledger) sessionsChanged(lines []string, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rules == nil || !l.table.Addresses() {
		return
	}
	ended := false
	end := func(a netip.Addr) {
		h := lease.Holder{Address: a}
		held, has := l.table.Lease(h, l.now())
		if !has {
			return
		}
		if is, known := l.ended(l.rules, held); is && known {
			ended = true
			l.changedLocked(h)
		}
	}
	if all {
		for _, a := range l.names {
			end(a)
		}
	}
	for _, line := range lines {
		prefixes, _, _ := l.cfg.Sessions.Addresses(line)
		for _, p := range prefixes {
			if p.IsSingleIP() {
				end(p.Addr())
				continue
			}
			for _, a := range l.names {
				if p.Contains(a) {
					end(a)
				}
			}
		}
	}
	if ended {
		l.sweepSoon()
	}
}

// sweepSoon makes the ledger delete the leases that have ended.
func (l *Ledger) sweepSoon() {
	select {
	case l.sweeps <- struct{}{}:
	default:
	}
}
