package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// Timeouts of Ready. Ready sends one request and, if no majority answers, checks all members concurrently. Together this takes less than a
// second.
const (
	readyTimeout = 500 * time.Millisecond
	lookTimeout  = 400 * time.Millisecond
)

// Answers reports whether a majority of the members has answered within the last seconds. The store is checked every second. A single
// failed check does not count, because a slow disk can cause it.
func (s *Store) Answers() bool {
	w := &s.sentinel
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.met && (w.since.IsZero() || time.Since(w.since) < 2*lookEvery)
}

// Ready returns nil if a majority of the cluster answers. Otherwise it returns, within a second, ErrNoQuorum with the state of each
// member. It returns ErrRestoring during a restore.
func (s *Store) Ready(ctx context.Context) error {
	const op = "ready"
	within, cancel := s.within(ctx)
	defer cancel()
	within, stop := context.WithTimeout(within, readyTimeout)
	defer stop()
	for {
		_, err := s.client.Get(within, s.cfg.Prefix, clientv3.WithCountOnly())
		if err == nil {
			return s.sentinel.unfit()
		}
		if transient(err) && Pause(within, retryPause) {
			continue
		}
		if transient(err) && s.life.Err() == nil && !errors.Is(ctx.Err(), context.Canceled) {
			return &Error{Endpoints: s.endpoints, Op: op, Kind: ErrNoQuorum, Err: errors.New(s.look())}
		}
		return s.failure(ctx, op, err)
	}
}

// look describes the state of each member.
func (s *Store) look() string {
	ctx, cancel := context.WithTimeout(s.life, lookTimeout)
	defer cancel()
	seen := make([]chan string, len(s.endpoints))
	for i, endpoint := range s.endpoints {
		seen[i] = make(chan string, 1)
		go func() { seen[i] <- endpoint + " " + s.member(ctx, endpoint) }()
	}
	all := make([]string, len(seen))
	for i := range seen {
		all[i] = <-seen[i]
	}
	return strings.Join(all, "; ")
}

// member describes the state of one member. It dials the member itself, because the client does not report why a connection failed.
func (s *Store) member(ctx context.Context, endpoint string) string {
	conn, err := s.client.Dial(endpoint)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	st, err := etcdserverpb.NewMaintenanceClient(conn).Status(ctx, &etcdserverpb.StatusRequest{}, grpc.WaitForReady(false))
	switch {
	case err != nil:
		return "does not answer: " + dialError(status.Convert(err).Message())
	case st.Leader == 0:
		return "has no leader"
	default:
		return "has a leader"
	}
}

// dialError shortens gRPC's message for a failed connection, such as: connection error: desc = "transport: Error while dialing: dial tcp
// 192.0.2.1:2379: connect: connection refused".
func dialError(text string) string {
	inner, is := strings.CutPrefix(text, `connection error: desc = "`)
	if !is {
		return text
	}
	inner = strings.TrimPrefix(strings.TrimSuffix(inner, `"`), "transport: ")
	return strings.TrimPrefix(inner, "Error while dialing: ")
}
