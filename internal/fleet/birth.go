package fleet

import (
	"context"
	"errors"
	"time"

	"op25b/internal/store"
)

// A birth is the time at which a fleet first used a store. It is the high word of every election id. The low word is a revision of etcd.
// If a store is lost and recreated, its revisions count from 1 again, but the switches remember the earlier election ids.
type birth struct {
	Seconds uint64 `json:"seconds"` // seconds since 1970, by the clock of the host
}

const (
	birthKind = "fleet"
	birthName = "birth"
)

// bornAt returns the store's birth, and stores one if there is none. A store that was restored from a backup has its old birth but lower
// revisions. For such a store, bornAt returns the time at which the store's identity was made. bornAt waits until the store has a quorum
// and room, or until ctx ends.
func bornAt(ctx context.Context, s *store.Store, id store.Identity) (uint64, error) {
	records := store.JSON[birth](s, birthKind)
	for {
		r, err := records.Get(ctx, birthName)
		switch {
		case err == nil:
			return max(r.Value.Seconds, uint64(max(0, id.Made.Unix()))), nil
		case errors.Is(err, store.ErrNotFound):
			_, err = records.PutIf(ctx, birthName, 0, birth{uint64(time.Now().Unix())})
		}
		if err != nil && !errors.Is(err, store.ErrConflict) && !takesNothing(err) {
			return 0, err
		}
		awaitRoom(ctx, err)
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
}
