package openconfig

import (
	"context"
	"errors"
	"io"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxUpdates is the largest number of changes in one message. 512 changes with paths of 200 bytes are a fortieth of the 4 MiB that a gRPC
// client accepts by default. All counters of one interface fit into one message.
const maxUpdates = 512

// Subscribe serves one subscription (gNMI specification 3.5).
func (s *Server) Subscribe(stream gpb.GNMI_SubscribeServer) error {
	req, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	list := req.GetSubscribe()
	if list == nil {
		return status.Error(codes.InvalidArgument, "subscribe: the first message must hold a SubscriptionList (field subscribe); there is no subscription yet")
	}
	if err := checkEncoding(list.GetEncoding()); err != nil {
		return err
	}
	if len(list.GetSubscription()) == 0 {
		return status.Error(codes.InvalidArgument, "subscribe: the SubscriptionList has no subscription")
	}
	if n := len(list.GetSubscription()); n > MaxPaths {
		return errPaths("subscribe", n)
	}
	keep, err := keepModels(list.GetUseModels())
	if err != nil {
		return err
	}
	out := &sender{
		stream: stream, encoding: list.GetEncoding(), keep: keep,
		prefix: echo(list.GetPrefix(), list.GetSubscription()[0].GetPath()),
	}
	source, err := s.source(stream.Context(), list.GetPrefix())
	if err != nil {
		return err
	}
	switch list.GetMode() {
	case gpb.SubscriptionList_ONCE:
		return s.once(stream, source, list, out)
	case gpb.SubscriptionList_POLL:
		return s.poll(stream, source, list, out)
	case gpb.SubscriptionList_STREAM:
		return s.stream(stream, source, list, out)
	default:
		return status.Errorf(codes.InvalidArgument, "subscribe: list mode %v; valid: STREAM, ONCE, POLL", list.GetMode())
	}
}

// once sends all selected values, and the sync response.
func (s *Server) once(stream gpb.GNMI_SubscribeServer, source Source, list *gpb.SubscriptionList, out *sender) error {
	patterns, err := s.patterns(list)
	if err != nil {
		return err
	}
	return s.answer(stream.Context(), source, patterns, list.GetUpdatesOnly(), out)
}

// poll sends all selected values and the sync response, first at once and then after each poll message, until the client closes its side.
func (s *Server) poll(stream gpb.GNMI_SubscribeServer, source Source, list *gpb.SubscriptionList, out *sender) error {
	patterns, err := s.patterns(list)
	if err != nil {
		return err
	}
	for {
		if err := s.answer(stream.Context(), source, patterns, list.GetUpdatesOnly(), out); err != nil {
			return err
		}
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if req.GetPoll() == nil {
			return status.Error(codes.InvalidArgument, "subscribe: only poll messages may follow a SubscriptionList of mode POLL; open another RPC for other paths")
		}
	}
}

func (s *Server) patterns(list *gpb.SubscriptionList) ([]*pattern, error) {
	var patterns []*pattern
	for _, sub := range list.GetSubscription() {
		p, err := parsePath(s.schema, list.GetPrefix(), sub.GetPath())
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// answer sends the values of one reading and the sync response, or with updatesOnly only the sync response.
func (s *Server) answer(ctx context.Context, source Source, patterns []*pattern, updatesOnly bool, out *sender) error {
	if updatesOnly {
		return out.sync()
	}
	var parts Parts
	for _, p := range patterns {
		parts |= p.parts
	}
	tree, at, err := s.read(ctx, source, parts, nil)
	if err != nil {
		return err
	}
	var d delta
	leaves := 0
	for _, p := range patterns {
		for _, n := range p.find(tree) {
			if leaves, err = count(leaves, n); err != nil {
				return err
			}
			n.eachLeaf(allLeaves, func(l *node) { d.updates = append(d.updates, l) })
		}
	}
	if err := out.send(d, at); err != nil {
		return err
	}
	return out.sync()
}

// stream serves a STREAM subscription: it reads when a sample is due or a change is reported, and sends the plan's delta. While a send
// waits for a slow client, nothing is read or queued.
func (s *Server) stream(stream gpb.GNMI_SubscribeServer, source Source, list *gpb.SubscriptionList, out *sender) error {
	plan, err := newPlan(s.schema, list, s.opts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	var watching chan error // nil, and never ready, if no watch needs changes
	changed := make(chan struct{}, 1)
	if plan.told() {
		// Watch begins before the first reading, so that no later change is missed.
		watching = make(chan error, 1)
		go func() {
			watching <- source.Watch(ctx, func() {
				select {
				case changed <- struct{}{}:
				default: // a change is pending already; its reading will include this change
				}
			})
			close(watching)
		}()
		defer func() {
			for range watching { // wait for Watch to end
			}
		}()
	}
	defer cancel()
	refused := make(chan error, 1)
	// Recv returns at the latest after the handler, since gRPC then ends the stream's context.
	go func() { refused <- refuseMore(stream) }()

	tree, at, err := s.read(ctx, source, plan.parts, nil)
	if err != nil {
		return err
	}
	first, err := plan.start(tree, time.Now(), list.GetUpdatesOnly())
	if err != nil {
		return err
	}
	tracked, err := s.track(plan, 0)
	defer func() { s.tracked.Add(-int64(tracked)) }()
	if err != nil {
		return err
	}
	if err := out.send(first, at); err != nil {
		return err
	}
	if err := out.sync(); err != nil {
		return err
	}
	s.log.Debug("gNMI subscriber synced", zap.Int("subscriptions", len(list.GetSubscription())), zap.Int("leaves", len(first.updates)))
	return s.follow(ctx, source, plan, tree, &tracked, out, changed, watching, refused)
}

// follow serves a STREAM subscription after the sync response.
func (s *Server) follow(
	ctx context.Context, source Source, plan *plan, tree *node, tracked *int, out *sender, changed <-chan struct{}, watching, refused <-chan error,
) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	gapUntil := time.Now() // no change causes a reading before this time
	pending := false       // a change was reported and has not been read yet
	for {
		wake, due := plan.next()
		if pending && (!due || gapUntil.Before(wake)) {
			wake, due = gapUntil, true
		}
		timer.Stop()
		var tick <-chan time.Time
		if due {
			timer.Reset(time.Until(wake))
			tick = timer.C
		}
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case err := <-refused:
			if err != nil {
				return err
			}
			refused = nil
			continue
		case err := <-watching:
			if ctx.Err() != nil {
				return status.FromContextError(ctx.Err()).Err()
			}
			return status.Errorf(codes.Unavailable, "changes can no longer be watched: %v", err)
		case <-changed:
			pending = true
			continue
		case <-tick:
		}
		now := time.Now()
		told := pending && !now.Before(gapUntil)
		if told {
			pending, gapUntil = false, now.Add(s.opts.ChangeGap)
		}
		tree, at, err := s.read(ctx, source, plan.parts, tree) // the tree can be reused, because the last delta has been sent
		if err != nil {
			return err
		}
		d := plan.take(tree, now, told)
		if *tracked, err = s.track(plan, *tracked); err != nil {
			return err
		}
		if err := out.send(d, at); err != nil {
			return err
		}
	}
}

// refuseMore returns an error if a STREAM subscriber sends another message. It returns nil if the client closes its side, as grpcurl does;
// the client then stays subscribed.
func refuseMore(stream gpb.GNMI_SubscribeServer) error {
	_, err := stream.Recv()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	default:
		return status.Error(codes.InvalidArgument, "subscribe: nothing may follow a SubscriptionList of mode STREAM; open another RPC for other paths")
	}
}

// A sender writes to one subscriber.
type sender struct {
	stream   gpb.GNMI_SubscribeServer
	encoding gpb.Encoding
	prefix   *gpb.Path
	keep     func(*schema) bool
}

// send sends d with the given time, in messages of at most maxUpdates changes. Nothing is sent for an empty d.
func (o *sender) send(d delta, at time.Time) error {
	n := &gpb.Notification{Timestamp: at.UnixNano(), Prefix: o.prefix}
	flush := func(limit int) error {
		if len(n.Update)+len(n.Delete) < limit {
			return nil
		}
		err := o.stream.Send(&gpb.SubscribeResponse{Response: &gpb.SubscribeResponse_Update{Update: n}})
		n = &gpb.Notification{Timestamp: n.Timestamp, Prefix: o.prefix}
		return err
	}
	for _, path := range d.deletes {
		n.Delete = append(n.Delete, &gpb.Path{Elem: path})
		if err := flush(maxUpdates); err != nil {
			return err
		}
	}
	for _, l := range d.updates {
		if !o.keep(l.schema) {
			continue
		}
		n.Update = append(n.Update, &gpb.Update{Path: &gpb.Path{Elem: l.path}, Val: leafValue(l, o.encoding)})
		if err := flush(maxUpdates); err != nil {
			return err
		}
	}
	return flush(1)
}

func (o *sender) sync() error {
	return o.stream.Send(&gpb.SubscribeResponse{Response: &gpb.SubscribeResponse_SyncResponse{SyncResponse: true}})
}
