package web

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestBeginning verifies since when a phase is in force: since the activation that put it in force, and otherwise since its date, but not before a
// policy was stored.
func TestBeginning(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	act := func(revision uint64, phase string, n int) *op25bv1.Activation {
		return &op25bv1.Activation{Revision: revision, Phase: phase, Time: timestamppb.New(day(n))}
	}
	undo := func(revision, undoes uint64, n int) *op25bv1.Activation {
		return &op25bv1.Activation{Revision: revision, Undoes: undoes, Time: timestamppb.New(day(n))}
	}
	part := act(3, "watch", 9)
	part.Switches = []string{"edge-east"}
	drain := &op25bv1.Phase{Name: "drain", Begins: timestamppb.New(day(20))}
	for name, c := range map[string]struct {
		phase       *op25bv1.Phase
		activations []*op25bv1.Activation
		first       time.Time
		want        time.Time
		revision    uint64 // of the activation; 0 means that the date began it
	}{
		"by its date":                        {drain, nil, day(1), day(20), 0},
		"by its date, of a later policy":     {drain, nil, day(25), day(25), 0},
		"before its date":                    {drain, []*op25bv1.Activation{act(2, "drain", 10)}, day(1), day(10), 2},
		"after another phase":                {drain, []*op25bv1.Activation{act(2, "watch", 25), act(3, "drain", 26)}, day(1), day(26), 3},
		"activated twice":                    {drain, []*op25bv1.Activation{act(2, "drain", 10), act(3, "drain", 12)}, day(1), day(10), 2},
		"again while in force by its date":   {drain, []*op25bv1.Activation{act(2, "drain", 25)}, day(1), day(20), 0},
		"undone before its date":             {drain, []*op25bv1.Activation{act(2, "drain", 10), undo(3, 2, 11)}, day(1), day(20), 0},
		"another phase was undone":           {drain, []*op25bv1.Activation{act(2, "drain", 10), act(3, "watch", 11), undo(4, 3, 12), act(5, "drain", 13)}, day(1), day(10), 2},
		"another phase for a part":           {drain, []*op25bv1.Activation{act(2, "drain", 8), part, act(4, "drain", 10)}, day(1), day(8), 2},
		"by its date after an earlier phase": {drain, []*op25bv1.Activation{act(2, "watch", 10)}, day(1), day(20), 0},
		"without a date":                     {&op25bv1.Phase{Name: "drain"}, []*op25bv1.Activation{act(2, "drain", 10)}, day(1), day(10), 2},
	} {
		h := &programmeHistory{activations: c.activations, first: c.first}
		got, known := h.beginning(c.phase)
		if !known || !got.at.Equal(c.want) || got.activation.GetRevision() != c.revision {
			t.Errorf("%s: %v by revision %d (known: %v), want %v by revision %d", name, got.at, got.activation.GetRevision(), known, c.want, c.revision)
		}
	}
	if _, known := (&programmeHistory{}).beginning(&op25bv1.Phase{Name: "drain"}); known {
		t.Error("the beginning of a phase without a date and an activation is known")
	}
	if _, known := (*programmeHistory)(nil).beginning(drain); known {
		t.Error("a beginning is known without activations that can be read")
	}
}

// TestAmong verifies that the record of each switch is compared, because the mean hides a switch without one, and that at most three are named.
func TestAmong(t *testing.T) {
	en, ja := base{Lang: "en"}, base{Lang: "ja"}
	at := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	s := &op25bv1.ListSeriesResponse{To: timestamppb.New(at.Add(24 * time.Hour)), Steps: []*op25bv1.SeriesStep{{Start: timestamppb.New(at), Recorded: 0.5}}}
	of := func(recorded ...time.Duration) *record {
		r := &record{whole: 24 * time.Hour}
		for i, d := range recorded {
			r.of, r.most = append(r.of, switchRecord{"edge-" + string(rune('a'+i)), d}), max(r.most, d)
		}
		return r
	}
	const h = time.Hour
	for name, c := range map[string]struct{ got, want string }{
		"not known":  {en.among("Last 24 hours", nil, s, 0), "Last 24 hours: 12 h of 24 h were recorded. What was counted in the rest may be missing."},
		"all alike":  {en.among("Last 24 hours", of(12*h, 12*h-time.Minute), s, 0), "Last 24 hours: 12 h of 24 h were recorded. What was counted in the rest may be missing."},
		"one blind":  {en.among("Last 24 hours", of(10*h, 0), s, 0), "Last 24 hours: of the switches with the longest record, 10 h of 24 h were recorded. Less was recorded on edge-b (nothing); their packets may be missing."},
		"five short": {en.among("Last 24 hours", of(24*h, h, 2*h, 3*h, 4*h, 5*h), s, 0), "Last 24 hours: all of it was recorded on some switches. Less was recorded on edge-b (1 h), edge-c (2 h), edge-d (3 h) and 2 more; their packets may be missing."},
		"Japanese":   {ja.among("直近24時間", of(10*h, 0), s, 0), "直近24時間：記録が最も長いスイッチでは、24時間のうち10時間が記録されています。記録が短いスイッチ：edge-b（記録なし）。これらのスイッチのパケットは含まれないことがあります。"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s\nwant %s", name, c.got, c.want)
		}
	}
}

// TestRecordedShort verifies that a short time does not count as recorded if a part of it is missing that is less than a minute.
func TestRecordedShort(t *testing.T) {
	from := time.Date(2006, 12, 2, 12, 0, 0, 0, time.UTC)
	en := base{Lang: "en"}
	for _, c := range []struct {
		whole, part time.Duration
		want        string
	}{
		{time.Minute, time.Minute, "Now: all of it was recorded."},
		{time.Minute, 55 * time.Second, "Now: all of it was recorded."},
		{time.Minute, 40 * time.Second, "Now: less than 1 min of 1 min were recorded. What was counted in the rest may be missing."},
		{2 * time.Minute, 100 * time.Second, "Now: 1 min of 2 min were recorded. What was counted in the rest may be missing."},
		{time.Hour, time.Hour - 29*time.Second, "Now: all of it was recorded."},
		{time.Hour, time.Hour - 31*time.Second, "Now: 59 min of 1 h were recorded. What was counted in the rest may be missing."},
	} {
		got := en.recorded("Now", &op25bv1.CountedSince{From: timestamppb.New(from), To: timestamppb.New(from.Add(c.whole)), Recorded: durationpb.New(c.part)})
		if got != c.want {
			t.Errorf("%v of %v: %q, want %q", c.part, c.whole, got, c.want)
		}
	}
}
