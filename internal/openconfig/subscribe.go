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
	out := &sender{
		stream: stream, encoding: list.GetEncoding(),
		prefix: echo(list.GetPrefix(), list.GetSubscription()[0].GetPath()),
	}
	source, err := s.source(stream.Context(), list.GetPrefix())
	if err != nil {
		return err
	}
	h, leave := s.enter(source)
	defer leave()
	switch list.GetMode() {
	case gpb.SubscriptionList_ONCE:
		return s.once(stream, h, list, out)
	case gpb.SubscriptionList_POLL:
		return s.poll(stream, h, list, out)
	case gpb.SubscriptionList_STREAM:
		return s.stream(stream, h, list, out)
	default:
		return status.Errorf(codes.InvalidArgument, "subscribe: list mode %v; valid: STREAM, ONCE, POLL", list.GetMode())
	}
}

// once sends all selected values, and the sync response.
func (s *Server) once(stream gpb.GNMI_SubscribeServer, h *hub, list *gpb.SubscriptionList, out *sender) error {
	pickers, err := s.pickers(list)
	if err != nil {
		return err
	}
	return h.answer(stream.Context(), pickers, list.GetUpdatesOnly(), out)
}

// poll sends all selected values and the sync response. It does so at once, and again after each poll message, until the client closes its
// side.
func (s *Server) poll(stream gpb.GNMI_SubscribeServer, h *hub, list *gpb.SubscriptionList, out *sender) error {
	pickers, err := s.pickers(list)
	if err != nil {
		return err
	}
	for {
		if err := h.answer(stream.Context(), pickers, list.GetUpdatesOnly(), out); err != nil {
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

func (s *Server) pickers(list *gpb.SubscriptionList) ([]*picker, error) {
	wanted, err := modelsOf(list.GetUseModels())
	if err != nil {
		return nil, err
	}
	var pickers []*picker
	for _, sub := range list.GetSubscription() {
		p, err := parsePath(s.schema, list.GetPrefix(), sub.GetPath())
		if err != nil {
			return nil, err
		}
		pickers = append(pickers, &picker{pattern: p, set: allLeaves, models: wanted})
	}
	return pickers, nil
}

// answer sends the values of one reading and the sync response. With updatesOnly, it sends only the sync response.
func (h *hub) answer(ctx context.Context, pickers []*picker, updatesOnly bool, out *sender) error {
	if updatesOnly {
		return out.sync()
	}
	var parts Parts
	for _, p := range pickers {
		parts |= p.pattern.parts
	}
	r, err := h.read(ctx, parts, 0)
	if err != nil {
		return err
	}
	var d delta
	leaves := 0
	for _, p := range pickers {
		chosen := p.in(r.shape)
		if leaves += len(chosen.leaves); leaves > MaxLeaves {
			return errLeaves()
		}
		d.add(chosen.leaves)
	}
	if err := out.send(d, r); err != nil {
		return err
	}
	return out.sync()
}

// stream serves a STREAM subscription. It reads when a sample is due or a change is reported, and sends the plan's delta. While a send
// waits for a slow client, nothing is read or queued.
func (s *Server) stream(stream gpb.GNMI_SubscribeServer, h *hub, list *gpb.SubscriptionList, out *sender) error {
	plan, err := newPlan(s.schema, list, s.opts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	var watching chan error // if no watch needs changes, the channel is nil and never ready
	changed := make(chan struct{}, 1)
	if plan.told() {
		// Watch begins before the first reading, so that no later change is missed.
		watching = make(chan error, 1)
		go func() {
			watching <- h.source.Watch(ctx, func() {
				select {
				case changed <- struct{}{}:
				default: // a change is already pending, and its reading will include this change
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
	// Recv returns when the handler has returned, at the latest, because gRPC then ends the stream's context.
	go func() { refused <- refuseMore(stream) }()

	r, err := h.read(ctx, plan.parts, 0)
	if err != nil {
		return err
	}
	first, err := plan.start(r, time.Now(), list.GetUpdatesOnly())
	if err != nil {
		return err
	}
	tracked, err := s.track(plan, 0)
	defer func() { s.tracked.Add(-int64(tracked)) }()
	if err != nil {
		return err
	}
	if err := out.send(first, r); err != nil {
		return err
	}
	if err := out.sync(); err != nil {
		return err
	}
	s.log.Debug("gNMI subscriber synced", zap.Int("subscriptions", len(list.GetSubscription())), zap.Int("leaves", tracked))
	return s.follow(ctx, h, plan, &tracked, out, changed, watching, refused)
}

// follow serves a STREAM subscription after the sync response.
func (s *Server) follow(
	ctx context.Context, h *hub, plan *plan, tracked *int, out *sender, changed <-chan struct{}, watching, refused <-chan error,
) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	gapUntil := time.Now() // no change causes a reading before this time
	pending := false       // a change was reported that has not been read yet
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
		age := min(shareWithin, s.opts.MinSample/10)
		if told {
			age = 0 // the reading must include the change
		}
		r, err := h.read(ctx, plan.parts, age)
		if err != nil {
			return err
		}
		d := plan.take(r, now, told)
		if *tracked, err = s.track(plan, *tracked); err != nil {
			return err
		}
		if err := out.send(d, r); err != nil {
			return err
		}
	}
}

// refuseMore returns an error if a STREAM subscriber sends another message. It returns nil if the client closes its side, as grpcurl does.
// The client then stays subscribed.
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
