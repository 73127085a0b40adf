package p4rt

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// asWriteError checks that err is a *WriteError that accounts for every update, and returns it.
func asWriteError(t *testing.T, err error) *WriteError {
	t.Helper()
	var w *WriteError
	if !errors.As(err, &w) {
		t.Fatalf("error %v is no *WriteError", err)
	}
	if sum := w.Applied + len(w.Failed) + w.Unclear.Len() + w.NotSent.Len(); sum != w.Total {
		t.Errorf("%d updates accounted for, %d given: %+v", sum, w.Total, w)
	}
	return w
}

func TestWriteBatches(t *testing.T) {
	var got []*p4v1.WriteRequest
	fake := &fakeSwitch{write: func(_ context.Context, r *p4v1.WriteRequest) error { got = append(got, r); return nil }}
	cfg := fake.serve(t)
	cfg.BatchSize, cfg.Role, cfg.ElectionID = 3, "mail", ElectionID{High: 1, Low: 2}
	s := dialed(t, cfg)
	updates := inserts(8)
	if err := s.Write(t.Context(), updates); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	var sent []*p4v1.Update
	for _, r := range got {
		sizes = append(sizes, len(r.GetUpdates()))
		sent = append(sent, r.GetUpdates()...)
		if r.GetDeviceId() != testDevice || r.GetRole() != "mail" || r.GetElectionId().GetHigh() != 1 || r.GetElectionId().GetLow() != 2 ||
			r.GetAtomicity() != p4v1.WriteRequest_CONTINUE_ON_ERROR {
			t.Errorf("request is not the session's: %v", r)
		}
	}
	if want := []int{3, 3, 2}; !slices.Equal(sizes, want) {
		t.Errorf("batches of %v, want %v", sizes, want)
	}
	if diff := cmp.Diff(updates, sent, protocmp.Transform()); diff != "" {
		t.Errorf("updates changed on the way (-given +sent):\n%s", diff)
	}
	if err := s.Write(t.Context(), nil); err != nil || len(got) != 3 {
		t.Errorf("an empty write: error %v, %d requests more", err, len(got)-3)
	}
}

func TestWriteSplitsByBytes(t *testing.T) {
	var sizes []int
	fake := &fakeSwitch{write: func(_ context.Context, r *p4v1.WriteRequest) error {
		sizes = append(sizes, len(r.GetUpdates()))
		return nil
	}}
	cfg := fake.serve(t)
	cfg.MaxBatchBytes = 1000
	s := dialed(t, cfg)
	large := func(bytes int) *p4v1.Update {
		return &p4v1.Update{Type: p4v1.Update_INSERT, Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{
			TableEntry: &p4v1.TableEntry{TableId: 1, Metadata: make([]byte, bytes)},
		}}}
	}
	// Two updates of 400 bytes fit in a batch, and the third does not. The update of 2,000 bytes does not fit in
	// any batch. It is sent alone, so that the switch decides.
	if err := s.Write(t.Context(), []*p4v1.Update{large(400), large(400), large(400), large(2000), large(400)}); err != nil {
		t.Fatal(err)
	}
	if want := []int{2, 1, 1, 1}; !slices.Equal(sizes, want) {
		t.Errorf("batches of %v, want %v", sizes, want)
	}
}

// A refused update stops neither its batch nor the next batch. Its index refers to the caller's list.
func TestWritePerUpdateErrors(t *testing.T) {
	answers := []error{perUpdate(codes.OK, codes.AlreadyExists), nil, perUpdate(codes.ResourceExhausted)}
	fake := &fakeSwitch{write: func(context.Context, *p4v1.WriteRequest) error {
		err := answers[0]
		answers = answers[1:]
		return err
	}}
	cfg := fake.serve(t)
	cfg.BatchSize = 2
	s := dialed(t, cfg)
	updates := inserts(5)
	w := asWriteError(t, s.Write(t.Context(), updates))
	want := []UpdateError{
		{Index: 1, Update: updates[1], Code: codes.AlreadyExists, Message: "because"},
		{Index: 4, Update: updates[4], Code: codes.ResourceExhausted, Message: "because"},
	}
	if diff := cmp.Diff(want, w.Failed, protocmp.Transform()); diff != "" {
		t.Errorf("failed updates (-want +got):\n%s", diff)
	}
	if w.Applied != 3 || !w.Answered() || w.Err != nil {
		t.Errorf("applied %d, answered %v, error %v; want 3, true, nil", w.Applied, w.Answered(), w.Err)
	}
	if w.Only(codes.AlreadyExists) || !w.Only(codes.AlreadyExists, codes.ResourceExhausted) {
		t.Error("Only does not go by the codes")
	}
	const text = "127.0.0.1:1 device 7: write: 3 of 5 updates applied, 2 refused; first refused: " +
		"update 1 (INSERT table_entry): AlreadyExists: because"
	w.Addr = "127.0.0.1:1"
	if w.Error() != text {
		t.Errorf("message\n%s\nwant\n%s", w.Error(), text)
	}
}

func detail(t *testing.T, m *anypb.Any, err error) *anypb.Any {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// If the answer of the switch does not account for the whole batch, the outcome is unclear, and the write ends.
func TestWriteUnclear(t *testing.T) {
	empty, err := anypb.New(&emptypb.Empty{})
	wrongType := detail(t, empty, err)
	damaged := &anypb.Any{TypeUrl: "type.googleapis.com/p4.v1.Error", Value: []byte{0xff}}
	withDetails := func(details ...*anypb.Any) error {
		return grpcstatus.FromProto(&status.Status{Code: int32(codes.Unknown), Message: "write failure", Details: details}).Err()
	}
	for _, tt := range []struct {
		name   string
		answer error
		is     error // error that is expected in addition to ErrUnclear
	}{
		{"no details", grpcstatus.Error(codes.Unknown, "something"), nil},
		{"a code for one update only", grpcstatus.Error(codes.AlreadyExists, "exists"), nil},
		{"internal", grpcstatus.Error(codes.Internal, "oops"), nil},
		{"unavailable", grpcstatus.Error(codes.Unavailable, "shutting down"), ErrUnreachable},
		{"too few details", perUpdate(codes.NotFound), nil},
		{"too many details", perUpdate(codes.NotFound, codes.OK, codes.OK), nil},
		{"every detail is good", perUpdate(codes.OK, codes.OK), nil},
		{"details of another type", withDetails(wrongType, wrongType), nil},
		{"damaged details", withDetails(damaged, damaged), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			fake := &fakeSwitch{write: func(context.Context, *p4v1.WriteRequest) error {
				if calls++; calls == 2 {
					return tt.answer
				}
				return nil
			}}
			cfg := fake.serve(t)
			cfg.BatchSize = 2
			s := dialed(t, cfg)
			w := asWriteError(t, s.Write(t.Context(), inserts(6)))
			if w.Applied != 2 || w.Unclear != (Span{2, 4}) || w.NotSent != (Span{4, 6}) || w.Answered() {
				t.Errorf("%+v: want 2 applied, 2 to 4 unclear, 4 to 6 not sent", w)
			}
			if !errors.Is(w, ErrUnclear) || tt.is != nil && !errors.Is(w, tt.is) {
				t.Errorf("error %q is not ErrUnclear and %v", w, tt.is)
			}
			if calls != 2 {
				t.Errorf("%d requests: nothing may follow an unclear one", calls)
			}
			if !s.Primary() {
				t.Error("an unclear answer says nothing about primacy")
			}
		})
	}
}

// A code that gRPC does not define is treated as a failure with the code Unknown.
func TestWriteStrangeCode(t *testing.T) {
	fake := &fakeSwitch{write: func(context.Context, *p4v1.WriteRequest) error { return perUpdate(codes.OK, 9999) }}
	w := asWriteError(t, dialed(t, fake.serve(t)).Write(t.Context(), inserts(2)))
	if w.Applied != 1 || len(w.Failed) != 1 || w.Failed[0].Code != codes.Unknown {
		t.Errorf("%+v: want one applied, one failed as Unknown", w)
	}
}

func TestWriteRefusedAsAWhole(t *testing.T) {
	for _, tt := range []struct {
		code codes.Code
		want error
	}{
		{codes.PermissionDenied, ErrNotPrimary},
		{codes.FailedPrecondition, ErrNoPipeline},
	} {
		fake := &fakeSwitch{write: func(context.Context, *p4v1.WriteRequest) error { return grpcstatus.Error(tt.code, "no") }}
		w := asWriteError(t, dialed(t, fake.serve(t)).Write(t.Context(), inserts(2)))
		if w.Applied != 0 || w.NotSent != (Span{0, 2}) || !errors.Is(w, tt.want) || errors.Is(w, ErrUnclear) {
			t.Errorf("%v: %+v: want all of it not applied, and %v", tt.code, w, tt.want)
		}
	}
}

func TestWriteNilUpdate(t *testing.T) {
	fake := &fakeSwitch{write: func(context.Context, *p4v1.WriteRequest) error {
		t.Error("something was sent")
		return nil
	}}
	err := dialed(t, fake.serve(t)).Write(t.Context(), []*p4v1.Update{inserts(1)[0], nil})
	if !errors.Is(err, ErrUpdate) {
		t.Errorf("error %v, want ErrUpdate", err)
	}
}

// I3 Fenced. PERMISSION_DENIED ends the primary role permanently, even if the stream reports nothing, and even if
// the stream later reports that the session is primary.
func TestFencedByWrite(t *testing.T) {
	refuse := true
	requests := 0
	fake := &fakeSwitch{
		streams: make(chan *fakeStream, 1),
		write: func(context.Context, *p4v1.WriteRequest) error {
			requests++
			if refuse {
				return grpcstatus.Error(codes.PermissionDenied, "not primary")
			}
			return nil
		},
	}
	s := dialed(t, fake.serve(t))
	work, cancel := s.PrimaryContext(t.Context())
	defer cancel()
	if err := s.Write(t.Context(), inserts(1)); !errors.Is(err, ErrNotPrimary) {
		t.Fatalf("error %v, want ErrNotPrimary", err)
	}
	<-work.Done()
	<-s.Demoted()
	if !errors.Is(context.Cause(work), ErrNotPrimary) || s.Primary() {
		t.Errorf("cause %v, primary %v", context.Cause(work), s.Primary())
	}
	refuse = false
	stream := <-fake.streams
	_, changed := s.watch()
	stream.arbitration(codes.OK, ElectionID{Low: 41}) // any other message, to wait until it has arrived
	<-changed
	stream.arbitration(codes.OK, testElection)
	if err := s.Write(t.Context(), inserts(1)); !errors.Is(err, ErrNotPrimary) || requests != 1 {
		t.Errorf("after the switch took us back: error %v, %d requests", err, requests)
	}
	if err := s.WaitPrimary(t.Context()); !errors.Is(err, ErrNotPrimary) {
		t.Errorf("WaitPrimary: %v, want ErrNotPrimary", err)
	}
}

// If the session is demoted during a batch, that batch is answered, and the next batch is not sent.
func TestWriteStopsBetweenBatchesWhenDemoted(t *testing.T) {
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
	var s *Session
	requests := 0
	fake.write = func(context.Context, *p4v1.WriteRequest) error {
		requests++
		stream := <-fake.streams
		stream.arbitration(codes.AlreadyExists, ElectionID{Low: 43})
		<-s.Demoted()
		return nil
	}
	cfg := fake.serve(t)
	cfg.BatchSize = 2
	s = dialed(t, cfg)
	w := asWriteError(t, s.Write(t.Context(), inserts(5)))
	if w.Applied != 2 || w.NotSent != (Span{2, 5}) || !errors.Is(w, ErrNotPrimary) || requests != 1 {
		t.Errorf("%+v after %d requests: want 2 applied, 3 not sent, ErrNotPrimary", w, requests)
	}
	if st := s.Status(); st.State != Backup || st.Reason != ReasonDemoted || st.Leader != (ElectionID{Low: 43}) {
		t.Errorf("status %v", st)
	}
}

// If the context is cancelled during a batch, the switch's answer to that batch still counts.
func TestWriteStopsBetweenBatchesWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	requests := 0
	fake := &fakeSwitch{write: func(context.Context, *p4v1.WriteRequest) error {
		requests++
		cancel(why)
		return perUpdate(codes.OK, codes.NotFound)
	}}
	cfg := fake.serve(t)
	cfg.BatchSize = 2
	w := asWriteError(t, dialed(t, cfg).Write(ctx, inserts(5)))
	if w.Applied != 1 || len(w.Failed) != 1 || w.NotSent != (Span{2, 5}) || !errors.Is(w, why) || requests != 1 {
		t.Errorf("%+v after %d requests: want 1 applied, 1 failed, 3 not sent, and the cause", w, requests)
	}
}

// If the switch does not answer, Write returns after CancelGrace if its context was cancelled, and after
// CallTimeout otherwise. In both cases the outcome is unclear.
func TestWriteSlowSwitch(t *testing.T) {
	for _, cancelled := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		fake := &fakeSwitch{write: func(ctx context.Context, _ *p4v1.WriteRequest) error {
			if cancelled {
				cancel()
			}
			<-ctx.Done() // until the session gives up
			return ctx.Err()
		}}
		cfg := fake.serve(t)
		cfg.CancelGrace, cfg.CallTimeout = time.Hour, 20*time.Millisecond
		want := ErrUnreachable
		if cancelled {
			cfg.CancelGrace, cfg.CallTimeout = 20*time.Millisecond, time.Hour
			want = context.Canceled
		}
		w := asWriteError(t, dialed(t, cfg).Write(ctx, inserts(2)))
		if w.Unclear != (Span{0, 2}) || !errors.Is(w, ErrUnclear) || !errors.Is(w, want) {
			t.Errorf("cancelled %v: %v: want all unclear, and %v", cancelled, w, want)
		}
		cancel()
	}
}

// If a session is closed during a write, the outcome of the batch is unclear, and the error includes ErrClosed.
func TestCloseUnderWrite(t *testing.T) {
	under := make(chan struct{})
	fake := &fakeSwitch{write: func(ctx context.Context, _ *p4v1.WriteRequest) error {
		close(under)
		<-ctx.Done()
		return ctx.Err()
	}}
	s := dialed(t, fake.serve(t))
	result := make(chan error, 1)
	go func() { result <- s.Write(t.Context(), inserts(2)) }()
	<-under
	s.Close()
	if w := asWriteError(t, <-result); w.Unclear.Len() != 2 || !errors.Is(w, ErrUnclear) || !errors.Is(w, ErrClosed) {
		t.Errorf("%v: want both unclear, and ErrClosed", w)
	}
}
