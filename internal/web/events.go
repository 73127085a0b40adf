package web

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"op25b/internal/auth"
	"op25b/internal/page"
)

// event returns an event in the format of the HTML Living Standard, section 9.2.6.
func event(id, name, data string) string {
	return "id: " + id + "\nevent: " + name + "\ndata: " + data + "\n\n"
}

// events sends the changed fragments of the overview, or with of=rollout those of the rollout, as server-sent events (HTML Living Standard, section 9.2). Each event has an id. A page
// that reconnects gets the fragments that it missed. If the id belongs to another process, the page is asked to reload.
//
// After the fragments, and at every interval, the event "beat" has the time of the last sign of life, also as a text in the policy's time zone. The
// event "old" takes its place if the controller cannot read its store, so that the values of the page may be old.
func (s *Site) events(w http.ResponseWriter, r *http.Request) {
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" && from != "none" {
		http.Error(w, "The request comes from a page of another site.", http.StatusForbidden) // it could not read the events, but would hold the stream
		return
	}
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
	lang, of := page.LanguageOf(r), ofOverview
	if r.URL.Query().Get("of") == string(ofRollout) {
		of = ofRollout
	}
	for {
		events, last, changed := s.live.since(of, lang, number)
		number = last
		at, old := s.live.lastSign()
		name := "beat"
		if old {
			name = "old"
		}
		beatNow := event(s.live.id(number), name, `{"at":"`+at.UTC().Format(time.RFC3339)+`","text":"`+base{Zone: s.live.zone()}.At(at)+`"}`)
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
