package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// How the embedded etcd is run.
const (
	// A cluster of one elects itself: it need not wait long for others, and is ready in 0.2 s.
	tickMs, electionMs = 50, 250
	// compaction drops the past of keys after 10 minutes. History of intent does not depend on it: each revision has its own key.
	compaction = "10m"
	// defragmentMiB is how much must be free in the file to be given back at the next start.
	defragmentMiB = 64
	// maxSocketPath is shorter than the shortest sun_path among Unix systems, 104 bytes.
	maxSocketPath = 100
)

// An embedded is an etcd in this process. No other user can reach it: it listens on one unix socket in a directory that only this user
// may enter, and has no port for peers.
type embedded struct {
	etcd     *embed.Etcd
	endpoint string
	release  []func() // undone in reverse order
}

func startEmbedded(ctx context.Context, cfg Config) (_ *embedded, err error) {
	e := &embedded{}
	defer func() {
		if err != nil {
			e.stop()
		}
	}()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := e.lock(filepath.Join(cfg.Dir, "lock")); err != nil {
		return nil, err
	}
	socket, err := e.socket(cfg.Dir)
	if err != nil {
		return nil, err
	}
	client := url.URL{Scheme: "unix", Path: socket}
	peer := url.URL{Scheme: "unix", Host: "nobody"} // has to be named, and is never dialed
	c := embed.NewConfig()
	c.Dir = filepath.Join(cfg.Dir, "etcd")
	c.ListenPeerUrls, c.AdvertisePeerUrls = nil, []url.URL{peer}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.InitialCluster = c.Name + "=" + peer.String()
	c.TickMs, c.ElectionMs = tickMs, electionMs
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, compaction
	c.BootstrapDefragThresholdMegabytes = defragmentMiB
	c.QuotaBackendBytes = cfg.Quota
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(fatalOnly(cfg.Logger))
	if e.etcd, err = embed.StartEtcd(c); err != nil {
		return nil, fmt.Errorf("embedded etcd in %s: %w", cfg.Dir, err)
	}
	select {
	case <-e.etcd.Server.ReadyNotify():
	case err := <-e.etcd.Err():
		return nil, fmt.Errorf("embedded etcd in %s: %w", cfg.Dir, err)
	case <-ctx.Done():
		return nil, fmt.Errorf("embedded etcd in %s is not ready: %w", cfg.Dir, context.Cause(ctx))
	}
	e.endpoint = client.String()
	return e, nil
}

// lock keeps every other store off the directory. etcd's own lock would wait for the other to end.
func (e *embedded) lock(path string) error {
	l, err := fileutil.TryLockFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	switch {
	case errors.Is(err, fileutil.ErrLocked):
		return fmt.Errorf("%w: %s: another process has it open; stop that one, or give each its own directory", ErrInUse, filepath.Dir(path))
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	}
	e.release = append(e.release, func() { _ = l.Close() })
	return nil
}

// socket chooses the path of the socket: in the data directory, or, where that would be too long for the system, in one of its own.
func (e *embedded) socket(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	path := filepath.Join(dir, "socket")
	if len(path) <= maxSocketPath && info.Mode().Perm()&0o077 == 0 {
		return path, nil
	}
	own, err := os.MkdirTemp("", "op25b-") // 0700
	if err != nil {
		return "", fmt.Errorf("directory of the embedded etcd's socket: %w", err)
	}
	e.release = append(e.release, func() { _ = os.RemoveAll(own) })
	if path = filepath.Join(own, "socket"); len(path) > maxSocketPath {
		return "", fmt.Errorf("%w: the path of the embedded etcd's socket, %s, is longer than %d bytes: give a shorter data directory or TMPDIR",
			ErrConfig, path, maxSocketPath)
	}
	return path, nil
}

// stop ends what start has begun; it may be nil or half started.
func (e *embedded) stop() {
	if e == nil {
		return
	}
	if e.etcd != nil {
		e.etcd.Close()
	}
	for i := len(e.release) - 1; i >= 0; i-- {
		e.release[i]()
	}
}

// fatalOnly is a logger for etcd: what it returns as an error is told by the store, but before it ends the process it must be heard.
func fatalOnly(log *zap.Logger) *zap.Logger {
	return zap.New(fatalCore{log.Core()}).Named("etcd")
}

type fatalCore struct{ zapcore.Core }

func (c fatalCore) Enabled(l zapcore.Level) bool {
	return l >= zapcore.DPanicLevel && c.Core.Enabled(l)
}
func (c fatalCore) With(f []zapcore.Field) zapcore.Core { return fatalCore{c.Core.With(f)} }
func (c fatalCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return ce
	}
	return c.Core.Check(e, ce)
}

// makeRoom ends the alarm of an embedded etcd that was full and has room again, after a larger quota or fewer revisions. Until the
// alarm is ended etcd refuses every change.
func (s *Store) makeRoom(ctx context.Context) error {
	alarms, err := ask(ctx, s, "list alarms", s.client.AlarmList)
	if err != nil {
		return err
	}
	full := false
	for _, a := range alarms.Alarms {
		full = full || a.Alarm == etcdserverpb.AlarmType_NOSPACE
	}
	if !full {
		return nil
	}
	status := func(ctx context.Context) (*clientv3.StatusResponse, error) {
		return s.client.Status(ctx, s.endpoints[0])
	}
	before, err := ask(ctx, s, "read size", status)
	if err != nil {
		return err
	}
	if _, err := s.client.Compact(ctx, before.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		s.log.Debug("not compacted", zap.Error(err)) // it was, up to this revision
	}
	if _, err := s.client.Defragment(ctx, s.endpoints[0]); err != nil {
		return s.failure(ctx, "defragment", err)
	}
	after, err := ask(ctx, s, "read size", status)
	if err != nil {
		return err
	}
	if after.DbSize >= s.cfg.Quota-s.cfg.Quota/8 {
		s.log.Warn("the store is still full", zap.Int64("bytes", after.DbSize), zap.Int64("quota", s.cfg.Quota))
		return nil
	}
	_, err = ask(ctx, s, "end alarm", func(ctx context.Context) (*clientv3.AlarmResponse, error) {
		return s.client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
	})
	return err
}
