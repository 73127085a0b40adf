package p4rt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	op25bv1 "op25b/proto/op25b/v1"
)

// recorder returns a recorder for a new file. It is closed at the end of the test, unless it was closed
// before.
func recorder(t *testing.T, cfg RecorderConfig) *Recorder {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "recording")
	}
	r, err := NewRecorder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func closed(t *testing.T, r *Recorder) (path string) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return r.cfg.Path
}

// kinds returns the records of a recording and the names of their events, in order.
func kinds(t *testing.T, path string) (names []string, records []*op25bv1.Record) {
	t.Helper()
	if _, err := eachRecord(path, func(_ int, rec *op25bv1.Record) error {
		name := strings.TrimPrefix(fmt.Sprintf("%T", rec.GetEvent()), "*op25bv1.Record_")
		names, records = append(names, name), append(records, rec)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return names, records
}

// Everything that was sent and received is recorded in order. The program is recorded once.
func TestRecord(t *testing.T) {
	answer := error(nil)
	fake := &fakeSwitch{write: func(context.Context, *p4v1.WriteRequest) error { return answer }}
	cfg := fake.serve(t)
	cfg.Recorder = recorder(t, RecorderConfig{})
	cfg.BatchSize = 2
	s := dialed(t, cfg)
	info, program := sessionProgram(t)
	for range 2 {
		if err := s.Push(t.Context(), info, program, 9); err != nil {
			t.Fatal(err)
		}
	}
	var want []op25bv1.Answer_Outcome
	for _, of := range []struct {
		answer  error
		outcome op25bv1.Answer_Outcome
	}{
		{nil, op25bv1.Answer_ANSWERED},
		{perUpdate(codes.OK, codes.NotFound), op25bv1.Answer_ANSWERED},
		{grpcstatus.Error(codes.FailedPrecondition, "no pipeline"), op25bv1.Answer_REFUSED},
		{grpcstatus.Error(codes.Internal, "oops \xff"), op25bv1.Answer_UNCLEAR},
		{grpcstatus.Error(codes.PermissionDenied, "not primary"), op25bv1.Answer_NOT_PRIMARY},
	} {
		answer = of.answer
		_ = s.Write(t.Context(), inserts(2))
		want = append(want, of.outcome)
	}
	s.Close()
	names, records := kinds(t, closed(t, cfg.Recorder))
	const written = "Write Answer "
	if got, want := strings.Join(names, " "), "Opening Dialed Status Pipeline Push Answer PipelineInForce Push Answer PipelineInForce "+
		strings.Repeat(written, 4)+"Write Status Answer Status"; got != want {
		t.Errorf("records\n%s\nwant\n%s", got, want)
	}
	var got []op25bv1.Answer_Outcome
	for _, rec := range records[10:] {
		if a := rec.GetAnswer(); a != nil {
			got = append(got, a.GetOutcome())
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("outcomes %v, want %v", got, want)
	}
	if r := records[13].GetAnswer().GetRefused(); len(r) != 1 || r[0].GetIndex() != 1 || codes.Code(r[0].GetCode()) != codes.NotFound {
		t.Errorf("refused %v", r)
	}
	if d := records[1].GetDialed(); d.GetAddr() != cfg.Addr || d.GetDeviceId() != testDevice || d.GetElectionId().GetLow() != 42 {
		t.Errorf("dialed %v", d)
	}
	if st := records[2].GetStatus(); st.GetState() != "primary" || st.GetReason() != string(ReasonElected) {
		t.Errorf("status %v", st)
	}
	if info, err := os.Stat(cfg.Recorder.cfg.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: a recording has subscribers' addresses in it", info.Mode(), err)
	}
}

// A recording has at most two files of the configured size. The newer file can be replayed without the
// older file.
func TestRecordRotates(t *testing.T) {
	cfg := startEmbedded(t)
	const max = 64 << 10
	cfg.Recorder = recorder(t, RecorderConfig{MaxBytes: max})
	s := dialed(t, cfg)
	info, program := sessionProgram(t)
	if _, err := s.EnsurePipeline(t.Context(), info, program); err != nil {
		t.Fatal(err)
	}
	const n, each = 50, 100 // a batch takes about 5 KB
	for i := range n {
		var batch []*p4v1.Entity
		for j := range each {
			batch = append(batch, route(uint64(i*each+j+1), 2))
		}
		if err := s.Write(t.Context(), updatesOf(p4v1.Update_INSERT, batch...)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	path := closed(t, cfg.Recorder)
	older, _ := kinds(t, path+".1")
	names, records := kinds(t, path)
	if got := strings.Join(names[:4], " "); got != "Opening Dialed Pipeline PipelineInForce" || !records[0].GetOpening().GetContinued() {
		t.Errorf("the new file begins with %s, continued %v", got, records[0].GetOpening().GetContinued())
	}
	if older[0] != "Opening" || len(older) < 5 {
		t.Errorf("the old file has %v", older)
	}
	for _, file := range []string{path, path + ".1"} {
		if info, err := os.Stat(file); err != nil || info.Size() > max+32<<10 {
			t.Errorf("%s: %d bytes, want at most %d and what it begins with", file, info.Size(), max)
		}
	}
	empty := dialed(t, startEmbedded(t))
	out, err := Replay(t.Context(), path, empty)
	if err != nil || len(out.Differences) != 0 || out.Pushes != 1 || out.Writes == 0 {
		t.Errorf("%+v, error %v", out, err)
	}
}

// A disk error ends the recording and is logged once. It has no other effect.
func TestRecordDiskFails(t *testing.T) {
	core, logged := observer.New(zapcore.DebugLevel)
	cfg := (&fakeSwitch{}).serve(t)
	cfg.Recorder = recorder(t, RecorderConfig{Logger: zap.New(core)})
	s := dialed(t, cfg)
	cfg.Recorder.file.out.Close() // simulates a disk that fails
	for range 10 {
		if err := s.Write(t.Context(), inserts(3)); err != nil {
			t.Fatal(err)
		}
	}
	if err := cfg.Recorder.Close(); err == nil || !strings.Contains(err.Error(), "recording "+cfg.Recorder.cfg.Path+" ended: ") {
		t.Errorf("Close: %v", err)
	}
	if err := s.Write(t.Context(), inserts(3)); err != nil {
		t.Error(err)
	}
	if n := logged.FilterMessage("recording ended; the session goes on without").Len(); n != 1 || logged.Len() != 1 {
		t.Errorf("%d lines: %v", n, logged.All())
	}
}

// If the disk is slow, records are dropped, but the session is not delayed. The recording states how
// many records are missing, at the place where they are missing.
func TestRecordDiskIsSlow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	r := recorder(t, RecorderConfig{Path: path, QueueBytes: 1000})
	closed(t, r)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	file, err := openRecordFile(path, DefaultRecordBytes, r.cfg.Now)
	if err != nil {
		t.Fatal(err)
	}
	// Without its goroutine, a recorder behaves as if the disk accepted nothing.
	stuck := &Recorder{cfg: r.cfg, log: zap.NewNop(), file: file, wake: make(chan struct{}, 1), done: make(chan struct{})}
	rec := recording{stuck, 1}
	for range 100 {
		rec.write(wholeBatch(10))
	}
	left := stuck.left
	if left == 0 || left > 99 {
		t.Fatalf("%d of 100 left out", left)
	}
	stuck.queue, stuck.bytes = stuck.queue[:1], 100 // the disk accepts data again
	rec.write(wholeBatch(1))
	go stuck.write()
	names, records := kinds(t, closed(t, stuck))
	if got := strings.Join(names, " "); got != "Opening Write Gap Write" || records[2].GetGap().GetRecords() != left {
		t.Errorf("%s with a gap of %d, want one of %d", got, records[2].GetGap().GetRecords(), left)
	}
}

// A recorder appends to the file that a killed process left, after the last complete record.
func TestRecordGoesOn(t *testing.T) {
	first := recorder(t, RecorderConfig{})
	recording{first, 1}.write(wholeBatch(1))
	path := closed(t, first)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, whole[:len(whole)-1]...), 0o600); err != nil { // the last record of the copy is incomplete
		t.Fatal(err)
	}
	closed(t, recorder(t, RecorderConfig{Path: path}))
	if names, _ := kinds(t, path); strings.Join(names, " ") != "Opening Write Opening Opening" {
		t.Errorf("records %v", names)
	}
}

func TestRecorderErrors(t *testing.T) {
	for _, tt := range []struct {
		cfg  RecorderConfig
		want string
	}{
		{RecorderConfig{Path: "/none/recording"}, "invalid configuration: recording /none/recording: open /none/recording: no such file or directory"},
		{RecorderConfig{Path: "x", MaxBytes: -1}, "invalid configuration: recording x: -1 bytes a file, 0 queued: must be > 0, or 0 for 67108864 and 67108864"},
	} {
		if _, err := NewRecorder(tt.cfg); !errors.Is(err, ErrConfig) || err.Error() != tt.want {
			t.Errorf("error\n%v\nwant\n%s", err, tt.want)
		}
	}
	if err := (*Recorder)(nil).Close(); err != nil {
		t.Errorf("none: %v", err)
	}
}

// wholeBatch returns one batch of n updates.
func wholeBatch(n int) *batch { return &batch{updates: messages(inserts(n)), to: n} }
