package bring

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// edited returns the worked example with a text replaced.
func edited(t *testing.T, old, now string) []strict.File {
	t.Helper()
	files := examples.SpinNet2006()
	for i := range files {
		files[i].Data = bytes.ReplaceAll(files[i].Data, []byte(old), []byte(now))
	}
	return files
}

// station returns the entry that forwards frames to a MAC address.
func station(t *testing.T, last byte) pipeline.Entry {
	t.Helper()
	all, err := (&pipeline.State{Bridge: map[pipeline.MAC]pipeline.BridgePort{{2, 0, 0, 0, 1, last}: {Port: 1}}}).Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if !e.IsDefault() {
			return e
		}
	}
	t.Fatal("no entry")
	return pipeline.Entry{}
}

// TestForeign verifies that the entries of the applied, the attempted and the wanted revisions are op25b's own, and that
// all others are foreign.
func TestForeign(t *testing.T) {
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Date(2006, 8, 1, 12, 0, 0, 0, time.UTC)
	book := intent.NewBook(s, func() time.Time { return now })
	const macs = `["02:00:00:00:01:01"]`
	var in *intent.Intent
	for _, files := range [][]strict.File{
		edited(t, macs, `["02:00:00:00:01:01", "02:00:00:00:01:41"]`), // reached
		edited(t, macs, `["02:00:00:00:01:01", "02:00:00:00:01:42"]`), // begun
		edited(t, macs, `["02:00:00:00:01:01", "02:00:00:00:01:43"]`), // reported as wanted
		edited(t, "    rejectFrom:", "    foreign: keep\n    rejectFrom:"),
	} {
		p, err := book.Propose(t.Context(), files)
		if err != nil {
			t.Fatal(err)
		}
		if in, err = book.Put(t.Context(), p, intent.By{Who: "noc", Reason: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	applied := Applied{Revision: 1, Attempted: []uint64{2, 9, 2}, Wanted: 3}
	past, err := applied.Past(t.Context(), "edge-1", book.At)
	if len(past) != 3 || !errors.Is(err, store.ErrNotFound) || !strings.HasPrefix(err.Error(), "revision 9: ") {
		t.Fatalf("%d past states, error %v; want 3 and revision 9 not found", len(past), err)
	}
	want, err := At(in, "edge-1", now)
	if err != nil {
		t.Fatal(err)
	}
	f := NewForeign(want, func() ([]Desired, error) { return past, nil })
	for last, foreign := range map[byte]bool{0x41: false, 0x42: false, 0x43: false, 0x44: true} {
		if e := station(t, last); f.Is(e) != foreign || f.Keep(e) != foreign {
			t.Errorf("%v: foreign %v, kept %v; want %v", e, f.Is(e), f.Keep(e), foreign)
		}
	}
	if f.Removed() != nil || f.Filter() == nil || f.Err() != nil {
		t.Errorf("where foreign entries are kept: removed %v, error %v", f.Removed(), f.Err())
	}

	// If the inventory does not have "foreign: keep", foreign entries are removed. An error of past is reported.
	want.Intent = past[0].Intent
	lost := errors.New("lost")
	f = NewForeign(want, func() ([]Desired, error) { return nil, lost })
	if e := station(t, 0x44); f.Keep(e) || len(f.Removed()) != 1 || f.Filter() != nil || !errors.Is(f.Err(), lost) {
		t.Errorf("where foreign entries are removed: %v, error %v", f.Removed(), f.Err())
	}
	if _, err := (Applied{}).Past(t.Context(), "edge-1", func(context.Context, uint64) (*intent.Intent, error) { return nil, lost }); err != nil {
		t.Errorf("nothing was applied: %v", err)
	}
}
