package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"op25b/e2e/longform"
	"op25b/examples"
	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

// I12: readers and watchers neither make the controller lose a lease nor prevent an activation. The controller, a switch and all callers run on
// this host. The long form has 1,000 readers and 200 watchers. The test prints the duration of activations but does not limit it.
func TestI12BoundedReaders(t *testing.T) {
	if testing.Short() {
		t.Skip("loads a process that the race detector slows down")
	}
	readers, watchers, activations := 100, 20, 4
	if longform.On() {
		readers, watchers, activations = 1000, 200, 20
	}
	s, c := serveWithSwitch(t)
	since := s.used(t)
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer cancel()
	var reads, refused, watched atomic.Int64
	begun := make(chan struct{}, readers+watchers)
	for range readers {
		callers.Go(func() {
			own := connectTo(t, s.addr)
			for first := true; ctx.Err() == nil; first = false {
				switch _, err := own.Fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{})); {
				case err == nil:
					reads.Add(1)
				case ctx.Err() == nil:
					refused.Add(1)
				}
				if first {
					begun <- struct{}{}
				}
			}
		})
	}
	for range watchers {
		callers.Go(func() {
			own := connectTo(t, s.addr)
			first := true
			for ctx.Err() == nil {
				_ = client.Watch(ctx, 0, own.Fleet.WatchSwitches, &op25bv1.WatchSwitchesRequest{}, func(*op25bv1.WatchSwitchesResponse) error {
					watched.Add(1)
					if first {
						first = false
						begun <- struct{}{}
					}
					return nil
				})
			}
		})
	}
	for range readers + watchers {
		<-begun
	}
	at := time.Now()
	before := reads.Load()
	var took []time.Duration
	for i := range activations {
		took = append(took, activateOnce(t, c, []string{"mobile-carriers", "before"}[i%2]))
	}
	rate := float64(reads.Load()-before) / time.Since(at).Seconds()
	cancel()
	callers.Wait()
	slices.Sort(took)
	lost := s.keptLeases(t, since)
	fmt.Printf("I12 BoundedReaders: %d readers, %d watchers: %d leases lost; activation to converged: median %v, longest %v; %.0f reads a second, %d refused, %d messages to watchers\n",
		readers, watchers, lost, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), rate, refused.Load(), watched.Load())
}

// serveWithSwitch starts a controller and an embedded switch, and applies the worked example to the switch.
func serveWithSwitch(t *testing.T) (*process, *client.Client) {
	t.Helper()
	command, dir, env := commandIn(t)
	sw, said, err := launch(command, dir, env, []string{"switch", "--p4runtime", "127.0.0.1:0", "--gnmi", ""})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sw.end(syscall.SIGTERM) })
	addr, _ := said["p4runtime"].(string)
	if addr == "" {
		t.Fatalf("the switch does not say where it is: %v", said)
	}
	s := &process{}
	if s.daemon, said, err = launch(command, dir, env, []string{"serve", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data")}); err != nil {
		t.Fatal(err)
	}
	s.addr, _ = said["listen"].(string)
	t.Cleanup(func() { s.finish(t) })
	for _, f := range examples.SpinNet2006() {
		text := strings.ReplaceAll(string(f.Data), "127.0.0.1:9559", addr)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Name)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), command, "apply", "--server", s.addr, "-f", filepath.Join(dir, "policy.yaml"), "-f", filepath.Join(dir, "inventory.yaml"), "-f", filepath.Join(dir, "exemptions.yaml"), "--reason", "test", "--yes")
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	return s, connectTo(t, s.addr)
}

// connectTo returns a client with a separate connection.
func connectTo(t testing.TB, addr string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Server: addr})
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(c.Close)
	return c
}

// activateOnce activates a phase and returns the time until the switch has converged.
func activateOnce(t testing.TB, c *client.Client, phase string) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Minute, errors.New("an activation did not end")) // so that a controller that hangs fails the test
	defer cancel()
	at := time.Now()
	var in *connect.Response[op25bv1.CurrentResponse]
	err := errors.New("not yet")
	for err != nil && ctx.Err() == nil {
		in, err = c.Intent.Current(ctx, connect.NewRequest(&op25bv1.CurrentRequest{}))
	}
	if err != nil {
		t.Fatal(err)
	}
	q := &op25bv1.ActivateRequest{Phase: phase, Base: in.Msg.Revision.Number, Reason: "test"}
	var done *op25bv1.Done
	err = client.Follow(ctx, 0, c.Phase.Activate, q, func(p *op25bv1.Progress) error {
		if d := p.GetDone(); d != nil {
			done = d
		}
		return nil
	})
	if err != nil || done.GetConverged() != 1 {
		t.Errorf("activate %s: %v, %v", phase, done, err)
	}
	return time.Since(at)
}
