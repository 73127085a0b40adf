package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "list, verify or archive the audit chain: who did what",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newAuditList(), newAuditVerify(), newAuditArchive())
	return cmd
}

func newAuditList() *cobra.Command {
	var o clientOptions
	var from uint64
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list audit records, by default the last ones",
		Example: `  op25b audit list --from 1 --limit 100`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "the first record; 0 is so that the last ones are listed")
	cmd.Flags().IntVar(&limit, "limit", listLimit, "list at most as many")
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
		Short: "read the whole audit chain, and say whether every record is what was appended",
		Long: `verify reads the whole chain. Each record has the hash of the one before it, so that no record can be changed or removed unseen. A head from
an earlier verify, given by --known, shows that the end was not cut off. verify exits with 1 if the chain is broken.

Records that were moved out of the store are verified if --archive names all of their files.`,
		Example: `  op25b audit verify --known 17:9f2c...
  op25b audit verify --archive audit-2025.jsonl --archive audit-2026.jsonl`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringArrayVar(&known, "known", nil, "a head from before, as verify shows it: NUMBER:HASH; may be given more than once")
	cmd.Flags().StringArrayVar(&files, "archive", nil, "a file that op25b audit archive wrote; may be given more than once")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		q := &op25bv1.VerifyRequest{}
		for _, text := range known {
			head, err := auditHead(text)
			if err != nil {
				return err
			}
			q.Known = append(q.Known, head)
		}
		archived, err := readArchives(files, q.Known)
		if err != nil {
			return err
		}
		q.Known = archived.known
		r, err := client.Ask(ctx, c.timeout, c.Audit.Verify, q)
		if err != nil {
			return err
		}
		if r.Intact {
			if err := archived.joins(r.GetCheckpoint()); err != nil {
				return err
			}
		}
		if err := c.view.Verified(r, len(files)); err != nil {
			return err
		}
		if !r.Intact {
			return errAlreadyTold
		}
		return nil
	})
	return cmd
}

var headForm = regexp.MustCompile(`^([0-9]+):([0-9a-f]{64})$`)

func auditHead(text string) (*op25bv1.AuditHead, error) {
	parts := headForm.FindStringSubmatch(text)
	if parts == nil {
		return nil, fmt.Errorf("--known %q: must be NUMBER:HASH, as op25b audit verify shows the head", text)
	}
	seq, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("--known %q: the number is too large", text)
	}
	return &op25bv1.AuditHead{Seq: seq, Hash: parts[2]}, nil
}
