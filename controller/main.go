// Command op25b is Outbound Port 25 Blocking for ISPs: the controller, the embedded switch, the gNMI agent and the demo.
//
// The files here turn flags into options and call the internal packages; they hold no logic of their own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRoot().ExecuteContext(ctx); err != nil {
		switch {
		case ctx.Err() != nil: // what broke because of it is of no interest
			fmt.Fprintln(os.Stderr, "op25b: interrupted")
		case !errors.Is(err, errAlreadyTold):
			fmt.Fprintln(os.Stderr, "op25b:", err)
		}
		stop()
		os.Exit(1)
	}
}

// errAlreadyTold ends a command with status 1 whose output says all there is to say.
var errAlreadyTold = errors.New("")

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "op25b",
		Short:         "Outbound Port 25 Blocking for ISPs",
		Long:          "op25b stops subscribers' mail to TCP port 25 in the switch, unless it goes to the ISP's own relays.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newDemo(), newSwitch(), newServe(), newAgent(), newVersion())
	return root
}
