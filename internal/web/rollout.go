package web

import (
	"bytes"
	"context"
	"net/http"
	"slices"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
)

// A rolloutPicture is a rollout as the API has reported it, with what was seen of it. It is not modified after it was drawn.
type rolloutPicture struct {
	current *op25bv1.Rollout // nil if there was no rollout yet
	seen    *op25bv1.RolloutSeen
	all     []*op25bv1.Rollout // the newest first, with the current one
}

// running reports whether a rollout runs.
func (p *rolloutPicture) running() bool {
	return p != nil && p.current != nil && !ended(p.current.State)
}

func ended(s op25bv1.RolloutState) bool {
	return s == op25bv1.RolloutState_ROLLOUT_STATE_DONE || s == op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK
}

// rolloutParts are the parts of the page of the rollout that are updated while it is open, as parts are those of the overview. The element of the
// verbs is only on the pages of operators.
var rolloutParts = []string{"rollout-state", "rollout-why", "rollout-verbs", "rollout-rings", "rollout-gates", "rollout-switches", "rollout-past"}

// lookRollout asks the API for the rollout. A controller without rollouts has none.
func lookRollout(ctx context.Context, c clients) (*rolloutPicture, error) {
	r, err := c.rollout.Show(ctx, connect.NewRequest(&op25bv1.ShowRolloutRequest{Seen: true}))
	switch code := connect.CodeOf(err); {
	case err == nil:
	case code == connect.CodeNotFound, code == connect.CodeUnimplemented:
		return &rolloutPicture{}, nil
	default:
		return nil, err
	}
	past, err := c.rollout.List(ctx, connect.NewRequest(&op25bv1.ListRolloutsRequest{}))
	if err != nil {
		return nil, err
	}
	return &rolloutPicture{current: r.Msg.Rollout, seen: r.Msg.Seen, all: past.Msg.Rollouts}, nil
}

// follow returns the picture after a message of a watch. It asks for the list of rollouts if that may have changed.
func (p *rolloutPicture) follow(ctx context.Context, c clients, m *op25bv1.WatchRolloutResponse) (*rolloutPicture, error) {
	next := &rolloutPicture{current: m.Rollout, seen: m.Seen, all: p.all}
	if p.current.GetId() == m.Rollout.GetId() && p.current.GetState() == m.Rollout.GetState() {
		return next, nil
	}
	past, err := c.rollout.List(ctx, connect.NewRequest(&op25bv1.ListRolloutsRequest{}))
	if err != nil {
		return nil, err
	}
	next.all = past.Msg.Rollouts
	return next, nil
}

// followRollout sends the rollout, and sends it again whenever something else is seen of it, until ctx ends or the API fails.
func (l *live) followRollout(ctx context.Context, c clients, found chan<- *rolloutPicture) error {
	p, err := lookRollout(ctx, c)
	if err != nil {
		return err
	}
	send := func() bool {
		select {
		case found <- p:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if !send() {
		return ctx.Err()
	}
	stream, err := c.rollout.Watch(ctx, connect.NewRequest(&op25bv1.WatchRolloutRequest{Seen: true}))
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		if p, err = p.follow(ctx, c, stream.Msg()); err != nil {
			return err
		}
		if !send() {
			return ctx.Err()
		}
	}
	if err := stream.Err(); connect.CodeOf(err) != connect.CodeUnimplemented {
		return err
	}
	<-ctx.Done() // a controller without rollouts has none later
	return ctx.Err()
}

// rolloutPage shows the rollout that runs, or that ended last.
func (s *Site) rolloutPage(v *visit) error {
	v.Section, v.Title, v.Live, v.Wall = "rollout", v.T("rollout"), true, false
	drawn, snapshot, err := v.drawing()
	if err != nil {
		return err
	}
	var page bytes.Buffer
	write := func(name string, data any) error { return s.templates.ExecuteTemplate(&page, name, data) }
	if err := write("rollout-top", struct {
		base
		Snapshot string
	}{v.base, snapshot}); err != nil {
		return err
	}
	for _, id := range rolloutParts {
		if id != "rollout-verbs" || v.MayOperate() {
			page.WriteString(drawn.parts[id])
		}
	}
	if err := write("foot", v.base); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write(visible(page.Bytes()))
	return nil
}

// has returns the rings that are to have the change now.
func has(r *op25bv1.Rollout) []*op25bv1.Ring { return r.Rings[:min(int(r.Wanted), len(r.Rings))] }

// switchesOf returns the switches of rings, in order.
func switchesOf(rings []*op25bv1.Ring) (all []string) {
	for _, ring := range rings {
		all = append(all, ring.Switches...)
	}
	slices.Sort(all)
	return all
}

// ringNames returns the names of rings.
func ringNames(rings []*op25bv1.Ring) []string {
	names := make([]string, len(rings))
	for i, ring := range rings {
		names[i] = ring.Name
	}
	return names
}
