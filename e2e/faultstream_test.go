package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/wire"
	"op25b/internal/wire/dataplane"
)

// streamEvery is the pause between two frames of a stream. It is needed because bmv2 loses frames of a burst.
const streamEvery = 10 * time.Millisecond

// A stream sends frames to one switch continuously. All policies of a plant make the same decision about each
// kind of frame.
type stream struct {
	id      uint64
	packets string
	kinds   []streamKind

	mu         sync.Mutex // guards the fields below
	sequence   uint32
	pending    map[uint32]int // the kinds of the frames that must still arrive, by sequence number
	excused    bool           // whether the switch may drop frames, because it has lost its entries
	lawless    bool           // whether any output is permitted, because the switch runs another program
	came       []int          // the number of frames of each kind that have arrived since the last call of resume
	sent, back int
	stopped    int
	wrong      []string
	changed    chan struct{}
}

// A streamKind is one kind of frame. out is the port where the frame must come out. It is 0 if the switch
// must drop the frame.
type streamKind struct {
	name    string
	in, out pipeline.Port
	frame   []byte
}

func startStream(t *testing.T, e *edge) *stream {
	t.Helper()
	own := "192.0.2."
	if e.id > 1 {
		own = fmt.Sprintf("100.64.%d.", e.id-1)
	}
	line := func(n byte) pipeline.MAC { return pipeline.MAC{2, 0, 0, 0, 1, n} }
	server := func(n byte) pipeline.MAC { return pipeline.MAC{2, 0, 0, 0, 2, n} }
	frame := func(from, to byte, dst string, port uint16) []byte {
		return tcp4(t, line(from), server(to), own+fmt.Sprint(10+from), dst, 50000, port, flagSYN)
	}
	const relay, carrier, provider = "198.51.100.25", "203.0.113.25", "203.0.113.129"
	s := &stream{id: e.id, packets: e.packets, pending: map[uint32]int{}, excused: true, changed: make(chan struct{}), kinds: []streamKind{
		{"web", 1, 13, frame(1, 3, provider, 443)},
		{"bot to carrier", 2, 0, frame(2, 2, carrier, 25)},
		{"submission", 1, 13, frame(1, 3, provider, 587)},
		{"relay", 2, 11, frame(2, 1, relay, 25)},
		{"exempt", 3, 13, frame(3, 3, provider, 25)},
		{"mobile to carrier", 4, 0, frame(4, 2, carrier, 25)},
	}}
	s.came = make([]int, len(s.kinds))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = s.connected(ctx)
			select {
			case <-time.After(streamEvery):
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// connected sends frames until the connection to the switch fails or ctx ends.
func (s *stream) connected(ctx context.Context) error {
	dialling, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	client, err := dataplane.Dial(dialling, s.packets, s.id)
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer client.Close()
	ended := make(chan error, 16)
	links := map[pipeline.Port]wire.Link{}
	for _, n := range []pipeline.Port{1, 2, 3, 4, 11, 12, 13} {
		l, err := client.Port(uint32(n), fmt.Sprint("port ", n))
		if err != nil {
			return err
		}
		links[n] = l
		serving.Go(func() { ended <- l.Serve(ctx, func(f []byte) { s.receive(n, f) }) })
	}
	ticker := time.NewTicker(streamEvery)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ticker.C:
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		}
		k := s.kinds[i%len(s.kinds)]
		if err := links[k.in].Send(s.next(i % len(s.kinds))); err != nil {
			return err
		}
	}
}

// next returns the next frame of a kind. The frame's number is its TCP sequence number.
func (s *stream) next(kind int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sequence++
	s.sent++
	f := slices.Clone(s.kinds[kind].frame)
	binary.BigEndian.PutUint32(f[38:], s.sequence)
	if s.kinds[kind].out != 0 {
		s.pending[s.sequence] = kind
	} else {
		s.stopped++
	}
	return f
}

func (s *stream) receive(port pipeline.Port, f []byte) {
	if len(f) < 54 || f[12] != 8 || f[13] != 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.kinds, func(k streamKind) bool {
		return slices.Equal(k.frame[26:38], f[26:38])
	})
	if i < 0 {
		return
	}
	number := binary.BigEndian.Uint32(f[38:])
	switch k := s.kinds[i]; {
	case k.out == 0 && !s.lawless:
		s.wrong = append(s.wrong, fmt.Sprintf("I2: %s, frame %d of %d, came out of port %d; every policy forbids it", k.name, number, s.sequence, port))
	case k.out == port:
		s.came[i]++
		s.back++
		delete(s.pending, number)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// excuse permits the switch to drop frames until resume is called.
func (s *stream) excuse(lawless bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.excused, s.lawless = true, lawless
}

// resume waits until every frame that was sent before has arrived. For an excused switch, it waits until one
// frame of each kind has arrived.
func (s *stream) resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("not within a minute"))
	defer cancel()
	s.mu.Lock()
	until := s.sequence
	if s.excused {
		clear(s.came)
		s.lawless = false
	}
	for {
		left := ""
		if s.excused {
			for i, k := range s.kinds {
				if k.out != 0 && s.came[i] == 0 {
					left = k.name + " does not come out of port " + fmt.Sprint(k.out)
				}
			}
		} else {
			for number, kind := range s.pending {
				if number <= until {
					left = fmt.Sprintf("I1: %s, frame %d of %d, is lost; every policy permits it", s.kinds[kind].name, number, s.sequence)
				}
			}
		}
		if left == "" {
			break
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", left, context.Cause(ctx))
		}
		s.mu.Lock()
	}
	if s.excused {
		s.excused = false
		for number := range s.pending {
			if number <= s.sequence {
				delete(s.pending, number)
			}
		}
	}
	s.mu.Unlock()
	return nil
}

func (s *stream) verdicts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.wrong)
}
