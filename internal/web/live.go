package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/zap"

	"op25b/internal/auth"
	"op25b/internal/page"
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
	cell   cell   // the cell, if the fragment is a cell of the grid
	number uint64 // the number of the change that produced the fragment
}

// live renders the fragments of the overview once for all open pages. It keeps no queue for a page. A page that wakes up gets the fragments
// that are newer than the last change that it received.
type live struct {
	site  *Site
	start string // identifies this process in the ids of events

	mu        sync.Mutex                     // guards everything below
	number    uint64                         // the number of the last change
	shown     map[string]overviewData        // the content of the headline and the attention list, by language
	fragments map[string]map[string]fragment // by language and id
	events    map[string]string              // the events of the last change, by language
	changed   chan struct{}                  // closed at the next change
	open      int
}

func newLive(s *Site) *live {
	return &live{
		site: s, start: strconv.FormatInt(time.Now().UnixNano(), 36), fragments: map[string]map[string]fragment{"en": {}, "ja": {}},
		shown: make(map[string]overviewData), events: make(map[string]string), changed: make(chan struct{}),
	}
}

// run watches the switches until ctx ends.
func (l *live) run(ctx context.Context) {
	ctx = l.site.cfg.Watch(ctx)
	c := newClients(&inProcess{api: l.site.cfg.API})
	for ctx.Err() == nil {
		if err := l.watch(ctx, c); err != nil && ctx.Err() == nil {
			l.site.cfg.Logger.Debug("open pages do not follow the switches for now", zap.Error(err))
			select {
			case <-ctx.Done():
			case <-time.After(watchAgain):
			}
		}
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
	revision, zoneOf, in := uint64(0), uint64(0), time.UTC
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
			if revision != zoneOf { // a new policy may have another time zone
				in, zoneOf = zoneNow(ctx, c), revision
			}
			l.render(all, revision, in)
		}
	}
}

// zoneNow returns the policy's time zone, or UTC if it is not available.
func zoneNow(ctx context.Context, c clients) *time.Location {
	ctx, cancel := context.WithTimeout(ctx, pageWithin)
	defer cancel()
	r, err := c.phase.ListPhases(ctx, connect.NewRequest(&op25bv1.ListPhasesRequest{}))
	if err != nil {
		return time.UTC
	}
	return zone(r.Msg.UtcOffset)
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
func (l *live) render(all []*op25bv1.SwitchStatus, revision uint64, in *time.Location) {
	now := l.site.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.number + 1
	changed := false
	for lang, fragments := range l.fragments {
		d := overviewData{base: base{Lang: lang, Now: now, Zone: in}}
		d.fill(all, revision)
		l.shown[lang] = d
		for _, id := range []string{"headline", "attention"} {
			if html := l.site.fragment(id, d); fragments[id].html != html {
				fragments[id], changed = fragment{html: html, number: next}, true
			}
		}
		there := make(map[string]bool, len(d.Cells))
		for _, c := range d.Cells {
			there[c.ID] = true
			if f := fragments[c.ID]; f.html == "" || f.cell != c { // most cells have not changed
				fragments[c.ID], changed = fragment{l.site.fragment("cell", c), c, next}, true
			}
		}
		for id, f := range fragments { // an empty fragment removes the cell from open pages
			if strings.HasPrefix(id, "cell-") && !there[id] && f.html != "" {
				fragments[id], changed = fragment{number: next}, true
			}
		}
	}
	if changed {
		l.number = next
		for lang := range l.fragments {
			l.events[lang] = l.eventsLocked(lang, next-1)
		}
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// fragment renders a named template of the overview.
func (s *Site) fragment(name string, data any) string {
	var b bytes.Buffer
	if err := s.templates.ExecuteTemplate(&b, name, data); err != nil {
		s.cfg.Logger.Error("fragment not rendered; this is a defect in op25b", zap.String("fragment", name), zap.Error(err))
		return ""
	}
	return b.String()
}

// draw renders the cells and the attention list of a page. It reuses the fragments that were already rendered for open pages.
func (l *live) draw(d *overviewData) {
	html := make([]string, len(d.Cells))
	attention := ""
	l.mu.Lock()
	for i, c := range d.Cells {
		if f := l.fragments[d.Lang][c.ID]; f.cell == c {
			html[i] = f.html
		}
	}
	if was, drawn := l.shown[d.Lang]; drawn && was.More == d.More && was.Zone.String() == d.Zone.String() && slices.Equal(was.Worst, d.Worst) {
		attention = l.fragments[d.Lang]["attention"].html
	}
	l.mu.Unlock()
	for i, c := range d.Cells {
		if html[i] == "" {
			html[i] = l.site.fragment("cell", c)
		}
	}
	if attention == "" {
		attention = l.site.fragment("attention", d)
	}
	// The templates have escaped all names.
	d.Grid, d.Attention = template.HTML(strings.Join(html, "")), template.HTML(attention)
}

// eventsLocked returns the fragments that are newer than a change as events. All events have the id of that change. A page that is disconnected
// between two events therefore gets all of them again.
func (l *live) eventsLocked(lang string, number uint64) string {
	var b strings.Builder
	for id, f := range l.fragments[lang] {
		if f.number > number {
			var data strings.Builder
			text := json.NewEncoder(&data)
			text.SetEscapeHTML(false)                                    // an event is not part of a page, and escaping would triple the size of tags
			_ = text.Encode(map[string]string{"id": id, "html": f.html}) // encoding strings never fails
			b.WriteString(event(l.id(number), "fragment", strings.TrimSuffix(data.String(), "\n")))
		}
	}
	return b.String()
}

// event returns an event in the format of the HTML Living Standard, section 9.2.6.
func event(id, name, data string) string {
	return "id: " + id + "\nevent: " + name + "\ndata: " + data + "\n\n"
}

// since returns the events of the fragments that are newer than a change, the number of the last change, and a channel that is closed at the
// next change. Pages that already have the previous change share events that were encoded once.
func (l *live) since(lang string, number uint64) (events string, last uint64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case number >= l.number:
	case number == l.number-1:
		events = l.events[lang]
	default:
		events = l.eventsLocked(lang, number)
	}
	return events, l.number, l.changed
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
	send := func(events string) error {
		_ = out.SetWriteDeadline(time.Now().Add(2 * beatEvery))
		_, err := io.WriteString(w, events)
		return err
	}
	from := r.Header.Get("Last-Event-ID")
	if from == "" {
		from = r.URL.Query().Get("from")
	}
	start, last, _ := strings.Cut(from, ".")
	number, err := strconv.ParseUint(last, 10, 64)
	if start != s.live.start || err != nil {
		_ = send(event(s.live.id(0), "reload", "{}"))
		return
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	lang := page.LanguageOf(r)
	for {
		events, last, changed := s.live.since(lang, number)
		number = last
		beatNow := event(s.live.id(number), "beat", `{"at":"`+s.cfg.Now().UTC().Format(time.RFC3339)+`"}`)
		if send(events) != nil || send(beatNow) != nil || out.Flush() != nil {
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
