package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"op25b/internal/abuse"
	"op25b/internal/api"
	"op25b/internal/auth"
	"op25b/internal/client"
	"op25b/internal/clock"
	"op25b/internal/controller"
	"op25b/internal/fleet"
	"op25b/internal/p4rt"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/secretfile"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/internal/telemetry"
	"op25b/internal/telemetry/history"
	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/expiry"
)

type serveOptions struct {
	name      string
	dir       string
	etcd      []string
	etcdTLS   tlsfiles.Files
	listening api.Listening
	advertise string
	gnmi      controller.GNMI
	access    string
	anonymous string
	audit     time.Duration
	probe     time.Duration
	skew      time.Duration
	sample    time.Duration
	web       string
	webHosts  []string
	port25    abuse.Config
	webhook   abuse.WebhookConfig
	record    string
	radius    radiusOptions
	leases    leaseOptions
	tickets   ticketOptions
	history   controller.History
	providers string
	files     []string
	ifEmpty   bool
	quota     byteSize
	documents byteSize
	mass      float64
}

// An adjustment changes the settings of a controller before it is opened. Tests make its clock faster with it.
type adjustment func(*controller.Config)

func newServe(adjust adjustment) *cobra.Command {
	o := serveOptions{quota: store.DefaultQuota, documents: api.MaxFiles}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "run a controller: keep every switch in the state of the policy, and serve the API",
		Long: `Keep the switches of the inventory in the state that policy and inventory compile to, and serve the API that the other commands use:
gRPC, gRPC-Web and Connect, with /healthz, /readyz and /metrics on the same port.

A single controller has its own store in --data-dir. Several controllers share the store of an etcd cluster (--etcd) and divide the
switches among themselves. When one ends, the others take over its switches within seconds. op25b apply stores the policy and the
inventory.

On SIGTERM or an interrupt, serve gives up its switches, which keep their state, and ends. A second signal ends it immediately.`,
		Example: `  op25b serve
  op25b serve --name noc-1 --etcd 192.0.2.1:2379,192.0.2.2:2379,192.0.2.3:2379 --listen 192.0.2.10:2525 --access access.yaml \
    --tls-cert server.crt --tls-key server.key --tls-client-ca ca.crt
  op25b serve --data-dir demo -f examples/spinnet-2006 --apply-if-empty`,
		Args: exactly(0),
	}
	f := cmd.Flags()
	name, _ := os.Hostname()
	f.StringVar(&o.name, "name", name, "name of this controller, different from all others")
	f.StringVar(&o.dir, "data-dir", "", "directory with the store of a single controller; by default "+defaultDir())
	f.Var(&o.quota, "quota", "limit on the size of the store in --data-dir; an eighth of it, at most 256MiB, is reserved for changes of phase, rollbacks and restores")
	f.Var(&o.documents, "max-documents", "limit on the size of the documents of a request, 1MiB to 64MiB; reading them takes up to 45 times as much memory")
	f.Float64Var(&o.mass, "mass-change", plan.DefaultMass, "percentage of a table's entries or of all lines, at most 100, beyond which op25b apply needs --mass-change to remove them; 100 means never")
	f.StringSliceVar(&o.etcd, "etcd", nil, "members of the etcd cluster that several controllers share: HOST:PORT,...")
	f.StringVar(&o.etcdTLS.CA, "etcd-ca", "", "PEM file with the CA certificates that the cluster's certificates are verified against; without it the connection is plain text")
	f.StringVar(&o.etcdTLS.Cert, "etcd-cert", "", "PEM file with the client certificate for the cluster")
	f.StringVar(&o.etcdTLS.Key, "etcd-key", "", "PEM file with the private key of --etcd-cert")
	f.StringVar(&o.listening.Addr, "listen", client.DefaultServer, "address to serve the API on")
	f.StringVar(&o.advertise, "advertise", "", "address that other controllers show for this one; by default --listen")
	f.StringVar(&o.gnmi.Addr, "gnmi", "", "address to serve the counters of all switches on over gNMI, with the TLS files and roles of the API; empty means none")
	f.StringVar(&o.gnmi.Advertise, "gnmi-advertise", "", "address at which other controllers forward gNMI calls to this one; by default --gnmi")
	f.StringVar(&o.gnmi.CA, "gnmi-ca", "", "PEM file with the CA certificates that the gNMI certificates of other controllers are verified against; by default those of the system")
	f.StringVar(&o.listening.Cert, "tls-cert", "", "PEM file with the server certificate; without it the API is plain text")
	f.StringVar(&o.listening.Key, "tls-key", "", "PEM file with the private key of --tls-cert")
	f.StringVar(&o.listening.ClientCA, "tls-client-ca", "", "PEM file with the CA certificates that client certificates are verified against")
	f.BoolVar(&o.listening.RequireClientCert, "require-client-cert", false, "refuse clients without a client certificate")
	f.BoolVar(&o.listening.Insecure, "insecure", false, "serve other hosts in plain text: tokens can be read on the network")
	f.StringVar(&o.web, "web", "", "address to serve the NOC's page on; by default it is not served")
	f.StringSliceVar(&o.webHosts, "web-host", nil, "host name under which browsers request the page, beside localhost and addresses; may be repeated")
	f.StringVar(&o.access, "access", "", "YAML file that maps tokens, client certificates and groups of an OpenID Provider to roles; without it every program on this host is admin")
	f.StringVar(&o.anonymous, "anonymous", "", "without --access, role of callers from other hosts: viewer, operator or admin; by default none")
	f.DurationVar(&o.audit, "audit-every", fleet.DefaultAuditEvery, "interval at which each switch is read and compared")
	f.DurationVar(&o.probe, "probe-every", fleet.DefaultProbeEvery, "interval at which each switch is asked what it would do with some packets; 0 means never")
	f.DurationVar(&o.skew, "max-clock-skew", clock.DefaultBound, "limit on the difference between clocks, from 1s to 1h; beyond it no date is put in force")
	f.DurationVar(&o.sample, "sample-every", telemetry.DefaultInterval, "interval at which the counters of each switch are read over gNMI, 1s to 5m")
	f.IntVar(&o.port25.Days, "offenders-days", abuse.DefaultDays, "days for which the activity of a watched line is kept, 7 to 60")
	f.IntVar(&o.port25.KeyDays, "offenders-key-days", abuse.DefaultKeyDays, "days after which the key of the pseudonyms is replaced, 1 to 366")
	f.StringVar(&o.webhook.URL, "offenders-webhook", "", "https URL that receives a signed message when lines become bot-like; requires --offenders-webhook-key")
	f.StringVar(&o.webhook.KeyFile, "offenders-webhook-key", "", "file with the key of the messages' signatures (HMAC-SHA256)")
	f.StringVar(&o.history.File, "history", "", "file with the history of the counters, for op25b counters --since; by default history.db in --data-dir, and none with --etcd")
	f.StringVar(&o.history.Prometheus, "prometheus", "", "URL of a Prometheus server that scrapes all controllers, and has the history of the counters instead")
	o.radius.add(f)
	o.leases.add(f)
	o.tickets.add(f)
	f.StringVar(&o.record, "record", "", "directory for recordings of the P4Runtime session of each switch, for op25b replay")
	f.StringVar(&o.providers, "providers", "", "YAML file with mail providers, for op25b check --mail; by default the built-in directory")
	addFiles(cmd, &o.files)
	f.BoolVar(&o.ifEmpty, "apply-if-empty", false, "apply the files of -f if the store has no revision yet")
	logger := addLog(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("quota") && len(o.etcd) > 0 {
			return fmt.Errorf("--quota %v: the quota of a cluster is set on its members, with etcd's --quota-backend-bytes; omit --quota", &o.quota)
		}
		if o.quota < store.MinQuota || o.quota > store.MaxQuota {
			return fmt.Errorf("--quota %v: must be from %dMiB to %dGiB", &o.quota, store.MinQuota>>20, store.MaxQuota>>30)
		}
		if !(o.mass > 0 && o.mass <= 100) { // also refuses NaN
			return fmt.Errorf("--mass-change %v: must be above 0 and at most 100", o.mass)
		}
		if o.documents < api.MinFiles || o.documents > api.MaxFiles {
			return fmt.Errorf("--max-documents %v: must be from 1MiB to 64MiB", &o.documents)
		}
		if o.sample < minSample || o.sample > maxSample {
			return fmt.Errorf("--sample-every %v: must be from %v to %v", o.sample, minSample, maxSample)
		}
		if err := o.advertised(); err != nil {
			return err
		}
		if o.history.File != "" && o.history.Prometheus != "" {
			return fmt.Errorf("--history %s and --prometheus: give only one of them", o.history.File)
		}
		return runServe(cmd.Context(), o, adjust, log)
	}
	return cmd
}

// advertised completes and checks the addresses that other controllers learn.
func (o *serveOptions) advertised() error {
	if strings.ContainsAny(o.advertise, " \t\n") {
		return fmt.Errorf("--advertise %q: must be HOST:PORT, such as 192.0.2.10:2525", o.advertise)
	}
	if o.gnmi.Addr == "" {
		if o.gnmi.Advertise+o.gnmi.CA != "" {
			return errors.New("--gnmi-advertise and --gnmi-ca require --gnmi")
		}
		return nil
	}
	if host, port, err := net.SplitHostPort(o.gnmi.Advertise); o.gnmi.Advertise != "" && (err != nil || host == "" || port == "" || strings.ContainsAny(host+port, " \t\n")) {
		return fmt.Errorf("--gnmi-advertise %q: must be HOST:PORT, such as 192.0.2.10:9340", o.gnmi.Advertise)
	}
	host, _, err := net.SplitHostPort(o.gnmi.Addr)
	if addr, _ := netip.ParseAddr(host); err == nil && (host == "" || addr.IsUnspecified()) && o.gnmi.Advertise == "" && len(o.etcd) > 0 {
		return fmt.Errorf("--gnmi %s: other controllers forward calls to this one, and the address names no host: give --gnmi-advertise HOST:PORT", o.gnmi.Addr)
	}
	return nil
}

// The bounds of --sample-every. A switch of op25b samples at most once a second, and history counts by the minute.
const (
	minSample = time.Second
	maxSample = 5 * time.Minute
)

// defaultDir returns the default data directory. It is /var/lib/op25b for root, and follows the XDG Base Directory specification for other
// users.
func defaultDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/op25b"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "op25b")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "op25b-data"
	}
	return filepath.Join(home, ".local", "state", "op25b")
}

func runServe(ctx context.Context, o serveOptions, adjust adjustment, log *zap.Logger) (err error) {
	first, err := o.first()
	if err != nil {
		return err
	}
	access, err := o.auth(log)
	if err != nil {
		return err
	}
	certificates := expiry.New()
	o.etcdTLS.Ends = certificates.Of(expiry.Etcd, "")
	stored, err := o.store(log)
	if err != nil {
		return err
	}
	if stored.Dir != "" && o.history == (controller.History{}) {
		o.history.File = filepath.Join(stored.Dir, "history.db")
	}
	directory, err := loadProviders(o.providers)
	if err != nil {
		return err
	}
	if err := o.offenders(log); err != nil {
		return err
	}
	sessions, err := o.radius.sessions(stored.Dir, log)
	if err != nil {
		return err
	}
	o.listening.OnError = warnTLS(log)
	warnKey(log, o.listening.Key)
	records, err := p4rt.OpenRecordings(o.record, log)
	if err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	defer records.Close()
	leases, err := o.leases.leases(o.listening, log)
	if err != nil {
		return err
	}
	desks, err := o.tickets.tickets(o.listening, log)
	if err != nil {
		return err
	}
	page := o.listening // the page has the certificates of the API
	page.Addr = o.web
	config := controller.Config{
		Name: o.name, Store: stored, Clock: clock.System(), Skew: o.skew, Listening: o.listening, Advertise: o.advertise, Auth: access,
		MaxDocuments: int64(o.documents), MassChange: o.mass, AuditEvery: o.audit, ProbeEvery: o.probe, Providers: directory, History: o.history, Recorder: records.Of, First: first, Logger: log,
		Telemetry: telemetry.Config{Interval: o.sample}, GNMI: o.gnmi, Port25: o.port25, Certificates: certificates, Web: page, WebHosts: o.webHosts, Sessions: sessions, Leases: leases, Tickets: desks,
	}
	if adjust != nil {
		adjust(&config)
	}
	c, err := controller.Open(ctx, config)
	switch {
	case errors.Is(err, clock.ErrBound):
		return fmt.Errorf("--max-clock-skew: %w", err)
	case errors.Is(err, history.ErrConfig) && o.history.Prometheus != "":
		return fmt.Errorf("--prometheus: %w", err)
	case errors.Is(err, history.ErrConfig), errors.Is(err, history.ErrInUse):
		return fmt.Errorf("--history: %w", err)
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return c.Run(ctx)
}

// offenders checks the settings of the watch on port 25, and opens the webhook.
func (o *serveOptions) offenders(log *zap.Logger) error {
	switch {
	case o.port25.Days < abuse.ClassDays || o.port25.Days > abuse.MaxDays:
		return fmt.Errorf("--offenders-days %d: must be from %d to %d", o.port25.Days, abuse.ClassDays, abuse.MaxDays)
	case o.port25.KeyDays < 1 || o.port25.KeyDays > abuse.MaxKeyDays:
		return fmt.Errorf("--offenders-key-days %d: must be from 1 to %d", o.port25.KeyDays, abuse.MaxKeyDays)
	case (o.webhook.URL == "") != (o.webhook.KeyFile == ""):
		return errors.New("--offenders-webhook and --offenders-webhook-key: give both or neither")
	case o.webhook.URL == "":
		return nil
	}
	if text := secretfile.Readable("webhook key", o.webhook.KeyFile); text != "" {
		log.Warn(text)
	}
	o.webhook.Controller = o.name
	var err error
	if o.port25.Webhook, err = abuse.NewWebhook(o.webhook); err != nil {
		return fmt.Errorf("--offenders-webhook: %w", err)
	}
	return nil
}

// first returns the validated documents for --apply-if-empty, or nil if that flag is not set.
func (o *serveOptions) first() ([]strict.File, error) {
	switch {
	case o.ifEmpty && len(o.files) == 0:
		return nil, errors.New("--apply-if-empty requires -f with a policy and an inventory")
	case !o.ifEmpty && len(o.files) > 0:
		return nil, fmt.Errorf("-f %s: requires --apply-if-empty; to change the documents in force, use op25b apply", o.files[0])
	case len(o.files) == 0:
		return nil, nil
	}
	docs, err := readDocuments(o.files)
	if err != nil {
		return nil, err
	}
	files := make([]strict.File, len(docs))
	for i, d := range docs {
		files[i] = d.File
	}
	_, err = policy.Load(local(docs))
	return files, err
}

// auth returns the authentication settings.
func (o *serveOptions) auth(log *zap.Logger) (a api.Auth, err error) {
	switch {
	case o.access != "" && o.anonymous != "":
		return a, fmt.Errorf("--anonymous %s and --access %s: give only one of them", o.anonymous, o.access)
	case o.anonymous != "":
		for _, role := range auth.Roles() {
			// A stranger with the role portal could ask about every line, with reporter end every session, and with lease grant every lease.
			if string(role) == o.anonymous && role != auth.Portal && role != auth.Reporter && role != auth.Lease {
				a.Anonymous = role
				return a, nil
			}
		}
		return a, fmt.Errorf("--anonymous %q: must be viewer, operator or admin", o.anonymous)
	case o.access != "":
		a.Access, err = auth.Open(o.access, func(err error) { log.Warn("the access file changed and cannot be used", zap.Error(err)) })
		if err != nil {
			return a, fmt.Errorf("--access: %w", err)
		}
		for _, text := range []string{
			secretfile.Writable("access file", o.access), secretfile.Readable("clientSecretFile", a.Access.Access().OIDC.ClientSecretFile),
		} {
			if text != "" {
				log.Warn(text)
			}
		}
	}
	return a, nil
}

// store returns the settings of the store.
func (o *serveOptions) store(log *zap.Logger) (store.Config, error) {
	c := store.Config{Dir: o.dir, Endpoints: o.etcd, Quota: int64(o.quota)}
	tls := o.etcdTLS.CA + o.etcdTLS.Cert + o.etcdTLS.Key
	for _, endpoint := range o.etcd {
		if _, _, err := net.SplitHostPort(endpoint); err != nil && !strings.Contains(endpoint, "://") {
			return c, fmt.Errorf("--etcd %q: must be HOST:PORT, such as 192.0.2.1:2379", endpoint)
		}
	}
	switch {
	case len(o.etcd) == 0 && tls != "":
		return c, errors.New("--etcd-ca, --etcd-cert and --etcd-key require --etcd")
	case len(o.etcd) > 0 && o.dir != "":
		return c, fmt.Errorf("--data-dir %s and --etcd %s: give only one of them", o.dir, strings.Join(o.etcd, ","))
	case len(o.etcd) == 0 && o.dir == "":
		c.Dir = defaultDir()
	case tls != "" && o.etcdTLS.CA == "":
		return c, errors.New("--etcd-cert and --etcd-key require --etcd-ca")
	case tls != "":
		o.etcdTLS.OnError = warnTLS(log)
		warnKey(log, o.etcdTLS.Key)
		secure, err := tlsfiles.Client(o.etcdTLS)
		if err != nil {
			return c, fmt.Errorf("--etcd-ca, --etcd-cert, --etcd-key: %w", err)
		}
		c.TLS = secure
	}
	return c, nil
}
