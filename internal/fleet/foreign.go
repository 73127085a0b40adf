package fleet

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// bases are what we may have written to a switch: entries that are of none of them, and are not wanted, are foreign.
type bases struct {
	prior Status   // of the owner before; its zero is none, or that it does not count any more
	is    *wanted  // what the switch was last brought to
	since []wanted // what it was then begun to be brought to, and was not

	waiting *view // by which no phase had begun, if that is so since; nil otherwise

	replaced bool // the store was replaced since the process began, and the switch was not read since
}

// maxTried bounds bases.since: the oldest attempts are forgotten first, and what they left counts as foreign.
const maxTried = 4

func (b *bases) reached(w wanted) { *b = bases{is: &w} }

func (b *bases) tried(w wanted) {
	for _, x := range b.all() {
		if x.onlyRules(w) {
			return
		}
	}
	if len(b.since) == maxTried {
		b.since = b.since[1:]
	}
	b.since = append(b.since[:len(b.since):len(b.since)], w)
}

func (b *bases) all() []wanted {
	if b.is != nil {
		return append([]wanted{*b.is}, b.since...)
	}
	return b.since
}

// expected says whether the switch was left as it is wanted, so that what differs was another's doing.
func (b *bases) expected(w wanted) bool {
	switch {
	case len(b.since) > 0:
		return false
	case b.is != nil:
		return b.is.same(w)
	default:
		return b.prior.Revision == w.Number && b.prior.Wanted == w.Number && b.prior.InForce == w.phases.String() && w.SameExemptions(b.prior.Audited, w.at)
	}
}

// A foreign sorts out the entries of one switch that are not wanted.
type foreign struct {
	ours  func() map[string]struct{} // by key; made when the first is asked for
	known map[string]struct{}
	stay  bool // by policy
	found map[string]pipeline.Entry
}

// foreign is for a switch that is about to be brought to w.
func (b *bases) foreign(ctx context.Context, t *term, w wanted) *foreign {
	sw, _ := w.device(t.name)
	all := b.all()
	prior := b.prior
	return &foreign{
		stay: sw.Foreign == policy.KeepForeign,
		ours: func() map[string]struct{} {
			keys := make(map[string]struct{})
			for _, x := range append(t.c.past(ctx, t.name, prior), all...) {
				if x.onlyRules(w) {
					continue // what it has is wanted
				}
				if err := x.keys(t.name, keys); err != nil {
					t.log.Warn("what the switch had of an earlier intent is not known", zap.Uint64("revision", x.Number), zap.Error(err))
				}
			}
			return keys
		},
		found: make(map[string]pipeline.Entry),
	}
}

// keep is told each entry that is not wanted, and says whether it stays. See reconcile.Options.
func (f *foreign) keep(e pipeline.Entry) bool {
	if f.known == nil {
		f.known = f.ours()
	}
	if _, ours := f.known[e.Key]; ours {
		return false
	}
	f.found[e.Key] = e
	return f.stay
}

// tellOf logs what was found. What stays was told when it was found first, as long as the number is the same.
func (f *foreign) tellOf(log *zap.Logger) {
	if len(f.found) == 0 || f.stay {
		return
	}
	some := make([]string, 0, MaxDrift)
	for _, e := range f.found {
		if len(some) < MaxDrift {
			some = append(some, e.String())
		}
	}
	log.Warn("foreign entries removed", zap.Int("entries", len(f.found)), zap.Strings("some", some))
}

// keys adds the keys of all that a switch should have, but for rules.
func (w wanted) keys(name string, to map[string]struct{}) error {
	compiled, err := w.CompileAs(name, w.phases, w.at)
	if err != nil {
		return err
	}
	entries, err := compiled.Sharing().Entries()
	if err != nil {
		return err
	}
	for _, e := range entries {
		to[e.Key] = struct{}{}
	}
	return nil
}

// past returns what the owner before had brought a switch to, and was bringing it to, as far as the store still has it.
func (c *controller) past(ctx context.Context, name string, prior Status) []wanted {
	var all []wanted
	for _, number := range []uint64{prior.Revision, prior.Wanted} {
		if number == 0 || len(all) == 1 && all[0].Number == number {
			continue
		}
		w, err := c.pastWanted(ctx, name, number, prior)
		if err != nil {
			c.log.Warn("what the switch had of an earlier intent is not known", zap.String("switch", name), zap.Uint64("revision", number), zap.Error(err))
			continue
		}
		all = append(all, w)
	}
	return all
}

func (c *controller) pastWanted(ctx context.Context, name string, number uint64, prior Status) (wanted, error) {
	in, err := c.pastIntent(ctx, number)
	if err != nil {
		return wanted{}, err
	}
	at := prior.Audited
	if at.IsZero() {
		at = in.Time
	}
	phases, err := in.InForce(name, at)
	if err != nil {
		if len(in.Bundle.Policy.Phases) == 0 {
			return wanted{}, fmt.Errorf("revision %d: %w", number, err)
		}
		phases = policy.Everywhere(in.Bundle.Policy.Phases[0].Name) // which one it was only rules depend on
	}
	return wanted{nextView(nil, in), phases, at}, nil
}

// pastIntent returns a revision. The last that was asked for is kept: after a restart many switches ask for the same.
func (c *controller) pastIntent(ctx context.Context, number uint64) (*intent.Intent, error) {
	if v := c.view.Load(); v.Number == number {
		return v.Intent, nil
	}
	c.pastMu.Lock()
	defer c.pastMu.Unlock()
	if c.pastRead != nil && c.pastRead.Number == number {
		return c.pastRead, nil
	}
	in, err := c.Book.At(ctx, number)
	if err != nil {
		return nil, err
	}
	c.pastRead = in
	return in, nil
}
