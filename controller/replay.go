package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"op25b/internal/p4rt"
	"op25b/internal/tlsfiles"
)

type replayOptions struct {
	file     string
	to       string
	deviceID uint64
	election uint64
	tls      tlsfiles.Files
	output   outputFormat
}

func newReplay() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "send the recorded writes of a P4Runtime session to another switch, and compare the answers",
		Long: `Send the pushes and writes of a recording (op25b serve --record) to another switch, in the same order, and print every answer that
differs from the recorded one. Exit with 0 if none differs, and with 1 otherwise.

replay writes to the switch: do not use one that carries traffic.`,
		Example: `  op25b switch --p4runtime 127.0.0.1:9559 --gnmi '' &
  op25b replay access-1.recording --to 127.0.0.1:9559 --device-id 1`,
		Args: exactly(1),
	}
	cmd.Flags().StringVar(&o.to, "to", "", "P4Runtime address of the switch to write to, as host:port")
	cmd.Flags().Uint64Var(&o.deviceID, "device-id", 1, "P4Runtime device id of the switch")
	cmd.Flags().Uint64Var(&o.election, "election-id", 1, "P4Runtime election id; must be the highest that the switch has received")
	addSwitchTLS(cmd, &o.tls)
	addOutput(cmd, &o.output)
	logger := addLog(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		o.file = args[0]
		return runReplay(cmd.Context(), o, log, cmd.OutOrStdout())
	}
	return cmd
}

func runReplay(ctx context.Context, o replayOptions, log *zap.Logger, out io.Writer) error {
	switch {
	case o.to == "":
		return errors.New("--to is missing: give the P4Runtime address of the switch to write to, as host:port")
	case o.election == 0:
		return errors.New("--election-id 0: must be 1 or more")
	}
	if _, err := os.Stat(o.file); err != nil { // check that the file exists before taking over the switch
		return fmt.Errorf("recording %s: %w", o.file, withoutPath(err))
	}
	secure, err := switchTLS(o.tls, log)
	if err != nil {
		return err
	}
	session, err := p4rt.Dial(ctx, p4rt.Config{
		Addr: o.to, DeviceID: o.deviceID, ElectionID: p4rt.ElectionID{Low: o.election}, TLS: secure, Logger: log,
	})
	if err != nil {
		return err
	}
	defer session.Close()
	if !session.Primary() {
		return fmt.Errorf("%s device %d: %v; a higher --election-id takes over the switch", o.to, o.deviceID, session.Status())
	}
	replayed, err := p4rt.Replay(ctx, o.file, session)
	if err != nil {
		return err
	}
	view := replayTable
	if o.output == jsonOutput {
		view = replayJSON
	}
	if err := view(out, replayed); err != nil {
		return err
	}
	if len(replayed.Differences) > 0 {
		return errReported
	}
	return nil
}

func replayTable(out io.Writer, r *p4rt.Replayed) error {
	for _, d := range r.Differences {
		if _, err := fmt.Fprintln(out, d); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%d pipelines and %d updates in %d writes sent; %d answers differ\n", r.Pushes, r.Updates, r.Writes, len(r.Differences))
	for _, note := range []struct {
		applies bool
		text    string
	}{
		{r.Skipped > 0, fmt.Sprintf("%d requests left out: another controller owned the switch then", r.Skipped)},
		{r.Unknown > 0, fmt.Sprintf("%d requests sent of which no answer is recorded", r.Unknown)},
		{r.Gaps > 0, fmt.Sprintf("%d records are missing: the disk was too slow for them", r.Gaps)},
		{r.Torn, "the recording breaks off in the middle of a record"},
	} {
		if err == nil && note.applies {
			_, err = fmt.Fprintln(out, note.text)
		}
	}
	return err
}

func replayJSON(out io.Writer, r *p4rt.Replayed) error {
	return json.NewEncoder(out).Encode(r)
}
