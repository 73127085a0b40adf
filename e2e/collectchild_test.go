package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"runtime"
	"slices"
	"sync"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"op25b/internal/compile"
	"op25b/internal/exposition"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
)

// A collectConfig configures a process of the collector's benchmark.
type collectConfig struct {
	Targets           int `json:",omitempty"` // of a load
	Interfaces, Rules int
	Addrs             []string      `json:",omitempty"` // the targets of a collector or a floor
	Interval          time.Duration `json:",omitempty"`
	List              []byte        `json:",omitempty"` // the subscriptions of a floor
}

func (c *collectConfig) run(ctx context.Context, kind string) error {
	switch kind {
	case loadChild:
		return newLoad(loadedState(c.Interfaces, c.Rules)).run(ctx, c.Targets)
	case collectorChild:
		return c.collect(ctx)
	default:
		return c.floor(ctx)
	}
}

// theIntent is a book with one intent that never changes.
type theIntent struct{ in *intent.Intent }

func (i theIntent) Watch(ctx context.Context, _ uint64) <-chan intent.Update {
	updates := make(chan intent.Update, 1)
	updates <- intent.Update{Intent: i.in}
	context.AfterFunc(ctx, func() { close(updates) })
	return updates
}

// collect runs the parts of a controller that collect from the targets, and serves /metrics.
func (c *collectConfig) collect(ctx context.Context) error {
	in := &intent.Intent{Bundle: &policy.Bundle{Inventory: &policy.Inventory{}}, Numbers: &compile.Numbers{Rules: compile.Given{}}}
	for rule := range c.Rules {
		in.Numbers.Rules[fmt.Sprint("phase-2/block-", rule+1)] = compile.Numbered{Number: uint16(rule + 1)}
	}
	for i, addr := range c.Addrs {
		in.Bundle.Inventory.Switches = append(in.Bundle.Inventory.Switches, policy.Switch{Name: fmt.Sprintf("edge-%d", i+1), GNMI: addr})
	}
	t, err := tally.New(tally.Config{Book: theIntent{in}, Telemetry: telemetry.Config{Interval: c.Interval}})
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { t.Run(ctx) })
	for i := range in.Bundle.Inventory.Switches {
		t.Follow(in.Bundle.Inventory.Switches[i].Name, true, 1, "phase 2") // the phase has no documents, because there are none
	}
	mux := profiled()
	mux.Handle("/metrics", exposition.Handler(prometheus.NewRegistry(), t.WriteMetrics))
	mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(lateness(t, in.Bundle.Inventory.Switches, c.Interval))
	})
	return serveChild(ctx, mux, loadReady{})
}

func profiled() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/memory", func(w http.ResponseWriter, _ *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_ = json.NewEncoder(w).Encode(m)
	})
	return mux
}

// A lateReport contains the delays with which the newest values of the interfaces arrived.
type lateReport struct{ Values, P50, P99, Max time.Duration }

// lateness reads every switch once, spread over an interval.
func lateness(t *tally.Tally, switches []policy.Switch, interval time.Duration) lateReport {
	var late []time.Duration
	tick := time.NewTicker(interval / time.Duration(len(switches)))
	defer tick.Stop()
	for i := range switches {
		<-tick.C
		for _, s := range t.Read(switches[i].Name) {
			for _, in := range s.Reading.Interfaces {
				late = append(late, in.Seen.Sub(in.At))
			}
		}
	}
	if len(late) == 0 {
		return lateReport{}
	}
	slices.Sort(late)
	return lateReport{time.Duration(len(late)), percentile(late, 50), percentile(late, 99), late[len(late)-1]}
}

// floor receives the same messages as a collector and ignores them.
func (c *collectConfig) floor(ctx context.Context) error {
	var list gpb.SubscriptionList
	if err := proto.Unmarshal(c.List, &list); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel(nil)
	for i, addr := range c.Addrs {
		reading.Go(func() {
			select {
			case <-time.After(c.Interval * time.Duration(i) / time.Duration(len(c.Addrs))): // the samples are spread in the same way as a collector spreads them
			case <-ctx.Done():
				return
			}
			conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err == nil {
				defer conn.Close()
				err = subscribeBytes(ctx, conn, &list, func(stream grpc.ClientStream) error {
					for size := 0; ; {
						if err := stream.RecvMsg(&size); err != nil {
							return err
						}
					}
				})
			}
			if ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", addr, err))
			}
		})
	}
	err := serveChild(ctx, profiled(), loadReady{})
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	return err
}
