package drive

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/rollout"
	"op25b/internal/store"
)

// largest returns the record of a rollout of 1,000 switches in 20 rings, all of which have the change, with long names and counts.
func largest() *Stored {
	at := time.Date(2026, 11, 30, 12, 34, 56, 123456789, time.UTC)
	s := &Stored{
		Record: rollout.Record{ID: "1234", Change: rollout.Change{Phase: strings.Repeat("p", 64)}, Author: strings.Repeat("a", 256), Reason: strings.Repeat("r", 4096), State: rollout.Soaking, Since: at},
		Begun:  map[string]Counts{}, Told: map[string]Counts{}, First: map[string]time.Time{}, Seen: map[string]time.Time{}, Steady: map[string]Counts{}, Changed: map[string]time.Time{}, Tickets: map[string]TicketCount{}, TicketKey: make([]byte, 32),
	}
	random := rand.New(rand.NewPCG(1, 2)) // counts hardly compress
	count := func() uint64 { return random.Uint64N(math.MaxUint64 / 1000) }
	for ring := range 20 {
		stage := rollout.Stage{Name: fmt.Sprintf("ring-%02d-%s", ring, strings.Repeat("x", 56)), Soak: 30 * 24 * time.Hour}
		for n := range 50 {
			name := fmt.Sprintf("edge-%04d-%s", ring*50+n, strings.Repeat("x", 54))
			stage.Switches = append(stage.Switches, name)
			for _, of := range []map[string]Counts{s.Begun, s.Told, s.Steady} {
				of[name] = Counts{
					Owner: "noc-1." + strings.Repeat("o", 57), Rollout: s.ID, At: at.Add(-time.Duration(random.IntN(1e9))), Submission: count(), Relays: count(), Link: count(),
					Counted: count(), Stopped: count(), Lines: 8192, Affected: count() % 8192, Since: at.Add(-time.Duration(random.IntN(1e9))), With: true,
					LinesCounted: true, Forecast: count() % 8192, Opened: count() % 8192, ForecastKnown: true, Renewed: true,
				}
			}
			s.First[name], s.Seen[name] = at.Add(time.Duration(random.IntN(1e9))), at.Add(time.Duration(random.IntN(1e9)))
		}
		s.Stages = append(s.Stages, stage)
		s.Changed[stage.Name], s.Tickets[stage.Name] = at, TicketCount{Lines: 8192, Unplaced: 8192}
	}
	s.Ring = len(s.Stages) - 1
	return s
}

// TestLargestRecordFits verifies that the record of a rollout of 1,000 switches can be stored in every ring, however long the names are, and that it is the
// same when it is read.
func TestLargestRecordFits(t *testing.T) {
	s := largest()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal((*plainStored)(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d before compression", len(text), len(plain))
	if len(text) > store.MaxRecord || len(plain) > maxUnpacked {
		t.Errorf("the record has %d bytes, %d before compression; the store takes at most %d", len(text), len(plain), store.MaxRecord)
	}
	var read Stored
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&read, s) {
		t.Error("the record is another one when it is read")
	}
}

// TestPacked verifies that a small record is readable JSON, and that a compressed one that is broken or too large is refused.
func TestPacked(t *testing.T) {
	s := Stored{Record: rollout.Record{ID: "7"}}
	text, err := json.Marshal(s)
	if err != nil || !strings.HasPrefix(string(text), `{"id":"7"`) {
		t.Errorf("%s, %v", text, err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(make([]byte, maxUnpacked+1)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		data []byte
		want string
	}{{b.Bytes(), "a compressed rollout has more than 16 MiB"}, {[]byte("x"), "a compressed rollout: "}, {b.Bytes()[:100], "a compressed rollout: "}} {
		text, err := json.Marshal(packed{x.data})
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &s); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%d bytes: %v, want %q", len(x.data), err, x.want)
		}
	}
}

// BenchmarkLead measures what a step of a rollout of 1,000 switches costs: the record is read and written (record), the counts and the statuses are read
// from the store (counts, statuses), and the gates of 20 rings are evaluated (observe). A step happens at each change of a status, and once a second while
// counts change. The floor reads and writes the same bytes.
func BenchmarkLead(b *testing.B) {
	st, err := store.Open(b.Context(), store.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	s := largest()
	var statuses []fleet.Status
	counts := make(map[string]Counts)
	for _, name := range s.Switches() {
		at := fleet.Status{Switch: name, Owner: "noc-1", State: fleet.StateConverged, Revision: 7, Wanted: 7}
		statuses, counts[name] = append(statuses, at), s.Begun[name]
		if _, err := store.JSON[fleet.Status](st, "status").PutIf(b.Context(), name, 0, at); err != nil {
			b.Fatal(err)
		}
		if _, err := store.JSON[Counts](st, countsKind).PutIf(b.Context(), name, 0, s.Begun[name]); err != nil {
			b.Fatal(err)
		}
	}
	d := &Driver{Store: st, Name: "noc-1"}
	records := store.JSON[Stored](st, rolloutKind)
	b.Run("record", func(b *testing.B) {
		for b.Loop() {
			if _, err := records.PutIf(b.Context(), currentName, store.AnyVersion, *s); err != nil {
				b.Fatal(err)
			}
			if _, err := d.Current(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		text, _ := json.Marshal(s)
		b.ReportMetric(float64(len(text)), "bytes")
	})
	b.Run("record-floor", func(b *testing.B) {
		text, err := json.Marshal(s)
		if err != nil {
			b.Fatal(err)
		}
		bare := store.JSON[json.RawMessage](st, "floor")
		for b.Loop() {
			if _, err := bare.PutIf(b.Context(), currentName, store.AnyVersion, text); err != nil {
				b.Fatal(err)
			}
			if _, err := bare.Get(b.Context(), currentName); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("counts", func(b *testing.B) {
		for b.Loop() {
			if all, err := d.counts(b.Context(), s.ID); err != nil || len(all) != 1000 {
				b.Fatal(len(all), err)
			}
		}
	})
	b.Run("statuses", func(b *testing.B) {
		for b.Loop() {
			if _, err := fleet.Known(b.Context(), st, "noc-1"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("observe", func(b *testing.B) {
		in := &intent.Intent{Bundle: &policy.Bundle{Policy: &policy.Policy{}, Inventory: &policy.Inventory{}}}
		for _, name := range s.Switches() {
			in.Bundle.Inventory.Switches = append(in.Bundle.Inventory.Switches, policy.Switch{Name: name})
		}
		for b.Loop() {
			o := s.observe(in, statuses, counts, heard{}, s.Since.Add(time.Minute), true)
			rollout.Next(s.Record, o)
		}
	})
}
