package store

import (
	"context"
	"fmt"
	"io"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A backup contains the intent with its history, the audit chain and the records of other packages. It contains neither the keys of
// running controllers (ownerships, presences, clocks), nor the statuses of switches, nor the sessions and leases of subscribers, which a
// backup would outlive. It also omits the identity of the store, because a restored store gets a new identity.
var (
	backedUp    = []string{"intent/", "audit/", "rec/"}
	notBackedUp = []string{"rec/status/", "rec/confirmed/", "rec/clock/", "rec/clock-confirm/", "rec/time/", "rec/session/", "rec/session-restart/", "rec/lease/", "rec/lease-no-clock/"}
)

// Sizes of the pages in which the content of a backup is read.
const (
	backupPage    = 16      // number of keys in the first page
	maxBackupPage = 1024    // maximum number of keys in a page
	backupAnswer  = 4 << 20 // target size of an answer in bytes
)

// inBackup reports whether a key belongs in a backup. The key is given without the prefix of the store.
func inBackup(key string) bool {
	in := false
	for _, path := range backedUp {
		in = in || strings.HasPrefix(key, path)
	}
	for _, path := range notBackedUp {
		in = in && !strings.HasPrefix(key, path)
	}
	return in
}

// Backup writes a consistent copy of the store to w. Changes that are made while Backup runs are not in the copy.
func (s *Store) Backup(ctx context.Context, w io.Writer) (BackupInfo, error) {
	g := s.Generation()
	id, err := g.Identity(ctx)
	if err != nil {
		return BackupInfo{}, err
	}
	rs := s.Revisions()
	found, at, err := s.get(ctx, "backup", rs.headKey(), s.auditHeadKey())
	if err != nil {
		return BackupInfo{}, err
	}
	head, err := decodeRevision(found[rs.headKey()])
	if err != nil {
		return BackupInfo{}, err
	}
	audit, err := decodeHead(found[s.auditHeadKey()])
	if err != nil {
		return BackupInfo{}, err
	}
	info := BackupInfo{Made: s.cfg.Now().UTC().Round(0), Store: id.ID, Revision: head.Number, Audit: audit}
	b, err := newBackupWriter(w, info)
	if err != nil {
		return BackupInfo{}, err
	}
	for _, path := range backedUp {
		if err := s.backupPath(ctx, b, path, at); err != nil {
			return BackupInfo{}, err
		}
	}
	if err := g.Err(); err != nil {
		return BackupInfo{}, fmt.Errorf("backup: %w", err)
	}
	if err := b.close(); err != nil {
		return BackupInfo{}, err
	}
	info.Keys, info.Bytes = b.n.Keys, b.n.Bytes
	return info, nil
}

// backupPath writes the keys under a path, as of etcd's revision at.
func (s *Store) backupPath(ctx context.Context, b *backupWriter, path string, at int64) error {
	from, end, limit := s.key(path), clientv3.GetPrefixRangeEnd(s.key(path)), int64(backupPage)
	for {
		page, err := ask(ctx, s, "backup", func(ctx context.Context) (*clientv3.GetResponse, error) {
			return s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(limit), clientv3.WithRev(at))
		})
		switch {
		case compacted(err):
			return fmt.Errorf("backup: it took so long that etcd compacted what it reads: repeat it from a host nearer to the store (%w)", err)
		case err != nil:
			return err
		}
		bytes := 0
		for _, kv := range page.Kvs {
			bytes += len(kv.Value)
			if err := s.backupKey(b, kv); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		switch {
		case bytes < backupAnswer/2:
			limit = min(2*limit, maxBackupPage)
		case bytes > backupAnswer:
			limit = max(limit/2, 1)
		}
	}
}

func (s *Store) backupKey(b *backupWriter, kv *mvccpb.KeyValue) error {
	key := strings.TrimPrefix(string(kv.Key), s.cfg.Prefix)
	if kv.Lease != 0 || !inBackup(key) { // a key with a lease belongs to a running controller
		return nil
	}
	return b.key(key, kv.Value)
}
