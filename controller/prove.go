package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

// maxProofPackets is the largest number of packets that the controller tries.
const maxProofPackets = 100_000

func newProve() *cobra.Command {
	var o clientOptions
	var packets uint32
	var full bool
	cmd := &cobra.Command{
		Use:   "prove SWITCH",
		Short: "ask a switch what it would do with packets",
		Long: `Ask a switch about packets, which nobody receives, and compare what it would do with what the documents demand. prove changes nothing on the
switch. The packets are those of the proof on the twin: for each rule, line, prefix and exemption, at its bounds and beside them.

Only the controller that owns the switch can ask it: see --server and op25b status.

Exit with 0 if the switch would treat all packets as the documents demand, with 2 if it would not, and with 1 on an error.`,
		Example: `  op25b prove edge-1
  op25b prove edge-1 --packets 100000 --full`,
		Args: exactly(1),
	}
	cmd.Flags().Uint32Var(&packets, "packets", 10_000, "most packets to try, 1 to 100000; if there are more, each n-th is tried")
	cmd.Flags().BoolVar(&full, "full", false, "show which entries of each table the packets meet")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		if packets < 1 || packets > maxProofPackets { // in the request, 0 means the default
			return fmt.Errorf("--packets %d: must be from 1 to %d", packets, maxProofPackets)
		}
		r, err := client.Ask(ctx, c.timeout, c.Fleet.Prove, &op25bv1.ProveRequest{Switch: args[0], Packets: packets})
		if err != nil {
			return err
		}
		if err := c.view.Prove(r, full); err != nil {
			return err
		}
		if r.Deviating > 0 {
			return errChanges
		}
		return nil
	})
	return cmd
}
