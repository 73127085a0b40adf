package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Parameters of the embedded etcd.
const (
	// tickMs is etcd's heartbeat interval and electionMs is its election timeout. Both are short, because a single member elects itself
	// without waiting for others. etcd is ready 0.2 s after its start.
	tickMs, electionMs = 50, 250
	// compaction is how long etcd keeps old versions of keys. It does not limit the history of the intent, because each revision has its
	// own key.
	compaction = "10m"
	// defragmentMiB is the free space in the database file above which etcd shrinks the file at its next start.
	defragmentMiB = 64
	// readyWithin is how long etcd may take to start with a small database. stillEvery is how often a start that takes long is logged.
	readyWithin, stillEvery = time.Minute, 10 * time.Second
	// closeWithin is how long etcd may take to stop. failedWithin is how long a failed etcd may take to stop.
	closeWithin, failedWithin = 10 * time.Second, time.Second
	// maxSocketPath is the longest path of a unix socket. It is below the shortest sun_path of Unix systems, 104 bytes.
	maxSocketPath = 100
)

// An embedded is an etcd in this process. No other user can reach it, because it listens only on a unix socket in a directory that other
// users may not enter. It has no port for peers.
type embedded struct {
	etcd     *embed.Etcd
	endpoint string
	hard     int64 // etcd's own quota: see Space
	mishap   *mishap
	release  []func() // functions that release resources, called in reverse order
}

func startEmbedded(ctx context.Context, cfg Config) (_ *embedded, err error) {
	e := &embedded{mishap: newMishap()}
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
	peer := url.URL{Scheme: "unix", Host: "nobody"} // etcd requires a peer URL but never dials it
	c := embed.NewConfig()
	c.Dir = filepath.Join(cfg.Dir, "etcd")
	c.ListenPeerUrls, c.AdvertisePeerUrls = nil, []url.URL{peer}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.InitialCluster = c.Name + "=" + peer.String()
	c.TickMs, c.ElectionMs = tickMs, electionMs
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, compaction
	c.BootstrapDefragThresholdMegabytes = defragmentMiB
	found, err := inspect(ctx, cfg.Dir, c.Dir)
	if err != nil {
		return nil, err
	}
	e.hard = hardQuota(cfg.Quota, found.size)
	c.QuotaBackendBytes = e.hard
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(e.mishap.logger())
	if err := e.launch(ctx, c, cfg, found.size); err != nil {
		return nil, err
	}
	e.endpoint = client.String()
	return e, nil
}

// launch starts etcd and waits until etcd is ready. If the start takes long, launch logs that every stillEvery. The time limit grows with
// the size of the database, because etcd reads all of it.
func (e *embedded) launch(ctx context.Context, c *embed.Config, cfg Config, size int64) error {
	most := readyWithin + time.Duration(size/(16<<20))*time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("etcd is not ready after %v", most))
	defer cancel()
	started := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		defer func() {
			if x := recover(); x != nil {
				e.mishap.fail(fmt.Errorf("etcd panicked: %v", x))
			}
		}()
		etcd, err := embed.StartEtcd(c)
		if err != nil {
			started <- err
			return
		}
		select {
		case <-etcd.Server.ReadyNotify():
		case err := <-etcd.Err():
			etcd.Close()
			started <- err
			return
		case <-ctx.Done():
			etcd.Close()
			return
		}
		e.etcd = etcd
		close(ready)
	}()
	still := time.NewTicker(stillEvery)
	defer still.Stop()
	for began := time.Now(); ; {
		select {
		case <-ready:
			return nil
		case err := <-started:
			return &BreakdownError{Dir: cfg.Dir, Err: err}
		case <-e.mishap.happens:
			return &BreakdownError{Dir: cfg.Dir, Err: e.mishap.err()}
		case <-ctx.Done():
			return &BreakdownError{Dir: cfg.Dir, Err: context.Cause(ctx)}
		case <-still.C:
			cfg.Logger.Warn("the store is still being opened", zap.String("directory", cfg.Dir), zap.Int64("bytes", size),
				zap.Duration("for", time.Since(began).Round(time.Second)))
		}
	}
}

// lock locks the data directory. It returns ErrInUse if another store has locked the directory. etcd's own lock is not sufficient, because
// it would wait until the other process ends.
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

// socket returns the path of the socket. The socket is normally in the data directory. It is in a new temporary directory if the path
// would be too long or if other users may enter the data directory.
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

// close stops etcd and reports whether etcd stopped within closeWithin. A failed etcd may never stop, because its parts wait for each
// other.
func (e *embedded) close() bool {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		e.etcd.Close()
	}()
	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	failed := e.mishap.happens
	for {
		select {
		case <-closed:
			return true
		case <-failed:
			timer.Reset(failedWithin)
			failed = nil
		case <-timer.C:
			return false
		}
	}
}

// stop stops etcd and releases the data directory. The receiver may be nil or partly started.
func (e *embedded) stop() {
	if e == nil {
		return
	}
	if e.etcd != nil && !e.close() {
		return // keep the lock, because etcd still uses the directory; the process is about to end
	}
	for i := len(e.release) - 1; i >= 0; i-- {
		e.release[i]()
	}
}

// hardQuota returns the quota that is passed to etcd: the configured quota or the present size of the database, whichever is larger, plus
// the reserve.
//
// The store limits the content to the configured quota. etcd limits the file, which includes free pages and shrinks only when the database
// is copied: see makeRoom. Because etcd's quota is larger, a full store can still be opened, its records can be archived, and phases can
// be changed.
func hardQuota(quota, size int64) int64 { return max(quota, size) + Space{Quota: quota}.reserve() }
