package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"op25b/internal/clock"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/store"
)

// childVariable is the environment variable with the childConfig of a test binary that runs as a daemon.
const childVariable = "OP25B_E2E_CHILD"

const (
	controllerChild = "controller"
	rolloutChild    = "rollout"
	guardChild      = "guard"
	loadChild       = "gnmi-load"
	collectorChild  = "gnmi-collector"
	floorChild      = "gnmi-floor"
)

// A childConfig selects and configures the daemon that a process runs.
type childConfig struct {
	Kind      string
	Name      string
	Endpoints []string `json:",omitempty"` // the etcd endpoints, for a controller
	Clock     string   `json:",omitempty"` // the file with the offset of a controller's clock

	Collect *collectConfig `json:",omitempty"` // for a load, a collector and a floor
}

func childCommand(t testing.TB, c childConfig) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"="+string(value))
	return cmd
}

// isChild runs the daemon if this process was started as one. It reports whether it was.
func isChild() bool {
	value := os.Getenv(childVariable)
	if value == "" {
		return false
	}
	var c childConfig
	err := json.Unmarshal([]byte(value), &c)
	if err == nil {
		err = c.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, c.Kind, c.Name, "failed:", err)
		os.Exit(1)
	}
	return true
}

func (c childConfig) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch c.Kind {
	case guardChild:
		_, _ = io.Copy(io.Discard, os.Stdin)
		return syscall.Kill(0, syscall.SIGKILL)
	case loadChild, collectorChild, floorChild:
		return c.Collect.run(ctx, c.Kind)
	case rolloutChild:
		return c.runRollouts(ctx)
	default:
		return c.runController(ctx)
	}
}

func (c childConfig) runController(ctx context.Context) error {
	log, err := zap.NewProduction()
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Config{Endpoints: c.Endpoints, Logger: log})
	if err != nil {
		return err
	}
	defer s.Close()
	times, err := clock.New(clock.Config{Source: offClock(ctx, c.Clock), Logger: log})
	if err != nil {
		return err
	}
	return fleet.Run(ctx, fleet.Config{
		Name: c.Name, Store: s, Clock: times, Book: intent.NewBookOf(s, times), Logger: log,
		// With short intervals, a round takes only seconds. Small batches offer many points at which a kill can
		// interrupt a change.
		AuditEvery: time.Second, Settle: 300 * time.Millisecond,
		Session: p4rt.KeepConfig{
			Config:        p4rt.Config{BatchSize: 8, CallTimeout: 30 * time.Second, ProbeTimeout: 2 * time.Second, DialTimeout: 3 * time.Second, Logger: log},
			Backoff:       p4rt.Backoff{Min: 50 * time.Millisecond, Max: time.Second},
			ProbeInterval: time.Second,
		},
	})
}
