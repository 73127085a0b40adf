package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

type countersOptions struct {
	client     clientOptions
	switches   []string
	rules      []string
	interfaces []string
	since      time.Duration
	watch      bool
	exitZero   bool
}

func newCounters() *cobra.Command {
	var o countersOptions
	cmd := &cobra.Command{
		Use:   "counters",
		Short: "show what the switches count",
		Long: `Show for each switch the packets and octets that matched each rule, by leg and by the phases in force, and the counters of its interfaces.
PACKETS/S is the rate over the last minute. Counts begin with the values that a switch had when its owner first read it, and do not
decrease when a switch restarts.

A controller collects the counters of the switches that it owns, over gNMI. counters asks the owner of each other switch itself, with
the same credentials. The first line of a switch says whether its values are current; otherwise, it gives the reason, and the age of
the values.

With --since, show what the rules counted in that time, from the history of the controllers (op25b serve --history and --prometheus). The
times are extended to whole minutes, or to longer steps if the time is long ago.

Exit with 1 if a switch has no current values. With --exit-zero and with --watch, exit with 0 in any case.`,
		Example: `  op25b counters
  op25b counters --switch edge-1 --rule smtp-all
  op25b counters --since 24h
  op25b counters --watch --interface access-1`,
		Args: exactly(0),
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.switches, "switch", nil, "switch to show; may be repeated; by default all")
	f.StringArrayVar(&o.rules, "rule", nil, "rule to show; may be repeated; by default all")
	f.StringArrayVar(&o.interfaces, "interface", nil, "interface to show; may be repeated; by default all")
	f.DurationVar(&o.since, "since", 0, "show what was counted in this time before now, such as 24h; from 1m to 43920h")
	f.BoolVarP(&o.watch, "watch", "w", false, "print a line for each change, until interrupted")
	f.BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 even if a switch has no current values")
	addClient(cmd, &o.client)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, _ []string) error { return runCounters(ctx, o, c) })
	return cmd
}

func runCounters(ctx context.Context, o countersOptions, c *console) error {
	q := &op25bv1.ListCountersRequest{Switches: o.switches, Rules: o.rules, Interfaces: o.interfaces}
	switch {
	case o.since != 0 && o.watch:
		return errors.New("--since and --watch: give only one of them")
	case o.since < 0:
		return fmt.Errorf("--since %v: must be from 1m to 43920h", o.since)
	case o.since > 0:
		q.Since = durationpb.New(o.since)
	case o.watch:
		return watchCounters(ctx, o, c)
	}
	r, err := client.Ask(ctx, c.timeout, c.Telemetry.ListCounters, q)
	if err != nil {
		return err
	}
	if err := o.askOwners(ctx, c, r, q.Since); err != nil {
		return err
	}
	if err := c.view.Counters(r); err != nil {
		return err
	}
	if !o.exitZero && slices.ContainsFunc(r.Switches, notCurrent) {
		return errReported
	}
	return nil
}

// notCurrent reports whether the values of a switch are not current.
func notCurrent(s *op25bv1.SwitchCounters) bool {
	return s.State != op25bv1.CollectionState_COLLECTION_STATE_SYNCED
}

// askOwners replaces each switch of another controller in an answer by that controller's answer. It queries all owners concurrently.
func (o *countersOptions) askOwners(ctx context.Context, c *console, r *op25bv1.ListCountersResponse, since *durationpb.Duration) error {
	answers := make(map[string]*op25bv1.SwitchCounters)
	var mu sync.Mutex // guards answers
	var asking sync.WaitGroup
	owners := ownersOf(r.Switches)
	for _, owner := range owners {
		asking.Go(func() {
			got := o.askOwner(ctx, c, owner, since)
			mu.Lock()
			defer mu.Unlock()
			for _, s := range got {
				answers[s.Switch] = s
			}
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, s := range r.Switches {
		if answer := answers[s.Switch]; answer != nil {
			r.Switches[i] = answer
		}
	}
	if len(owners) == 0 {
		return nil
	}
	return o.unknownInterface(r.Switches)
}

// An owner is a controller, with the switches that it owns.
type owner struct {
	name, addr string
	switches   []*op25bv1.SwitchCounters
}

func (w owner) names() []string {
	names := make([]string, len(w.switches))
	for i, s := range w.switches {
		names[i] = s.Switch
	}
	return names
}

// ownersOf returns the other controllers that own switches in an answer, ordered by name.
func ownersOf(all []*op25bv1.SwitchCounters) []owner {
	by := make(map[string]owner)
	for _, s := range all {
		if s.State == op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE {
			w := by[s.Owner]
			w.name, w.addr, w.switches = s.Owner, s.OwnerAddress, append(w.switches, s)
			by[s.Owner] = w
		}
	}
	owners := make([]owner, 0, len(by))
	for _, name := range slices.Sorted(maps.Keys(by)) {
		owners = append(owners, by[name])
	}
	return owners
}

// askOwner returns the counters of the switches that a controller owns. If the controller cannot be queried, each switch has the
// reason.
func (o *countersOptions) askOwner(ctx context.Context, c *console, w owner, since *durationpb.Duration) []*op25bv1.SwitchCounters {
	other, err := w.dial(o.client.Config)
	if err == nil {
		defer other.Close()
		var r *op25bv1.ListCountersResponse
		r, err = client.Ask(ctx, c.timeout, other.Telemetry.ListCounters, &op25bv1.ListCountersRequest{Switches: w.names(), Rules: o.rules, Since: since})
		if err == nil {
			err = w.is(r.Controller)
		}
		if err == nil {
			return o.selected(r.Switches)
		}
	}
	return w.notAsked(err)
}

// dial returns a client of an owner. The client has the credentials of the command's caller.
func (w owner) dial(config client.Config) (*client.Client, error) {
	if w.addr == "" {
		return nil, fmt.Errorf("controller %s is not present", w.name)
	}
	return client.New(config.At(w.addr))
}

// is returns an error if another controller answered at the owner's address.
func (w owner) is(controller string) error {
	if controller == w.name {
		return nil
	}
	return fmt.Errorf("controller %s answers at %s; start %s with --advertise, and an address that leads to it", controller, w.addr, w.name)
}

// notAsked returns the owner's switches with the reason why the owner could not be queried.
func (w owner) notAsked(err error) []*op25bv1.SwitchCounters {
	detail := explain(err).Message
	if unreachable := new(client.Unreachable); errors.As(err, &unreachable) {
		detail = unreachable.Cause() // the rest of the message is about --server
	}
	for _, s := range w.switches {
		s.Reason, s.Detail = op25bv1.CollectionReason_COLLECTION_REASON_OWNER_NOT_ASKED, detail
	}
	return w.switches
}

// selected removes the unwanted interfaces. The owners are queried for all interfaces, because an owner refuses the name of an
// interface that only another owner's switch has.
func (o *countersOptions) selected(all []*op25bv1.SwitchCounters) []*op25bv1.SwitchCounters {
	if len(o.interfaces) == 0 {
		return all
	}
	for _, s := range all {
		s.Interfaces = slices.DeleteFunc(s.Interfaces, func(in *op25bv1.InterfaceCounters) bool { return !slices.Contains(o.interfaces, in.Interface) })
		s.InterfacesLeftOut = 0
	}
	return all
}

// unknownInterface returns an error for a wanted interface that no switch has. It returns nil if a switch has no values.
func (o *countersOptions) unknownInterface(all []*op25bv1.SwitchCounters) error {
	has := make(map[string]bool)
	for _, s := range all {
		if s.Updated == nil {
			return nil
		}
		for _, in := range s.Interfaces {
			has[in.Interface] = true
		}
	}
	for _, name := range o.interfaces {
		if !has[name] {
			return fmt.Errorf("--interface %q: none of the switches has such an interface; op25b counters shows all", name)
		}
	}
	return nil
}
