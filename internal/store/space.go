package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Parts of the quota.
const (
	// reserveParts and maxReserve define the reserve: an eighth of the quota, but at most 256 MiB. With the default quota, the reserve is
	// 256 MiB. An activation takes about 2 kB in addition to the documents that it shares with other revisions, so 256 MiB last for years.
	reserveParts = 8
	maxReserve   = 256 << 20
	// smallChange is the assumed size of the smallest ordinary change. A store without room for such a change is full.
	smallChange = 64 << 10
	// warnPercent is the percentage of the quota at which warnings begin.
	warnPercent = 80
	// MinQuota is the smallest quota. Its reserve is 2 MiB.
	MinQuota = 16 << 20
)

// Intervals and margins of the checks whether there is room.
const (
	// tendEvery is how often the sizes are checked. If the database is nearly full, it is compacted.
	tendEvery = 10 * time.Second
	// unseen is the maximum amount that may have been stored since the sizes of an embedded etcd were updated. They are at most 100 ms old.
	unseen = 16 << 20
	// lookAgain is how long the sizes of an external cluster are reused before they are read again.
	lookAgain = time.Second
)

// A Space describes the room in the store.
//
// The quota has three parts. Ordinary changes (an apply, the audit record of a refusal) are accepted up to the limit Ordinary. Changes of
// phase, rollbacks and restores are accepted up to the limit Changes. The remaining part is for leases, ownerships, presences and statuses.
// These are small, replace each other, and are never refused by the store itself. At the limit Hard, etcd refuses every change until an
// operator has made room.
type Space struct {
	// Used is the size of the database file, which etcd's quota limits. InUse is the size of the pages with content. The other pages are
	// free, and new content fills them first.
	Used, InUse int64
	// Quota is the configured quota, or 0 if it is unknown. Hard is etcd's own limit. For an embedded etcd, Hard is above Quota: see
	// hardQuota.
	Quota, Hard int64
	// ReadOnly means that etcd refuses every change because its quota was reached.
	ReadOnly bool
	// External means that the members of the cluster run outside this process.
	External bool
}

func (sp Space) reserve() int64 { return min(sp.Quota/reserveParts, maxReserve) }

// Ordinary returns the limit of InUse for ordinary changes.
func (sp Space) Ordinary() int64 { return sp.Quota - sp.reserve() }

// Changes returns the limit of Used for changes of phase, rollbacks and restores.
func (sp Space) Changes() int64 { return sp.Hard - sp.reserve()/4 }

// allows reports whether there is room for a change of the given number of bytes. reserved means that the change may use the reserve.
func (sp Space) allows(bytes int64, reserved bool) bool {
	switch {
	case sp.Quota == 0:
		return true // the quota is unknown, so leave the decision to etcd
	case reserved:
		return sp.Used+bytes <= sp.Changes()
	default:
		return sp.InUse+bytes <= sp.Ordinary() && sp.Used+bytes <= sp.Hard-sp.reserve()/2
	}
}

// Full reports whether ordinary changes are refused.
func (sp Space) Full() bool { return sp.ReadOnly || !sp.allows(smallChange, false) }

// Warning returns a message for the operator that states how full the store is and what to do. The message is empty while less than 80 % of
// the quota is in use.
func (sp Space) Warning() string {
	switch {
	case sp.ReadOnly:
		return fmt.Sprintf("the store is read-only: %s. %s", sp, sp.wayOut())
	case sp.Full():
		return fmt.Sprintf("the store is full: %s; apply is refused, changes of phase, rollbacks and restores are accepted. %s", sp, sp.wayOut())
	case sp.Quota > 0 && sp.InUse >= sp.Quota/100*warnPercent:
		return fmt.Sprintf("the store is nearly full: %s. %s", sp, sp.wayOut())
	}
	return ""
}

// String returns a text such as `210 MiB in use (file 215 MiB) of a quota of 256 MiB, of which ordinary changes may use 224 MiB`.
func (sp Space) String() string {
	text := fmt.Sprintf("%s in use (file %s)", mib(sp.InUse), mib(sp.Used))
	if sp.Quota == 0 {
		return text + ", the quota is not known"
	}
	return text + fmt.Sprintf(" of a quota of %s, of which ordinary changes may use %s", mib(sp.Quota), mib(sp.Ordinary()))
}

func (sp Space) wayOut() string {
	if sp.External {
		if sp.ReadOnly {
			return "Raise the cluster's --quota-backend-bytes or compact and defragment it, and disarm its alarm"
		}
		return "Move the audit chain out with op25b audit archive FILE and defragment the cluster, or raise its --quota-backend-bytes"
	}
	return "Move the audit chain out with op25b audit archive FILE, or start op25b serve with a larger --quota"
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// A FullError is returned if there is no room for a change. Nothing was stored.
type FullError struct {
	Op    string
	Bytes int64 // approximate size of the change
	Space Space
}

// Error names the change, the sizes and the quota, and tells the user what to do.
func (e *FullError) Error() string {
	return fmt.Sprintf("%s: %v: %s more do not fit: %s; nothing was stored. %s", e.Op, ErrFull, mib(e.Bytes), e.Space, e.Space.wayOut())
}

// Unwrap returns ErrFull.
func (e *FullError) Unwrap() error { return ErrFull }

var _ error = (*FullError)(nil)

// A keeper holds the state of the checks whether there is room.
type keeper struct {
	making    chan struct{} // holds one token; its holder may make room
	compacted int64         // revision of etcd at which keys were last compacted; only the holder of the token accesses it

	mu      sync.Mutex // guards all following fields
	last    Space      // sizes of an external cluster as last read
	at      time.Time  // time at which last was read
	warning string     // the first words of the warning that was logged last
}

// Space returns the sizes and limits of the store. If an external cluster does not answer, Space returns the sizes that the cluster last
// reported. If it has never answered, the result has no quota.
func (s *Store) Space(ctx context.Context) Space {
	if s.server != nil {
		return s.server.space(s.cfg.Quota)
	}
	s.keeper.mu.Lock()
	defer s.keeper.mu.Unlock()
	if now := time.Now(); s.keeper.at.IsZero() || now.Sub(s.keeper.at) > lookAgain {
		s.keeper.last, s.keeper.at = s.askSpace(ctx, s.keeper.last), now
	}
	return s.keeper.last
}

// askSpace requests the sizes from every member of an external cluster. It returns the largest sizes and the smallest quota, because one
// full member makes the whole cluster read-only.
func (s *Store) askSpace(ctx context.Context, last Space) Space {
	ctx, cancel := s.within(ctx)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, lookTimeout)
	defer stop()
	answers := make(chan *clientv3.StatusResponse, len(s.endpoints))
	for _, endpoint := range s.endpoints {
		go func() {
			resp, err := s.client.Status(ctx, endpoint)
			if err != nil {
				resp = nil
			}
			answers <- resp
		}()
	}
	sp, told := Space{External: true}, false
	for range s.endpoints {
		resp := <-answers
		if resp == nil {
			continue
		}
		told = true
		sp.Used, sp.InUse = max(sp.Used, resp.DbSize), max(sp.InUse, resp.DbSizeInUse)
		if q := resp.DbSizeQuota; q > 0 && (sp.Quota == 0 || q < sp.Quota) { // etcd before 3.6 does not report its quota, so that it is 0
			sp.Quota, sp.Hard = q, q
		}
		sp.ReadOnly = sp.ReadOnly || slices.ContainsFunc(resp.Errors, func(e string) bool { return strings.Contains(e, etcdserverpb.AlarmType_NOSPACE.String()) })
	}
	if !told {
		last.External = true
		return last
	}
	return sp
}

// admit returns a *FullError if there is no room for a change, even after an attempt to make room. It assumes that etcd's overhead is at
// most an eighth of the content.
func (s *Store) admit(ctx context.Context, op string, bytes int64, reserved bool) error {
	bytes += bytes/8 + 4096
	sp := s.Space(ctx)
	if s.server != nil && !sp.allows(bytes+unseen, reserved) {
		s.server.commit()
		sp = s.Space(ctx)
	}
	if sp.allows(bytes, reserved) {
		return nil
	}
	s.makeRoom(ctx, bytes)
	if sp = s.Space(ctx); sp.allows(bytes, reserved) {
		return nil
	}
	return &FullError{Op: op, Bytes: bytes, Space: sp}
}

// tend checks repeatedly whether there is room, until the store is closed. Before that, it completes an interrupted deletion of archived
// audit records.
func (s *Store) tend() {
	if err := s.Audit().dropArchived(s.life); err != nil && s.life.Err() == nil {
		s.log.Debug("archived audit records are not deleted yet", zap.Error(err))
	}
	for Pause(s.life, tendEvery) {
		sp := s.Space(s.life)
		if sp.Warning() != "" {
			s.makeRoom(s.life, 0)
			sp = s.Space(s.life)
		}
		s.tellSpace(sp)
	}
}

// tellSpace logs a warning when the store becomes nearly full, full or read-only. It also logs when there is room again.
func (s *Store) tellSpace(sp Space) {
	warning := sp.Warning()
	kind, _, _ := strings.Cut(warning, ":")
	s.keeper.mu.Lock()
	was := s.keeper.warning
	s.keeper.warning = kind
	s.keeper.mu.Unlock()
	switch {
	case kind == was:
	case kind == "":
		s.log.Info("the store has room again: " + sp.String())
	default:
		s.log.Warn(warning)
	}
}
