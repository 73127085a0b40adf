package p4rt

import (
	"context"
	"errors"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
)

// clockPacketIn returns the packet-in with which a switch answers a packet-out for the clock, in microseconds.
func clockPacketIn(payload []byte, micros ...byte) *p4v1.StreamMessageResponse {
	return &p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Packet{Packet: &p4v1.PacketIn{
		Payload:  payload,
		Metadata: []*p4v1.PacketMetadata{{MetadataId: 1, Value: []byte{1}}, {MetadataId: 2, Value: micros}},
	}}}
}

// A read is the result of a call of Clock.
type read struct {
	reading ClockReading
	err     error
}

// readClock calls Clock, and returns the packet-out that it sends.
func readClock(ctx context.Context, s *Session, stream *fakeStream) (*p4v1.PacketOut, <-chan read) {
	result := make(chan read, 1)
	go func() {
		reading, err := s.Clock(ctx)
		result <- read{reading, err}
	}()
	return (<-stream.got).GetPacket(), result
}

// TestClock verifies that each call gets the answer to its own question, and that all other packet-ins remain for their readers.
func TestClock(t *testing.T) {
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
	s := dialed(t, fake.serve(t))
	stream := <-fake.streams
	send := func(m *p4v1.StreamMessageResponse) {
		t.Helper()
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}

	before := time.Now()
	first, firstResult := readClock(t.Context(), s, stream)
	second, secondResult := readClock(t.Context(), s, stream)
	if len(first.GetPayload()) != 16 || string(first.GetPayload()) == string(second.GetPayload()) {
		t.Errorf("the questions have the payloads %x and %x, want two nonces of 16 bytes", first.GetPayload(), second.GetPayload())
	}
	if m := first.GetMetadata(); len(m) != 1 || m[0].GetMetadataId() != 1 || string(m[0].GetValue()) != "\x01" {
		t.Errorf("the question has the metadata %v", m)
	}
	send(clockPacketIn([]byte("nobody asked this"), 9))
	send(clockPacketIn(second.GetPayload(), 0x0f, 0x42, 0x40)) // 1,000,000 us
	send(clockPacketIn(second.GetPayload(), 9))                // a duplicate
	other := clockPacketIn(first.GetPayload(), 9)
	other.GetPacket().Metadata[0].Value = []byte{2}
	send(other) // another kind of packet, with the same payload
	send(clockPacketIn(first.GetPayload(), 7))
	for i, r := range []read{<-firstResult, <-secondResult} {
		want := []time.Duration{7 * time.Microsecond, time.Second}[i]
		if r.err != nil || r.reading.Switch != want {
			t.Errorf("reading %d: %v, %v; want %v", i+1, r.reading.Switch, r.err, want)
		}
		if r.reading.Sent.Before(before) || r.reading.Received.Before(r.reading.Sent) || time.Now().Before(r.reading.Received) {
			t.Errorf("reading %d: sent %v, received %v", i+1, r.reading.Sent, r.reading.Received)
		}
	}
	for range 3 {
		<-s.PacketIns()
	}
}

// TestClockRefused verifies that Clock reports the error with which a switch refuses the packet-out, and that StreamErrors has all other errors.
func TestClockRefused(t *testing.T) {
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
	s := dialed(t, fake.serve(t))
	stream := <-fake.streams
	out, result := readClock(t.Context(), s, stream)
	refuse := func(packet *p4v1.PacketOut, message string) {
		t.Helper()
		if err := stream.Send(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Error{Error: &p4v1.StreamError{
			CanonicalCode: int32(codes.Unimplemented), Message: message,
			Details: &p4v1.StreamError_PacketOut{PacketOut: &p4v1.PacketOutError{PacketOut: packet}},
		}}}); err != nil {
			t.Fatal(err)
		}
	}
	refuse(&p4v1.PacketOut{Payload: []byte("somebody else's")}, "another")
	refuse(out, "this switch has no CPU port")
	r := <-result
	if !errors.Is(r.err, ErrNoClock) || !strings.Contains(r.err.Error(), "read the clock: no clock: the switch refuses the packet-out: this switch has no CPU port") {
		t.Errorf("error %v, want ErrNoClock with the switch's message", r.err)
	}
	if e := <-s.StreamErrors(); e.GetMessage() != "another" {
		t.Errorf("stream error %v, want the other one", e)
	}
}

// TestClockUnanswered verifies that Clock waits for two seconds and no longer, or until its context ends.
func TestClockUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		s, err := Dial(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stream := <-fake.streams
		began := time.Now()
		_, result := readClock(t.Context(), s, stream)
		r := <-result
		if waited := time.Since(began); waited != clockTimeout {
			t.Errorf("waited %v, want %v", waited, clockTimeout)
		}
		if !errors.Is(r.err, ErrNoClock) || !strings.Contains(r.err.Error(), "no packet-in within 2s; bmv2 needs a CPU port: simple_switch_grpc ... -- --cpu-port 510") {
			t.Errorf("error %v, want ErrNoClock with the remedy", r.err)
		}
		if n := len(s.clocks.waiting); n != 0 {
			t.Errorf("%d questions are left", n)
		}

		ctx, cancel := context.WithCancel(t.Context())
		_, result = readClock(ctx, s, stream)
		cancel()
		if r := <-result; !errors.Is(r.err, context.Canceled) || errors.Is(r.err, ErrNoClock) {
			t.Errorf("cancelled: %v", r.err)
		}
	})
}

// TestClockNeedsPrimacy verifies that a session that is not primary, or has ended, asks nothing.
func TestClockNeedsPrimacy(t *testing.T) {
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
	s := dialed(t, fake.serve(t))
	stream := <-fake.streams
	_, result := readClock(t.Context(), s, stream)
	stream.arbitration(codes.AlreadyExists, ElectionID{Low: 43})
	<-s.Demoted()
	if _, err := s.Clock(t.Context()); !errors.Is(err, ErrNotPrimary) {
		t.Errorf("demoted: %v, want ErrNotPrimary", err)
	}
	s.Close()
	if r := <-result; !errors.Is(r.err, ErrClosed) {
		t.Errorf("closed: %v, want ErrClosed", r.err)
	}
}

// FuzzClockPacketIn verifies that a packet-in is taken as the answer to a question only if it has the question's nonce and the header of the kind
// clock, and that no packet-in panics.
func FuzzClockPacketIn(f *testing.F) {
	asked := nonce{1, 2, 3}
	f.Add(asked[:], uint32(1), []byte{1}, uint32(2), []byte{7})
	f.Add(asked[:], uint32(2), []byte{7}, uint32(1), []byte{1})
	f.Add([]byte{}, uint32(1), []byte{2}, uint32(2), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, payload []byte, id1 uint32, value1 []byte, id2 uint32, value2 []byte) {
		var c clocks
		answers := c.ask(asked)
		taken := c.answered(&p4v1.PacketIn{Payload: payload, Metadata: []*p4v1.PacketMetadata{{MetadataId: id1, Value: value1}, {MetadataId: id2, Value: value2}}})
		kind, stamp := value1, value2
		if id1 == 2 {
			kind, stamp = value2, value1
		}
		want := string(payload) == string(asked[:]) && (id1 == 1 && id2 == 2 || id1 == 2 && id2 == 1) &&
			new(big.Int).SetBytes(kind).Cmp(big.NewInt(1)) == 0 && new(big.Int).SetBytes(stamp).BitLen() <= 48
		if taken != want {
			t.Fatalf("taken %t, want %t", taken, want)
		}
		if !taken {
			return
		}
		a := <-answers
		if a.err != nil || a.clock.Microseconds() != new(big.Int).SetBytes(stamp).Int64() {
			t.Fatalf("answer %v, %v", a.clock, a.err)
		}
	})
}
