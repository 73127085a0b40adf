// Command op25b implements Outbound Port 25 Blocking (OP25B) for ISPs. It contains the controller and its command line, the embedded switch,
// the gNMI agent and the demo.
//
// This package converts flags to options and calls the internal packages.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { run(nil) }

// run carries out the command line. adjust is nil, except in tests.
func run(adjust adjustment) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process immediately
	if err := newRoot(adjust).ExecuteContext(ctx); err != nil {
		os.Exit(fail(ctx, os.Stderr, os.Args[1:], err))
	}
}

// Ids of the command groups in the help.
const (
	operate = "operate"
	look    = "look"
	daemons = "daemons"
)

// newRoot returns the command op25b. adjust may be nil.
func newRoot(adjust adjustment) *cobra.Command {
	root := group(&cobra.Command{
		Use:   "op25b",
		Short: "Outbound Port 25 Blocking for ISPs",
		Long: `Block subscribers' mail to TCP port 25 in the switch, except mail to the ISP's own relays.

A controller (op25b serve) keeps the switches in the state that a policy describes. The other commands send requests to the
controller at --server or OP25B_SERVER. Errors are printed to stderr, with -o json as {"error": {...}}, and exit with 1.`,
		Example: `  op25b demo
  op25b serve --data-dir demo -f examples/spinnet-2006 --apply-if-empty
  op25b status`,
		Version:       versionLine(),
		SilenceUsage:  true,
		SilenceErrors: true,
	})
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddGroup(&cobra.Group{ID: operate, Title: "Change:"}, &cobra.Group{ID: look, Title: "Look:"}, &cobra.Group{ID: daemons, Title: "Run:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(operate, newPlan(), newApply(), newPhase(), newRollout(), newExempt(), newLease(), newRestore(), newSwitchHold(), newSwitchRelease(), newStore(), newClock())
	add(look, newStatus(), newCounters(), newDrift(), newProve(), newCheck(), newForecast(), newOffenders(), newSessions(), newLines(), newFind(),
		newHistory(), newShow(), newDiff(), newValidate(), newAudit())
	add(daemons, newServe(adjust), newPortal(), newSwitch(), newAgent(), newEtcd(), newReplay(), newDemo(), newHosts())
	root.AddCommand(newToken(), newVersion())
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		group(completion)
	}
	addCompletion(root)
	root.SetFlagErrorFunc(explainFlag)
	root.SetHelpCommand(newHelp())
	return root
}
