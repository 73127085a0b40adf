package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/zap"

	"op25b/internal/auth"
	op25bv1 "op25b/proto/op25b/v1"
)

// These constants limit the pace and the number of open pages.
const (
	// renderGap is the shortest time between two renderings. A change appears on the page within a second, and a thousand simultaneous
	// changes are rendered once.
	renderGap = 250 * time.Millisecond
	// beatEvery is the interval at which an open page receives a sign of life, so that the page can distinguish silence from a lost
	// connection.
	beatEvery = 5 * time.Second
	// maxOpen is the largest number of open pages.
	maxOpen = 2000
	// watchAgain is the pause after an error before the site watches the switches again.
	watchAgain = time.Second
)

// A fragment is a part of the overview that is updated while the page is open. Its HTML is an element with the fragment's id.
type fragment struct {
	html   string
	number uint64 // the number of the change that produced the fragment
}

// live renders the fragments of the overview once for all open pages. It keeps no queue for a page. A page that wakes up gets the fragments
// that are newer than the last change that it received.
type live struct {
	site  *Site
	start string // identifies this process in the ids of events

	mu        sync.Mutex                     // guards everything below
	number    uint64                         // the number of the last change
	fragments map[string]map[string]fragment // by language and id
	changed   chan struct{}                  // closed by the next change
	open      int
	zone      *time.Location
}

func newLive(s *Site) *live {
	return &live{
		site: s, start: strconv.FormatInt(time.Now().UnixNano(), 36), fragments: map[string]map[string]fragment{"en": {}, "ja": {}},
		changed: make(chan struct{}), zone: time.UTC,
	}
}

// run watches the switches until ctx ends.
func (l *live) run(ctx context.Context) {
	ctx = l.site.cfg.Watch(ctx)
	c := newClients(&inProcess{api: l.site.cfg.API})
	for ctx.Err() == nil {
		if err := l.watch(ctx, c); err != nil && ctx.Err() == nil {
			l.site.cfg.Logger.Debug("open pages do not follow the switches for now", zap.Error(err))
			pause(ctx, watchAgain)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// watch follows the switches until the watch ends.
func (l *live) watch(ctx context.Context, c clients) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.fleet.WatchSwitches(ctx, connect.NewRequest(&op25bv1.WatchSwitchesRequest{}))
	if err != nil {
		return err
	}
	defer stream.Close()
	messages, ended := make(chan *op25bv1.WatchSwitchesResponse), make(chan struct{})
	go func() {
		defer close(ended)
		for stream.Receive() {
			select {
			case messages <- stream.Msg():
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { cancel(); <-ended }()
	var all []*op25bv1.SwitchStatus
	var due <-chan time.Time
	revision := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return stream.Err()
		case m := <-messages:
			all, revision = merge(all, m), m.Revision
			if due == nil {
				due = time.After(renderGap)
			}
		case <-due:
			due = nil
			l.render(all, revision)
		}
	}
}

// merge applies a watch message to the switches, and keeps their order.
func merge(all []*op25bv1.SwitchStatus, m *op25bv1.WatchSwitchesResponse) []*op25bv1.SwitchStatus {
	at := make(map[string]int, len(all))
	for i, s := range all {
		at[s.Switch] = i
	}
	for _, s := range m.Switches {
		if i, known := at[s.Switch]; known {
			all[i] = s
		} else {
			at[s.Switch] = len(all)
			all = append(all, s)
		}
	}
	gone := make(map[string]bool, len(m.Gone))
	for _, name := range m.Gone {
		gone[name] = true
	}
	kept := all[:0]
	for _, s := range all {
		if !gone[s.Switch] {
			kept = append(kept, s)
		}
	}
	return kept
}

// render renders the fragments, and wakes the open pages if a fragment has changed.
func (l *live) render(all []*op25bv1.SwitchStatus, revision uint64) {
	now := l.site.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.number + 1
	changed := false
	for lang, fragments := range l.fragments {
		d := overviewData{base: base{Lang: lang, Now: now, Zone: l.zone}, Seen: now}
		d.fill(all, revision)
		put := func(id, template string, data any) {
			var b bytes.Buffer
			if err := l.site.templates.ExecuteTemplate(&b, template, data); err != nil {
				l.site.cfg.Logger.Error("fragment not rendered; this is a defect in op25b", zap.String("fragment", id), zap.Error(err))
				return
			}
			if html := b.String(); fragments[id].html != html {
				fragments[id], changed = fragment{html, next}, true
			}
		}
		put("headline", "headline", d)
		put("attention", "attention", d)
		there := make(map[string]bool, len(d.Cells))
		for _, c := range d.Cells {
			there[c.ID] = true
			put(c.ID, "cell", c)
		}
		for id, f := range fragments { // an empty fragment removes the cell from open pages
			if strings.HasPrefix(id, "cell-") && !there[id] && f.html != "" {
				fragments[id], changed = fragment{"", next}, true
			}
		}
	}
	if changed {
		l.number = next
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// since returns the fragments that are newer than a change, the number of the last change, and a channel that is closed at the next change.
func (l *live) since(lang string, number uint64) (newer map[string]string, last uint64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	newer = make(map[string]string)
	for id, f := range l.fragments[lang] {
		if f.number > number {
			newer[id] = f.html
		}
	}
	return newer, l.number, l.changed
}

// snapshot returns the id of the last change.
func (l *live) snapshot() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id(l.number)
}

func (l *live) id(number uint64) string { return fmt.Sprintf("%s.%d", l.start, number) }

// enter counts an open page. It returns false if too many pages are open.
func (l *live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= maxOpen {
		return false
	}
	l.open++
	return true
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
}

// events sends the changed fragments of the overview as server-sent events (HTML Living Standard, section 9.2). Each event has an id. A page
// that reconnects gets the fragments that it missed. If the id belongs to another process, the page is asked to reload.
func (s *Site) events(w http.ResponseWriter, r *http.Request) {
	x := s.sessions.find(r)
	if caller, err := s.identify(r, x); err != nil || !caller.Role.May(auth.Viewer) {
		http.Error(w, "sign in", http.StatusUnauthorized)
		return
	}
	if !s.live.enter() {
		http.Error(w, fmt.Sprintf("%d pages are open, which is the limit", maxOpen), http.StatusServiceUnavailable)
		return
	}
	defer s.live.leave()
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	send := func(id, event, data string) error {
		_ = out.SetWriteDeadline(time.Now().Add(2 * beatEvery))
		if _, err := fmt.Fprintf(w, "id: %s\nevent: %s\ndata: %s\n\n", id, event, data); err != nil {
			return err
		}
		return nil
	}
	from := r.Header.Get("Last-Event-ID")
	if from == "" {
		from = r.URL.Query().Get("from")
	}
	start, last, _ := strings.Cut(from, ".")
	number, err := strconv.ParseUint(last, 10, 64)
	if start != s.live.start || err != nil {
		_ = send(s.live.id(0), "reload", "{}")
		return
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	lang := languageOf(r)
	for {
		newer, last, changed := s.live.since(lang, number)
		for id, html := range newer {
			data, _ := json.Marshal(map[string]string{"id": id, "html": html})
			if send(s.live.id(number), "fragment", string(data)) != nil { // a page that is disconnected here gets all fragments again
				return
			}
		}
		number = last
		if send(s.live.id(number), "beat", `{"at":"`+s.cfg.Now().UTC().Format(time.RFC3339)+`"}`) != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case <-beat.C:
			if caller, err := s.identify(r, s.sessions.find(r)); err != nil || !caller.Role.May(auth.Viewer) {
				return // the sign-in has ended
			}
		}
	}
}
