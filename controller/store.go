package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"op25b/internal/api"
	"op25b/internal/client"
	"op25b/internal/store"
	"op25b/internal/writefile"
	op25bv1 "op25b/proto/op25b/v1"
)

func newStore() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "store",
		Short: "back up the store, or restore a backup",
		Long:  `Back up the store to a file, or restore a backup into the store of a stopped controller or of an etcd cluster.`,
		Example: `  op25b store backup op25b.backup
  op25b store restore op25b.backup --data-dir /var/lib/op25b`,
	})
	cmd.AddCommand(newStoreBackup(), newStoreRestore())
	return cmd
}

// addStore adds the flags that select a store.
func addStore(cmd *cobra.Command, o *serveOptions) {
	f := cmd.Flags()
	f.StringVar(&o.dir, "data-dir", "", "data directory of a stopped controller")
	f.StringSliceVar(&o.etcd, "etcd", nil, "members of an etcd cluster: HOST:PORT,...")
	f.StringVar(&o.etcdTLS.CA, "etcd-ca", "", "PEM file with the CA certificates that the cluster's certificates are verified against; without it the connection is plain text")
	f.StringVar(&o.etcdTLS.Cert, "etcd-cert", "", "PEM file with the client certificate for the cluster")
	f.StringVar(&o.etcdTLS.Key, "etcd-key", "", "PEM file with the private key of --etcd-cert")
}

// openStore opens the store that the flags select. If read is true, the data directory must already contain a store.
func openStore(ctx context.Context, o *serveOptions, read bool) (*store.Store, error) {
	o.quota = store.MaxQuota // the quota of the controller that made the store is unknown
	config, err := o.store(zap.NewNop())
	if err != nil {
		return nil, err
	}
	if read && o.dir != "" {
		if _, err := os.Stat(filepath.Join(o.dir, "etcd")); err != nil {
			return nil, fmt.Errorf("--data-dir %s: contains no store: %w", o.dir, err)
		}
	}
	s, err := store.Open(ctx, config)
	if errors.Is(err, store.ErrInUse) && read {
		return nil, fmt.Errorf("%w; to back up through the controller that uses it, give --server instead of --data-dir", err)
	}
	return s, err
}

func newStoreBackup() *cobra.Command {
	var o clientOptions
	var from serveOptions
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "back up the store to a file: documents, history, activations, numbers of names, audit chain",
		Long: `Save a consistent snapshot of the store to FILE without interrupting anything. Without --data-dir and --etcd, the backup comes from a
running controller; that requires the role admin and is recorded in the audit chain. An existing FILE is replaced only after the new
one is complete.

The file contains all documents. It does not contain the state of running controllers: the owner and the state of each switch.`,
		Example: `  op25b store backup op25b-$(date +%F).backup
  op25b store backup op25b.backup --data-dir /var/lib/op25b
  op25b store backup op25b.backup --etcd 192.0.2.1:2379`,
		Args: exactly(1),
	}
	addStore(cmd, &from)
	addClient(cmd, &o)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, other := range []string{"data-dir", "etcd"} {
			if cmd.Flags().Changed("server") && cmd.Flags().Changed(other) {
				return fmt.Errorf("--%s and --server: give only one of them", other)
			}
		}
		return nil
	}
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		make := func(w io.Writer) error { return c.backup(ctx, w) }
		if from.dir != "" || len(from.etcd) > 0 || from.etcdTLS.CA+from.etcdTLS.Cert+from.etcdTLS.Key != "" {
			s, err := openStore(ctx, &from, true)
			if err != nil {
				return err
			}
			defer s.Close()
			make = func(w io.Writer) error { _, err := s.Backup(ctx, w); return err }
		}
		info, err := saveBackup(args[0], make)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return c.view.Backup(api.BackupSummary(info), "saved in "+args[0])
	})
	return cmd
}

// backup requests a backup from a controller and writes it to w.
func (c *console) backup(ctx context.Context, w io.Writer) error {
	whole := false
	err := client.Follow(ctx, c.timeout, c.Store.Backup, &op25bv1.BackupRequest{}, func(r *op25bv1.BackupResponse) error {
		if r.GetSummary() != nil {
			whole = true
			return nil
		}
		_, err := w.Write(r.GetData())
		return err
	})
	if err == nil && !whole {
		err = fmt.Errorf("the controller ended before the backup was complete: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// saveBackup writes a backup to a temporary file that only its owner can read, verifies the file, and renames it to name.
func saveBackup(name string, make func(io.Writer) error) (info store.BackupInfo, err error) {
	err = writefile.ReplaceFunc(name, 0o600, func(f *os.File) error {
		if err := make(f); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		var err error
		info, err = store.CheckBackup(f)
		return err
	})
	return info, withoutPath(err)
}

type storeRestoreOptions struct {
	to      serveOptions
	replace bool
	yes     bool
	output  outputFormat
}

func newStoreRestore() *cobra.Command {
	var o storeRestoreOptions
	cmd := &cobra.Command{
		Use:   "restore FILE {--data-dir DIR | --etcd HOST:PORT,...}",
		Short: "restore a backup into a store",
		Long: `Restore a backup into an empty store: the data directory of a stopped controller, or an etcd cluster. restore verifies the whole file
before it changes anything. --replace deletes the contents of a store that is not empty.

Controllers that use the cluster notice within seconds. They read the store again and bring their switches to the state in the backup. If
the backup is older than the state in force, older documents and phases come into force.`,
		Example: `  op25b store restore op25b.backup --data-dir /var/lib/op25b
  op25b store restore op25b.backup --etcd 192.0.2.1:2379,192.0.2.2:2379,192.0.2.3:2379 --replace`,
		Args: exactly(1),
	}
	addStore(cmd, &o.to)
	cmd.Flags().BoolVar(&o.replace, "replace", false, "delete the contents of the store first")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask for confirmation before contents are deleted")
	addOutput(cmd, &o.output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c := &console{view: newView(o.output, cmd.OutOrStdout()), json: o.output == jsonOutput, in: cmd.InOrStdin(), errOut: cmd.ErrOrStderr()}
		return runStoreRestore(cmd.Context(), o, args[0], c)
	}
	return cmd
}

func runStoreRestore(ctx context.Context, o storeRestoreOptions, file string, c *console) error {
	if o.to.dir == "" && len(o.to.etcd) == 0 {
		return errors.New("no store to restore into: give --data-dir DIR or --etcd ENDPOINTS")
	}
	if o.replace && !o.yes && (c.json || !isTerminal(c.in)) {
		return fmt.Errorf("no confirmation is possible %s: add --yes to delete the contents of the store", c.unasked())
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := store.CheckBackup(bufio.NewReader(f)) // verify the backup before opening the store
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	where := "etcd at " + strings.Join(o.to.etcd, ",")
	if o.to.dir != "" {
		where = o.to.dir
	}
	if o.replace && !o.yes {
		question := fmt.Sprintf("Delete the contents of %s, and restore revision %d of %s?", where, info.Revision, info.Made.Local().Format("2006-01-02 15:04"))
		if err := c.confirm(ctx, question); err != nil {
			return err
		}
	}
	s, err := openStore(ctx, &o.to, false)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if info, err = s.Restore(ctx, f, o.replace); err != nil {
		return fmt.Errorf("%s into %s: %w", file, where, err)
	}
	return c.view.Backup(api.BackupSummary(info), "restored into "+where)
}
