package p4rt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	op25bv1 "op25b/proto/op25b/v1"
)

func routes(t *testing.T, r *Reader) map[string]*p4v1.TableEntry {
	t.Helper()
	all := map[string]*p4v1.TableEntry{}
	if err := r.ReadTables(t.Context(), []uint32{routeTable}, func(_ uint32, got []*p4v1.TableEntry) error {
		for _, e := range got {
			all[string(e.GetMatch()[0].GetLpm().GetValue())] = e
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// A recording of one switch is replayed to a fresh switch. The answers and the entries must be the same. If it is
// replayed to a switch with other content, the differences are reported.
func TestReplayReal(t *testing.T) {
	onRealSwitches(t, func(t *testing.T, on target) {
		cfg := on.start(t)
		cfg.Recorder = recorder(t, RecorderConfig{})
		cfg.BatchSize = 4
		s := dialed(t, cfg)
		ctx := t.Context()
		if err := s.Write(ctx, updatesOf(p4v1.Update_INSERT, route(1, 2))); !errors.Is(err, ErrNoPipeline) {
			t.Fatal(err)
		}
		info, program := sessionProgram(t)
		if _, err := s.EnsurePipeline(ctx, info, program); err != nil {
			t.Fatal(err)
		}
		for _, do := range [][]*p4v1.Update{
			updatesOf(p4v1.Update_INSERT, route(1, 1), route(2, 2), route(3, 3), route(4, 4), route(5, 5), route(6, 6)),
			updatesOf(p4v1.Update_INSERT, route(6, 6), route(7, 7)),   // entry 6 exists already
			updatesOf(p4v1.Update_MODIFY, route(2, 200), route(8, 8)), // entry 8 does not exist
			updatesOf(p4v1.Update_DELETE, route(1, 0)),
		} {
			_ = s.Write(ctx, do)
		}
		want := routes(t, s.Reader)
		s.Close()
		path := closed(t, cfg.Recorder)

		fresh := dialed(t, on.start(t))
		out, err := Replay(ctx, path, fresh)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&Replayed{Records: out.Records, Pushes: 1, Writes: 6, Updates: 12}, out); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, routes(t, fresh.Reader), protocmp.Transform()); diff != "" || len(want) != 6 {
			t.Errorf("%d entries; (-recorded +replayed):\n%s", len(want), diff)
		}

		// Replay the recording to the same switch again. The switch has a pipeline from the start, so the first write
		// succeeds. The push then deletes the entries, so that the other answers are the same.
		if out, err = Replay(ctx, path, fresh); err != nil || len(out.Differences) != 1 || out.Differences[0].What != "all 1 updates" {
			t.Errorf("again: %+v, error %v: want one difference, that there is a pipeline from the start", out, err)
		}
	})
}

func TestReplayDifferences(t *testing.T) {
	answers := []error{nil, perUpdate(codes.OK, codes.NotFound), nil}
	next := func() (err error) { err, answers = answers[0], answers[1:]; return err }
	fake := &fakeSwitch{write: func(context.Context, *p4v1.WriteRequest) error { return next() }}
	cfg := fake.serve(t)
	cfg.Recorder = recorder(t, RecorderConfig{})
	s := dialed(t, cfg)
	for range 3 {
		_ = s.Write(t.Context(), inserts(2))
	}
	s.Close()
	path := closed(t, cfg.Recorder)

	cfg.Recorder = nil
	answers = []error{nil, perUpdate(codes.AlreadyExists, codes.NotFound), perUpdate(codes.OK, codes.ResourceExhausted)}
	out, err := Replay(t.Context(), path, dialed(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	want := []ReplayDifference{
		{Record: 6, What: "update 0 of 2 (INSERT table_entry)", Recorded: "OK", Got: "AlreadyExists: because"},
		{Record: 8, What: "update 1 of 2 (INSERT table_entry)", Recorded: "OK", Got: "ResourceExhausted: because"},
	}
	if diff := cmp.Diff(want, out.Differences, cmpopts.IgnoreFields(ReplayDifference{}, "Time")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := out.Differences[0]; d.Time.IsZero() || !strings.HasSuffix(d.String(), "Z, update 0 of 2 (INSERT table_entry): recorded OK, now AlreadyExists: because") {
		t.Errorf("%s", d)
	}
}

// handmade writes the given records to a file and returns its path.
func handmade(t *testing.T, records ...*op25bv1.Record) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording")
	var all []byte
	for _, rec := range records {
		all = append(all, encode(rec)...)
	}
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func opening() *op25bv1.Record {
	return &op25bv1.Record{Event: &op25bv1.Record_Opening{Opening: &op25bv1.Opening{Version: recordVersion}}}
}

func written(t *testing.T, request uint64) *op25bv1.Record {
	t.Helper()
	encoded, err := proto.Marshal(inserts(1)[0])
	if err != nil {
		t.Fatal(err)
	}
	return &op25bv1.Record{Event: &op25bv1.Record_Write{Write: &op25bv1.Write{Request: request, Updates: [][]byte{encoded}}}}
}

func answered(request uint64, outcome op25bv1.Answer_Outcome) *op25bv1.Record {
	return &op25bv1.Record{Event: &op25bv1.Record_Answer{Answer: &op25bv1.Answer{Request: request, Outcome: outcome}}}
}

// A request whose recorded answer is missing or unclear is sent but not compared. A request that was refused because
// another controller owned the switch is not sent. Each process counts its requests from 1.
func TestReplayUnanswered(t *testing.T) {
	path := handmade(t, opening(),
		written(t, 1), answered(1, op25bv1.Answer_UNCLEAR),
		written(t, 2), answered(2, op25bv1.Answer_NOT_PRIMARY),
		written(t, 3), // the process was killed
		opening(), written(t, 1), written(t, 3), answered(3, op25bv1.Answer_ANSWERED), answered(1, op25bv1.Answer_REFUSED),
		&op25bv1.Record{Event: &op25bv1.Record_Gap{Gap: &op25bv1.Gap{Records: 5}}},
	)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	half := encode(written(t, 4))
	if _, err := file.Write(half[:len(half)/2]); err != nil {
		t.Fatal(err)
	}
	file.Close()
	out, err := Replay(t.Context(), path, dialed(t, (&fakeSwitch{}).serve(t)))
	if err != nil {
		t.Fatal(err)
	}
	want := &Replayed{Records: 12, Writes: 4, Updates: 4, Skipped: 1, Unknown: 2, Gaps: 5, Torn: true, Differences: []ReplayDifference{
		{Record: 8, What: "all 1 updates", Recorded: "OK", Got: "OK"},
	}}
	if diff := cmp.Diff(want, out, cmpopts.IgnoreFields(ReplayDifference{}, "Time", "Recorded")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A replay stops if the outcome of a write is unclear or if another controller owns the switch.
func TestReplayStops(t *testing.T) {
	path := handmade(t, opening(), written(t, 1), written(t, 2), written(t, 3))
	for want, code := range map[error]codes.Code{ErrUnclear: codes.Internal, ErrNotPrimary: codes.PermissionDenied} {
		calls := 0
		fake := &fakeSwitch{write: func(context.Context, *p4v1.WriteRequest) error {
			if calls++; calls == 2 {
				return grpcstatus.Error(code, "no")
			}
			return nil
		}}
		out, err := Replay(t.Context(), path, dialed(t, fake.serve(t)))
		if !errors.Is(err, want) || !strings.Contains(err.Error(), path+": record 3: ") || out.Writes != 1 || calls != 2 {
			t.Errorf("%v: %+v, error %v after %d requests", code, out, err, calls)
		}
	}
}

func TestReplayErrors(t *testing.T) {
	s := dialed(t, (&fakeSwitch{}).serve(t))
	session := func(addr string) *op25bv1.Record {
		return &op25bv1.Record{Event: &op25bv1.Record_Dialed{Dialed: &op25bv1.Session{Addr: addr, DeviceId: 1}}}
	}
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("\x05hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path, want string
	}{
		{"no file", "/none", "recording: open /none: no such file or directory"},
		{"empty", handmade(t), "record 1: the file is empty"},
		{"garbage", garbage, "record 1: proto: cannot parse invalid wire-format data"},
		{"no opening", handmade(t, written(t, 1)), "record 1: no opening: not a recording of op25b"},
		{"version", handmade(t, &op25bv1.Record{Event: &op25bv1.Record_Opening{Opening: &op25bv1.Opening{Version: 2}}}), "record 1: version 2 of the format: this op25b reads version 1"},
		{"two switches", handmade(t, opening(), session("192.0.2.1:9559"), session("192.0.2.2:9559")), "record 3: device 1 at 192.0.2.2:9559 beside device 1 at 192.0.2.1:9559: a recording is replayed to one switch"},
		{"damaged pipeline", handmade(t, opening(), &op25bv1.Record{Event: &op25bv1.Record_Pipeline{Pipeline: &op25bv1.Pipeline{Sha256: []byte{1}}}}), "a pipeline that is not what its name says"},
		{"no such pipeline", handmade(t, opening(), &op25bv1.Record{Event: &op25bv1.Record_Push{Push: &op25bv1.Push{PipelineSha256: make([]byte, 32)}}}), "is not in the file before it is named"},
		{"short name", handmade(t, opening(), &op25bv1.Record{Event: &op25bv1.Record_Push{Push: &op25bv1.Push{}}}), "a pipeline's name has 0 bytes, want 32"},
		{"damaged update", handmade(t, opening(), &op25bv1.Record{Event: &op25bv1.Record_Write{Write: &op25bv1.Write{Updates: [][]byte{{0xff}}}}}), "update 0 of 1: proto:"},
	} {
		_, err := Replay(t.Context(), tt.path, s)
		if !errors.Is(err, ErrRecording) || !strings.Contains(strings.ReplaceAll(err.Error(), "\u00a0", " "), tt.want) {
			t.Errorf("%s: error\n%v\nwant\n%s", tt.name, err, tt.want)
		}
	}
}

// If a controller restarts and finds the pipeline on the switch, its recording contains the pipeline too. The
// pipeline is not pushed to a switch that already has it.
func TestReplayPipelineFound(t *testing.T) {
	cfg := programmed(t, target{"embedded", true, startEmbedded}).cfg
	cfg.ElectionID.Low++
	cfg.Recorder = recorder(t, RecorderConfig{})
	s := dialed(t, cfg)
	info, program := sessionProgram(t)
	if pushed, err := s.EnsurePipeline(t.Context(), info, program); pushed || err != nil {
		t.Fatalf("pushed %v, error %v", pushed, err)
	}
	if err := s.Write(t.Context(), updatesOf(p4v1.Update_INSERT, route(1, 2))); err != nil {
		t.Fatal(err)
	}
	s.Close()
	path := closed(t, cfg.Recorder)
	there := dialed(t, startEmbedded(t))
	for _, pushes := range []int{1, 0} {
		out, err := Replay(t.Context(), path, there)
		if err != nil || out.Pushes != pushes || len(out.Differences) != 1-pushes {
			t.Errorf("%+v, error %v; want %d pushes, and the entry is there the second time", out, err, pushes)
		}
	}
}
