package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/client"
	"op25b/internal/readfile"
	"op25b/internal/strict"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/report"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// Limits on a file of sessions.
const (
	// maxSessionFile is the limit on the size of the file in bytes, and maxSessionLines the limit on its lines. A store has at most 250,000
	// sessions.
	maxSessionFile  = 64 << 20
	maxSessionLines = 300_000
	// maxSessionFaults is the limit on the faults that are printed.
	maxSessionFaults = 20
)

func newSessionsReport() *cobra.Command {
	var o clientOptions
	var source string
	var interim time.Duration
	cmd := &cobra.Command{
		Use:   "report FILE|-",
		Short: "report sessions from a CSV file or from standard input",
		Long: `Report the sessions of a DHCP server or another source. This requires the role reporter or operator.

FILE is CSV. Its first line has the names of the columns, in any order: event (start, interim, stop or restart), session, line or the
line's circuit-id, remote-id, nas-port-id, user-name or calling-station-id, addresses (separated by blanks), time, and ends, the end of the
lease. A time is RFC 3339, the seconds since 1970, or + and the seconds from now. Without a time, the event happens now.

The whole file is checked before the first event is sent. Events can be repeated, so after an error run the command again. With -, the
lines are read from standard input and sent one by one, as a hook of a DHCP server writes them. The number and the outcome of each line
are printed when it is in the store. A line that is not valid is reported, and the next lines are sent.`,
		Example: `  op25b sessions report --source kea-1 leases.csv
  op25b sessions report --source dnsmasq-1 -`,
		Args: exactly(1),
	}
	cmd.Flags().StringVar(&source, "source", "", "name of the DHCP server or other source of the sessions; required")
	cmd.Flags().DurationVar(&interim, "interim", subscriber.DefaultInterval, "time between two interim events of a session without ends; the session ends after three times as long without one")
	addClient(cmd, &o)
	ask := o.ask(func(ctx context.Context, c *console, args []string) error {
		r := &reporter{c, source, durationpb.New(interim)}
		if args[0] == "-" {
			return r.lines(ctx)
		}
		return r.file(ctx, args[0])
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if source == "" {
			return errors.New("--source is missing: name the DHCP server or other source of the sessions")
		}
		if _, err := report.Events(&op25bv1.ReportRequest{Source: source, Interim: durationpb.New(interim)}, time.Time{}); err != nil {
			var faults strict.Faults
			if errors.As(err, &faults) { // the path of the fault is the name of a flag
				return fmt.Errorf("--%s: %s; %s", faults[0].Path, faults[0].What, faults[0].Way)
			}
			return err
		}
		return ask(cmd, args)
	}
	return cmd
}

// A reporter reports the events in lines of CSV.
type reporter struct {
	*console
	source  string
	interim *durationpb.Duration
}

// send sends events, and returns their outcomes when all are in the store.
func (r *reporter) send(ctx context.Context, events []*op25bv1.SessionEvent) ([]string, error) {
	q := &op25bv1.ReportRequest{Source: r.source, Interim: r.interim, Events: events}
	answer, err := client.Ask(ctx, r.timeout, r.Subscriber.ReportBatch, q)
	if err != nil {
		return nil, err
	}
	if len(answer.Outcomes) != len(events) {
		return nil, fmt.Errorf("the controller answered %d events of %d: it has another version", len(answer.Outcomes), len(events))
	}
	var all []string
	for _, o := range answer.Outcomes {
		all = append(all, strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(o.String(), "SESSION_OUTCOME_")), "_", "-"))
	}
	return all, nil
}

// file checks a file, and then reports its events.
func (r *reporter) file(ctx context.Context, name string) error {
	data, err := readfile.Bounded(name, maxSessionFile)
	if err != nil {
		return err
	}
	events, numbers, err := parseSessions(name, data)
	if err != nil {
		return err
	}
	done := view.ReportedFile{File: name, Events: len(events), Outcomes: make(map[string]int), Lines: make(map[string][]int)}
	for begin := 0; begin < len(events); begin += report.MaxEvents {
		end := min(begin+report.MaxEvents, len(events))
		outcomes, err := r.send(ctx, events[begin:end])
		if err != nil {
			fmt.Fprintf(r.errOut, "%s: the events from line %d on are not acknowledged; run the command again\n", name, numbers[begin])
			return err
		}
		for i, o := range outcomes {
			done.Outcomes[o]++
			done.Lines[o] = append(done.Lines[o], numbers[begin+i])
		}
	}
	return r.view.ReportedFile(done)
}

// parseSessions returns the events in a file, and the numbers of their lines.
func parseSessions(name string, data []byte) (events []*op25bv1.SessionEvent, numbers []int, err error) {
	var rows *report.Rows
	var faults strict.Faults
	more, number, now := 0, 0, time.Now()
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), "\r\n")
		switch number++; {
		case number == 1:
			if rows, err = report.NewRows(name, text); err != nil {
				return nil, nil, err
			}
			continue
		case number > maxSessionLines:
			return nil, nil, fmt.Errorf("%s: more than %d lines; split the file", name, maxSessionLines)
		case text == "":
			continue
		}
		m, err := rows.Event(number, text, now)
		if wrong := strict.Faults(nil); errors.As(err, &wrong) {
			if len(faults) < maxSessionFaults {
				faults = append(faults, wrong...)
			} else {
				more++
			}
			continue
		}
		stamp(m, now, len(events))
		events, numbers = append(events, m), append(numbers, number)
	}
	switch {
	case rows == nil:
		return nil, nil, fmt.Errorf("%s: the file is empty; the first line must have the names of the columns", name)
	case more > 0:
		return nil, nil, fmt.Errorf("%w\nand %d more faults; nothing was sent", faults, more)
	case len(faults) > 0:
		return nil, nil, fmt.Errorf("%w\nnothing was sent", faults)
	}
	return events, numbers, nil
}

// stamp gives an event a time if it has none. Events that are read together keep their order.
func stamp(m *op25bv1.SessionEvent, now time.Time, i int) {
	if m.Time == nil {
		m.Time = timestamppb.New(now.Add(time.Duration(i))) // nanoseconds
	}
}

// lines reports the lines on standard input, each as soon as it has been read.
func (r *reporter) lines(ctx context.Context) error {
	const name = "stdin"
	read := bufio.NewScanner(r.in)
	read.Buffer(nil, report.MaxLine+2)
	var rows *report.Rows
	invalid, number := 0, 0
	for read.Scan() {
		number++
		text := strings.TrimSuffix(read.Text(), "\r")
		var err error
		switch {
		case rows == nil:
			if rows, err = report.NewRows(name, text); err != nil {
				return err
			}
			continue
		case text == "":
			continue
		}
		now := time.Now()
		m, err := rows.Event(number, text, now)
		if err != nil {
			invalid++
			fmt.Fprintln(r.errOut, err)
			if err := r.view.ReportedLine(number, "invalid"); err != nil {
				return err
			}
			continue
		}
		stamp(m, now, 0)
		outcomes, err := r.send(ctx, []*op25bv1.SessionEvent{m})
		if err != nil {
			fmt.Fprintf(r.errOut, "%s: line %d is not acknowledged; send it again\n", name, number)
			return err
		}
		if err := r.view.ReportedLine(number, outcomes[0]); err != nil {
			return err
		}
	}
	switch err := read.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s:%d:1: the line is longer than %d bytes; the lines from here on were not sent", name, number+1, report.MaxLine)
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	case invalid > 0:
		return fmt.Errorf("%s not valid and not sent", counted(invalid, "line is", "lines are"))
	}
	return nil
}
