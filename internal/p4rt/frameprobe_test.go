package p4rt

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"

	"op25b/internal/pipeline"
)

// An answering switch answers probes.
type answering struct {
	// lose reports whether the n-th probe is lost, counted from 0.
	lose func(n int) bool
	// change changes the payload of the answer to the n-th probe.
	change func(n int, payload []byte) []byte
}

// serve answers the probes of a stream until the stream ends. The verdict in an answer is the first byte of the frame.
func (a answering) serve(stream *fakeStream) {
	for n := 0; ; n++ {
		select {
		case <-stream.Context().Done():
			return
		case m := <-stream.got:
			if a.lose != nil && a.lose(n) {
				continue
			}
			asked := m.GetPacket().GetPayload()
			payload := append(slices.Clone(asked[2:6]), asked[6], 0, 0, 0, 0, 0, 0)
			payload = append(binary.BigEndian.AppendUint16(payload, 7), 0, 0)
			payload = append(payload, asked[6:]...)
			if a.change != nil {
				payload = a.change(n, payload)
			}
			answer := &p4v1.PacketIn{Payload: payload, Metadata: []*p4v1.PacketMetadata{{MetadataId: 1, Value: []byte{2}}, {MetadataId: 2, Value: []byte{9}}}}
			if stream.Send(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Packet{Packet: answer}}) != nil {
				return
			}
		}
	}
}

// probing calls ProbeFrames for frames of one byte, which are their own verdicts, against an answering switch.
func probing(t *testing.T, a answering, frames int) (answers []pipeline.Probed, s *Session, took time.Duration, err error) {
	t.Helper()
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
	cfg, stop := fake.serveInBubble(t)
	defer stop()
	if s, err = Dial(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	go a.serve(<-fake.streams)
	var probes []FrameProbe
	for i := range frames {
		probes = append(probes, FrameProbe{Port: pipeline.Port(i % 500), Frame: []byte{byte(i)}})
	}
	began := time.Now()
	answers, err = s.ProbeFrames(t.Context(), probes)
	return answers, s, time.Since(began), err
}

// TestProbeFrames verifies that each probe gets its own answer, although a switch loses some probes, and that no probe is kept afterwards.
func TestProbeFrames(t *testing.T) {
	for name, a := range map[string]answering{
		"all answered":       {},
		"some lost at first": {lose: func(n int) bool { return n%3 == 2 && n < probesAtOnce }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers, s, took, err := probing(t, a, 300)
				if err != nil {
					t.Fatal(err)
				}
				for i, got := range answers {
					if want := (pipeline.Probed{Clock: 9 * time.Microsecond, Verdict: pipeline.VerdictAction(i % 256), Egress: 7}); got != want {
						t.Fatalf("answer %d is %+v, want %+v", i, got, want)
					}
				}
				if a.lose == nil && took != 0 {
					t.Errorf("it took %v", took)
				}
				if n := len(s.frameProbes.waiting); n != 0 {
					t.Errorf("%d probes are left", n)
				}
			})
		})
	}
}

// TestProbeFramesNeedAnswers verifies that a probe that is never answered, and an answer about another frame, are errors that say so.
func TestProbeFramesNeedAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		a    answering
		want string
		took time.Duration
	}{
		"a probe lost always": {
			answering{lose: func(n int) bool { return n > 4 }}, "no answer to a probe: the switch has not answered probe 6 of 10 within 2s, 3 times", 3 * probeTimeout,
		},
		"another frame": {
			answering{change: func(n int, payload []byte) []byte { payload[len(payload)-1] ^= byte(n / 4); return payload }},
			"no answer to a probe: the switch was asked about the frame 04, and answered about 05", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, s, took, err := probing(t, c.a, 10)
				if !errors.Is(err, ErrNoProbeAnswer) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want ErrNoProbeAnswer with %q", err, c.want)
				}
				if took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if n := len(s.frameProbes.waiting); n != 0 {
					t.Errorf("%d probes are left", n)
				}
			})
		})
	}
}

// TestProbeFramesRefused verifies that the switch's reason is in the error, and that a session that is not primary asks nothing.
func TestProbeFramesRefused(t *testing.T) {
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
	s := dialed(t, fake.serve(t))
	stream := <-fake.streams
	result := make(chan error, 1)
	ask := func(ctx context.Context) {
		_, err := s.ProbeFrames(ctx, []FrameProbe{{1, []byte{1, 2, 3}}})
		result <- err
	}
	go ask(t.Context())
	out := (<-stream.got).GetPacket()
	if err := stream.Send(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Error{Error: &p4v1.StreamError{
		CanonicalCode: int32(codes.Unimplemented), Message: "this switch has no CPU port",
		Details: &p4v1.StreamError_PacketOut{PacketOut: &p4v1.PacketOutError{PacketOut: out}},
	}}}); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, ErrNoProbeAnswer) || !strings.Contains(err.Error(), "the switch refuses the packet-out: this switch has no CPU port") {
		t.Errorf("error %v, want ErrNoProbeAnswer with the switch's message", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go ask(ctx)
	<-stream.got
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	go ask(t.Context())
	<-stream.got
	stream.arbitration(codes.AlreadyExists, ElectionID{Low: 43})
	<-s.Demoted()
	if _, err := s.ProbeFrames(t.Context(), []FrameProbe{{1, []byte{1}}}); !errors.Is(err, ErrNotPrimary) {
		t.Errorf("demoted: %v, want ErrNotPrimary", err)
	}
	s.Close()
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v, want ErrClosed", err)
	}
}
