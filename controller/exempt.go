package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

func newExempt() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "exempt",
		Short: "add, renew, end or list exemptions from the block of port 25",
		Long: `Add, renew, end or list exemptions. An exemption lets a line, or a prefix, send mail to port 25 of any server until the end of a day. Each
change is a revision of its own, which changes nothing else, and goes through at once, also while a rollout runs.`,
		Example: `  op25b exempt add --line shop --until 2027-03-31 --owner noc@isp.example --reason 'own mail server' --ticket OP25B-17
  op25b exempt list --expiring 14d
  op25b exempt renew --line shop --until 2028-03-31 --reason 'asked again, OP25B-40'
  op25b exempt end --line shop --reason 'moved to a hosted server'`,
	})
	cmd.AddCommand(newExemptAdd(), newExemptRenew(), newExemptEnd(), newExemptList())
	return cmd
}

func newExemptAdd() *cobra.Command {
	var o clientOptions
	q := &op25bv1.AddExemptionRequest{Exemption: &op25bv1.Exemption{}}
	e := q.Exemption
	cmd := &cobra.Command{
		Use:   "add {--line NAME | --prefix PREFIX} --until DATE --owner TEXT --reason TEXT",
		Short: "exempt a line or a prefix until the end of a day",
		Long: `Exempt a line of the inventory, or a prefix on every switch, until the end of a day. The command ends when the switches have the exemption
and it has been read back. Adding the same exemption again changes nothing. If a switch has no room for it, nothing is stored.`,
		Example: `  op25b exempt add --line shop --until 2027-03-31 --owner noc@isp.example --reason 'own mail server' --ticket OP25B-17
  op25b exempt add --prefix 192.0.2.128/28 --until 2027-03-31 --owner noc@isp.example --reason laboratory`,
		Args: exactly(0),
	}
	addExempted(cmd, &e.Line, &e.Prefix)
	addUntil(cmd, &e.Expires, &e.Review)
	cmd.Flags().StringVar(&e.Owner, "owner", "", "who answers for the exemption")
	addExempting(cmd, &e.Reason, &e.Ticket, &q.NoWait)
	addClient(cmd, &o)
	cmd.RunE = o.ask(exempting(&e.Reason, &q.RequestId, func(ctx context.Context, c *console) error { return exempt(ctx, c, c.Exemption.Add, q) }))
	return cmd
}

func newExemptRenew() *cobra.Command {
	var o clientOptions
	q := &op25bv1.RenewExemptionRequest{}
	cmd := &cobra.Command{
		Use:   "renew {--line NAME | --prefix PREFIX} --until DATE --reason TEXT",
		Short: "move the last day of an exemption",
		Long: `Move the last day of an exemption. Its owner and reason stay, and so does its ticket without --ticket. Its day of review becomes that of
--review, or none. --reason is for the audit record.`,
		Example: `  op25b exempt renew --line shop --until 2028-03-31 --reason 'asked again' --ticket OP25B-40`,
		Args:    exactly(0),
	}
	addExempted(cmd, &q.Line, &q.Prefix)
	addUntil(cmd, &q.Expires, &q.Review)
	addExempting(cmd, &q.Reason, &q.Ticket, &q.NoWait)
	addClient(cmd, &o)
	cmd.RunE = o.ask(exempting(&q.Reason, &q.RequestId, func(ctx context.Context, c *console) error { return exempt(ctx, c, c.Exemption.Renew, q) }))
	return cmd
}

func newExemptEnd() *cobra.Command {
	var o clientOptions
	q := &op25bv1.EndExemptionRequest{}
	cmd := &cobra.Command{
		Use:   "end {--line NAME | --prefix PREFIX} --reason TEXT",
		Short: "end an exemption now",
		Long: `End an exemption now, and remove it. New connections of the line or prefix to port 25 are then subject to the phase in force. An exemption
whose last day has passed is not in force any more, and end only removes it from the list.`,
		Example: `  op25b exempt end --line shop --reason 'moved to a hosted server' --ticket OP25B-52`,
		Args:    exactly(0),
	}
	addExempted(cmd, &q.Line, &q.Prefix)
	addExempting(cmd, &q.Reason, &q.Ticket, &q.NoWait)
	addClient(cmd, &o)
	cmd.RunE = o.ask(exempting(&q.Reason, &q.RequestId, func(ctx context.Context, c *console) error { return exempt(ctx, c, c.Exemption.End, q) }))
	return cmd
}

func newExemptList() *cobra.Command {
	var o clientOptions
	q := &op25bv1.ListExemptionsRequest{}
	var expiring string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "list exemptions, in the order of their ends",
		Example: `  op25b exempt list --expiring 14d
  op25b exempt list --line shop
  op25b exempt list --prefix 192.0.2.0/24 --limit 1000`,
		Args: exactly(0),
	}
	addExempted(cmd, &q.Line, &q.Prefix)
	cmd.Flags().StringVar(&expiring, "expiring", "", "only exemptions that end within this time, such as 14d or 12h")
	cmd.Flags().IntVar(&limit, "limit", listLimit, "number of exemptions, at most 1000")
	cmd.Flags().Uint32Var(&q.Skip, "skip", 0, "number of exemptions to leave out first")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		q.Limit = uint32(limit)
		if expiring != "" {
			within, err := days(expiring)
			if err != nil {
				return fmt.Errorf("--expiring %q: must be a number of days such as 14d, or a duration such as 12h", expiring)
			}
			q.Expiring = durationpb.New(within)
		}
		r, err := client.Ask(ctx, c.timeout, c.Exemption.List, q)
		if err != nil {
			return err
		}
		return c.view.Exemptions(r)
	})
	return cmd
}

// days parses a duration, which may be a number of days such as 14d.
func days(text string) (time.Duration, error) {
	if number, is := strings.CutSuffix(text, "d"); is {
		n, err := strconv.ParseUint(number, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

func addExempted(cmd *cobra.Command, line, prefix *string) {
	cmd.Flags().StringVar(line, "line", "", "line of the inventory")
	cmd.Flags().StringVar(prefix, "prefix", "", "prefix or address, instead of a line")
}

func addUntil(cmd *cobra.Command, expires, review *string) {
	cmd.Flags().StringVar(expires, "until", "", "last day of the exemption, such as 2027-03-31")
	cmd.Flags().StringVar(review, "review", "", "day from which the exemption is due for review; none if omitted")
	_ = cmd.Flags().SetAnnotation("until", fieldOfFlag, []string{"expires"}) // it fails only for a flag that there is not
}

func addExempting(cmd *cobra.Command, reason, ticket *string, noWait *bool) {
	cmd.Flags().StringVar(reason, "reason", "", "reason, kept with the change and in the audit record")
	cmd.Flags().StringVar(ticket, "ticket", "", "ticket, kept with the exemption and in the audit record")
	cmd.Flags().BoolVar(noWait, "no-wait", false, "do not wait for the switches after the change is stored")
}

// exempting makes a change that needs a reason, under a new request id.
func exempting(reason, request *string, change func(context.Context, *console) error) func(context.Context, *console, []string) error {
	return func(ctx context.Context, c *console, _ []string) error {
		if err := needReason(*reason); err != nil {
			return err
		}
		*request = client.NewRequest()
		return change(ctx, c)
	}
}

// exempt makes a change of one exemption and shows its progress. If the answer is lost before anything is known, the request is sent once more, which
// changes nothing if the first one was stored.
func exempt[Q any, P interface {
	*Q
	changeRequest
}](ctx context.Context, c *console, call changeCall[Q], q P,
) error {
	var made changing
	follow := func() error {
		return awaitProved(ctx, c, call, (*Q)(q), func(p *op25bv1.Progress) error { return made.show(c, p) })
	}
	err := follow()
	if made.stored == nil && client.Unclear(err) && ctx.Err() == nil {
		err = follow()
	}
	return made.outcome(ctx, c, err)
}
