package e2e

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"op25b/internal/p4rt"
)

// A tap observes the controllers' writes to one switch, and the replies, by parsing HTTP/2 (RFC 9113). It does not change
// the traffic.
type tap struct {
	mu       sync.Mutex // guards the fields below
	requests int        // the number of requests for changes that have passed to the switch
	reads    int        // the number of reads that controllers have begun
	accepted int
	refused  int             // the number of requests that were refused because the sender was not primary
	highest  p4rt.ElectionID // the highest election id in a request that the switch accepted
	since    int             // the value of requests when the switch first accepted the highest id
	asked    p4rt.ElectionID // the election id of the last arbitration
	wrong    []string        // violations of I3
	changed  chan struct{}   // closed and replaced for each request and reply
	hold     func(*tapped)   // if not nil, called once with the next request, which is forwarded after hold returns
}

func newTap() *tap { return &tap{changed: make(chan struct{})} }

func (t *tap) newsLocked() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// A tapLink observes one connection. up and down are each called from a single goroutine.
type tapLink struct {
	tap      *tap
	out, in  frames
	mu       sync.Mutex // guards calls
	calls    map[uint32]*tapped
	up, down func([]byte)
}

// A tapped is a stream channel, or an RPC that may change the switch.
type tapped struct {
	path  string
	data  []byte
	id    p4rt.ElectionID
	asked bool
	// The tap's mu guards the fields below.
	order    int
	answered bool
	code     codes.Code // UNAVAILABLE can also mean that the connection ended without a reply
}

func (t *tap) link() *tapLink {
	l := &tapLink{tap: t, calls: map[uint32]*tapped{}}
	l.out = frames{skip: len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), headers: hpack.NewDecoder(64<<10, nil), on: l.request}
	l.in = frames{headers: hpack.NewDecoder(64<<10, nil), on: l.answer}
	l.up, l.down = l.out.feed, l.in.feed
	return l
}

// request processes a frame from the controller before the frame is forwarded.
func (l *tapLink) request(stream uint32, headers []hpack.HeaderField, data []byte, end bool) {
	if c := l.collect(stream, headers, data); c != nil && end && c.asked {
		l.tap.whole(c)
	}
}

// collect adds a frame to its call. It returns nil if the call changes nothing in the switch.
func (l *tapLink) collect(stream uint32, headers []hpack.HeaderField, data []byte) *tapped {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range headers {
		if h.Name == ":path" {
			switch h.Value {
			case p4v1.P4Runtime_Read_FullMethodName:
				l.tap.read()
			case p4v1.P4Runtime_Write_FullMethodName, p4v1.P4Runtime_SetForwardingPipelineConfig_FullMethodName, p4v1.P4Runtime_StreamChannel_FullMethodName:
				l.calls[stream] = &tapped{path: h.Value}
			}
		}
	}
	c := l.calls[stream]
	if c == nil {
		return nil
	}
	c.data = append(c.data, data...)
	for len(c.data) >= 5 {
		length := int(binary.BigEndian.Uint32(c.data[1:]))
		if len(c.data) < 5+length {
			return c
		}
		l.message(c, c.data[5:5+length])
		c.data = c.data[5+length:]
	}
	return c
}

func (l *tapLink) message(c *tapped, data []byte) {
	var id *p4v1.Uint128
	var err error
	switch c.path {
	case p4v1.P4Runtime_Write_FullMethodName:
		var r p4v1.WriteRequest
		err = proto.Unmarshal(data, &r)
		id = r.GetElectionId()
	case p4v1.P4Runtime_SetForwardingPipelineConfig_FullMethodName:
		var r p4v1.SetForwardingPipelineConfigRequest
		err = proto.Unmarshal(data, &r)
		id = r.GetElectionId()
	default:
		var r p4v1.StreamMessageRequest
		if proto.Unmarshal(data, &r) == nil && r.GetArbitration() != nil {
			l.tap.mu.Lock()
			l.tap.asked = idOf(r.GetArbitration().GetElectionId())
			l.tap.mu.Unlock()
		}
		return
	}
	if err != nil {
		l.tap.mu.Lock()
		l.tap.wrong = append(l.tap.wrong, fmt.Sprintf("%s: cannot be read: %v", c.path, err))
		l.tap.mu.Unlock()
	}
	c.id, c.asked = idOf(id), true
}

func (t *tap) read() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads++
	t.newsLocked()
}

// whole is called with each complete request before the request is forwarded.
func (t *tap) whole(c *tapped) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if hold := t.hold; hold != nil {
		t.hold = nil
		t.mu.Unlock()
		hold(c)
		t.mu.Lock()
	}
	t.requests++
	c.order = t.requests
	t.newsLocked()
}

func idOf(id *p4v1.Uint128) p4rt.ElectionID {
	return p4rt.ElectionID{High: id.GetHigh(), Low: id.GetLow()}
}

// answer processes a frame from the switch.
func (l *tapLink) answer(stream uint32, headers []hpack.HeaderField, _ []byte, _ bool) {
	for _, h := range headers {
		if h.Name != "grpc-status" {
			continue
		}
		l.mu.Lock()
		c := l.calls[stream]
		delete(l.calls, stream)
		l.mu.Unlock()
		if code, err := strconv.Atoi(h.Value); c != nil && c.asked && err == nil {
			l.tap.answered(c, codes.Code(code))
		}
	}
}

// end is called after the connection has ended.
func (l *tapLink) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if c.asked {
			l.tap.answered(c, codes.Unavailable)
		}
	}
	l.calls = nil
}

// answered verifies I3: once the switch has accepted a write from a later owner, it accepts no writes from earlier owners.
func (t *tap) answered(c *tapped, code codes.Code) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.newsLocked()
	c.answered, c.code = true, code
	if code == codes.PermissionDenied {
		t.refused++
		return
	}
	if code != codes.OK && code != codes.Unknown { // UNKNOWN means that each update has its own status, so the request was accepted
		return
	}
	t.accepted++
	switch order := c.id.Compare(t.highest); {
	case order > 0:
		t.highest, t.since = c.id, t.requests
	case order < 0 && c.order > t.since:
		t.wrong = append(t.wrong, fmt.Sprintf("I3: %s with election id %v was answered %v, after the switch had accepted %v", c.path, c.id, code, t.highest))
	}
}

// frames parses one direction of an HTTP/2 connection.
type frames struct {
	skip    int // the number of bytes before the first frame
	buf     []byte
	headers *hpack.Decoder
	block   []byte // the beginning of a header block that continues in the next frame
	on      func(stream uint32, headers []hpack.HeaderField, data []byte, end bool)
}

func (f *frames) feed(b []byte) {
	skipped := min(f.skip, len(b))
	f.skip -= skipped
	f.buf = append(f.buf, b[skipped:]...)
	for len(f.buf) >= 9 {
		length := int(f.buf[0])<<16 | int(f.buf[1])<<8 | int(f.buf[2])
		if len(f.buf) < 9+length {
			return
		}
		f.frame(f.buf[3], f.buf[4], binary.BigEndian.Uint32(f.buf[5:])&(1<<31-1), f.buf[9:9+length])
		f.buf = f.buf[9+length:]
	}
}

func (f *frames) frame(kind, flags byte, stream uint32, payload []byte) {
	const (
		dataFrame, headersFrame, continuationFrame = 0, 1, 9
		endStream, endHeaders, padded, priority    = 1, 4, 8, 0x20
	)
	if flags&padded != 0 && (kind == dataFrame || kind == headersFrame) {
		payload = payload[1 : len(payload)-int(payload[0])]
	}
	switch kind {
	case dataFrame:
		f.on(stream, nil, payload, flags&endStream != 0)
	case headersFrame, continuationFrame:
		if kind == headersFrame && flags&priority != 0 {
			payload = payload[5:]
		}
		f.block = append(f.block, payload...)
		if flags&endHeaders == 0 {
			return
		}
		headers, err := f.headers.DecodeFull(f.block)
		f.block = nil
		if err != nil {
			headers = nil
		}
		f.on(stream, headers, nil, flags&endStream != 0)
	}
}
