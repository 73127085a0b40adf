package abuse

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/axiomhq/hyperloglog"
	"go.uber.org/zap"

	"op25b/internal/pipeline"
	"op25b/internal/writefile"
)

// These constants limit the snapshot that is read.
const (
	// maxSnapshot is the largest size of the file. It has room for maxLines lines of 1 kB and maxSketches sketches of 3 kB in base64.
	maxSnapshot = 256 << 20
	// maxEntry is the largest size of one line's entry. It has room for MaxDays days of 3 kB.
	maxEntry = 256 << 10
)

// A snapshot is a file with one JSON value per line: a header, followed by an entry for each access line.
type snapshotHeader struct {
	Version int `json:"version"`
	// Key is the fingerprint of the key with which all IDs were computed.
	Key string `json:"key"`
	// Began is the time at which the controller began to watch each switch, by the switch's ID.
	Began map[string]time.Time `json:"began"`
}

const snapshotVersion = 1

type snapshotEntry struct {
	ID    string        `json:"id"`
	Uses  []snapshotUse `json:"uses,omitempty"`
	Days  []snapshotDay `json:"days,omitempty"`
	Class string        `json:"class,omitempty"`
	Since time.Time     `json:"since,omitzero"`
}

type snapshotUse struct {
	Service pipeline.Service `json:"service"`
	Remote  pipeline.Class   `json:"remote"`
	Leg     pipeline.Leg     `json:"leg"`
	Last    int32            `json:"last"`
	Several int32            `json:"several,omitempty"`
	Server  uint64           `json:"server,string,omitempty"`
	Seen    int32            `json:"seen,omitempty"`
}

type snapshotDay struct {
	Day         int32  `json:"day"`
	Attempts    uint64 `json:"attempts,omitempty"`
	Monitored   uint64 `json:"monitored,omitempty"`
	Stopped     uint64 `json:"stopped,omitempty"`
	Unsolicited uint64 `json:"unsolicited,omitempty"`
	Hours       uint32 `json:"hours,omitempty"`
	Servers     []byte `json:"servers,omitempty"`
}

// saveLocked writes the snapshot if it is out of date. It only logs a failure, because the activity stays in memory.
func (l *Ledger) saveLocked() {
	if l.cfg.Dir == "" || !l.changed {
		return
	}
	content, err := l.encodeLocked()
	if err == nil {
		err = writefile.Replace(l.snapshotPath(), 0o600, content)
	}
	if err != nil {
		l.log.Warn("the recorded activity of lines cannot be written", zap.Error(fmt.Errorf("%w: %w", ErrSnapshot, err)))
		return
	}
	l.changed = false
}

func (l *Ledger) encodeLocked() ([]byte, error) {
	var out bytes.Buffer
	w := json.NewEncoder(&out)
	header := snapshotHeader{Version: snapshotVersion, Key: l.key.fingerprint(), Began: make(map[string]time.Time)}
	for name, at := range l.began {
		header.Began[l.switchID(name)] = at.UTC()
	}
	err := w.Encode(header)
	for id, r := range l.lines {
		e := snapshotEntry{ID: id.String(), Since: r.since}
		if r.class != Unclassified {
			e.Class = r.class.String()
		}
		for k, u := range r.uses {
			e.Uses = append(e.Uses, snapshotUse{k.service, k.remote, k.leg, u.last, u.several, u.server, u.seen})
		}
		for i := range r.days {
			d := &r.days[i]
			s := snapshotDay{d.number, d.attempts, d.monitored, d.stopped, d.unsolicited, d.hours, nil}
			if d.servers != nil {
				b, failed := d.servers.MarshalBinary()
				s.Servers, err = b, errors.Join(err, failed)
			}
			e.Days = append(e.Days, s)
		}
		err = errors.Join(err, w.Encode(e))
	}
	return out.Bytes(), err
}

// switchID returns the pseudonym of a switch in the snapshot.
func (l *Ledger) switchID(name string) string { return l.key.line(name, "").String() }

// erase removes the snapshot.
func (l *Ledger) erase() error {
	if err := os.Remove(l.snapshotPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return nil
}

// load reads the snapshot if it exists. If the snapshot is damaged or belongs to another key, load returns ErrSnapshot and leaves the
// ledger empty.
func (l *Ledger) load() error {
	f, err := os.Open(l.snapshotPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer f.Close()
		err = l.decode(f)
	}
	if err != nil {
		l.lines, l.loaded = make(map[ID]*line), nil
		return fmt.Errorf("%w: %s: %w", ErrSnapshot, l.snapshotPath(), err)
	}
	return nil
}

func (l *Ledger) decode(f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() > maxSnapshot:
		return fmt.Errorf("%d bytes; must be at most %d", info.Size(), maxSnapshot)
	}
	entries := bufio.NewScanner(io.LimitReader(f, maxSnapshot))
	entries.Buffer(nil, maxEntry)
	var header snapshotHeader
	switch {
	case !entries.Scan():
		return fmt.Errorf("no header: %w", entries.Err())
	case json.Unmarshal(entries.Bytes(), &header) != nil || header.Version != snapshotVersion:
		return fmt.Errorf("the header is not one of version %d", snapshotVersion)
	case header.Key != l.key.fingerprint():
		return errors.New("it belongs to a key that was replaced")
	}
	l.loaded = header.Began
	for n := 2; entries.Scan(); n++ {
		var e snapshotEntry
		if err := json.Unmarshal(entries.Bytes(), &e); err != nil {
			return fmt.Errorf("line %d: not an entry", n)
		}
		if err := l.take(&e); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return entries.Err()
}

func (l *Ledger) take(e *snapshotEntry) error {
	id, err := ParseID(e.ID)
	if err != nil {
		return err
	}
	if len(l.lines) >= maxLines || len(e.Uses) > maxKinds || len(e.Days) > MaxDays {
		return fmt.Errorf("more than %d lines, %d kinds or %d days", maxLines, maxKinds, MaxDays)
	}
	r := &line{uses: make(map[kind]use), since: e.Since}
	if e.Class != "" {
		var known bool
		if r.class, known = ParseClass(e.Class); !known {
			return errors.New("unknown class")
		}
	}
	for _, u := range e.Uses {
		r.uses[kind{u.Service, u.Remote, u.Leg}] = use{u.Last, u.Several, u.Server, u.Seen}
	}
	for i, s := range e.Days {
		if i > 0 && s.Day <= e.Days[i-1].Day {
			return errors.New("the days are not in order")
		}
		d := day{s.Day, s.Attempts, s.Monitored, s.Stopped, s.Unsolicited, s.Hours, nil}
		if s.Servers != nil {
			d.servers = new(hyperloglog.Sketch)
			if err := d.servers.UnmarshalBinary(s.Servers); err != nil {
				return errors.New("the servers are damaged")
			}
			l.sketches++
		}
		r.days = append(r.days, d)
	}
	l.lines[id] = r
	return nil
}
