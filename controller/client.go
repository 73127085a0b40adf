package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"op25b/internal/client"
	"op25b/internal/secretfile"
	"op25b/internal/view"
)

// Environment variables that contain the default values of --server and --token-file.
const (
	serverVariable = "OP25B_SERVER"
	tokenVariable  = "OP25B_TOKEN_FILE"
)

// clientOptions are the flags of every command that sends requests to a controller.
type clientOptions struct {
	client.Config
	timeout time.Duration
	output  outputFormat
}

func addClient(cmd *cobra.Command, o *clientOptions) {
	f := cmd.Flags()
	f.StringVar(&o.Server, "server", orVariable(serverVariable, client.DefaultServer), "controller, as host:port or URL, or several separated by commas, tried in turn; by default "+serverVariable)
	f.StringVar(&o.TokenFile, "token-file", os.Getenv(tokenVariable), "file with the bearer token; by default "+tokenVariable)
	f.StringVar(&o.TLS.CA, "ca", "", "PEM file with the CA certificates that the controller's certificate is verified against; by default the system's")
	f.StringVar(&o.TLS.Cert, "cert", "", "PEM file with the client certificate")
	f.StringVar(&o.TLS.Key, "key", "", "PEM file with the private key of --cert")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "longest wait for an answer and, after a change, for the switches; by default 4m for an answer with a proof; 0 means no limit")
	addOutput(cmd, &o.output)
}

func orVariable(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// A console holds the client, the view and the input and output streams of a command that sends
// requests to a controller.
type console struct {
	*client.Client
	view    view.View
	timeout time.Duration
	// timeoutGiven is true if the caller has given --timeout, which then limits proofs too.
	timeoutGiven bool
	json         bool
	in           io.Reader
	errOut       io.Writer
}

// ask returns the run function of a command that sends requests to a controller.
func (o *clientOptions) ask(run func(ctx context.Context, c *console, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if o.timeout < 0 {
			return fmt.Errorf("--timeout %v: must not be negative; 0 means no limit", o.timeout)
		}
		o.OnOther = func(server string, before []error) {
			fmt.Fprintf(cmd.ErrOrStderr(), "Asking %s: no answer from %s\n", server, strings.ReplaceAll(errors.Join(before...).Error(), "\n", "; "))
		}
		c, err := client.New(o.Config)
		if err != nil {
			return err
		}
		defer c.Close()
		for _, text := range []string{
			secretfile.Readable("token file", o.TokenFile), secretfile.Readable("private key", o.TLS.Key),
		} {
			if text != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+text)
			}
		}
		err = run(cmd.Context(), &console{
			Client: c, view: newView(o.output, cmd.OutOrStdout()), timeout: o.timeout, timeoutGiven: cmd.Flags().Changed("timeout"), json: o.output == jsonOutput,
			in: cmd.InOrStdin(), errOut: cmd.ErrOrStderr(),
		}, args)
		if err != nil {
			return flagged{err, cmd.Flags()}
		}
		return nil
	}
}

// newView returns the view for an output format. Commands call newView before they do anything else.
func newView(output outputFormat, w io.Writer) view.View {
	if output == jsonOutput {
		return view.JSON(w)
	}
	return view.Table(w, view.Options{Colour: isTerminal(w) && os.Getenv("NO_COLOR") == "", Now: time.Now, Location: time.Local})
}

// isTerminal reports whether a reader or writer is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
