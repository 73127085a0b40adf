package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"op25b/internal/intent"
	"op25b/internal/store"
	"op25b/internal/tally"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// Counters provides the counters of the switches that this controller owns. *tally.Tally implements Counters.
type Counters interface {
	// Samples returns the newest sample of each named switch, or of all owned switches if no name is given.
	Samples(only ...string) []*tally.Sample
	// Owned returns the names of the switches of the inventory that this controller owns.
	Owned() []string
	// News returns the channels that are closed at the next sample or change.
	News() tally.News
	// Interval returns the sample interval.
	Interval() time.Duration
}

var _ Counters = (*tally.Tally)(nil)

// These are the limits on the number of rules and interfaces in an answer of TelemetryService.
const (
	// maxRows is the limit for an answer. 1,000 switches with 200 totals and 50 interfaces have 250,000 rows, which take 25 MB.
	maxRows = 1 << 18
	// maxWatchRows is the limit for a message of WatchCounters. There are at most maxCounterWatches streams, and each holds at most one
	// message.
	maxWatchRows = 1 << 16
	// maxRowsOfSwitch is the limit for the rules of one switch, and also for its interfaces. A policy of 12 phases with 20 rules on 4 legs
	// has 960 totals.
	maxRowsOfSwitch = 1024
	// turnedPause is the shortest pause between two messages of WatchCounters when the state of a collection has changed.
	turnedPause = time.Second
)

type telemetryService struct{ *server }

var _ op25bv1connect.TelemetryServiceHandler = telemetryService{}

var errNoCounters = connect.NewError(connect.CodeUnimplemented, errors.New("this controller does not collect counters"))

// ListCounters lists the counters of switches.
func (s telemetryService) ListCounters(ctx context.Context, req *connect.Request[op25bv1.ListCountersRequest]) (*connect.Response[op25bv1.ListCountersResponse], error) {
	if s.Counters == nil {
		return nil, errNoCounters
	}
	if err := checkCounterNames(req.Msg); err != nil {
		return nil, err
	}
	in, err := s.currentOrNone(ctx)
	if err != nil {
		return nil, err
	}
	statuses, err := s.Switches.List(ctx)
	if err != nil {
		return nil, err
	}
	members, err := s.Store.Members(ctx)
	if err != nil {
		return nil, err
	}
	found := s.counters(in, statuses, members, req.Msg)
	if err := found.unknown(req.Msg); err != nil {
		return nil, err
	}
	if n := found.rows(); n > maxRows {
		return nil, tooManyRows(n, maxRows)
	}
	all := found.messages()
	if req.Msg.Since != nil {
		if err := s.addHistory(ctx, found, all, req.Msg); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(&op25bv1.ListCountersResponse{Controller: s.Name, Switches: all, UtcOffset: offsetOf(in)}), nil
}

func tooManyRows(n, most int) error {
	return connect.NewError(connect.CodeResourceExhausted, fmt.Errorf(
		"the answer would have %d rules and interfaces, more than %d: name fewer switches, rules or interfaces", n, most))
}

// WatchCounters first sends the counters of all switches, and then the counters of the switches that change.
func (s telemetryService) WatchCounters(ctx context.Context, req *connect.Request[op25bv1.WatchCountersRequest], out *connect.ServerStream[op25bv1.WatchCountersResponse]) error {
	if s.Counters == nil {
		return errNoCounters
	}
	q := &op25bv1.ListCountersRequest{Switches: req.Msg.Switches, Rules: req.Msg.Rules, Interfaces: req.Msg.Interfaces}
	if err := checkCounterNames(q); err != nil {
		return err
	}
	ctx, cancel := s.stream(ctx)
	defer cancel(nil)
	in, err := s.currentOrNone(ctx)
	if err != nil {
		return err
	}
	intents, switches, memberships := s.changes.Watch(ctx), s.Switches.Watch(ctx), s.members.Watch(ctx)
	var statuses []*op25bv1.SwitchStatus
	var members []store.Member
	w := counterWatcher{told: make(map[string][sha256.Size]byte)}
	first := true // true until an update of the intent has arrived
	news := s.Counters.News()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var pace pace
	look := func(pause time.Duration) {
		if at, sooner := pace.look(pause); sooner {
			timer.Reset(time.Until(at))
		}
	}
	turned := min(s.Counters.Interval(), turnedPause)
	for {
		ok := true
		select {
		case statuses, ok = <-switches:
			look(turned)
		case members, ok = <-memberships:
			look(turned)
		case update, there := <-intents:
			if ok = there; ok && (update.Err == nil || errors.Is(update.Err, intent.ErrNone)) { // otherwise, the previous revision stays in use
				if old := first && number(update.Intent) < number(in); !old {
					in = update.Intent
				}
				first = false
				look(turned)
			}
		case <-news.Turned:
			news.Turned = nil
			look(turned)
		case <-news.Changed:
			news.Changed = nil
			look(s.Counters.Interval())
		case <-timer.C:
			if pace.wake = (time.Time{}); statuses == nil || members == nil {
				continue
			}
			news = s.Counters.News()
			found := s.counters(in, statuses, members, q)
			if pace.sent.IsZero() {
				if err := found.unknown(q); err != nil {
					return err
				}
			}
			pace.sent = time.Now()
			if n := found.rows(); n > maxWatchRows {
				return tooManyRows(n, maxWatchRows)
			}
			if answer := w.news(found.messages()); answer != nil {
				answer.Controller, answer.UtcOffset = s.Name, offsetOf(in)
				if err := out.Send(answer); err != nil {
					return err
				}
			}
		}
		if !ok {
			return s.ended(ctx, errors.New("call again"))
		}
	}
}

// A pace determines when the next message of a stream is sent.
type pace struct {
	sent time.Time // the time of the last message
	wake time.Time // the planned time of the next message; zero if there is no news
}

// look plans a message that must be sent no earlier than pause after the last message. It returns the planned time, and whether that time
// is sooner than the previous plan.
func (p *pace) look(pause time.Duration) (at time.Time, sooner bool) {
	if at = p.sent.Add(pause); !p.wake.IsZero() && !at.Before(p.wake) {
		return p.wake, false
	}
	p.wake = at
	return at, true
}

// A counterWatcher remembers the counters that were sent to a caller, by their hashes.
type counterWatcher struct {
	told  map[string][sha256.Size]byte
	begun bool
}

// news returns the counters that the caller has not received yet, or nil if there are none. The first result is never nil. Counters that
// differ only in the age of their values count as equal.
func (w *counterWatcher) news(all []*op25bv1.SwitchCounters) *op25bv1.WatchCountersResponse {
	answer := &op25bv1.WatchCountersResponse{}
	there := make(map[string]bool, len(all))
	for _, c := range all {
		there[c.Switch] = true
		updated, over := c.Updated, c.RatesOver
		c.Updated, c.RatesOver = nil, nil
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
		c.Updated, c.RatesOver = updated, over
		now := sha256.Sum256(data)
		if was, known := w.told[c.Switch]; !known || was != now || err != nil {
			w.told[c.Switch] = now
			answer.Switches = append(answer.Switches, c)
		}
	}
	for name := range w.told {
		if !there[name] {
			delete(w.told, name)
			answer.Gone = append(answer.Gone, name)
		}
	}
	slices.Sort(answer.Gone)
	if w.begun && len(answer.Switches) == 0 && len(answer.Gone) == 0 {
		return nil
	}
	w.begun = true
	return answer
}
