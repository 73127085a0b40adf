package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
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
	hard     int64    // etcd's quota: see Space
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
	if e.hard, err = hardQuota(cfg.Quota, filepath.Join(c.Dir, databasePath)); err != nil {
		return nil, err
	}
	c.QuotaBackendBytes = e.hard
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

// databasePath is where etcd keeps its database in its directory.
const databasePath = "member/snap/db"

// hardQuota is the quota that etcd is given. It is the configured one unless the database is larger already, or so nearly as large that
// nothing could be changed: then there is the reserve above what there is, so that the store opens, what is too much can be moved out, and
// phases can be changed. Ordinary changes are refused until it is smaller.
func hardQuota(quota int64, path string) (int64, error) {
	size, err := databaseSize(path)
	if err != nil {
		return 0, err
	}
	reserve := Space{Quota: quota}.reserve()
	if size > quota-reserve/2 {
		return size + reserve, nil
	}
	return quota, nil
}

// databaseSize is how large etcd takes a database for, which its file may exceed; 0 if there is none.
func databaseSize(path string) (size int64, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return 0, fmt.Errorf("database %s: %w", path, err)
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil })
	return size, err
}
