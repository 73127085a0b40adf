package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"op25b/examples"
	"op25b/internal/client"
	"op25b/internal/demo"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
	"op25b/internal/strict"
)

// demoAddrs are the addresses of op25b demo --keep. P4Runtime and gNMI are the switch's.
type demoAddrs struct {
	api, page, portal string
	sw                softswitch.Addrs
}

// keptAddrs returns the addresses at which the other commands look for the controller and the switch, and those of the pages.
func keptAddrs(sw *policy.Switch) *demoAddrs {
	return &demoAddrs{api: client.DefaultServer, page: "127.0.0.1:2580", portal: "127.0.0.1:2581", sw: softswitch.Addrs{P4Runtime: sw.P4Runtime, GNMI: sw.GNMI}}
}

// A programme is the name of an example that the demo plays. It implements pflag.Value.
type programme string

// programmes has the files of each example.
var programmes = map[programme]func() []strict.File{"spinnet-2006": examples.SpinNet2006, "spinnet-2022": examples.SpinNet2022}

// String returns the name of the example.
func (p *programme) String() string { return string(*p) }

// Set sets the programme. It returns an error if s names no example that the demo plays.
func (p *programme) Set(s string) error {
	if programmes[programme(s)] == nil {
		return fmt.Errorf("%q is not a programme; valid are spinnet-2006 and spinnet-2022", s)
	}
	*p = programme(s)
	return nil
}

// Type returns the text that stands for the value in the help.
func (*programme) Type() string { return "spinnet-2006|spinnet-2022" }

func newDemo() *cobra.Command {
	var output outputFormat
	var keep bool
	lines, name := demo.Plain, programme("spinnet-2006")
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "play the programme of 2006 on one switch in this process, with real mail",
		Long: `Run a controller, the embedded switch, and virtual hosts with real TCP stacks and real SMTP in this process. No privilege is required.
demo applies examples/spinnet-2006 and activates each phase through the controller's API. In each phase it sends mail from every
subscriber to every server over IPv4 and IPv6, and compares the outcome with the policy, and the switch's counters with the mail that
was sent. Exit with 1 if anything differs. The controller's clock begins on the date of the first phase, in 2006.

--programme spinnet-2022 plays examples/spinnet-2022 instead, the years 2006 to 2022 in one run. The ISP's server then also accepts
mail on ports 587 and 465, and has mailboxes, which every subscriber reads by POP3 on ports 110 and 995.

--lines connects the subscribers in another way, under the same policy: qinq with two VLAN tags, pppoe with one PPPoE session per
subscriber, dslite with IPv4 in a softwire over IPv6. Sessions and softwires exist from the start. The virtual servers also act as BNG
and AFTR.`,
		Example: `  op25b demo
  op25b demo --lines pppoe
  op25b demo --programme spinnet-2022`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var at func(*policy.Switch) *demoAddrs
			if keep {
				at = keptAddrs
			}
			return runDemo(cmd.Context(), output, at, name, lines, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addOutput(cmd, &output)
	cmd.Flags().Var(&name, "programme", "example to play")
	cmd.Flags().Var(&lines, "lines", "access form of the subscribers' lines")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep everything running until interrupted, with the NOC's page and the customers' page, so that op25b status and the other commands reach it")
	return cmd
}

// runDemo plays the demo. If keep is not nil, it serves the pages on the addresses that keep returns for the switch, and leaves everything
// running after the last phase until ctx ends.
func runDemo(ctx context.Context, output outputFormat, keep func(*policy.Switch) *demoAddrs, name programme, lines demo.Lines, out, errOut io.Writer) error {
	files := programmes[name]()
	bundle, err := policy.Load(files)
	if err != nil {
		return err
	}
	providers, err := loadProviders("")
	if err != nil {
		return err
	}
	sw, at := &bundle.Inventory.Switches[0], &demoAddrs{}
	if keep != nil {
		at = keep(sw)
	}
	o := demo.Options{Files: files, Switch: sw.Name, Lines: lines, Providers: providers, Listen: at.api, Web: at.page}
	rig, err := demo.NewEmbedded(sw, at.sw, nil)
	if err != nil {
		return err
	}
	defer rig.Close()
	progress, done := progressLine(errOut)
	o.Rig, o.Progress = rig.Rig, progress
	var noc demo.NOC
	if keep != nil {
		site, err := openDemoPortal(at.portal, sw)
		if err != nil {
			return err
		}
		defer site.close()
		o.Up = func(ctx context.Context, n demo.NOC) error {
			noc = n
			done()
			fmt.Fprintf(errOut, "NOC's page http://%s/, customers' page http://%s/: both show the demo as it runs.\n", n.Web, site.addr())
			return site.start(ctx, n.Client)
		}
	}
	write := demo.WriteTable
	if output == jsonOutput {
		write = demo.WriteJSON
	}
	o.Show = func(ctx context.Context, r *demo.Report) error {
		done()
		if err := write(out, r); err != nil || keep == nil {
			return err
		}
		fmt.Fprintf(errOut, "The last phase stays in force. API %s, its clock in 2006; P4Runtime %s, device %d; gNMI %s. Interrupt to end.\n", noc.API, rig.P4Runtime, rig.DeviceID, rig.GNMI)
		<-ctx.Done()
		return nil
	}
	report, err := demo.Play(ctx, o)
	if err != nil {
		done()
		return err
	}
	if !report.OK() {
		return errReported
	}
	return nil
}

// progressLine returns functions that show the progress on one line of a terminal and clear that line. If w is not a terminal, both
// functions do nothing.
func progressLine(w io.Writer) (progress func(string), done func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func(string) {}, func() {}
	}
	const wipe = "\r\x1b[K"
	return func(text string) {
		width, _, err := term.GetSize(int(f.Fd()))
		if err == nil && width > 1 && len(text) >= width {
			text = text[:width-1]
		}
		fmt.Fprint(f, wipe, text)
	}, func() { fmt.Fprint(f, wipe) }
}
