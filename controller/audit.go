package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/client"
	"op25b/internal/store"
	"op25b/internal/view"
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
	var from, before uint64
	var limit int
	var who, verb, since, sw string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list audit records, by default the newest",
		Example: `  op25b audit list --from 1 --limit 100
  op25b audit list --who alice --verb activate
  op25b audit list --since 24h --switch edge-1`,
		Args: exactly(0),
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "first record to list; 0 lists the newest")
	cmd.Flags().Uint64Var(&before, "before", 0, "list the newest records before this one; 0 means the newest of all")
	cmd.Flags().IntVar(&limit, "limit", listLimit, "maximum number of records to list")
	cmd.Flags().StringVar(&who, "who", "", "only records whose author contains this text, in upper or lower case")
	cmd.Flags().StringVar(&verb, "verb", "", "only records whose verb contains this text, in upper or lower case")
	cmd.Flags().StringVar(&since, "since", "", "only records from this time on, in the policy's utcOffset, as 2006-07-01 or '2006-07-01 12:00', or of the last time, as 24h")
	cmd.Flags().StringVar(&sw, "switch", "", "only records that name this switch; a change that names none is for all of them")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		filtered := who+verb+since+sw != ""
		if from != 0 && (filtered || before != 0) {
			return fmt.Errorf("--from %d: --before, --who, --verb, --since and --switch search the newest records; omit --from", from)
		}
		q := &op25bv1.ListRecordsRequest{From: from, Before: before, Limit: uint32(limit), Who: who, Verb: verb, Switch: sw}
		if ago, err := time.ParseDuration(since); err == nil && ago > 0 {
			q.Since = timestamppb.New(time.Now().Add(-ago))
		} else if since != "" {
			if q.Since, q.LocalSince, err = moment("--since", since); err != nil {
				return fmt.Errorf("--since %q: give a duration such as 24h, or a moment such as 2006-07-01, '2006-07-01 12:00' or 2006-07-01T12:00:00+09:00", since)
			}
		}
		r, err := client.Ask(ctx, c.timeout, c.Audit.ListRecords, q)
		if err != nil {
			return err
		}
		return c.view.Records(r, view.Listing{From: from, Before: before, Filtered: filtered})
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
the end of the chain was not removed. A chain whose records fit each other can lack that head for three reasons: the head was entered
wrongly, the chain was rewritten as a whole, or its newest records were removed. The error then says so, and the chain is reported as
intact.

Archived records are verified too if --archive names all of their files.`,
		Example: `  op25b audit verify --known 17:9f2c...
  op25b audit verify --archive audit-2025.jsonl --archive audit-2026.jsonl`,
		Args: exactly(0),
	}
	cmd.Flags().StringArrayVar(&known, "known", nil, "head of an earlier verify, as NUMBER:HASH or, from the NOC's page, NUMBER HASH; may be repeated")
	cmd.Flags().StringArrayVar(&files, "archive", nil, "file that op25b audit archive wrote; may be repeated")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		heads := make([]store.Head, len(known))
		for i, text := range known {
			var ok bool
			if heads[i].Seq, heads[i].Hash, ok = view.ParseHead(text); !ok {
				return fmt.Errorf("--known %q: must be NUMBER:HASH, as printed by op25b audit verify, or NUMBER HASH, as shown on the NOC's page", text)
			}
		}
		r, err := verifyChain(ctx, c, files, heads)
		if at := brokenAt(r, err); at > 0 && len(heads) > 0 { // do the records fit each other, so that only a head differs?
			alone, err := verifyChain(ctx, c, files, nil)
			if err == nil && alone.Intact {
				return headDiffers(c, alone, len(files), heads, at)
			}
		}
		if err != nil {
			return err
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

// verifyChain verifies the archives in the files and the chain in the store, and compares both with known heads.
func verifyChain(ctx context.Context, c *console, files []string, known []store.Head) (*op25bv1.VerifyResponse, error) {
	archived, err := store.ReadArchives(files, known)
	if err != nil {
		return nil, err
	}
	q := &op25bv1.VerifyRequest{}
	for _, h := range archived.Known() {
		q.Known = append(q.Known, &op25bv1.AuditHead{Seq: h.Seq, Hash: h.Hash})
	}
	r, err := client.Ask(ctx, c.timeout, c.Audit.Verify, q)
	if err != nil || !r.Intact {
		return r, err
	}
	if err := archived.Join(checkpointOf(r.GetCheckpoint())); err != nil {
		if errors.Is(err, store.ErrNotGiven) {
			return nil, fmt.Errorf("--known: %w; give its file with --archive", err)
		}
		return nil, err
	}
	return r, nil
}

// brokenAt returns the number of the first wrong record that a verification found; 0 if there is none.
func brokenAt(r *op25bv1.VerifyResponse, err error) uint64 {
	if broken := (*store.BreakError)(nil); errors.As(err, &broken) {
		return broken.Seq
	}
	return r.GetBrokenAt()
}

// headDiffers shows an intact chain, and returns an error that names the known head which the chain does not have. at is the record at which the
// verification with the heads stopped: the record of that head, or the record after the last one if the chain ends before the head.
func headDiffers(c *console, r *op25bv1.VerifyResponse, archives int, heads []store.Head, at uint64) error {
	if err := c.view.Verified(r, archives); err != nil {
		return err
	}
	heads = slices.DeleteFunc(slices.Clone(heads), func(h store.Head) bool { return h.Seq < at })
	if len(heads) == 0 {
		return errReported
	}
	odd := slices.MinFunc(heads, func(a, b store.Head) int { return cmp.Compare(a.Seq, b.Seq) })
	return fmt.Errorf("--known %d:%s: %s", odd.Seq, odd.Hash, view.OtherHead("en", odd.Seq, r.Head.GetSeq()))
}
