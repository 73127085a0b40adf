package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	"op25b/internal/store"
	"op25b/internal/writefile"
	op25bv1 "op25b/proto/op25b/v1"
)

// archivePage is the number of records per request. A record is at most 36 KiB, so 200 records are at most 7 MB.
const archivePage = 200

func newAuditArchive() *cobra.Command {
	var o clientOptions
	var change changeOptions
	var upTo uint64
	cmd := &cobra.Command{
		Use:   "archive FILE",
		Short: "move audit records out of the store into a file",
		Long: `Write the records of the audit chain to FILE, read the file back, and then delete the records from the store. The chain continues after
a checkpoint with the hashes of the last record and of the file. op25b audit verify starts at that checkpoint, and with --archive FILE
also verifies the records in the file. Requires the role admin.

Nothing is deleted before the file is complete and on the disk. If archive is interrupted before that, nothing has changed: remove the
file and start again. Keep the file: it is the only copy. Only its owner can read it, because records name people.`,
		Example: `  op25b audit archive audit-2026.jsonl --reason 'yearly archive, NOC-900'
  op25b audit verify --archive audit-2025.jsonl --archive audit-2026.jsonl`,
		Args: exactly(1),
	}
	cmd.Flags().Uint64Var(&upTo, "up-to", 0, "last record to move; 0 means all records")
	cmd.Flags().StringVar(&change.reason, "reason", "", "reason, kept in the audit record")
	cmd.Flags().BoolVarP(&change.yes, "yes", "y", false, "do not ask for confirmation")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		if err := change.check(c, "audit list", "archive"); err != nil {
			return err
		}
		info, err := c.archive(ctx, args[0], upTo)
		if err != nil {
			return err
		}
		if !change.yes {
			fmt.Fprintf(c.errOut, "%s contains records %d to %d and was verified.\n", args[0], info.First, info.Last)
			if err := c.confirm(ctx, "Delete them from the store?"); err != nil {
				return err
			}
		}
		r, err := client.Ask(ctx, c.timeout, c.Audit.Prune, &op25bv1.PruneRequest{
			Checkpoint: &op25bv1.AuditCheckpoint{Seq: info.Last, Hash: info.Hash, Archive: info.Sum}, Reason: change.reason,
		})
		if err != nil {
			return fmt.Errorf("%s is complete, but the records may still be in the store: %w", args[0], err)
		}
		return c.view.Archived(r, fmt.Sprintf("%s, SHA-256 %s", args[0], info.Sum))
	})
	return cmd
}

// archive writes the records up to number upTo to a new file and verifies the file. If upTo is 0, archive writes all
// records.
func (c *console) archive(ctx context.Context, name string, upTo uint64) (info store.ArchiveInfo, err error) {
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return info, fmt.Errorf("%s: the file exists, and archive does not overwrite files; name another one", name)
	}
	r, err := client.Ask(ctx, c.timeout, c.Audit.ListRecords, &op25bv1.ListRecordsRequest{Limit: 1})
	if err != nil {
		return info, err
	}
	behind, last := store.Head{Seq: r.GetCheckpoint().GetSeq(), Hash: r.GetCheckpoint().GetHash()}, r.GetHead().GetSeq()
	switch {
	case upTo > last:
		return info, fmt.Errorf("--up-to %d: the last record is %d", upTo, last)
	case upTo > 0 && upTo <= behind.Seq:
		return info, fmt.Errorf("--up-to %d: the records up to %d are already archived", upTo, behind.Seq)
	case upTo > 0:
		last = upTo
	}
	if last == behind.Seq {
		return info, errors.New("there is no record to archive")
	}
	err = writefile.CreateFunc(name, 0o600, func(f *os.File) error {
		if err := c.writeArchive(ctx, f, behind, last); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		var err error
		if info, err = store.ReadArchive(f, nil); err != nil {
			return fmt.Errorf("%s, read back: %w", f.Name(), err)
		}
		return nil
	})
	if wrong := (*fs.PathError)(nil); errors.As(err, &wrong) {
		err = fmt.Errorf("%s: %w", name, wrong.Err)
	}
	return info, err
}

// writeArchive writes records to a file.
func (c *console) writeArchive(ctx context.Context, f *os.File, behind store.Head, last uint64) error {
	w, err := store.NewArchiveWriter(f, behind, last)
	if err != nil {
		return err
	}
	for next := behind.Seq + 1; next <= last; {
		r, err := client.Ask(ctx, c.timeout, c.Audit.ListRecords, &op25bv1.ListRecordsRequest{From: next, Limit: uint32(min(archivePage, last-next+1))})
		if err != nil {
			return err
		}
		if len(r.Records) == 0 {
			return fmt.Errorf("the controller no longer has record %d", next)
		}
		for _, m := range r.Records {
			if err := w.Add(storeRecord(m)); err != nil {
				return err
			}
			next++
		}
	}
	return nil
}

func storeRecord(m *op25bv1.AuditRecord) store.AuditRecord {
	return store.AuditRecord{
		Seq: m.Seq, Time: m.Time.AsTime(), Who: m.Who, Role: m.Role, Verb: m.Verb, Object: m.Object, Reason: m.Reason, Detail: m.Detail,
		Prev: m.Prev, Hash: m.Hash,
	}
}

func checkpointOf(cp *op25bv1.AuditCheckpoint) store.Checkpoint {
	return store.Checkpoint{Seq: cp.GetSeq(), Hash: cp.GetHash(), Archive: cp.GetArchive()}
}
