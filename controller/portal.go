package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"op25b/examples"
	"op25b/internal/client"
	"op25b/internal/grpcserve"
	"op25b/internal/portal"
	"op25b/internal/portal/content"
	"op25b/internal/portal/published"
	"op25b/internal/portal/visitor"
	"op25b/internal/secretfile"
	"op25b/internal/tlsfiles"
)

type portalOptions struct {
	client   client.Config
	content  string
	listen   string
	metrics  string
	dir      string
	state    string
	hosts    []string
	proxies  []string
	header   string
	tls      tlsfiles.Files
	insecure bool
	export   string
	each     float64
	all      float64
}

func newPortal() *cobra.Command {
	var o portalOptions
	limits := portal.DefaultLimits
	cmd := &cobra.Command{
		Use:   "portal",
		Short: "serve the customers' portal: whether a customer is affected, and what to set",
		Long: `Serve a public web site that tells customers whether the block on port 25 affects them, from which day and by which rule, and what to
set in their mail program. The answers come from the policy in force that a controller publishes. The portal needs a token with the
role portal, which can do nothing else.

The portal keeps the last publication in memory and in --state. While no controller can be reached, it serves this publication and
says so.

The portal records no address of a visitor. Behind a proxy, give the proxy's addresses with --trusted-proxy.`,
		Example: `  op25b portal
  op25b portal --listen :443 --content portal --server https://noc.isp.example:2525 --token-file portal.token \
    --tls-cert portal.crt --tls-key portal.key --data-dir /var/lib/op25b-portal
  op25b portal --content portal --listen 127.0.0.1:2590 --trusted-proxy 127.0.0.1`,
		Args: exactly(0),
	}
	f := cmd.Flags()
	f.StringVar(&o.content, "content", "", "folder with what you publish as text, see examples/portal; by default the example itself, with made-up names")
	f.StringVar(&o.listen, "listen", "127.0.0.1:2590", "address to serve the portal on")
	f.StringVar(&o.client.Server, "server", orVariable(serverVariable, client.DefaultServer), "controller, as host:port or URL; by default "+serverVariable)
	f.StringVar(&o.client.TokenFile, "token-file", os.Getenv(tokenVariable), "file with a bearer token of the role portal; by default "+tokenVariable)
	f.StringVar(&o.client.TLS.CA, "ca", "", "PEM file with the CA certificates that the controller's certificate is verified against; by default the system's")
	f.StringVar(&o.client.TLS.Cert, "cert", "", "PEM file with the client certificate for the controller")
	f.StringVar(&o.client.TLS.Key, "key", "", "PEM file with the private key of --cert")
	f.StringVar(&o.metrics, "metrics", "", "address to serve /metrics and /healthz on; by default they are not served")
	f.StringVar(&o.dir, "data-dir", "", "directory for the state file; it is created if it does not exist")
	f.StringVar(&o.state, "state", "", "file for the last publication; by default portal.state in --data-dir, and none without it")
	f.StringSliceVar(&o.hosts, "host", nil, "host name under which browsers request the portal, beside that of the site file, localhost and addresses; may be repeated")
	f.StringSliceVar(&o.proxies, "trusted-proxy", nil, "address or prefix of a proxy in front of the portal, whose header names the visitor, beside those of the site file; may be repeated")
	f.StringVar(&o.header, "proxy-header", string(visitor.ForwardedFor), "header that the proxies set: X-Forwarded-For or Forwarded")
	f.StringVar(&o.tls.Cert, "tls-cert", "", "PEM file with the server certificate; without it the portal is plain text")
	f.StringVar(&o.tls.Key, "tls-key", "", "PEM file with the private key of --tls-cert")
	f.BoolVar(&o.insecure, "insecure", false, "serve other hosts in plain text: what visitors type can be read on the network")
	f.StringVar(&o.export, "export", "", "write the site as static files to this folder and end; an earlier export there is replaced as a whole")
	f.Float64Var(&o.each, "rate", limits.Each.PerSecond, "limit on the pages a second of an IPv4 address or an IPv6 /64; six times as many may come at once")
	f.Float64Var(&o.all, "rate-all", limits.All.PerSecond, "limit on the pages a second of all visitors together")
	logger := addLog(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err == nil {
			err = o.exports(cmd.Flags())
		}
		if err != nil {
			return err
		}
		return runPortal(cmd.Context(), o, log)
	}
	return cmd
}

// serving are the flags of the server, which an export does not start.
var serving = []string{"listen", "metrics", "host", "trusted-proxy", "proxy-header", "tls-cert", "tls-key", "insecure", "rate", "rate-all"}

// exports checks the flags of an export.
func (o *portalOptions) exports(flags *pflag.FlagSet) error {
	if !flags.Changed("export") {
		return nil
	}
	if o.export == "" {
		return errors.New("--export: is empty: name a folder")
	}
	for _, other := range serving {
		if flags.Changed(other) {
			return fmt.Errorf("--export with --%s: an export serves nothing; leave one of the two out", other)
		}
	}
	return nil
}

// prefixes parses the values of --trusted-proxy.
func (o *portalOptions) prefixes() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range o.proxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			addr, addrErr := netip.ParseAddr(text)
			if addrErr != nil {
				return nil, fmt.Errorf("--trusted-proxy %q: must be an address or a prefix, such as 192.0.2.10 or 2001:db8::/64", text)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// config checks the flags and returns the configuration of the site, without the publication.
func (o *portalOptions) config(log *zap.Logger) (c portal.Config, err error) {
	own := examples.Portal()
	if o.content != "" {
		own = os.DirFS(o.content)
	} else {
		log.Warn("the portal shows the names and contacts of the example; give your own with --content")
	}
	c = portal.Config{Resolver: net.DefaultResolver, Hosts: o.hosts, Limits: portal.DefaultLimits, Logger: log}
	if c.Content, err = content.Load(own); err != nil {
		return c, fmt.Errorf("--content %s: %w", o.content, withoutPath(err))
	}
	if c.Proxies.Trusted, err = o.prefixes(); err != nil {
		return c, err
	}
	if o.content != "" {
		c.Proxies.Trusted = append(c.Proxies.Trusted, c.Content.Site.TrustedProxies...)
	}
	if c.Proxies.Header, err = visitor.ParseHeader(o.header); err != nil {
		return c, fmt.Errorf("--proxy-header %w", err)
	}
	for flag, value := range map[string]float64{"--rate": o.each, "--rate-all": o.all} {
		if value < 0.1 || value > 1e6 {
			return c, fmt.Errorf("%s %v: must be from 0.1 to 1000000", flag, value)
		}
	}
	c.Limits.Each = visitor.Rate{PerSecond: o.each, Burst: max(1, int(6*o.each))}
	c.Limits.All = visitor.Rate{PerSecond: o.all, Burst: max(1, int(o.all))}
	if o.tls.Cert == "" && o.tls.Key == "" && !o.insecure {
		if err := tlsfiles.Plain("portal", o.listen, plainRemedy); err != nil {
			return c, err
		}
	}
	if o.state == "" && o.dir != "" {
		if err := os.MkdirAll(o.dir, 0o700); err != nil {
			return c, fmt.Errorf("--data-dir %s: %w", o.dir, withoutPath(err))
		}
		o.state = filepath.Join(o.dir, "portal.state")
	}
	return c, nil
}

func runPortal(ctx context.Context, o portalOptions, log *zap.Logger) error {
	c, err := o.config(log)
	if err != nil {
		return err
	}
	for _, text := range []string{secretfile.Readable("token file", o.client.TokenFile), secretfile.Readable("private key", o.client.TLS.Key)} {
		if text != "" {
			log.Warn(text)
		}
	}
	api, err := client.New(o.client)
	if err != nil {
		return err
	}
	defer api.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	follower, err := published.Open(ctx, published.Config{Watch: api.Portal.WatchPublication, File: o.state, Metrics: published.NewMetrics(registry), Logger: log})
	if err != nil {
		return err
	}
	if o.export != "" {
		return exportPortal(ctx, o, c, follower, log)
	}
	c.Published, c.AskOwnLine, c.Metrics = follower, api.Portal.AskOwnLine, portal.NewMetrics(registry)
	site, err := portal.New(c)
	if err != nil {
		return err
	}
	secure, err := serverTLS(o.tls, log)
	if err != nil {
		return err
	}
	listener, err := grpcserve.Listen("portal", o.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	up := []zap.Field{zap.Stringer("listen", listener.Addr()), zap.String("controller", o.client.Server)}
	work, ctx := errgroup.WithContext(ctx)
	if o.metrics != "" {
		if err := tlsfiles.Plain("metrics", o.metrics, "listen on 127.0.0.1 or on an address of a management network with --insecure"); err != nil && !o.insecure {
			return err
		}
		m, err := grpcserve.Listen("metrics", o.metrics)
		if err != nil {
			return err
		}
		defer m.Close()
		up = append(up, zap.Stringer("metrics", m.Addr()))
		work.Go(func() error { return portal.Serve(ctx, m, metricsHandler(registry), nil) })
	}
	log.Info("portal up", up...)
	var l net.Listener = listener
	if secure != nil {
		l = tls.NewListener(listener, secure)
	}
	work.Go(func() error { follower.Run(ctx); return nil })
	work.Go(func() error { return portal.Serve(ctx, l, site, log) })
	if err := work.Wait(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// exportWithin is how long op25b portal --export waits for a controller.
const exportWithin = 20 * time.Second

// exportPortal writes the site as static files. It uses the publication of the state file if no controller answers.
func exportPortal(ctx context.Context, o portalOptions, c portal.Config, follower *published.Follower, log *zap.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, exportWithin)
	defer cancel()
	var following sync.WaitGroup
	following.Go(func() { follower.Run(ctx) })
	defer following.Wait()
	defer cancel()
	for changed := follower.Changed(); !follower.View().Connected && ctx.Err() == nil; changed = follower.Changed() {
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	if follower.View().Publication == nil {
		return fmt.Errorf("--export: controller %s sent no publication within %v, and --state has none", o.client.Server, exportWithin)
	}
	c.Published, c.Resolver = follower, nil
	site, err := portal.New(c)
	if err != nil {
		return err
	}
	x, err := site.Export(context.WithoutCancel(ctx))
	if err == nil {
		err = x.Write(o.export)
	}
	if err != nil {
		return fmt.Errorf("--export %s: %w", o.export, withoutPath(err))
	}
	if !follower.View().Connected {
		log.Warn("no controller answered: the files have the publication of the state file", zap.Time("confirmed", follower.View().Confirmed))
	}
	log.Info("site exported", zap.String("folder", o.export), zap.Int("files", len(x.Files)), zap.Uint64("revision", x.Revision), zap.Time("next_change", x.Next))
	return nil
}

// metricsHandler serves /metrics and /healthz.
func metricsHandler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	return mux
}
