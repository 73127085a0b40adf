package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"op25b/internal/wire"
)

// A watch observes the frames that arrive at a device, and records their headers.
type watch struct {
	where string
	done  chan struct{} // closed when all expected layers have been seen

	mu      sync.Mutex // guards the fields below
	missing map[string]bool
	other   map[string][]byte // an example frame for each unexpected sequence of headers before TCP
}

// newWatch observes a link until the test ends, and then closes the link. expected lists the layers that frames
// must have, in the notation of layersOf.
func newWatch(t *testing.T, where string, link wire.Link, expected []string) *watch {
	t.Helper()
	w := &watch{where: where, done: make(chan struct{}), missing: map[string]bool{}, other: map[string][]byte{}}
	for _, e := range expected {
		w.missing[e] = true
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = link.Serve(context.Background(), func(frame []byte) { w.frame(frame, expected) })
	}()
	t.Cleanup(func() { _ = link.Close(); <-ended })
	return w
}

func (w *watch) frame(frame []byte, expected []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	layers := layersOf(frame)
	switch {
	case w.missing[layers]:
		if delete(w.missing, layers); len(w.missing) == 0 {
			close(w.done)
		}
	case strings.HasSuffix(layers, "TCP") && !slices.Contains(expected, layers):
		w.other[layers] = slices.Clone(frame)
	}
}

// check waits until all expected layers have been seen. It fails the test if some are missing when ctx ends, or
// if TCP frames had other layers.
func (w *watch) check(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-w.done:
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.missing) > 0 {
		t.Errorf("%s: no frame with the layers %q has come", w.where, slices.Sorted(maps.Keys(w.missing)))
	}
	for layers, frame := range w.other {
		t.Errorf("%s: a frame with the layers %q has come:\n%x", w.where, layers, frame)
	}
}

// layersOf returns the layers of a frame up to TCP or ICMP, such as "8100:100 IPv4 TCP" or "IPv6 options IPv4
// ICMP:3/13".
func layersOf(frame []byte) string {
	extension := map[byte]string{43: "routing", 60: "options"}
	var says []string
	kind, b := binary.BigEndian.Uint16(frame[12:]), frame[14:]
	for (kind == 0x8100 || kind == 0x88a8) && len(b) >= 4 {
		says = append(says, fmt.Sprintf("%04x:%d", kind, binary.BigEndian.Uint16(b)&0xfff))
		kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
	}
	if kind == 0x8864 && len(b) >= 8 {
		says = append(says, fmt.Sprintf("PPPoE:%d", binary.BigEndian.Uint16(b[2:])))
		kind, b = map[uint16]uint16{0x0021: 0x0800, 0x0057: 0x86dd}[binary.BigEndian.Uint16(b[6:])], b[8:]
	}
	for {
		var next byte
		switch {
		case kind == 0x0800 && len(b) >= 20 && len(b) >= 4*int(b[0]&0xf):
			says, next, b = append(says, "IPv4"), b[9], b[4*int(b[0]&0xf):]
		case kind == 0x86dd && len(b) >= 40:
			says, next, b = append(says, "IPv6"), b[6], b[40:]
		default:
			return strings.Join(append(says, fmt.Sprintf("%04x", kind)), " ")
		}
		for extension[next] != "" && len(b) >= 8 && len(b) >= 8+8*int(b[1]) {
			says, next, b = append(says, extension[next]), b[0], b[8+8*int(b[1]):]
		}
		switch {
		case next == 4:
			kind = 0x0800
			continue
		case next == 41:
			kind = 0x86dd
			continue
		case next == 6:
			says = append(says, "TCP")
		case next == 1 && len(b) >= 2:
			says = append(says, fmt.Sprintf("ICMP:%d/%d", b[0], b[1]))
		case next == 58 && len(b) >= 2:
			says = append(says, fmt.Sprintf("ICMPv6:%d/%d", b[0], b[1]))
		}
		return strings.Join(says, " ")
	}
}
