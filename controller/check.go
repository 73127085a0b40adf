package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/examples"
	"op25b/internal/api"
	"op25b/internal/check/desk"
	"op25b/internal/check/mailbox"
	"op25b/internal/client"
	"op25b/internal/policy"
	"op25b/internal/strict"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

type checkOptions struct {
	client    clientOptions
	line      string
	from      string
	sw        string
	to        string
	port      uint16
	at        string
	phase     string
	revision  uint64
	ticket    string
	mail      string
	files     []string
	trace     bool
	offline   bool
	providers string
}

func newCheck() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check {--line LINE | --from ADDRESS} {--to SERVER [--port PORT] | --mail MAILBOX}",
		Short: "show what a switch does with a connection, by which rule and since when",
		Long: `Run the packets of a connection through the pipeline with the entries of the policy, and show the verdict that a switch gives. With --mail,
show what blocking port 25 means for a mailbox, and the settings to use in a mail program instead. check opens no connection and sends
nothing to a switch.

The audit chain records who asks about which line, with the ticket. If the controller has an access file, --ticket is required.

With -f, answer from these files instead of the applied documents; with --offline too, without a controller. Such a question is not
recorded.`,
		Example: `  op25b check --line adsl-home --to 203.0.113.10 --ticket DESK-4711 --trace
  op25b check --line adsl-home --to mx.carrier.example --at 2006-07-01
  op25b check --from 192.0.2.12 --mail somebody@carrier.example --offline -f examples/spinnet-2006`,
		Args: exactly(0),
	}
	f := cmd.Flags()
	f.StringVar(&o.line, "line", "", "access line, by its name in the inventory")
	f.StringVar(&o.from, "from", "", "subscriber's address; without --line it selects the line")
	f.StringVar(&o.sw, "switch", "", "switch of an address that belongs to no line; required only if there are several")
	f.StringVar(&o.to, "to", "", "mail server, by name or address")
	f.Uint16Var(&o.port, "port", 25, "TCP port of the server")
	f.StringVar(&o.at, "at", "", "time to answer for, in the policy's utcOffset: 2006-07-01, '2006-07-01 12:00', or 2006-07-01T12:00:00+09:00")
	f.StringVar(&o.phase, "phase", "", "phase to answer for, instead of the one in force")
	f.Uint64Var(&o.revision, "revision", 0, "revision to answer for; 0 means the current one")
	f.StringVar(&o.ticket, "ticket", "", "ticket for which the line is looked up, for the audit chain")
	f.StringVar(&o.mail, "mail", "", "mailbox to answer for, such as somebody@isp.example")
	f.BoolVar(&o.trace, "trace", false, "show the tables that the packets matched in the pipeline")
	addFiles(cmd, &o.files)
	addClient(cmd, &o.client)
	f.BoolVar(&o.offline, "offline", false, "answer from the files of -f, without a controller")
	f.StringVar(&o.providers, "providers", "", "with --offline, YAML file with mail providers; by default the built-in directory")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.check(f.Changed("port")); err != nil {
			return err
		}
		docs, err := readDocuments(o.files)
		if err != nil {
			return err
		}
		if o.offline {
			a, err := newOffline(docs, o.providers)
			if err != nil {
				return err
			}
			return runCheck(cmd.Context(), o, a, newView(o.client.output, cmd.OutOrStdout()))
		}
		return o.client.ask(func(ctx context.Context, c *console, _ []string) error {
			return runCheck(ctx, o, online{c, docs}, c.view)
		})(cmd, args)
	}
	return cmd
}

func runCheck(ctx context.Context, o checkOptions, a answerer, v view.View) error {
	from := &op25bv1.CheckFrom{Line: o.line, From: o.from, Switch: o.sw, Phase: o.phase, Revision: o.revision, Ticket: o.ticket}
	if o.at != "" {
		var err error
		if from.At, from.LocalAt, err = moment("--at", o.at); err != nil {
			return err
		}
	}
	if o.mail != "" {
		r, err := a.mailbox(ctx, &op25bv1.CheckMailRequest{From: from, Address: o.mail})
		if err != nil {
			return err
		}
		return v.Mail(r)
	}
	r, err := a.connection(ctx, &op25bv1.CheckRequest{From: from, To: o.to, Port: uint32(o.port), Trace: o.trace})
	if err != nil {
		return err
	}
	return v.Check(r)
}

// check returns an error if a required flag is missing or if flags exclude each other.
func (o *checkOptions) check(portGiven bool) error {
	switch {
	case o.line == "" && o.from == "":
		return errors.New("no line: give --line LINE or --from ADDRESS")
	case o.mail == "" && o.to == "":
		return errors.New("no server and no mailbox: give --to SERVER or --mail MAILBOX")
	case o.mail != "" && (o.to != "" || portGiven || o.trace):
		return errors.New("--mail answers for the mailbox's own servers: omit --to, --port and --trace")
	case o.revision != 0 && (len(o.files) > 0 || o.offline):
		return fmt.Errorf("--revision %d: only the controller has revisions; omit -f and --offline", o.revision)
	case o.ticket != "" && (len(o.files) > 0 || o.offline):
		return fmt.Errorf("--ticket %s: a question with -f is not recorded; omit --ticket, or -f and --offline", o.ticket)
	case o.offline && len(o.files) == 0:
		return errors.New("--offline requires -f with a policy and an inventory")
	case !o.offline && o.providers != "":
		return fmt.Errorf("--providers %s: requires --offline; a controller has its own directory (op25b serve --providers)", o.providers)
	}
	return nil
}

// An answerer answers questions about connections and mailboxes.
type answerer interface {
	connection(context.Context, *op25bv1.CheckRequest) (*op25bv1.CheckResponse, error)
	mailbox(context.Context, *op25bv1.CheckMailRequest) (*op25bv1.CheckMailResponse, error)
}

// online sends the questions to a controller, with the documents from the -f flags.
type online struct {
	*console
	docs []document
}

func (a online) connection(ctx context.Context, q *op25bv1.CheckRequest) (*op25bv1.CheckResponse, error) {
	q.From.Files = messages(a.docs)
	r, err := client.Ask(ctx, a.timeout, a.Check.Check, q)
	return r, here(err, a.docs)
}

func (a online) mailbox(ctx context.Context, q *op25bv1.CheckMailRequest) (*op25bv1.CheckMailResponse, error) {
	q.From.Files = messages(a.docs)
	r, err := client.Ask(ctx, a.timeout, a.Check.CheckMail, q)
	return r, here(err, a.docs)
}

// offline answers the questions from documents on this host, without a controller.
type offline struct {
	desk   *desk.Desk
	source desk.Source
}

func (a offline) connection(ctx context.Context, q *op25bv1.CheckRequest) (*op25bv1.CheckResponse, error) {
	return api.AnswerCheck(ctx, a.desk, a.source, q)
}

func (a offline) mailbox(ctx context.Context, q *op25bv1.CheckMailRequest) (*op25bv1.CheckMailResponse, error) {
	return api.AnswerCheckMail(ctx, a.desk, a.source, q)
}

var (
	_ answerer = online{}
	_ answerer = offline{}
)

func newOffline(docs []document, providers string) (a offline, err error) {
	if a.source.Bundle, err = policy.Load(local(docs)); err != nil {
		return a, err
	}
	directory, err := loadProviders(providers)
	if err != nil {
		return a, err
	}
	a.desk = desk.New(desk.Options{Directory: directory, Resolver: net.DefaultResolver})
	return a, nil
}

// loadProviders reads a directory of mail providers. If path is empty, loadProviders returns the built-in directory.
func loadProviders(path string) (*mailbox.Directory, error) {
	file := examples.Providers()
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("--providers %s: %w", path, withoutPath(err))
		}
		file = strict.File{Name: path, Data: data}
	}
	return mailbox.Load(file)
}

// moment reads a time from a flag. A time without a UTC offset is returned as text, because only the controller knows the UTC offset of the policy.
func moment(flag, text string) (at *timestamppb.Timestamp, local string, err error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return timestamppb.New(at), "", nil
	}
	spaced := strings.Replace(text, "T", " ", 1)
	for _, form := range []string{time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if _, err := time.Parse(form, spaced); err == nil {
			return nil, spaced, nil
		}
	}
	return nil, "", fmt.Errorf("%s %q: not a moment; give 2006-07-01, '2006-07-01 12:00', or 2006-07-01T12:00:00+09:00", flag, text)
}
