package api

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/publication"
	op25bv1 "op25b/proto/op25b/v1"
)

const (
	// lifeEvery is the interval of the signs of life of WatchPublication.
	lifeEvery = 5 * time.Second
	// editionGap is the minimum time between two editions that only differ in what switches confirmed. It limits the work while a change
	// reaches many switches.
	editionGap = 500 * time.Millisecond
)

// An edition is what can be published at a moment. It is read-only.
type edition struct {
	in *intent.Intent
	// docs are the published documents, or nil if docsErr is set.
	docs    *publication.Documents
	docsErr error
	lines   *policy.LineIndex
	// seen has the phases that switches confirmed, as seenIn returns them. It is empty while the store does not answer, because another
	// controller may then have changed the switches.
	seen map[string]string
	// publication is nil if err is set.
	publication *op25bv1.Publication
	// at is the time at which the edition was last known to be current.
	at time.Time
	// err is the reason why nothing can be published.
	err error
}

// A publisher makes editions. All callers share one watch of the intent and of the switches.
type publisher struct {
	*server
	editions fan[*edition]
	every    time.Duration // lifeEvery except in tests
	answers  func() bool   // reports whether the store answers

	mu   sync.Mutex // guards made
	made *edition   // the edition of the last intent, with only the fields that depend on nothing else
}

func newPublisher(s *server) *publisher {
	p := &publisher{server: s, every: lifeEvery, answers: s.Store.Answers}
	p.editions.watch = p.watch
	return p
}

// watch sends an edition after every change, and in between at the interval of the signs of life.
func (p *publisher) watch(ctx context.Context) <-chan *edition {
	out := make(chan *edition)
	intents, switches := p.changes.Watch(ctx), p.Switches.Watch(ctx)
	go func() {
		defer close(out)
		var f followed
		life := time.NewTicker(p.every)
		defer life.Stop()
		var due <-chan time.Time // nil unless a report of switches waits for the end of editionGap
		var last *edition
		var made time.Time
		for {
			alive, ok := false, true
			select {
			case f.statuses, ok = <-switches:
				if wait := editionGap - time.Since(made); ok && due == nil && wait > 0 && last != nil {
					due = time.After(wait)
				}
				if due != nil {
					continue
				}
			case update, more := <-intents:
				if ok = more; ok {
					f.take(update)
				}
			case <-due:
			case <-life.C:
				alive = true
			case <-ctx.Done():
				return
			}
			if !ok {
				return
			}
			if f.statuses == nil || !f.begun {
				continue
			}
			due, made = nil, time.Now()
			next := p.edition(&f, last)
			if last != nil && !alive && next.publication.GetId() == last.publication.GetId() && next.err == nil && last.err == nil {
				continue
			}
			last = next
			select {
			case out <- next:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// followed is what a publisher has received.
type followed struct {
	in       *intent.Intent
	err      error // the reason why there is no intent
	begun    bool  // an update has been received
	statuses []*op25bv1.SwitchStatus
}

// take takes an update of the intent. If the newest revision cannot be read, the previous one stays.
func (f *followed) take(u intent.Update) {
	f.begun = true
	switch {
	case u.Err == nil:
		f.in, f.err = u.Intent, nil
	case f.in == nil || errors.Is(u.Err, intent.ErrNone):
		f.in, f.err = nil, u.Err
	}
}

// edition makes the edition of what was received. last is the previous edition, or nil.
func (p *publisher) edition(f *followed, last *edition) *edition {
	answers := p.answers()
	e := &edition{in: f.in, err: f.err, at: p.Now()}
	if !answers && last != nil {
		e.at = last.at
	}
	if e.err == nil {
		e.err = f.in.Broken()
	}
	if e.err != nil {
		return e
	}
	made := p.documents(f.in)
	e.docs, e.docsErr, e.lines = made.docs, made.docsErr, made.lines
	if e.docsErr != nil {
		e.err = e.docsErr
		return e
	}
	if answers {
		e.seen = seenAsPublished(f.in, f.statuses)
	}
	e.publication = e.docs.Publish(p.dates(), e.seen)
	return e
}

// now returns the present edition without its publication. While somebody watches, it does not ask the store.
func (p *publisher) now(ctx context.Context) (*edition, error) {
	if e, ok := p.editions.Newest(); ok && e.in != nil && e.in.Broken() == nil {
		return e, nil
	}
	in, err := p.current(ctx)
	if err == nil {
		err = in.Broken()
	}
	if err != nil {
		return nil, err
	}
	e := *p.documents(in)
	e.at = p.Now()
	statuses, err := p.Switches.List(ctx)
	if err != nil {
		return nil, err
	}
	e.seen = seenAsPublished(in, statuses)
	return &e, nil
}

// seenAsPublished is seenOf without the switches that have next documents. The published documents are those in force, so nothing in them is
// confirmed on these switches.
func seenAsPublished(in *intent.Intent, statuses []*op25bv1.SwitchStatus) map[string]string {
	seen := seenOf(in, statuses)
	if split := in.Split(); split != nil {
		for _, name := range split.Switches {
			delete(seen, name)
		}
	}
	return seen
}

// documents returns an edition with the intent, its published documents and its lines.
func (p *publisher) documents(in *intent.Intent) *edition {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == nil || p.made.in != in {
		e := &edition{in: in}
		if old := p.made; old != nil && old.in.SameDocuments(in) {
			e.lines = old.lines
		} else {
			e.lines = policy.NewLineIndex(in.Merged().Inventory)
		}
		e.docs, e.docsErr = publication.Make(publication.Source{
			Bundle: in.Bundle, Activations: in.Activations, Numbers: in.Numbers, Revision: in.Number, Stored: in.Time, Directory: p.Providers,
		}, p.Now())
		p.made = e
	}
	return p.made
}

// sourceFor returns the documents from which a question about a line is answered, and the question without the server. A line without
// exemption is answered from the published documents. They give the same verdicts as the real ones, and have only a few areas, so that their
// pipelines stay loaded; the real ones would need a pipeline for each switch. Lines of a switch that has next documents are answered from these.
func (e *edition) sourceFor(own ownLine, addr netip.Addr) (desk.Source, check.Question) {
	published := e.in.Split() == nil || !slices.Contains(e.in.Split().Switches, own.sw.Name)
	if published && e.docs != nil && !e.docs.Touched(own.line.Name, addr) {
		if _, line, ok := e.docs.Line(own.line.Name); ok {
			return desk.Source{Source: e.docs.Check(), Revision: e.in.Number}, check.Question{Line: line}
		}
	}
	return sourceOf(e.in.For(own.sw.Name)), check.Question{Line: own.line.Name, From: addr}
}
