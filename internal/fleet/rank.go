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

// A rank is the high word of this fleet's election ids for one switch. It is stored when another client was primary with a higher id and
// has left. Until a switch restarts, it accepts no lower id as primary (P4Runtime section 5.3). Without a rank, no controller could own the
// switch again. The rank is stored under the ownership before it is used, so that the next owner uses the same high word with a higher low
// word.
type rank struct {
	High uint64 `json:"high"`
}

const rankKind = "rank"

var (
	// errOutranked ends the session with a switch that follows a higher election id which no connected client has.
	errOutranked = errors.New("the switch follows a higher election id that no controller holds")
	// errNoHigher is returned if a client has used the highest possible election id.
	errNoHigher = errors.New("no election id is higher: restart the switch")
)

func (w *worker) ranks() *store.Records[rank] { return store.JSON[rank](w.c.Store, rankKind) }

// readRank reads the switch's rank from the store and sets the worker's election id.
func (w *worker) readRank(ctx context.Context) {
	w.id = p4rt.ElectionID{High: w.c.birth, Low: w.own.Epoch()}
	for {
		r, err := w.ranks().Get(ctx, w.name)
		switch {
		case err == nil:
			w.id.High = max(w.id.High, r.Value.High)
		case errors.Is(err, store.ErrNoQuorum): // do not continue without the rank, because the previous owner may still be primary
			if store.Pause(ctx, retryMin) {
				continue
			}
		case !errors.Is(err, store.ErrNotFound):
			w.log.Debug("the rank is not known", zap.Error(err))
		}
		return
	}
}

// rise stores the lowest rank that makes the worker's election id higher than the leader's, and changes the election id accordingly.
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

// outranked reports whether the switch follows a higher election id that no connected client has.
func outranked(s p4rt.SessionStatus) bool {
	return s.State == p4rt.Backup && (s.Reason == p4rt.ReasonNoPrimary || s.Reason == p4rt.ReasonOutranked)
}
