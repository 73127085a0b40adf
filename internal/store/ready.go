package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// lookTimeout is how long each member is asked how it is, all at once, when no majority answers.
const lookTimeout = 500 * time.Millisecond

// Ready returns nil once a majority of the cluster has answered, and ErrNoQuorum, with the state of each member, if none does in time.
func (s *Store) Ready(ctx context.Context) error {
	_, err := ask(ctx, s, "ready", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, s.cfg.Prefix, clientv3.WithCountOnly())
	})
	if e := (*Error)(nil); errors.As(err, &e) && errors.Is(err, ErrNoQuorum) {
		e.Err = fmt.Errorf("%s (%w)", s.look(), e.Err)
	}
	return err
}

// look says how each member is.
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

// member says how one member is. The client's own calls hide why there is no connection.
func (s *Store) member(ctx context.Context, endpoint string) string {
	conn, err := s.client.Dial(endpoint)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	st, err := etcdserverpb.NewMaintenanceClient(conn).Status(ctx, &etcdserverpb.StatusRequest{}, grpc.WaitForReady(false))
	switch {
	case err != nil:
		return "does not answer: " + status.Convert(err).Message()
	case st.Leader == 0:
		return "has no leader"
	default:
		return "has a leader"
	}
}
