package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Intervals of keepalive pings. The pings detect a dead connection even if it carries only watches, which have no timeout. gRPC allows at
// most one ping in 10 s.
const (
	pingEvery   = 10 * time.Second
	pingTimeout = 2 * time.Second
)

// closeTimeout is how long Close tries to release ownerships. Ownerships that it cannot release end when their lease expires.
const closeTimeout = time.Second

// A Store is an open store. It is safe for concurrent use.
type Store struct {
	cfg       Config
	log       *zap.Logger
	client    *clientv3.Client
	leases    *clientv3.Client // separate connection for leases, so that a renewal does not wait behind large answers
	endpoints []string
	server    *embedded // nil if the cluster is external

	life context.Context // cancelled when the store is closed
	end  context.CancelFunc

	granting   chan struct{} // limits the grants of leases to one at a time: a goroutine puts a token in while it grants a lease
	sweeping   chan struct{} // limits sweeps to one at a time: a goroutine puts a token in while it sweeps
	recent     recentPieces
	precedence precedence
	keeper     keeper
	etcdState  etcdState
	sentinel   sentinel

	mu     sync.Mutex // guards all following fields
	closed bool
	wg     sync.WaitGroup // counts the goroutines of the store; Add is called only while the store is not closed
	lease  *lease         // lease of all ownerships and presences, or nil
}

// Open opens a store. It starts the embedded etcd, or prepares the connection to a cluster. Open succeeds even if the cluster does not
// answer: see Ready. ctx limits only Open itself; the store stays open until Close. Open returns ErrConfig if cfg is invalid, ErrInUse if
// another store has opened the data directory, ErrDamaged if the data directory is damaged, and ErrFailed if the embedded etcd does not
// start.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, log: cfg.Logger, endpoints: cfg.Endpoints,
		granting: make(chan struct{}, 1), sweeping: make(chan struct{}, 1),
		keeper: keeper{making: make(chan struct{}, 1)},
	}
	if cfg.Dir != "" {
		if s.server, err = startEmbedded(ctx, cfg); err != nil {
			return nil, err
		}
		s.endpoints = []string{s.server.endpoint}
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.sentinel.wake = make(chan struct{}, 1)
	s.beginLocked("")
	for _, c := range []**clientv3.Client{&s.client, &s.leases} {
		*c, err = clientv3.New(clientv3.Config{
			Endpoints: s.endpoints, TLS: cfg.TLS, Logger: zap.NewNop(),
			DialKeepAliveTime: pingEvery, DialKeepAliveTimeout: pingTimeout,
			DialOptions: s.dialOptions(),
		})
		if err != nil {
			break
		}
	}
	if err != nil {
		if s.client != nil {
			_ = s.client.Close()
		}
		s.end()
		s.server.stop()
		return nil, fmt.Errorf("%w: endpoints %s: %w", ErrConfig, strings.Join(s.endpoints, ", "), err)
	}
	if s.server != nil && s.Space(ctx).Warning() != "" {
		s.makeRoom(ctx, 0)
		s.tellSpace(s.Space(ctx))
	}
	if s.server != nil {
		s.start(s.endWithServer)
	}
	s.start(s.tend)
	s.start(s.watchOver)
	return s, nil
}

// Close releases all ownerships, ends every watch, and stops the embedded etcd.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	l := s.lease
	s.mu.Unlock()

	if l != nil {
		l.over(ErrClosed)
	}
	s.end()
	if l != nil && s.Failure() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		_, err := s.leases.Revoke(ctx, l.id)
		cancel()
		if err != nil {
			s.log.Warn("ownerships were not released; they will expire", zap.Duration("within", l.ttl), zap.Error(err))
		}
	}
	s.wg.Wait()
	var err error
	for _, c := range []*clientv3.Client{s.client, s.leases} {
		if e := c.Close(); !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
	}
	s.server.stop()
	return err
}

// Endpoints returns the addresses of etcd. They are the configured endpoints, or the unix socket of the embedded etcd. Only this user can
// open the socket. Another store of this user can use it as an endpoint.
func (s *Store) Endpoints() []string { return append([]string(nil), s.endpoints...) }

// start runs f in a goroutine, for which Close waits. If the store is closed, start returns false and does not run f. f must return when
// s.life ends.
func (s *Store) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

// within returns a context that ends when ctx ends or the store is closed.
func (s *Store) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.life, cancel)
	return ctx, func() { stop(); cancel() }
}
