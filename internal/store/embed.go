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
	// tickMs and electionMs are short, because a single member elects itself without waiting for others. etcd is then ready in 0.2 s.
	tickMs, electionMs = 50, 250
	// compaction is how long etcd keeps old versions of keys. The history of the intent does not depend on them, because each revision has
	// its own key.
	compaction = "10m"
	// defragmentMiB is the free space in the database file above which etcd shrinks the file at its next start.
	defragmentMiB = 64
	// readyWithin is how long etcd may take to start with a small database. stillEvery is how often a longer start is logged.
	readyWithin, stillEvery = time.Minute, 10 * time.Second
	// closeWithin is how long etcd may take to stop. failedWithin is the limit for an etcd that has failed.
	closeWithin, failedWithin = 10 * time.Second, time.Second
	// maxSocketPath is below the shortest sun_path of Unix systems, 104 bytes.
	maxSocketPath = 100
)

// An embedded is an etcd in this process. No other user can reach it: it listens on one unix socket in a directory that only this user may
// enter, and has no port for peers.
type embedded struct {
	etcd     *embed.Etcd
	endpoint string
	hard     int64 // etcd's quota: see Space
	mishap   *mishap
	release  []func() // called in reverse order
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

// launch starts etcd and waits until it is ready. It logs a longer wait every stillEvery. The time limit grows with the database, because
// etcd reads all of it.
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

// lock locks the data directory, or returns ErrInUse if another store has locked it. etcd's own lock would wait until the other process
// ends.
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

// socket returns the path of the socket. The socket is in the data directory, or in a new temporary directory if the path is too long or
// other users may enter the data directory.
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

// close stops etcd and reports whether it stopped within closeWithin: parts of a failed etcd wait for each other.
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

// stop stops etcd and releases the data directory. The receiver may be nil or only partly started.
func (e *embedded) stop() {
	if e == nil {
		return
	}
	if e.etcd != nil && !e.close() {
		return // etcd still has the directory; the process is about to end
	}
	for i := len(e.release) - 1; i >= 0; i-- {
		e.release[i]()
	}
}

// hardQuota returns the quota passed to etcd: the larger of the configured quota and the present size of the database, plus the reserve.
//
// The store limits content to the configured quota. etcd limits the file, including its free pages, and the file shrinks only when the
// database is copied: see makeRoom. With the larger quota, a full store can still be opened, records can be archived and phases can be
// changed.
func hardQuota(quota, size int64) int64 { return max(quota, size) + Space{Quota: quota}.reserve() }
