package published

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

// Defaults of a Config.
const (
	// DefaultSilence is the time without a sign of life after which the controller counts as unreachable. A controller sends one every few
	// seconds.
	DefaultSilence = 20 * time.Second
	// The pause before the portal connects again. It doubles with each failure.
	defaultMinPause = 250 * time.Millisecond
	defaultMaxPause = 15 * time.Second
	// saveEvery is the interval at which the time of the last confirmation is written to the state file.
	saveEvery = time.Minute
)

// A Config configures a Follower.
type Config struct {
	// Watch is PortalService.WatchPublication of a controller.
	Watch client.Stream[op25bv1.WatchPublicationRequest, op25bv1.WatchPublicationResponse]
	// File is the path of the state file. If it is empty, the publication is kept in memory only.
	File string
	// Silence is the time without a sign of life after which the connection is closed. 0 means DefaultSilence.
	Silence time.Duration
	// MinPause is the pause after the first failure. 0 means a quarter of a second.
	MinPause time.Duration
	// Now returns the time of this host. Nil means time.Now.
	Now func() time.Time
	// Metrics and Logger may be nil.
	Metrics *Metrics
	Logger  *zap.Logger
}

// A View is the state of a Follower at one moment.
type View struct {
	// Publication is the last publication; nil if there has never been one.
	Publication *Publication
	// Confirmed is the time at which the publication was last found to be current, by the clock of the controller.
	Confirmed time.Time
	// Connected reports whether there is a connection to a controller. See Current.
	Connected bool

	heard   time.Time // the time of this host at which Confirmed was received
	silence time.Duration
}

// Current reports whether a controller confirms the publication at the time here of this host. If it is false, the publication and the phases
// in force may have changed since Confirmed. A controller whose store does not answer is connected, but confirms nothing.
func (v *View) Current(here time.Time) bool { return v.Connected && here.Sub(v.heard) < v.silence }

// At converts a time of this host to the clock of the controller.
func (v *View) At(here time.Time) time.Time {
	if v.Confirmed.IsZero() {
		return here
	}
	return v.Confirmed.Add(here.Sub(v.heard))
}

// A Follower follows the publications of a controller. Its methods may be called by several goroutines.
type Follower struct {
	cfg  Config
	view atomic.Pointer[View]

	mu      sync.Mutex                        // guards the fields below
	last    *op25bv1.WatchPublicationResponse // the last message with a publication, with the time of the last sign of life
	saved   time.Time                         // the time of this host at which the state file was written
	changed chan struct{}                     // closed when the view gets a new publication, or when the connection begins or ends
}

// Open returns a follower with the publication in the state file. It returns ErrState if the file is damaged, and ErrPublication if its
// publication cannot be used.
func Open(ctx context.Context, cfg Config) (*Follower, error) {
	cfg.Silence, cfg.MinPause = cmp.Or(cfg.Silence, DefaultSilence), cmp.Or(cfg.MinPause, defaultMinPause)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	f := &Follower{cfg: cfg, changed: make(chan struct{})}
	f.view.Store(&View{})
	if cfg.File == "" {
		return f, nil
	}
	m, heard, err := load(cfg.File)
	if err != nil || m == nil {
		return f, err
	}
	p, err := Read(ctx, m.Publication, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrState, cfg.File, err)
	}
	f.last, f.saved = m, heard
	f.view.Store(&View{Publication: p, Confirmed: m.Time.AsTime(), heard: heard, silence: cfg.Silence})
	cfg.Metrics.of(f.View())
	return f, nil
}

// View returns the present state. The result must not be modified.
func (f *Follower) View() *View { return f.view.Load() }

// Changed returns a channel that is closed when the publication or the connection changes.
func (f *Follower) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// Run follows the controller until ctx ends. If the connection ends, Run connects again.
func (f *Follower) Run(ctx context.Context) {
	pause, told := f.cfg.MinPause, false
	for ctx.Err() == nil {
		heard, err := f.follow(ctx, func() {
			if told {
				f.cfg.Logger.Info("the controller is reached again")
			}
			told = false
		})
		f.disconnected()
		if ctx.Err() != nil {
			return
		}
		if heard {
			pause = f.cfg.MinPause
		}
		f.cfg.Metrics.failed()
		if !told { // one message for each outage
			text := "the controller cannot be reached; the portal serves the last publication"
			if f.View().Publication == nil {
				text = "the controller cannot be reached; nothing has been published yet, and the pages say so"
			}
			f.cfg.Logger.Warn(text, zap.String("error", brief(err)))
		}
		told = true
		select {
		case <-ctx.Done():
		case <-time.After(pause - rand.N(pause/2+1)):
		}
		pause = min(2*pause, defaultMaxPause)
	}
}

// maxError is the limit on the size of an error in the log, in bytes. The faults of a document can have thousands.
const maxError = 300

// brief returns the beginning of an error, on one line.
func brief(err error) string {
	text, _, more := strings.Cut(err.Error(), "\n")
	if len(text) > maxError {
		text, more = strings.ToValidUTF8(text[:maxError], ""), true
	}
	if more {
		text += " ..."
	}
	return text
}

// follow follows the controller on one connection. It reports whether the controller sent a message that could be used. It calls reached at the
// first one.
func (f *Follower) follow(ctx context.Context, reached func()) (heard bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(f.cfg.Silence, func() { cancel(fmt.Errorf("%w for %v", errSilent, f.cfg.Silence)) })
	defer watchdog.Stop()
	known := ""
	if p := f.View().Publication; p != nil {
		known = p.ID
	}
	err = client.Watch(ctx, 0, f.cfg.Watch, &op25bv1.WatchPublicationRequest{Known: known}, func(m *op25bv1.WatchPublicationResponse) error {
		watchdog.Reset(f.cfg.Silence)
		if err := f.take(ctx, m); err != nil {
			return err
		}
		if !heard {
			reached()
		}
		heard = true
		return nil
	})
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		err = context.Cause(ctx)
	case err == nil:
		err = errors.New("the controller ended the stream")
	}
	return heard, err
}

// take accepts a message of the controller.
func (f *Follower) take(ctx context.Context, m *op25bv1.WatchPublicationResponse) error {
	if m.Time.CheckValid() != nil {
		return fmt.Errorf("%w: the message has no time", ErrPublication)
	}
	old := f.View()
	here := f.cfg.Now()
	v := &View{Publication: old.Publication, Confirmed: m.Time.AsTime(), Connected: true, heard: here, silence: f.cfg.Silence}
	if old.Connected && old.Confirmed.Equal(v.Confirmed) { // nothing was confirmed since
		v.heard = old.heard
	}
	switch {
	case m.Publication != nil:
		p, err := Read(ctx, m.Publication, old.Publication)
		if err != nil {
			return err
		}
		v.Publication = p
	case old.Publication == nil || old.Publication.ID != m.Id:
		return fmt.Errorf("%w: the controller did not send publication %q", ErrPublication, m.Id)
	}
	news := v.Publication != old.Publication
	f.mu.Lock()
	if news {
		f.last = proto.CloneOf(m)
	} else {
		f.last = proto.CloneOf(f.last) // a message that is being written must not change
		f.last.Time = m.Time
	}
	last, due := f.last, news || here.Sub(f.saved) >= saveEvery || !old.Connected
	if due {
		f.saved = here
	}
	f.mu.Unlock()
	f.set(v)
	if news {
		f.cfg.Logger.Info("publication received", zap.Uint64("revision", v.Publication.Revision), zap.String("id", v.Publication.ID))
	}
	if due && f.cfg.File != "" {
		if err := save(f.cfg.File, last, v.heard); err != nil { // the portal works without the file until it restarts
			f.cfg.Metrics.unsaved()
			f.cfg.Logger.Error("the publication was not saved", zap.Error(err))
		}
	}
	return nil
}

// disconnected notes that the controller no longer confirms the publication.
func (f *Follower) disconnected() {
	if old := f.View(); old.Connected {
		v := *old
		v.Connected = false
		f.set(&v)
	}
}

// set replaces the view, and closes changed if it differs in more than the time.
func (f *Follower) set(v *View) {
	old := f.view.Swap(v)
	f.cfg.Metrics.of(v)
	if old.Publication == v.Publication && old.Connected == v.Connected {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
}
