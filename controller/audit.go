package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

func newAudit() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "audit",
		Short: "list, verify or archive the audit chain: who did what",
		Long: `List, verify or archive the audit chain, which has a record of every change, refused change, backup and look-up of a line. Each record
contains the hash of the record before it.`,
		Example: `  op25b audit list
  op25b audit verify`,
	})
	cmd.AddCommand(newAuditList(), newAuditVerify(), newAuditArchive())
	return cmd
}

func newAuditList() *cobra.Command {
	var o clientOptions
	var from uint64
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list audit records, by default the newest",
		Example: `  op25b audit list --from 1 --limit 100`,
		Args:    exactly(0),
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "first record to list; 0 lists the newest")
	cmd.Flags().IntVar(&limit, "limit", listLimit, "maximum number of records to list")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		r, err := client.Ask(ctx, c.timeout, c.Audit.ListRecords, &op25bv1.ListRecordsRequest{From: from, Limit: uint32(limit)})
		if err != nil {
			return err
		}
		return c.view.Records(r)
	})
	return cmd
}

func newAuditVerify() *cobra.Command {
	var o clientOptions
	var known, files []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "verify that no record of the audit chain was changed or removed",
		Long: `Read the whole audit chain and verify the hash of each record. Exit with 1 if the chain is broken. Each record contains the hash of the
record before it, so that a changed or removed record breaks the chain. --known gives the head of an earlier verify, and shows that
the end of the chain was not removed.

Archived records are verified too if --archive names all of their files.`,
		Example: `  op25b audit verify --known 17:9f2c...
  op25b audit verify --archive audit-2025.jsonl --archive audit-2026.jsonl`,
		Args: exactly(0),
	}
	cmd.Flags().StringArrayVar(&known, "known", nil, "head that an earlier verify printed, as NUMBER:HASH; may be repeated")
	cmd.Flags().StringArrayVar(&files, "archive", nil, "file that op25b audit archive wrote; may be repeated")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		heads := make([]store.Head, len(known))
		for i, text := range known {
			var err error
			if heads[i], err = auditHead(text); err != nil {
				return err
			}
		}
		archived, err := store.ReadArchives(files, heads)
		if err != nil {
			return err
		}
		q := &op25bv1.VerifyRequest{}
		for _, h := range archived.Known() {
			q.Known = append(q.Known, &op25bv1.AuditHead{Seq: h.Seq, Hash: h.Hash})
		}
		r, err := client.Ask(ctx, c.timeout, c.Audit.Verify, q)
		if err != nil {
			return err
		}
		if r.Intact {
			err := archived.Join(checkpointOf(r.GetCheckpoint()))
			switch {
			case errors.Is(err, store.ErrNotGiven):
				return fmt.Errorf("--known: %w; give its file with --archive", err)
			case err != nil:
				return err
			}
		}
		if err := c.view.Verified(r, len(files)); err != nil {
			return err
		}
		if !r.Intact {
			return errReported
		}
		return nil
	})
	return cmd
}

var headForm = regexp.MustCompile(`^([0-9]+):([0-9a-f]{64})$`)

func auditHead(text string) (store.Head, error) {
	parts := headForm.FindStringSubmatch(text)
	if parts == nil {
		return store.Head{}, fmt.Errorf("--known %q: must be NUMBER:HASH, as printed by op25b audit verify", text)
	}
	seq, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return store.Head{}, fmt.Errorf("--known %q: the number is too large", text)
	}
	return store.Head{Seq: seq, Hash: parts[2]}, nil
}
