package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"op25b/internal/fleet"
	"op25b/internal/p4rt"
	"op25b/internal/policy"
)

type serveOptions struct {
	files    []string
	phase    string
	election uint64
}

func newServe() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "run the controller: keep every switch of the inventory in one phase of the policy",
		Long: `serve reads an inventory and a policy, connects to every switch over P4Runtime, puts the phase in force, and does so again
whenever a switch comes back. When it ends the switches stay as they are.`,
		Example: `  op25b serve -f examples/spinnet-2006 --phase all-destinations`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringArrayVarP(&o.files, "file", "f", nil, "a YAML file, or a directory of them; may be given more than once")
	cmd.Flags().StringVar(&o.phase, "phase", "", "the phase to put in force; by default the one whose effective date has come")
	cmd.Flags().Uint64Var(&o.election, "election-id", 1, "P4Runtime election id; the controller with the highest writes")
	_ = cmd.MarkFlagRequired("file")
	logger := addLog(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		return runServe(cmd.Context(), o, log)
	}
	return cmd
}

func runServe(ctx context.Context, o serveOptions, log *zap.Logger) error {
	if o.election == 0 {
		return fmt.Errorf("--election-id 0: must be at least 1")
	}
	bundle, err := loadBundle(o.files)
	if err != nil {
		return err
	}
	now := time.Now()
	phase := o.phase
	if phase == "" {
		ph, ok := bundle.Policy.PhaseAt(now)
		if !ok {
			return fmt.Errorf("no phase of policy %q is in force at %s; name one by --phase", bundle.Policy.Name, now.Format(time.DateOnly))
		}
		phase = ph.Name
	}
	work, ctx := errgroup.WithContext(ctx)
	for _, sw := range bundle.Inventory.Switches {
		compiled, err := policy.Compile(bundle.Policy, bundle.Inventory, sw.Name, phase, now)
		if err != nil {
			return err
		}
		for _, e := range compiled.Expired {
			log.Warn("exemption has expired", zap.String("switch", sw.Name), zap.String("owner", e.Owner), zap.Stringer("expired", e.Expires))
		}
		worker := &fleet.Worker{
			Want: compiled, Logger: log,
			Session: p4rt.KeepConfig{Config: p4rt.Config{
				Addr: sw.P4Runtime, DeviceID: sw.DeviceID, ElectionID: p4rt.ElectionID{Low: o.election},
			}},
		}
		work.Go(func() error { return worker.Run(ctx) })
	}
	log.Info("controller up", zap.String("policy", bundle.Policy.Name), zap.String("phase", phase), zap.Int("switches", len(bundle.Inventory.Switches)))
	err = work.Wait()
	log.Info("controller down; the switches stay as they are")
	return err
}

// loadBundle reads files, and of directories every *.yaml and *.yml in the order of their names.
func loadBundle(paths []string) (*policy.Bundle, error) {
	var files []policy.File
	for _, path := range paths {
		names := []string{path}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("-f %s: %w", path, err)
		}
		if info.IsDir() {
			names, _ = filepath.Glob(filepath.Join(path, "*.y*ml")) // the pattern is well formed
			names = slices.DeleteFunc(names, func(n string) bool { return filepath.Ext(n) != ".yaml" && filepath.Ext(n) != ".yml" })
			if len(names) == 0 {
				return nil, fmt.Errorf("-f %s: the directory has no *.yaml file", path)
			}
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			files = append(files, policy.File{Name: name, Data: data})
		}
	}
	return policy.Load(files)
}
