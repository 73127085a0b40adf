package drive

import (
	"context"

	"op25b/internal/fleet"
	"op25b/internal/store"
)

// watches are the watches of all that a rollout depends on. They end with their context, or with the store.
type watches struct {
	records  <-chan *Stored
	statuses <-chan []fleet.Status
	counts   <-chan []store.Event[Counts]
	tickets  <-chan []store.Event[ticket]
}

func (d *Driver) watches(ctx context.Context) watches {
	return watches{
		d.Watch(ctx), fleet.WatchKnown(ctx, d.Store, d.Name), store.JSON[Counts](d.Store, countsKind).Watch(ctx),
		store.JSON[ticket](d.Store, ticketKind).Watch(ctx),
	}
}

// wait waits until all watches have ended. Their context must have ended.
func (w watches) wait() {
	drain(w.records)
	drain(w.statuses)
	drain(w.counts)
	drain(w.tickets)
}

func drain[T any](c <-chan T) {
	for range c {
	}
}
