// Package etcd runs a member of an etcd cluster. It is for sites that do not run etcd themselves.
//
// The package offers only a few of etcd's options. A single controller does not need a cluster, because package store embeds etcd. Package store
// also defines the stored data.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// ErrConfig is returned if the Config is invalid. Nothing was started.
var ErrConfig = errors.New("invalid etcd member")

// compaction is how long old versions of keys are kept. The embedded etcd of package store has the same setting.
const compaction = "10m"

// A Config configures a member and describes its cluster.
type Config struct {
	// Name is the name of this member. It must be a key of Cluster.
	Name string
	// Dir is the data directory. If it does not exist, it is created so that only this user can access it.
	Dir string
	// Listen is the address on which the member listens for clients: host:port with an IP address or no host. Advertise is the address that
	// clients dial; it defaults to Listen.
	Listen, Advertise string
	// ListenPeer is the address on which the member listens for other members. They dial the address in Cluster.
	ListenPeer string
	// Cluster maps the name of every member to the address (host:port) that the other members dial.
	Cluster map[string]string
	// Cert, Key and CA are the paths of PEM files: the member's certificate, its key, and the CAs that verify the certificates of clients and
	// other members. Either all three are set, or none of them is set and plain text is used.
	Cert, Key, CA string
	// Logger is the logger of the member; nil means no logging.
	Logger *zap.Logger
}

// ParseCluster parses a list of members, such as a=192.0.2.1:2380,b=192.0.2.2:2380. It returns ErrConfig if the list is invalid.
func ParseCluster(text string) (map[string]string, error) {
	cluster := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		name, addr, ok := strings.Cut(part, "=")
		if !ok || name == "" || addr == "" {
			return nil, fmt.Errorf("%w: cluster %q: %q: must be name=host:port", ErrConfig, text, part)
		}
		if _, again := cluster[name]; again {
			return nil, fmt.Errorf("%w: cluster %q: member %q occurs twice", ErrConfig, text, name)
		}
		cluster[name] = addr
	}
	return cluster, nil
}

// Run runs the member until ctx ends. It calls up, which may be nil, when the member has joined the cluster. To join, a majority of the members
// must be running. Run returns ErrConfig if c is invalid; other errors come from etcd.
func Run(ctx context.Context, c Config, up func()) error {
	config, err := c.embed(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	member, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("etcd member %s: %w", c.Name, err)
	}
	defer member.Close()
	ready := member.Server.ReadyNotify()
	for {
		select {
		case <-ready:
			ready = nil
			if up != nil {
				up()
			}
		case err := <-member.Err():
			return fmt.Errorf("etcd member %s: %w", c.Name, err)
		case <-ctx.Done():
			return nil
		}
	}
}

// embed returns etcd's configuration. Its logger drops the errors that a normal stop causes after ctx has ended.
func (c Config) embed(ctx context.Context) (*embed.Config, error) {
	fail := func(format string, args ...any) (*embed.Config, error) {
		return nil, fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	own, ok := c.Cluster[c.Name]
	switch {
	case c.Name == "":
		return fail("no name")
	case c.Dir == "":
		return fail("no data directory")
	case !ok:
		return fail("name %q: not in the cluster, which has %s", c.Name, strings.Join(slices.Sorted(maps.Keys(c.Cluster)), ", "))
	case (c.Cert == "") != (c.Key == "") || (c.Cert == "") != (c.CA == ""):
		return fail("certificate %q, key %q, CA %q: give all three, or none for plain text", c.Cert, c.Key, c.CA)
	}
	scheme := "http"
	if c.Cert != "" {
		scheme = "https"
	}
	advertise := c.Advertise
	if advertise == "" {
		advertise = c.Listen
	}
	config := embed.NewConfig()
	var initial []string
	for _, name := range slices.Sorted(maps.Keys(c.Cluster)) {
		if _, err := hostPort(c.Cluster[name]); err != nil {
			return fail("cluster: member %s: %v", name, err)
		}
		initial = append(initial, fmt.Sprintf("%s=%s://%s", name, scheme, c.Cluster[name]))
	}
	for _, f := range []struct {
		what, addr string
		urls       *[]url.URL
		listens    bool
	}{
		{"listen", c.Listen, &config.ListenClientUrls, true},
		{"advertise", advertise, &config.AdvertiseClientUrls, false},
		{"listen for peers", c.ListenPeer, &config.ListenPeerUrls, true},
		{"cluster", own, &config.AdvertisePeerUrls, false},
	} {
		host, err := hostPort(f.addr)
		if err != nil {
			return fail("%s: %v", f.what, err)
		}
		addr := f.addr
		switch {
		case f.listens && host == "":
			addr = "0.0.0.0" + f.addr
		case f.listens && net.ParseIP(host) == nil && host != "localhost":
			return fail("%s %q: must have an IP address, such as 127.0.0.1, or no host for all addresses: %s", f.what, f.addr, strings.TrimPrefix(f.addr, host))
		case !f.listens && (host == "" || net.ParseIP(host).IsUnspecified()):
			return fail("%s %q: cannot be dialed; give the address at which others reach this member", f.what, f.addr)
		}
		*f.urls = []url.URL{{Scheme: scheme, Host: addr}}
	}
	config.Name, config.Dir, config.InitialCluster = c.Name, filepath.Clean(c.Dir), strings.Join(initial, ",")
	config.AutoCompactionMode, config.AutoCompactionRetention = embed.CompactorModePeriodic, compaction
	config.EnableGRPCGateway = false
	if c.Cert != "" {
		secure := transport.TLSInfo{CertFile: c.Cert, KeyFile: c.Key, TrustedCAFile: c.CA, ClientCertAuth: true}
		config.ClientTLSInfo, config.PeerTLSInfo = secure, secure
	}
	log := c.Logger
	if log == nil {
		log = zap.NewNop()
	}
	log = log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core { return quietStop{core, ctx} }))
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log.Named("etcd"))
	return config, nil
}

// A quietStop is a zap core. After ctx has ended, it drops the errors that etcd logs when its own listeners are closed.
type quietStop struct {
	zapcore.Core
	ctx context.Context
}

// closedListener matches the messages that etcd logs when the listeners for clients and peers are closed.
var closedListener = regexp.MustCompile(`^setting up serving from embedded etcd failed|^stop(ping|ped) (in)?secure grpc server due to error`)

// With returns a wrapped core with additional fields.
func (q quietStop) With(fields []zapcore.Field) zapcore.Core {
	return quietStop{q.Core.With(fields), q.ctx}
}

// Check adds the core to the entry unless the entry must be dropped.
func (q quietStop) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if q.ctx.Err() != nil && closedListener.MatchString(e.Message) {
		return checked
	}
	return q.Core.Check(e, checked)
}

// hostPort returns the host of an address in the form host:port. The host may be empty.
func hostPort(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return "", fmt.Errorf("address %q: must be host:port", addr)
	}
	return host, nil
}
