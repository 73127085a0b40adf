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
	op25bv1 "op25b/proto/op25b/v1"
)

func newStore() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "save the store in a file, or restore it, also elsewhere",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newStoreBackup(), newStoreRestore())
	return cmd
}

// addStore gives a command the flags that say where a store is.
func addStore(cmd *cobra.Command, o *serveOptions) {
	f := cmd.Flags()
	f.StringVar(&o.dir, "data-dir", "", "the store of a controller that is stopped")
	f.StringSliceVar(&o.etcd, "etcd", nil, "the store in an etcd cluster: HOST:PORT,...")
	f.StringVar(&o.etcdTLS.CA, "etcd-ca", "", "PEM file with the authorities of the cluster's certificates; without it etcd is spoken to in plain text")
	f.StringVar(&o.etcdTLS.Cert, "etcd-cert", "", "PEM file with our certificate towards the cluster")
	f.StringVar(&o.etcdTLS.Key, "etcd-key", "", "PEM file with that certificate's private key")
}

// openStore opens the store that flags name. A data directory must be there already if it is to be read.
func openStore(ctx context.Context, o *serveOptions, read bool) (*store.Store, error) {
	o.quota = store.MaxQuota // the quota is the controller's, and unknown here
	config, err := o.store(zap.NewNop())
	if err != nil {
		return nil, err
	}
	if read && o.dir != "" {
		if _, err := os.Stat(filepath.Join(o.dir, "etcd")); err != nil {
			return nil, fmt.Errorf("--data-dir %s: no store is there: %w", o.dir, err)
		}
	}
	s, err := store.Open(ctx, config)
	if errors.Is(err, store.ErrInUse) && read {
		return nil, fmt.Errorf("%w; without --data-dir the controller that runs on it is asked, at --server", err)
	}
	return s, err
}

func newStoreBackup() *cobra.Command {
	var o clientOptions
	var from serveOptions
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "save the store in a file: documents, history, activations, numbers, audit chain",
		Long: `backup saves the store as it is at one moment, while everything goes on. Without --data-dir and --etcd it asks a running controller. That
requires the role admin, and is a record of the audit chain. A file of the same name is replaced only once the new one is whole.

The file has all documents. It does not have what belongs to running controllers: who owns each switch, and the state of each switch.`,
		Example: `  op25b store backup op25b-$(date +%F).backup
  op25b store backup op25b.backup --data-dir /var/lib/op25b
  op25b store backup op25b.backup --etcd 192.0.2.1:2379`,
		Args: cobra.ExactArgs(1),
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

// backup writes what a controller sends.
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
		err = fmt.Errorf("the controller ended before the backup was whole: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// saveBackup makes a file for this user alone, and puts it in its place once it was read back and found whole.
func saveBackup(name string, make func(io.Writer) error) (info store.BackupInfo, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // 0600
	if err != nil {
		return info, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err == nil {
			err = os.Rename(f.Name(), name)
		}
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := make(f); err != nil {
		return info, err
	}
	if err := f.Sync(); err != nil {
		return info, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return info, err
	}
	return store.CheckBackup(f)
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
		Short: "put a backup into a store",
		Long: `restore puts a backup into an empty store: a data directory of a controller that is stopped, or an etcd cluster. restore checks the
whole file before it changes anything. --replace throws away what the store has.

Controllers that run on the cluster find out within seconds. They read everything anew, and bring their switches to what the backup says. If
the backup is older than what is in force, older documents and phases come in force.`,
		Example: `  op25b store restore op25b.backup --data-dir /var/lib/op25b
  op25b store restore op25b.backup --etcd 192.0.2.1:2379,192.0.2.2:2379,192.0.2.3:2379 --replace`,
		Args: cobra.ExactArgs(1),
	}
	addStore(cmd, &o.to)
	cmd.Flags().BoolVar(&o.replace, "replace", false, "throw away what the store has")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask before something is thrown away")
	addOutput(cmd, &o.output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c := &console{view: newView(o.output, cmd.OutOrStdout()), json: o.output == jsonOutput, in: cmd.InOrStdin(), errOut: cmd.ErrOrStderr()}
		return runStoreRestore(cmd.Context(), o, args[0], c)
	}
	return cmd
}

func runStoreRestore(ctx context.Context, o storeRestoreOptions, file string, c *console) error {
	if o.to.dir == "" && len(o.to.etcd) == 0 {
		return errors.New("where to restore is not said: --data-dir DIR, or --etcd with the addresses of the cluster")
	}
	if o.replace && !o.yes && (c.json || !isTerminal(c.in)) {
		return errors.New("nobody can be asked here whether to throw away what the store has: say so with --yes")
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := store.CheckBackup(bufio.NewReader(f)) // before a store is made
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	where := "etcd at " + strings.Join(o.to.etcd, ",")
	if o.to.dir != "" {
		where = o.to.dir
	}
	if o.replace && !o.yes {
		question := fmt.Sprintf("Throw away what %s has, for revision %d of %s?", where, info.Revision, info.Made.Local().Format("2006-01-02 15:04"))
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
