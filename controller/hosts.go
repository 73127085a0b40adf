package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"op25b/internal/demo"
	"op25b/internal/policy"
)

type hostsOptions struct {
	files   []string
	packets string
}

func newHosts() *cobra.Command {
	var o hostsOptions
	cmd := &cobra.Command{
		Use:   "hosts -f DIR",
		Short: "run virtual subscribers and servers at the ports of switches",
		Long: `Run a virtual host with a real TCP stack on each line of an inventory, and three servers behind each of its switches: the ISP's relay, a
carrier's server and another provider. The lines open connections to the servers all the time. The frames go over the packet service
(op25b switch --dataplane) of each switch, on the host of its P4Runtime address. No privilege is required, and nothing but the switches is
sent anything.

Print how many lines reach each server, each time when that has changed, until interrupted. The ports of the servers have the names
core-relay, core-carrier and core-provider, as in examples/spinnet-2006. Each line has one MAC address and an IPv4 address. A switch that
is not there yet, or that has ended, is connected again.`,
		Example: `  op25b hosts -f examples/compose/fleet --packets 9560`,
		Args:    exactly(0),
	}
	addFiles(cmd, &o.files)
	cmd.Flags().StringVar(&o.packets, "packets", "9560", "port of the packet service of each switch; or HOST:PORT, if there is one switch")
	logger := addLog(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		return runHosts(cmd.Context(), o, cmd.OutOrStdout(), log)
	}
	return cmd
}

func runHosts(ctx context.Context, o hostsOptions, out io.Writer, log *zap.Logger) error {
	if len(o.files) == 0 {
		return fmt.Errorf("-f is missing: give the files or the directory with the inventory and its policy")
	}
	docs, err := readDocuments(o.files)
	if err != nil {
		return err
	}
	b, err := policy.Load(local(docs))
	if err != nil {
		return err
	}
	packets, err := o.packetsOf(b.Inventory.Switches)
	if err != nil {
		return err
	}
	hosts := demo.NewHosts(b.Inventory.Switches, packets)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		hosts.Run(ctx, func(sw string, err error) {
			log.Warn("the hosts of a switch are not connected", zap.String("switch", sw), zap.Error(err))
		})
	}()
	defer func() { cancel(); <-ended }()
	log.Info("hosts up", zap.Int("switches", len(b.Inventory.Switches)))
	var last []demo.Reach
	for {
		if now := hosts.Reached(); !slices.Equal(now, last) {
			last = now
			if _, err := fmt.Fprintln(out, reachLine(time.Now(), now)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// packetsOf returns a function that returns the address of the packet service of a switch.
func (o *hostsOptions) packetsOf(switches []policy.Switch) (func(sw *policy.Switch) string, error) {
	if host, _, err := net.SplitHostPort(o.packets); err == nil && host != "" && len(switches) == 1 {
		return func(*policy.Switch) string { return o.packets }, nil
	}
	if n, err := strconv.ParseUint(o.packets, 10, 16); err != nil || n == 0 {
		return nil, fmt.Errorf("--packets %q: must be a port from 1 to 65535, or HOST:PORT if there is one switch; there are %d", o.packets, len(switches))
	}
	return func(sw *policy.Switch) string {
		host, _, _ := net.SplitHostPort(sw.P4Runtime) // the inventory is valid
		return net.JoinHostPort(host, o.packets)
	}, nil
}

// reachLine returns a line that says how many lines reach each server.
func reachLine(now time.Time, all []demo.Reach) string {
	parts := []string{now.Format(time.TimeOnly)}
	for _, r := range all {
		parts = append(parts, fmt.Sprintf("%s %d of %d", r.Server, r.Reached, r.Lines))
	}
	return strings.Join(parts, "  ")
}
