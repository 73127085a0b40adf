package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

// ownerPause is the pause before an owner that could not be queried is queried again.
const ownerPause = 5 * time.Second

// A countersWatch shows the changes of counters. It watches the controller at --server and the owners of the other switches.
type countersWatch struct {
	o        *countersOptions
	c        *console
	fail     context.CancelCauseFunc // ends the command with an error
	watching sync.WaitGroup

	mu        sync.Mutex // guards everything below, and c.view
	elsewhere map[string]*op25bv1.SwitchCounters
	owners    map[string]ownerWatch // by name
}

// An ownerWatch is the watch of one owner. key identifies the owner's address and switches.
type ownerWatch struct {
	key string
	end context.CancelFunc
}

// watchCounters shows the changes of counters until ctx ends.
func watchCounters(ctx context.Context, o countersOptions, c *console) error {
	ctx, fail := context.WithCancelCause(ctx)
	w := &countersWatch{o: &o, c: c, fail: fail, elsewhere: make(map[string]*op25bv1.SwitchCounters), owners: make(map[string]ownerWatch)}
	defer w.watching.Wait()
	defer fail(nil)
	q := &op25bv1.WatchCountersRequest{Switches: o.switches, Rules: o.rules, Interfaces: o.interfaces}
	err := client.Watch(ctx, c.timeout, c.Telemetry.WatchCounters, q, func(r *op25bv1.WatchCountersResponse) error { return w.take(ctx, r) })
	if cause := context.Cause(ctx); cause != nil && cause != context.Canceled { // the view failed
		return cause
	}
	return err
}

// take shows a message of the controller at --server, and watches the owners of the other switches.
func (w *countersWatch) take(ctx context.Context, r *op25bv1.WatchCountersResponse) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var here []*op25bv1.SwitchCounters
	for _, s := range r.Switches {
		if delete(w.elsewhere, s.Switch); s.State == op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE {
			w.elsewhere[s.Switch] = s
		} else {
			here = append(here, s)
		}
	}
	for _, name := range r.Gone {
		delete(w.elsewhere, name)
	}
	names := slices.Sorted(maps.Keys(w.elsewhere))
	left := maps.Clone(w.owners)
	var all []*op25bv1.SwitchCounters
	for _, name := range names {
		all = append(all, w.elsewhere[name])
	}
	for _, other := range ownersOf(all) {
		key := fmt.Sprint(other.addr, other.names())
		if delete(left, other.name); w.owners[other.name].key == key {
			continue
		}
		if was, running := w.owners[other.name]; running {
			was.end()
		}
		ctx, end := context.WithCancel(ctx)
		w.owners[other.name] = ownerWatch{key, end}
		w.watching.Go(func() { w.follow(ctx, other) })
	}
	for name, was := range left {
		was.end()
		delete(w.owners, name)
	}
	r.Switches = here
	return w.showLocked(r)
}

func (w *countersWatch) showLocked(r *op25bv1.WatchCountersResponse) error {
	if len(r.Switches) == 0 && len(r.Gone) == 0 {
		return nil
	}
	return w.c.view.CounterChanges(r)
}

// show shows an owner's switches, unless the watch of the owner has ended.
func (w *countersWatch) show(ctx context.Context, r *op25bv1.WatchCountersResponse) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err := w.showLocked(r)
	if err != nil {
		w.fail(err)
	}
	return err
}

// follow watches an owner until ctx ends. While the owner cannot be queried, its switches are shown with the reason.
func (w *countersWatch) follow(ctx context.Context, other owner) {
	for {
		err := w.watchOwner(ctx, other)
		if ctx.Err() != nil {
			return
		}
		if w.show(ctx, &op25bv1.WatchCountersResponse{Switches: other.notAsked(err)}) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(ownerPause):
		}
	}
}

// watchOwner shows an owner's messages until the stream ends.
func (w *countersWatch) watchOwner(ctx context.Context, other owner) error {
	at, err := other.dial(w.o.client.Config)
	if err != nil {
		return err
	}
	defer at.Close()
	q := &op25bv1.WatchCountersRequest{Switches: other.names(), Rules: w.o.rules}
	return client.Watch(ctx, w.c.timeout, at.Telemetry.WatchCounters, q, func(r *op25bv1.WatchCountersResponse) error {
		if err := other.is(r.Controller); err != nil {
			return err
		}
		r.Gone = nil // the controller at --server reports the removed switches
		r.Switches = slices.DeleteFunc(w.o.selected(r.Switches), func(s *op25bv1.SwitchCounters) bool {
			return s.State == op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE // the switch has moved, which the controller at --server also reports
		})
		return w.show(ctx, r)
	})
}
