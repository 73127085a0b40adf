package abuse

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// Run records flows and counters until ctx ends, and then writes a last snapshot.
func (l *Ledger) Run(ctx context.Context) {
	var sending sync.WaitGroup
	if l.cfg.Webhook != nil {
		sending.Go(func() { l.cfg.Webhook.run(ctx, l.cfg.Metrics, l.log) })
	}
	defer sending.Wait()
	updates := l.cfg.Book.Watch(ctx, 0)
	ticker := time.NewTicker(l.cfg.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			l.mu.Lock()
			l.drainLocked()
			l.saveLocked()
			l.mu.Unlock()
			return
		case u, more := <-updates:
			switch {
			case !more:
				updates = nil
			case u.Intent != nil && u.Intent.Bundle != nil:
				l.mu.Lock()
				l.drainLocked() // before the names change, because the flows were reported under the old names
				l.index = newIndex(u.Intent)
				l.drainLocked()
				l.unwatchLocked()
				l.mu.Unlock()
			}
		case <-l.queue.wake:
			l.mu.Lock()
			l.drainLocked()
			l.mu.Unlock()
		case <-ticker.C:
			l.tick()
		}
	}
}

// tick reads the counters, removes expired records, decides the classes, replaces an old key and writes the snapshot.
func (l *Ledger) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drainLocked()
	l.countLocked()
	l.expireLocked()
	l.classifyLocked()
	if l.cfg.Now().Sub(l.key.created) >= time.Duration(l.cfg.KeyDays)*24*time.Hour {
		l.rotateLocked()
	}
	l.saveLocked()
}

func (l *Ledger) expireLocked() {
	if l.index == nil {
		return
	}
	number, _ := dayOf(l.cfg.Now(), l.index.zone)
	l.sketches = 0
	for id, r := range l.lines {
		before := len(r.uses) + len(r.days)
		if r.expire(number, l.cfg.Days) {
			delete(l.lines, id)
			l.changed = true
			continue
		}
		l.changed = l.changed || before != len(r.uses)+len(r.days)
		for i := range r.days {
			if r.days[i].servers != nil {
				l.sketches++
			}
		}
	}
	l.leftOut = l.leftOut && len(l.lines) >= maxLines
}

// classifyLocked decides the class of each watched line, and sends a message for each line that has become bot-like.
func (l *Ledger) classifyLocked() {
	if l.index == nil {
		return
	}
	now := l.cfg.Now()
	number, _ := dayOf(now, l.index.zone)
	var classes [numClasses]int
	var bots []Offender
	for id, r := range l.lines {
		if len(r.days) == 0 {
			r.class, r.since = Unclassified, time.Time{}
			continue
		}
		if next := Classify(r.class, r.features(number)); next != r.class {
			r.class, r.since = next, now.UTC().Truncate(time.Second)
			l.changed = true
			if next == BotLike {
				bots = append(bots, offenderOf(id, r, number))
			}
		}
		classes[r.class]++
	}
	l.cfg.Metrics.active(len(l.lines), classes)
	if len(bots) > 0 && l.cfg.Webhook != nil {
		l.cfg.Metrics.dropped(dropWebhook, l.cfg.Webhook.offer(now, bots))
	}
}

// unwatchLocked removes the detailed activity of lines whose group is not watched any more, or that have moved to such a group.
func (l *Ledger) unwatchLocked() {
	for switchName := range l.began {
		l.index.each(switchName, func(line *policy.Line) {
			if l.index.on(switchName).watched[line.Group] {
				return
			}
			if r := l.lines[l.key.line(switchName, line.Name)]; r != nil && len(r.days) > 0 {
				r.days, r.class, r.since = nil, Unclassified, time.Time{}
				l.changed = true
			}
		})
	}
}

// rotateLocked replaces the key. The records of the lines in the inventory get new IDs, and the previous key is destroyed. The hashes of
// servers cannot be recomputed, so a server may count twice on this day.
func (l *Ledger) rotateLocked() {
	if l.index == nil {
		return
	}
	next := newKey(l.cfg.Now())
	lines := make(map[ID]*line, len(l.lines))
	for switchName := range l.began {
		l.index.each(switchName, func(known *policy.Line) {
			r, there := l.lines[l.key.line(switchName, known.Name)]
			if !there {
				return
			}
			for k, u := range r.uses {
				u.server = 0 // the next attempt sets it
				r.uses[k] = u
			}
			lines[next.line(switchName, known.Name)] = r
		})
	}
	if l.cfg.Dir != "" {
		if err := writeKey(l.keyPath(), next); err != nil {
			l.log.Warn("the key of the pseudonyms is too old and cannot be replaced", zap.Error(err))
			return
		}
	}
	l.key, l.lines, l.loaded, l.changed = next, lines, nil, true
	l.index.lines = make(map[string]map[pipeline.LineIndex]knownLine)
	l.log.Info("the key of the pseudonyms was replaced", zap.Int("lines", len(lines)))
}

// Forget destroys the key and all recorded activity. It returns the number of lines that were forgotten, and ErrKey or ErrSnapshot if a file
// cannot be removed.
func (l *Ledger) Forget() (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue.take()
	n := len(l.lines)
	l.key, l.lines, l.sketches, l.leftOut, l.changed = newKey(l.cfg.Now()), make(map[ID]*line), 0, false, true
	l.loaded = nil
	for switchName := range l.began {
		l.began[switchName] = l.cfg.Now()
	}
	if l.index != nil {
		l.index.lines = make(map[string]map[pipeline.LineIndex]knownLine)
	}
	l.log.Info("the recorded activity of lines was destroyed with its key")
	if l.cfg.Dir == "" {
		return n, nil
	}
	if err := writeKey(l.keyPath(), l.key); err != nil {
		return n, err
	}
	return n, l.erase()
}
