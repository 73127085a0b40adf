// Package controller implements one controller: the store, the intent, the switches that it owns, and the API.
//
// The package only assembles these parts. Both the command line and the demo run this controller.
package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"op25b/internal/abuse"
	"op25b/internal/api"
	"op25b/internal/check/desk"
	"op25b/internal/check/mailbox"
	"op25b/internal/clock"
	"op25b/internal/exposition"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/openid"
	"op25b/internal/p4rt"
	"op25b/internal/plan"
	"op25b/internal/rollout/drive"
	"op25b/internal/schedule"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
	"op25b/internal/telemetry/history"
	"op25b/internal/tlsfiles/expiry"
	"op25b/internal/web"
)

// A Config configures a controller. If a field is zero, the package that uses the field applies its default.
type Config struct {
	// Name is the name of this controller. It must be unique among the controllers that share a store.
	Name  string
	Store store.Config
	// Clock is the source of the time. Skew is the largest difference from the clocks of other controllers at which dates are put in
	// force.
	Clock clock.Source
	Skew  time.Duration
	// Listening configures the listener of the API. Advertise is the address that other controllers report for this controller; it
	// defaults to the address of the listener.
	Listening api.Listening
	Advertise string
	Auth      api.Auth
	// GNMI configures the northbound gNMI.
	GNMI GNMI
	// MaxDocuments is the limit on the total size of the documents in one request, in bytes.
	MaxDocuments int64
	// MassChange is the percentage beyond which the API refuses a removal that the caller does not confirm; see api.Deps.
	MassChange float64
	AuditEvery time.Duration
	// ProbeEvery is how often each switch is probed; 0 means never.
	ProbeEvery time.Duration
	// Certificates exports the end dates of the certificates of the controller and its switches. The caller may have added the store's
	// certificates. If Certificates is nil, the controller creates it.
	Certificates *expiry.Certificates
	// Web configures the listener of the NOC's page; an empty Addr means that the page is not served. WebHosts are the host names under
	// which the page may be requested.
	Web      api.Listening
	WebHosts []string
	// Telemetry configures the collection of counters over gNMI.
	Telemetry telemetry.Config
	// Port25 configures the watch on lines that use port 25. The controller sets the fields Dir, Book, Counters, Now, Metrics and Logger.
	Port25 abuse.Config
	// Sessions configures which line has which address.
	Sessions Sessions
	// Leases configures where mail servers report logins.
	Leases Leases
	// Tickets configures where support desks report tickets.
	Tickets Tickets
	// History configures the history of counters.
	History History
	// Hurry is how many times shorter than asked for the times are for which rollouts measure and soak. Tests set it; 0 means that they are not shorter.
	Hurry int
	// Providers is the directory of mail providers. If it is nil, all providers are unknown.
	Providers *mailbox.Directory
	// Recorder returns the recorder for the session with a switch, or nil if the session is not recorded. The function itself may be
	// nil.
	Recorder func(switchName string) *p4rt.Recorder
	// First contains documents to store as the first revision if the store contains no revision.
	First []strict.File
	// Logger receives the log messages. It may be nil.
	Logger *zap.Logger
}

// A Controller is one controller. Its listener and its store are open.
type Controller struct {
	cfg      Config
	log      *zap.Logger
	clock    *clock.Clock
	book     *intent.Book
	store    *store.Store
	listener net.Listener
	web      net.Listener // nil if the page is not served
	gnmi     *gnmiServer  // nil if the northbound gNMI is not served
	metrics  *prometheus.Registry
	sessions *sessions // nil if this controller reads no sessions
	leases   *leases
	tickets  net.Listener    // nil if no support tickets are received
	history  history.History // nil if no history is configured
	recorded *history.Store  // nil if this controller keeps no history
}

// Open opens the listener and the store. It returns clock.ErrBound if Skew is out of range, and otherwise the error of api.Listen or
// store.Open.
func Open(ctx context.Context, cfg Config) (_ *Controller, err error) {
	c := &Controller{cfg: cfg, log: cfg.Logger, metrics: prometheus.NewRegistry()}
	if c.log == nil {
		c.log = zap.NewNop()
	}
	if cfg.Certificates == nil {
		cfg.Certificates = expiry.New()
	}
	c.cfg.Certificates = cfg.Certificates
	cfg.Listening.Ends = cfg.Certificates.Of(expiry.API, "")
	c.clock, err = clock.New(clock.Config{Source: cfg.Clock, Bound: cfg.Skew, Logger: c.log, Metrics: clock.NewMetrics(c.metrics)})
	if err != nil {
		return nil, err
	}
	if c.listener, err = api.Listen(cfg.Listening); err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if c.gnmi, err = listenGNMI(cfg); err != nil {
		return nil, errors.Join(err, c.listener.Close())
	}
	if cfg.Web.Addr != "" {
		if c.web, err = api.Listen(cfg.Web); err != nil {
			return nil, errors.Join(fmt.Errorf("--web: %w", err), c.listener.Close(), c.gnmi.Close())
		}
	}
	cfg.Store.Logger = c.log
	if c.store, err = store.Open(ctx, cfg.Store); err != nil {
		return nil, errors.Join(err, c.listener.Close(), c.gnmi.Close(), c.closeWeb())
	}
	if err := c.openHistory(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.book = intent.NewBookOf(c.store, c.clock)
	if err := c.openSessions(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.openLeases(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.openTickets(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Addr returns the address on which the API listens.
func (c *Controller) Addr() net.Addr { return c.listener.Addr() }

// GNMIAddr returns the address on which the northbound gNMI listens, or nil if it is not served.
func (c *Controller) GNMIAddr() net.Addr {
	if c.gnmi == nil {
		return nil
	}
	return c.gnmi.listener.Addr()
}

// WebAddr returns the address of the NOC's page, or nil if the page is not served.
func (c *Controller) WebAddr() net.Addr {
	if c.web == nil {
		return nil
	}
	return c.web.Addr()
}

func (c *Controller) closeWeb() error {
	if c.web == nil {
		return nil
	}
	return c.web.Close()
}

// Book returns the book that contains the revisions of the intent.
func (c *Controller) Book() *intent.Book { return c.book }

// Close closes the listener and the store. It must be called after Run has returned.
func (c *Controller) Close() error {
	_ = c.listener.Close() // Run may have closed the listeners already
	_ = c.gnmi.Close()
	_ = c.closeWeb()
	c.sessions.close()
	_ = c.leases.close()
	c.closeTickets()
	if c.recorded != nil {
		if err := c.recorded.Close(); err != nil {
			c.log.Error("the history of counters was not closed", zap.Error(err))
		}
	}
	return c.store.Close()
}

// Run serves the API and keeps the switches in their desired state until parent ends, and then returns nil. If a part of the controller
// fails, Run returns its error. The switches keep their entries in either case.
func (c *Controller) Run(parent context.Context) error {
	work, ctx := errgroup.WithContext(parent)
	work.Go(func() error { return c.store.Run(ctx) })
	if err := c.start(ctx, work); err != nil {
		work.Go(func() error { return err }) // the error cancels ctx, which ends store.Run
	} else {
		fields := []zap.Field{zap.String("name", c.cfg.Name), zap.Stringer("listen", c.Addr()), zap.Strings("store", c.store.Endpoints())}
		if addr := c.GNMIAddr(); addr != nil {
			fields = append(fields, zap.Stringer("gnmi", addr))
		}
		if addr := c.WebAddr(); addr != nil {
			fields = append(fields, zap.Stringer("web", addr))
		}
		if addr := c.RadiusAddr(); addr != nil {
			fields = append(fields, zap.Stringer("radius", addr))
		}
		if addr := c.LeasesAddr(); addr != nil {
			fields = append(fields, zap.Stringer("leases", addr))
		}
		if addr := c.TicketsAddr(); addr != nil {
			fields = append(fields, zap.Stringer("tickets", addr))
		}
		c.log.Info("controller up", fields...)
	}
	err := work.Wait()
	if failure := c.store.Failure(); failure != nil {
		err = failure // the store's failure ended the other parts
	}
	if parent.Err() != nil && errors.Is(err, context.Canceled) { // the controller was stopped while it was starting
		err = nil
	}
	c.log.Info("controller down; the switches stay as they are")
	return err
}

// start starts the API and the fleet, both of which require the store.
func (c *Controller) start(ctx context.Context, work *errgroup.Group) error {
	planner, err := plan.New(plan.Config{At: c.book.At, Now: c.clock.Dates})
	if err != nil {
		return err
	}
	counters, err := tally.New(tally.Config{Telemetry: c.cfg.Telemetry, Book: c.book, Certificates: c.cfg.Certificates, Logger: c.log})
	if err != nil {
		return err
	}
	c.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), c.store.Collector(),
		c.cfg.Certificates)
	port25, err := abuse.New(c.watch(counters))
	if err != nil {
		return err
	}
	rollouts := &drive.Driver{
		Store: c.store, Book: c.book, Counters: counters, Forecasts: port25, Probed: c.cfg.ProbeEvery > 0, Name: c.cfg.Name, Now: c.clock.Trusted,
		Lines: c.leases.ledger, Desks: c.cfg.Tickets.desks(), Metrics: drive.NewMetrics(c.metrics), Logger: c.log, Hurry: c.cfg.Hurry,
	}
	exporter := &fleet.Exporter{Now: c.clock.Trusted}
	scheduled := &schedule.Scheduler{
		Store: c.store, Book: c.book, Dates: c.clock.Dates, Busy: api.RolloutRuns(rollouts), Metrics: schedule.NewMetrics(c.metrics), Logger: c.log,
	}
	proofs := &fleet.Proofs{}
	handler := api.New(api.Deps{
		MaxFiles: c.cfg.MaxDocuments, MassChange: c.cfg.MassChange,
		Name: c.cfg.Name, Clock: c.clock, Store: c.store, Book: c.book, Switches: api.FleetSwitches(c.store, c.cfg.Name), Plan: planner,
		Auth: c.cfg.Auth, Logger: c.log, Metrics: c.metrics, MoreMetrics: []exposition.Writer{counters.WriteMetrics, exporter.WriteMetrics}, Stopping: ctx,
		Counters: counters, History: c.history, Lines: port25, Sessions: c.sessions.api(), Leases: c.leases.ledger, Certificates: c.cfg.Certificates,
		Providers: c.cfg.Providers, Rollouts: rollouts, Scheduled: scheduled, Proofs: proofs,
		OwnLine: desk.New(desk.Options{Directory: c.cfg.Providers, Resolver: desk.NewBounded(net.DefaultResolver), Now: c.clock.Dates}),
		Check:   desk.New(desk.Options{Directory: c.cfg.Providers, Resolver: net.DefaultResolver, Now: c.clock.Dates}),
	})
	advertise := c.cfg.Advertise
	if advertise == "" {
		advertise = c.Addr().String()
	}
	addrs := fleet.Addresses{API: advertise, Page: c.pageURL()}
	if c.gnmi != nil {
		addrs.GNMI, addrs.GNMIPlain = c.gnmi.advertise(), c.gnmi.tls == nil
	}
	switches := fleet.Config{
		Name: c.cfg.Name, Addr: addrs, Clock: c.clock, Store: c.store, Book: c.book, Logger: c.log, AuditEvery: c.cfg.AuditEvery, ProbeEvery: c.cfg.ProbeEvery,
		Metrics: fleet.NewMetrics(c.metrics), Recorder: c.cfg.Recorder, Certificates: c.cfg.Certificates, OnFlows: port25.OnFlows,
		Proofs: proofs,
	}
	if c.sessions != nil {
		switches.Sessions = c.sessions.register
	}
	switches.Leases = c.leases.ledger
	switches.OnStatus = func(st fleet.Status) {
		exporter.Follow(st)
		owned := st.Ownership == fleet.Owned
		counters.Follow(st.Switch, owned, st.Running, st.InForce)
		port25.Follow(st.Switch, owned)
	}
	if c.gnmi != nil {
		north, err := c.gnmi.service(c, handler, counters)
		if err != nil {
			return err
		}
		collect := switches.OnStatus
		switches.OnStatus = func(st fleet.Status) { collect(st); north.Follow(st) }
		work.Go(func() error { return c.gnmi.serve(ctx, north) })
	}
	if c.web != nil {
		var people *openid.Party
		if access := c.cfg.Auth.Access; access != nil {
			people = openid.New(ctx, openid.Config{Access: access.Access})
		}
		site, err := web.New(web.Config{
			OpenID: people, As: api.As,
			API: handler, Identify: api.IdentifyOf(handler), Hosts: c.cfg.WebHosts, Name: c.cfg.Name, Now: c.clock.Trusted, Logger: c.log,
			Watch: func(ctx context.Context) context.Context { return api.Own(ctx, "page of "+c.cfg.Name) },
		})
		if err != nil {
			return err
		}
		work.Go(func() error { return api.Serve(ctx, c.web, site, c.log) })
		work.Go(func() error { site.Run(ctx); return nil })
	}
	later := false
	if c.cfg.First != nil { // if the store is ready, store the first documents before any caller is served
		err := c.applyFirst(ctx)
		if later = errors.Is(err, store.ErrNoQuorum) || errors.Is(err, store.ErrFull); err != nil && !later {
			return err
		}
	}
	work.Go(func() error { return api.Serve(ctx, c.listener, handler, c.log) })
	c.sessions.start(ctx, work)
	c.leases.start(ctx, c, work)
	c.startTickets(ctx, rollouts, work)
	owning := ctx
	if c.recorded != nil {
		var release context.CancelFunc
		owning, release = context.WithCancel(context.WithoutCancel(ctx))
		work.Go(func() error { recordHistory(ctx, c.recorded, counters, release); return nil })
	}
	work.Go(func() error { return fleet.Run(owning, switches) })
	work.Go(func() error { counters.Run(owning); return nil })
	work.Go(func() error { port25.Run(ctx); return nil })
	work.Go(func() error { rollouts.Run(ctx); return nil })
	work.Go(func() error { scheduled.Run(ctx); return nil })
	if later {
		work.Go(func() error { return c.applyIfEmpty(ctx) })
	}
	return nil
}
