package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"op25b/internal/openconfig"
)

// A gnmiLoad serves many gNMI targets with little CPU time. For each different list of subscriptions, it records once the messages that the
// real server sends. For each sample, it copies these messages, and writes new counters and a new time into the copies.
type gnmiLoad struct {
	gpb.UnimplementedGNMIServer
	state func(k uint64) *openconfig.State

	targets atomic.Uint64 // the number of subscribers so far

	// mu guards everything below.
	mu      sync.Mutex
	records map[string]*recording // by the encoded list of subscriptions
	list    []byte                // the newest list of subscriptions, encoded
	late    []time.Duration       // the delay of each sample after it was due
	bytes   int                   // the bytes of all samples
}

// loadStats contains the load's statistics since the previous query.
type loadStats struct {
	Samples, Bytes  int
	LateP99, LateMx time.Duration
}

func newLoad(state func(k uint64) *openconfig.State) *gnmiLoad {
	return &gnmiLoad{state: state, records: make(map[string]*recording)}
}

// stats returns the statistics since the last call.
func (l *gnmiLoad) stats() loadStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := loadStats{Samples: len(l.late), Bytes: l.bytes}
	if len(l.late) > 0 {
		slices.Sort(l.late)
		s.LateP99, s.LateMx = percentile(l.late, 99), l.late[len(l.late)-1]
	}
	l.late, l.bytes = nil, 0
	return s
}

// percentile returns a percentile of sorted values.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)-1)*p/100]
}

// Capabilities returns the capabilities of the real server.
func (l *gnmiLoad) Capabilities(ctx context.Context, req *gpb.CapabilityRequest) (*gpb.CapabilityResponse, error) {
	s, err := openconfig.NewServer(still{l.state(0)}, openconfig.Options{})
	if err != nil {
		return nil, err
	}
	return s.Capabilities(ctx, req)
}

// recordingOf returns the messages for a list of subscriptions.
func (l *gnmiLoad) recordingOf(list *gpb.SubscriptionList) (*recording, error) {
	key, err := proto.MarshalOptions{Deterministic: true}.Marshal(list)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = key
	if r := l.records[string(key)]; r != nil {
		return r, nil
	}
	r, err := recordServer(l.state(0), list)
	if err == nil {
		l.records[string(key)] = r
	}
	return r, err
}

// Subscribe serves a STREAM subscription that has samples, but no changes.
func (l *gnmiLoad) Subscribe(stream gpb.GNMI_SubscribeServer) error {
	req, err := stream.Recv()
	if err != nil {
		return err
	}
	r, err := l.recordingOf(req.GetSubscribe())
	if err != nil {
		return err
	}
	k := (l.targets.Add(1) - 1) % 1000 * 1000
	if err := send(stream, r.first, k, time.Now()); err != nil {
		return err
	}
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	ticks := make([]uint64, len(r.samples))
	for {
		var due time.Time
		next := -1
		for i, s := range r.samples {
			if at := began.Add(time.Duration(ticks[i]+1) * s.every); next < 0 || at.Before(due) {
				next, due = i, at
			}
		}
		if next < 0 {
			<-stream.Context().Done()
			return nil
		}
		timer.Reset(time.Until(due))
		select {
		case <-stream.Context().Done():
			return nil
		case <-timer.C:
		}
		ticks[next]++
		if err := send(stream, r.samples[next].messages, k+ticks[next], time.Now()); err != nil {
			return err
		}
		l.mu.Lock()
		l.late = append(l.late, time.Since(due))
		l.bytes += r.samples[next].bytes
		l.mu.Unlock()
	}
}

// send sends messages with the counters of step k.
func send(stream grpc.ServerStream, messages []template, k uint64, at time.Time) error {
	for i := range messages {
		b := messages[i].fill(mem.DefaultBufferPool(), k, at)
		if err := stream.SendMsg(b); err != nil {
			return err
		}
	}
	return nil
}

// A loadReady is the first line that a child process of the benchmark prints.
type loadReady struct {
	HTTP    string   // the address of the child's HTTP server
	Targets []string `json:",omitempty"`
}

// run serves n targets on ports of the loopback interface until ctx ends.
func (l *gnmiLoad) run(ctx context.Context, n int) error {
	g := grpc.NewServer(grpc.ForceServerCodecV2(bytesCodec{}))
	gpb.RegisterGNMIServer(g, l)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer g.Stop()
	ready := loadReady{}
	for range n {
		lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		ready.Targets = append(ready.Targets, lis.Addr().String())
		serving.Go(func() { _ = g.Serve(lis) })
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/list", func(w http.ResponseWriter, _ *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		_, _ = w.Write(l.list)
	})
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(l.stats()) })
	return serveChild(ctx, mux, ready)
}

// serveChild prints ready with the address, and serves HTTP until ctx ends.
func serveChild(ctx context.Context, h http.Handler, ready loadReady) error {
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ready.HTTP = lis.Addr().String()
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	if err := s.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// A bytesCodec passes encoded messages through, and encodes and decodes other messages.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	switch v := v.(type) {
	case mem.Buffer:
		return mem.BufferSlice{v}, nil
	case proto.Message:
		b, err := proto.Marshal(v)
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	return nil, fmt.Errorf("a %T is no message", v)
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	switch v := v.(type) {
	case *[]byte:
		*v = append((*v)[:0], data.Materialize()...)
		return nil
	case *int: // the receiver needs only the length
		*v = data.Len()
		return nil
	case proto.Message:
		return proto.Unmarshal(data.Materialize(), v)
	}
	return fmt.Errorf("a %T is no message", v)
}

// still is a switch whose state does not change.
type still struct{ state *openconfig.State }

func (s still) Snapshot(context.Context, openconfig.Parts) (*openconfig.State, error) {
	return s.state, nil
}

func (s still) Watch(ctx context.Context, changed func()) error {
	changed()
	<-ctx.Done()
	return nil
}
