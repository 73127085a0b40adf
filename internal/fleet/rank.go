package fleet

import (
	"context"
	"errors"
	"fmt"
	"math"

	"go.uber.org/zap"

	"op25b/internal/p4rt"
	"op25b/internal/store"
)

// A rank is the high word of our election ids for one switch. It is stored when another client has been primary with a higher id than ours
// and has left. Until it restarts, a switch accepts no lower id as primary (P4Runtime section 5.3), so that without a rank nobody could own
// the switch again. The rank is stored under the ownership before it is used, so that the next owner uses the same high word with a higher
// low word.
type rank struct {
	High uint64 `json:"high"`
}

const rankKind = "rank"

var (
	// errOutranked ends the session of a switch that follows a higher election id which no client holds.
	errOutranked = errors.New("the switch follows a higher election id that no controller holds")
	// errNoHigher means that a client has used the highest election id there is.
	errNoHigher = errors.New("no election id is higher: restart the switch")
)

func (w *worker) ranks() *store.Records[rank] { return store.JSON[rank](w.c.Store, rankKind) }

// readRank reads the rank of the switch from this store.
func (w *worker) readRank(ctx context.Context) {
	w.id = p4rt.ElectionID{High: w.c.birth, Low: w.own.Epoch()}
	for {
		r, err := w.ranks().Get(ctx, w.name)
		switch {
		case err == nil:
			w.id.High = max(w.id.High, r.Value.High)
		case errors.Is(err, store.ErrNoQuorum): // no guess: the previous owner may still be primary
			if store.Pause(ctx, retryMin) {
				continue
			}
		case !errors.Is(err, store.ErrNotFound):
			w.log.Debug("the rank is not known", zap.Error(err))
		}
		return
	}
}

// rise takes the lowest rank that makes our election id higher than the leader's.
func (w *worker) rise(ctx context.Context, leader p4rt.ElectionID) error {
	next := p4rt.ElectionID{High: leader.High, Low: w.id.Low}
	switch {
	case next.Compare(leader) > 0:
	case leader.High == math.MaxUint64:
		return fmt.Errorf("election id %v: %w", leader, errNoHigher)
	default:
		next.High++
	}
	if _, err := w.ranks().PutIf(ctx, w.name, store.AnyVersion, rank{next.High}, w.own); err != nil {
		return err
	}
	w.log.Warn("another client was primary with a higher election id and has gone; ours is higher now",
		zap.Stringer("its", leader), zap.Stringer("before", w.id), zap.Stringer("now", next))
	w.id = next
	return nil
}

// outranked reports whether a switch follows a higher election id that no client holds.
func outranked(s p4rt.SessionStatus) bool {
	return s.State == p4rt.Backup && (s.Reason == p4rt.ReasonNoPrimary || s.Reason == p4rt.ReasonOutranked)
}
