package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"op25b/internal/bring"
	"op25b/internal/clock"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/store"
	"op25b/internal/tlsfiles/expiry"
)

// Run keeps the switches that are assigned to this controller converged until ctx ends. Then the controller leaves the members, so that
// the other controllers take over its switches. It closes each session and then releases the ownership; the switches keep their entries.
// Run returns nil when ctx ends, ErrConfig if cfg is invalid, and store.ErrClosed if the store was closed.
func Run(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	program, err := bring.Load()
	if err != nil {
		return err
	}
	log := cfg.Logger.With(zap.String("controller", cfg.Name))
	presence, err := join(ctx, cfg, log)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var left map[string][]desired
	for {
		c := &controller{
			Config: cfg, log: log, program: program, gen: cfg.Store.Generation(),
			reporter: newReporter(cfg.Store, cfg.Logger), converging: make(chan struct{}, cfg.Converging),
			dated: make(chan struct{}, 1), working: make(map[*assignment]struct{}), assignments: make(map[string]*assignment), ended: make(chan *assignment), since: make(map[string]time.Time), left: left,
		}
		err = c.run(ctx)
		if !errors.Is(err, store.ErrReplaced) || ctx.Err() != nil {
			break
		}
		left = c.left
		log.Warn("the store was replaced: reading all switches again", zap.Int("switches", len(left)), zap.Error(err))
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := presence.Leave(leaving); err != nil && !errors.Is(err, store.ErrClosed) {
		log.Warn("presence not released; it will expire", zap.Error(err))
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// A controller runs during one generation of the store. When the generation ends, the controller ends and discards everything that was
// read from the store. The next controller starts without that data.
type controller struct {
	Config
	log        *zap.Logger
	program    *bring.Program
	gen        *store.Generation
	identity   store.Identity
	birth      uint64
	reporter   *reporter
	converging chan struct{} // contains a token for each switch that is being reconciled
	view       atomic.Pointer[view]
	holds      holdBook

	workingMu sync.Mutex // guards working; locked before the mu of any assignment
	working   map[*assignment]struct{}

	background sync.WaitGroup  // goroutines that end when reporting ends
	reporting  context.Context // statuses can be stored until this context ends

	// Only the goroutine of run accesses the following fields.
	members     []string
	holdsRead   bool                 // whether the holds have been read; no switch is worked on before
	since       map[string]time.Time // time at which each member was first seen, by the monotonic clock; zero for members that were present at the start
	assignments map[string]*assignment
	ended       chan *assignment
	dated       chan struct{}    // a value makes calendar check the dates; any goroutine may send on the channel, which has room for one value
	dates       <-chan time.Time // timer for the next date; nil if there is no next date
	date        time.Time        // the next date
	settled     <-chan time.Time

	// left lists, for each switch, the states whose entries the switch may still have although their store was replaced. It is passed from
	// the controller of one generation to the controller of the next generation.
	left map[string][]desired
}

// run returns nil when ctx ends, and store.ErrReplaced when the generation ends. Its other errors are those of Run.
func (c *controller) run(ctx context.Context) (err error) {
	for {
		c.identity, err = c.gen.Identity(ctx)
		if err == nil {
			break
		}
		if !takesNothing(err) || ctx.Err() != nil {
			return err
		}
		awaitRoom(ctx, err)
	}
	if c.birth, err = bornAt(ctx, c.Store, c.identity); err != nil {
		return err
	}
	keeper, err := c.compareClock(ctx)
	if err != nil {
		return err
	}
	c.Metrics.revision(0)
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	reporting, stopReporting := context.WithCancel(context.WithoutCancel(ctx))
	c.reporting = reporting
	// The first confirmation precedes the first status. Otherwise the status could be read before it, and a change that waits for the switch
	// would give up because nobody confirms the switch's state.
	c.confirmNow(ctx)
	c.background.Go(func() { c.reporter.run(reporting) })
	c.background.Go(func() { c.confirm(reporting) })
	c.background.Go(func() { keeper.Run(reporting) })
	c.background.Go(func() { c.calendar(reporting) })
	members, intents := c.Store.WatchMembers(watching), c.Book.Watch(watching, 0)
	holds := store.JSON[storedHold](c.Store, holdKind).Watch(watching)
	err = c.loop(ctx, members, intents, holds)
	stopWatching()
	for range intents { // wait until the watches have ended
	}
	for range holds {
	}
	for _, s := range c.assignments {
		s.stop(false)
	}
	for len(c.assignments) > 0 {
		c.forget(<-c.ended)
	}
	stopReporting()
	c.background.Wait()
	return err
}

// forget removes an assignment whose work has ended.
func (c *controller) forget(s *assignment) {
	delete(c.assignments, s.name)
	delete(c.left, s.name)
	if len(s.left) == 0 {
		return
	}
	if c.left == nil {
		c.left = make(map[string][]desired)
	}
	c.left[s.name] = s.left
}

// why returns the detail of a reason. It is empty for most reasons.
func (c *controller) why(r Reason) string {
	if r == ReasonStoreReplaced {
		return c.gen.Why()
	}
	return ""
}

// join makes the controller a member as soon as the store has a quorum and room.
func join(ctx context.Context, c Config, log *zap.Logger) (*store.Presence, error) {
	for {
		p, err := c.Store.Join(ctx, c.Name, c.Addr.String())
		if err == nil || !takesNothing(err) || ctx.Err() != nil {
			return p, err
		}
		log.Warn("the store accepts no writes; no switch is changed until it does", zap.Error(err))
		awaitRoom(ctx, err)
	}
}

// fullPause is the pause before a write to a full store is repeated.
const fullPause = 5 * time.Second

// takesNothing reports whether a write failed because the store accepts no writes at the moment.
func takesNothing(err error) bool {
	return errors.Is(err, store.ErrNoQuorum) || errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrRestoring)
}

// awaitRoom pauses before the next attempt. It does not pause if there was no quorum, because the failed request has already waited.
func awaitRoom(ctx context.Context, err error) {
	if errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrRestoring) {
		store.Pause(ctx, fullPause)
	}
}

// compareClock starts the comparison of clocks as soon as the store has a quorum.
func (c *controller) compareClock(ctx context.Context) (*clock.Keeper, error) {
	for {
		k, err := c.Clock.Begin(ctx, c.Store, c.Name)
		if err == nil || !takesNothing(err) || ctx.Err() != nil {
			return k, err
		}
	}
}

func (c *controller) loop(ctx context.Context, members <-chan []store.Member, intents <-chan intent.Update, holds <-chan []store.Event[storedHold]) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.gen.Done():
			return fmt.Errorf("fleet: %w", c.gen.Err())
		case all, ok := <-members:
			if !ok {
				return fmt.Errorf("fleet: %w", store.ErrClosed)
			}
			c.setMembers(all)
		case u, ok := <-intents:
			switch {
			case !ok:
				return fmt.Errorf("fleet: %w", store.ErrClosed)
			case errors.Is(u.Err, intent.ErrNone): // the store was replaced, and the generation is about to end
				continue
			case u.Err != nil:
				c.log.Error("the newest intent cannot be read; the one before it stays in force", zap.Error(u.Err))
				continue
			}
			c.setIntent(u.Intent)
		case some, ok := <-holds:
			if !ok {
				return fmt.Errorf("fleet: %w", store.ErrClosed)
			}
			c.setHolds(some)
		case s := <-c.ended:
			c.forget(s)
		case <-c.settled:
			c.settled = nil
		case <-c.dates:
			c.dateComes()
			continue
		case <-c.Clock.Changed():
			c.wake()
			c.writeDates()
			c.awaitDate()
			continue
		}
		c.assign()
	}
}

// setMembers replaces the set of present members.
func (c *controller) setMembers(all []store.Member) {
	first := c.members == nil
	before := c.since
	c.since = make(map[string]time.Time, len(all))
	c.members = make([]string, 0, len(all)+1)
	for _, m := range all {
		c.members = append(c.members, m.Name)
		at, known := before[m.Name]
		if !known && !first {
			at = time.Now()
		}
		c.since[m.Name] = at
	}
	// This controller counts as a member even if the store does not list it at the moment.
	if !slices.Contains(c.members, c.Name) {
		c.members = append(c.members, c.Name)
	}
	c.log.Info("members", zap.Strings("names", c.members))
}

// setIntent replaces the current intent with a new revision.
func (c *controller) setIntent(in *intent.Intent) {
	before := c.view.Load()
	v := nextView(before, in)
	c.view.Store(v)
	if before == nil {
		c.background.Go(func() {
			c.reporter.forget(c.reporting, func(name string) bool { _, there := v.device(name); return !there })
		})
	}
	c.Metrics.revision(in.Number)
	c.wake()
	c.writeDates()
	c.awaitDate()
}

// wake makes all workers check their desired state.
func (c *controller) wake() {
	for _, s := range c.assignments {
		s.recheck()
	}
}

// assign computes the assignment, and starts and ends the work on switches accordingly.
func (c *controller) assign() {
	v := c.view.Load()
	if v == nil || c.members == nil || !c.holdsRead {
		return
	}
	switches := make([]string, 0, len(v.docs.devices))
	for _, sw := range v.Switches() {
		switches = append(switches, sw.Name)
	}
	assigned := Assign(c.members, switches)
	for name, member := range assigned {
		if _, there := c.assignments[name]; !there && member == c.Name {
			c.assignments[name] = c.work(name)
		}
	}
	var wait time.Duration
	for name, s := range c.assignments {
		switch to, there := assigned[name]; {
		case !there:
			s.stop(true)
		case to == c.Name:
		default:
			left := c.Settle - time.Since(c.since[to])
			if s.owned() && left > 0 {
				wait = max(wait, left)
				continue
			}
			s.stop(false)
		}
	}
	if wait > 0 && c.settled == nil {
		c.settled = time.After(wait)
	}
}

// session returns the configuration of a session with the device of a switch.
func (c *controller) session(switchName string, d device, id p4rt.ElectionID, onStatus func(p4rt.SessionStatus)) (p4rt.KeepConfig, error) {
	cfg := c.Session
	cfg.Addr, cfg.DeviceID = d.addr, d.id
	cfg.ElectionID = id
	cfg.OnStatus = onStatus
	if !d.tls.Used() {
		c.Certificates.Remove(expiry.P4Runtime, switchName)
		cfg.TLS = nil
		return cfg, nil
	}
	var err error
	cfg.TLS, err = d.tlsConfig(c.log, c.Certificates.Of(expiry.P4Runtime, switchName))
	return cfg, err
}
