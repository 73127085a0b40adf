package store

import (
	"crypto/tls"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Defaults of a Config.
const (
	// DefaultPrefix is the default prefix of every key. A prefix allows other programs to use the same cluster.
	DefaultPrefix = "/op25b/"
	// DefaultTTL is how long an ownership outlives its holder. If a controller dies, another controller takes over 3 s to 3.5 s later,
	// because etcd looks for expired leases twice a second.
	DefaultTTL = 3 * time.Second
	// DefaultTimeout is the time limit for each request. An election in an etcd cluster takes 1 to 2 s and may have to be repeated once.
	DefaultTimeout = 5 * time.Second
	// DefaultHistory is the number of revisions of the intent that are kept. A revision that changes one line takes about 200 kB, so 1000
	// revisions take about 200 MB.
	DefaultHistory = 1000
	// DefaultQuota is etcd's own default quota, 2 GiB. MaxQuota is the largest quota that etcd recommends.
	DefaultQuota = 2 << 30
	MaxQuota     = 8 << 30
)

// minTTL is the shortest lease that etcd grants.
const minTTL = time.Second

// A Config configures a store. Either Dir or Endpoints must be set, but not both.
type Config struct {
	// Dir is the data directory of an embedded etcd. If it does not exist, it is created so that only this user can access it.
	Dir string
	// Endpoints are the client addresses of a cluster's members: host:port, or https://host:port.
	Endpoints []string
	// TLS is the TLS configuration for Endpoints; nil means plaintext.
	TLS *tls.Config
	// Prefix is the prefix of every key; empty means DefaultPrefix.
	Prefix string
	// Logger is the logger of the store; nil means no logging.
	Logger *zap.Logger
	// Now returns the current time for stored times and for ownership. Ownership depends on the monotonic clock reading of these times.
	// The default is time.Now.
	Now func() time.Time

	// TTL is how long ownerships and presences outlive their holder. It must be at least 1 s and is rounded up to whole seconds; 0 means
	// DefaultTTL. An etcd cluster may require a longer TTL, such as 2 s with etcd's default election timeout.
	TTL time.Duration
	// Timeout limits the time of each request to the cluster, in addition to the caller's context; 0 means DefaultTimeout.
	Timeout time.Duration
	// History is the number of revisions of the intent that are kept; 0 means DefaultHistory.
	History int
	// Quota is the maximum size of the embedded etcd's database in bytes, from MinQuota to MaxQuota; 0 means DefaultQuota. See Space.
	Quota int64
}

// withDefaults returns the configuration with all defaults set. It returns ErrConfig if the configuration is invalid.
func (c Config) withDefaults() (Config, error) {
	fail := func(format string, args ...any) (Config, error) {
		return Config{}, fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	switch {
	case c.Dir == "" && len(c.Endpoints) == 0:
		return fail("neither a data directory nor endpoints: give one of them")
	case c.Dir != "" && len(c.Endpoints) > 0:
		return fail("data directory %s and endpoints %s: give only one of them", c.Dir, strings.Join(c.Endpoints, ", "))
	case c.Dir != "" && c.TLS != nil:
		return fail("data directory %s with TLS: TLS is for endpoints", c.Dir)
	case c.TTL != 0 && c.TTL < minTTL:
		return fail("TTL %v: must be at least %v", c.TTL, minTTL)
	case c.Timeout < 0:
		return fail("timeout %v: must be > 0, or 0 for %v", c.Timeout, DefaultTimeout)
	case c.History < 0:
		return fail("history %d: must be > 0, or 0 for %d", c.History, DefaultHistory)
	case c.Quota != 0 && (c.Quota < MinQuota || c.Quota > MaxQuota):
		return fail("quota of %d bytes: must be %d MiB to %d GiB, or 0 for %d GiB", c.Quota, MinQuota>>20, int64(MaxQuota>>30), int64(DefaultQuota>>30))
	}
	for i, e := range c.Endpoints {
		if strings.TrimSpace(e) == "" {
			return fail("endpoint %d of %d is empty: it must be host:port or https://host:port", i+1, len(c.Endpoints))
		}
	}
	if c.Dir != "" {
		abs, err := filepath.Abs(c.Dir)
		if err != nil {
			return fail("data directory %s: %v", c.Dir, err)
		}
		c.Dir = abs
	}
	c.Prefix = strings.TrimSuffix(orElse(c.Prefix, DefaultPrefix), "/") + "/"
	c.TTL = orElse(c.TTL, DefaultTTL)
	c.TTL = time.Duration(math.Ceil(c.TTL.Seconds())) * time.Second
	c.Timeout = orElse(c.Timeout, DefaultTimeout)
	c.History = orElse(c.History, DefaultHistory)
	c.Quota = orElse(c.Quota, DefaultQuota)
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
