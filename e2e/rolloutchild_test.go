package e2e

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"op25b/internal/abuse"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/policy"
	"op25b/internal/rollout/drive"
	"op25b/internal/store"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
)

// rolloutTTL is how long the ownerships of a killed controller last. It is the shortest that etcd grants.
const rolloutTTL = 2 * time.Second

// stopsNobody forecasts that the change stops nobody. The real forecast is tested in package abuse.
type stopsNobody struct{}

func (stopsNobody) Forecast(*intent.Intent, string, policy.Scope, time.Time) (*abuse.Forecast, error) {
	return &abuse.Forecast{}, nil
}

func (stopsNobody) ForecastDocuments(*intent.Intent, *intent.Intent, []string, time.Time) (*abuse.Forecast, error) {
	return &abuse.Forecast{}, nil
}

// runRollouts runs a controller that owns switches, counts on them, and carries rollouts out. Its short intervals make rings need only seconds.
func (c childConfig) runRollouts(ctx context.Context) error {
	log, err := zap.NewProduction()
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Config{Endpoints: c.Endpoints, TTL: rolloutTTL, Logger: log})
	if err != nil {
		return err
	}
	defer s.Close()
	book := intent.NewBook(s, time.Now)
	counters, err := tally.New(tally.Config{Telemetry: telemetry.Config{Interval: time.Second, LineInterval: time.Second}, Book: book, Logger: log})
	if err != nil {
		return err
	}
	driver := &drive.Driver{Store: s, Book: book, Counters: counters, Forecasts: stopsNobody{}, Probed: true, Name: c.Name, Now: time.Now, Logger: log}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var failed error
	running.Go(func() { counters.Run(ctx) })
	running.Go(func() { driver.Run(ctx) })
	running.Go(func() { failed = s.Run(ctx); cancel() })
	err = fleet.Run(ctx, fleet.Config{
		Name: c.Name, Store: s, Book: book, Now: time.Now, Logger: log, ProbeEvery: time.Hour, Settle: 300 * time.Millisecond, Session: p4rt.KeepConfig{Backoff: p4rt.Backoff{Min: 50 * time.Millisecond, Max: time.Second}},
		OnStatus: func(st fleet.Status) {
			counters.Follow(st.Switch, st.Ownership == fleet.Owned, st.Running, st.InForce)
		},
	})
	cancel()
	running.Wait()
	return errors.Join(err, failed)
}
