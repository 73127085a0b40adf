package web

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/zap"

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
	// signEvery is the interval at which the site asks the API whether the controller can still read its store. Values that are older than
	// freshFor are shown as old.
	signEvery = 5 * time.Second
	freshFor  = 15 * time.Second
	// datesEvery is the longest time for which the next dates are shown before the site asks for them again, because exemptions come within
	// the next two weeks with every day.
	datesEvery = time.Minute
	// maxOpen is the largest number of open pages.
	maxOpen = 2000
)

// watchAgain is the pause after an error before the site watches the switches again.
const watchAgain = time.Second

// A topic says which open pages get a fragment.
type topic string

const (
	ofOverview topic = ""
	ofRollout  topic = "rollout"
)

// topicOf returns the topic of a fragment.
func topicOf(id string) topic {
	if strings.HasPrefix(id, "rollout-") {
		return ofRollout
	}
	return ofOverview
}

// A fragment is a part of a page that is updated while the page is open. Its HTML is an element with the fragment's id.
type fragment struct {
	html   string
	number uint64 // the number of the change that produced the fragment
}

// live renders the fragments of the overview and of the rollout once for all open pages. It keeps no queue for a page. A page that wakes up gets the fragments
// that are newer than the last change that it received.
type live struct {
	site  *Site
	start string // identifies this process in the ids of events

	mu        sync.Mutex                     // guards everything below
	number    uint64                         // the number of the last change
	heard     time.Time                      // the last time at which the API answered; at first the start
	watching  bool                           // the picture follows the switches
	picture   *picture                       // what the fragments show; nil before the first
	drawn     map[string]*drawing            // the picture by language
	fragments map[string]map[string]fragment // by language and id
	topics    map[topic]*changes
	open      int
}

// changes are the last changes of the fragments of a topic. Pages of other topics do not wake up because of them.
type changes struct {
	last, before uint64            // the numbers of the last change and of the one before it
	events       map[string]string // the events of the last change, by language
	changed      chan struct{}     // closed at the next change
}

func newLive(s *Site) *live {
	return &live{
		site: s, start: strconv.FormatInt(time.Now().UnixNano(), 36), fragments: map[string]map[string]fragment{"en": {}, "ja": {}},
		heard: time.Now(), drawn: make(map[string]*drawing),
		topics: map[topic]*changes{
			ofOverview: {events: make(map[string]string), changed: make(chan struct{})},
			ofRollout:  {events: make(map[string]string), changed: make(chan struct{})},
		},
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

// watch follows the switches, the dates and the rollout until the watch of the switches or of the rollout ends.
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
	found, revised := make(chan dates), make(chan uint64, 1)
	var asking sync.WaitGroup
	asking.Go(func() { l.ask(ctx, c, found, revised) })
	rolled, unrolled := make(chan *rolloutPicture), make(chan error, 1)
	asking.Go(func() { unrolled <- l.followRollout(ctx, c, rolled) })
	defer func() { cancel(); <-ended; asking.Wait(); l.stopped() }()
	var now picture
	var due <-chan time.Time
	told, dated := false, false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return stream.Err()
		case m := <-messages:
			if m.Revision != now.revision {
				select {
				case <-revised:
				default:
				}
				revised <- m.Revision
			}
			now.switches, now.revision, now.notices, told = merge(now.switches, m), m.Revision, m.Notices, true
		case now.dates = <-found:
			dated = true
		case now.rollout = <-rolled:
		case err := <-unrolled:
			return err
		case <-due:
			due = nil
			l.render(now)
			continue
		}
		if told && dated && now.rollout != nil && due == nil {
			due = time.After(renderGap)
		}
	}
}

// ask sends the dates when they change: for each revision that it receives, at each date, and after datesEvery. It also asks the API for a
// sign of life.
func (l *live) ask(ctx context.Context, c clients, found chan<- dates, revised <-chan uint64) {
	again := time.NewTicker(signEvery)
	defer again.Stop()
	var next time.Time // when to ask for the dates again
	for {
		err := l.sign(ctx, c)
		if err == nil && !time.Now().Before(next) {
			var r dates
			if r, err = datesOf(ctx, c); err == nil {
				pause := datesEvery
				if r.soon.GetNext() != nil {
					pause = min(pause, max(r.soon.Next.AsTime().Sub(r.soon.Time.AsTime()), signEvery))
				}
				next = time.Now().Add(pause)
				select {
				case found <- r:
				case <-ctx.Done():
					return
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			l.site.cfg.Logger.Debug("the API does not answer the page", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-revised:
			next = time.Time{}
		case <-again.C:
		}
	}
}

// sign asks the API for the current revision. An answer is a sign that the controller can read its store.
func (l *live) sign(ctx context.Context, c clients) error {
	ctx, cancel := context.WithTimeout(ctx, pageWithin)
	defer cancel()
	asked := time.Now()
	_, err := c.intent.Current(ctx, connect.NewRequest(&op25bv1.CurrentRequest{}))
	if err != nil && connect.CodeOf(err) != connect.CodeFailedPrecondition { // that there is no intent yet is an answer, too
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = asked
	return nil
}

// merge returns the switches with the changes of a watch message, in the same order.
func merge(all []*op25bv1.SwitchStatus, m *op25bv1.WatchSwitchesResponse) []*op25bv1.SwitchStatus {
	at := make(map[string]int, len(all))
	merged := make([]*op25bv1.SwitchStatus, len(all), len(all)+len(m.Switches))
	for i, s := range all {
		at[s.Switch], merged[i] = i, s
	}
	for _, s := range m.Switches {
		if i, known := at[s.Switch]; known {
			merged[i] = s
		} else {
			at[s.Switch] = len(merged)
			merged = append(merged, s)
		}
	}
	gone := make(map[string]bool, len(m.Gone))
	for _, name := range m.Gone {
		gone[name] = true
	}
	kept := merged[:0]
	for _, s := range merged {
		if !gone[s.Switch] {
			kept = append(kept, s)
		}
	}
	return kept
}

// render renders a picture, and wakes the open pages if a fragment has changed.
func (l *live) render(p picture) {
	now := l.site.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.number + 1
	changed := make(map[topic]bool)
	for lang, fragments := range l.fragments {
		drawn := l.site.draw(base{Lang: lang, Now: now}, &p, l.drawn[lang])
		l.drawn[lang] = drawn
		put := func(id, html string) {
			if fragments[id].html != html {
				fragments[id], changed[topicOf(id)] = fragment{html, next}, true
			}
		}
		for id, html := range drawn.parts {
			put(id, html)
		}
		there := make(map[string]bool, len(drawn.cells))
		for _, c := range drawn.cells {
			there[c.id] = true
			put(c.id, c.html)
		}
		for id := range fragments { // an empty fragment removes the cell from open pages
			if strings.HasPrefix(id, "cell-") && !there[id] {
				put(id, "")
			}
		}
	}
	l.picture, l.watching = &p, true
	for of := range changed {
		l.number = next
		t := l.topics[of]
		t.before, t.last = t.last, next
		for lang := range l.fragments {
			t.events[lang] = l.eventsLocked(of, lang, next-1)
		}
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// newest returns the newest picture and its drawing in a language, and the id of the last change. The picture is nil if it may be old.
func (l *live) newest(lang string) (p *picture, drawn *drawing, snapshot string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p = l.picture; l.oldLocked() {
		p = nil
	}
	return p, l.drawn[lang], l.id(l.number)
}

// zone returns the time zone of the policy that the site saw last, or UTC if it has seen none.
func (l *live) zone() *time.Location {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.picture == nil {
		return time.UTC
	}
	return l.picture.zone()
}

// oldLocked reports whether the picture may be old, because the site does not follow the switches or the API does not answer.
func (l *live) oldLocked() bool { return !l.watching || time.Since(l.heard) > freshFor }

// stopped notes that the picture no longer follows the switches.
func (l *live) stopped() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watching = false
}

// lastSign returns the time of the last answer of the API, and whether the values may be old.
func (l *live) lastSign() (at time.Time, old bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.site.cfg.Now().Add(-time.Since(l.heard)), l.oldLocked()
}

// eventsLocked returns the fragments of a topic that are newer than a change as events. All events have the id of that change. A page that is
// disconnected between two events therefore gets all of them again.
func (l *live) eventsLocked(of topic, lang string, number uint64) string {
	var b strings.Builder
	for id, f := range l.fragments[lang] {
		if f.number > number && topicOf(id) == of {
			var data strings.Builder
			text := json.NewEncoder(&data)
			text.SetEscapeHTML(false)                                    // an event is not part of a page, and escaping would triple the size of tags
			_ = text.Encode(map[string]string{"id": id, "html": f.html}) // encoding strings never fails
			b.WriteString(event(l.id(number), "fragment", strings.TrimSuffix(data.String(), "\n")))
		}
	}
	return b.String()
}

// since returns the events of a topic's fragments that are newer than a change, the number of the last change, and a channel that is closed at the
// topic's next change. Pages that already have the topic's previous change share events that were encoded once.
func (l *live) since(of topic, lang string, number uint64) (events string, last uint64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[of]
	switch {
	case number >= t.last:
	case number >= t.before:
		events = t.events[lang]
	default:
		events = l.eventsLocked(of, lang, number)
	}
	return events, l.number, t.changed
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
