package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
)

// DefaultCallTimeout is the timeout of a request, including the time to connect. A distant switch answers within a second, and three SYNs
// take seven seconds.
const DefaultCallTimeout = 10 * time.Second

// maxMessage is the largest message that is accepted, in bytes. Some vendors' targets send all values in one message.
const maxMessage = 64 << 20

// window is the number of bytes that a target may send before they are read. Otherwise, gRPC would raise the window of a fast target to
// 16 MiB. With a round trip of 50 ms, a target can still send 2.6 MB a second. A sample of a switch with 64 interfaces and 16 rules takes
// 0.4 MB.
const window = 128 << 10

// Options configure the connection to a target. The zero value means plaintext and the defaults.
type Options struct {
	// Target is the target name in the prefix of requests. A gNMI proxy requires it. If it is empty, requests have no target name.
	Target string
	// Credentials secure the connection; nil means plaintext.
	Credentials credentials.TransportCredentials
	// DialOptions are added to the options that the package sets itself.
	DialOptions []grpc.DialOption
	// CallTimeout is the timeout of a request. DefaultCallTimeout is used if it is not positive.
	CallTimeout time.Duration
	// Now returns the time at which values arrive; nil means time.Now. Timers do not use it.
	Now func() time.Time

	pool mem.BufferPool // the pool for messages; nil means a new pool
}

// A Client reads one gNMI target. Its methods may be called from several goroutines.
type Client struct {
	addr string
	opts Options

	// mu guards everything below.
	mu      sync.Mutex
	conn    *grpc.ClientConn
	offered *offer // the target's capabilities; nil until they are requested
}

// An offer is the relevant part of a target's Capabilities.
type offer struct {
	encoding   gpb.Encoding
	models     []string // nil if the target lists no models, and may therefore have any
	sampleOnly bool     // the target has refused ON_CHANGE
}

// has reports whether the target may have a model.
func (o offer) has(model string) bool { return o.models == nil || slices.Contains(o.models, model) }

// lists reports whether the target lists a model.
func (o offer) lists(model string) bool { return slices.Contains(o.models, model) }

// NewClient returns a client of the target at addr (host:port) without connecting to it.
func NewClient(addr string, opts Options) (*Client, error) {
	if opts.CallTimeout <= 0 {
		opts.CallTimeout = DefaultCallTimeout
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Credentials == nil {
		opts.Credentials = insecure.NewCredentials()
	}
	if opts.pool == nil {
		opts.pool = newPool()
	}
	c := &Client{addr: addr, opts: opts}
	var err error
	if c.conn, err = c.connect(); err != nil {
		return nil, err
	}
	return c, nil
}

// Dial returns a client of the target at addr. The target must answer and must support a known encoding.
func Dial(ctx context.Context, addr string, opts Options) (*Client, error) {
	c, err := NewClient(addr, opts)
	if err != nil {
		return nil, err
	}
	if _, err := c.capabilities(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close closes the connection. Later calls fail.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.Close()
}

func (c *Client) connect() (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(c.addr, append([]grpc.DialOption{
		grpc.WithTransportCredentials(c.opts.Credentials),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window), experimental.WithBufferPool(c.opts.pool),
	}, c.opts.DialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("gNMI target %s: %w", c.addr, err)
	}
	return conn, nil
}

// connection returns the connection, and replaces it if it has failed. gRPC would return the old error until its backoff ends, but a
// session has a backoff of its own.
func (c *Client) connection() (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn.GetState() == connectivity.TransientFailure {
		conn, err := c.connect()
		if err != nil {
			return nil, err
		}
		c.conn.Close()
		c.conn = conn
	}
	return c.conn, nil
}

// capabilities requests the target's capabilities. It is also used to probe a silent target.
func (c *Client) capabilities(ctx context.Context) (offer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.CallTimeout)
	defer cancel()
	conn, err := c.connection()
	if err != nil {
		return offer{}, err
	}
	res, err := gpb.NewGNMIClient(conn).Capabilities(ctx, &gpb.CapabilityRequest{})
	if err != nil {
		return offer{}, fmt.Errorf("gNMI target %s: capabilities: %w", c.addr, err)
	}
	o := offer{}
	known := []gpb.Encoding{gpb.Encoding_PROTO, gpb.Encoding_JSON_IETF, gpb.Encoding_JSON}
	i := slices.IndexFunc(known, func(e gpb.Encoding) bool { return slices.Contains(res.GetSupportedEncodings(), e) })
	if i < 0 {
		return offer{}, fmt.Errorf("gNMI target %s: %w: it offers %v; PROTO, JSON_IETF or JSON is needed", c.addr, ErrNoEncoding, res.GetSupportedEncodings())
	}
	o.encoding = known[i]
	for _, m := range res.GetSupportedModels() {
		o.models = append(o.models, m.GetName())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offered != nil {
		o.sampleOnly = c.offered.sampleOnly
	}
	c.offered = &o
	return o, nil
}

// offer returns the target's capabilities. It requests them if they are unknown.
func (c *Client) offer(ctx context.Context) (offer, error) {
	c.mu.Lock()
	known := c.offered
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	return c.capabilities(ctx)
}

// Once reads all counters. It returns ErrNotSynced if the answer may be incomplete, ErrNoEncoding if there is no common encoding,
// ErrTooMuch if the target reports too many values, or an error of gRPC.
func (c *Client) Once(ctx context.Context) (*Reading, error) {
	o, err := c.offer(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx) // the cancel function ends the call on every return
	defer cancel()
	list := &gpb.SubscriptionList{Mode: gpb.SubscriptionList_ONCE, Encoding: o.encoding, Prefix: c.prefix()}
	for _, s := range subscriptions(o, 0, 0) {
		list.Subscription = append(list.Subscription, &gpb.Subscription{Path: s.GetPath()})
	}
	stream, err := c.subscribe(ctx, list)
	if err != nil {
		return nil, err
	}
	tables := newTables()
	s := newSeries(tables.entries)
	d := newDecoder(s, tables)
	for f := new(frame); ; {
		err := stream.RecvMsg(f)
		if errors.Is(err, io.EOF) {
			err = ErrNotSynced
		}
		sync := false
		if err == nil {
			sync, err = d.message(f.bytes(), c.opts.Now().UnixNano())
			f.free()
		}
		if err != nil {
			return nil, fmt.Errorf("gNMI target %s: once: %w", c.addr, err)
		}
		if sync {
			return s.reading(), nil
		}
	}
}

// subscribe opens a Subscribe call, whose messages are received as frames.
func (c *Client) subscribe(ctx context.Context, list *gpb.SubscriptionList) (grpc.ClientStream, error) {
	conn, err := c.connection()
	if err != nil {
		return nil, err
	}
	desc := &grpc.StreamDesc{StreamName: "Subscribe", ServerStreams: true, ClientStreams: true}
	stream, err := conn.NewStream(ctx, desc, gpb.GNMI_Subscribe_FullMethodName, grpc.ForceCodecV2(rawCodec{c.opts.pool}))
	if err != nil {
		return nil, fmt.Errorf("gNMI target %s: subscribe: %w", c.addr, err)
	}
	req := &gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}}
	if err := stream.SendMsg(req); err != nil && !errors.Is(err, io.EOF) { // after io.EOF, RecvMsg returns the reason
		return nil, fmt.Errorf("gNMI target %s: subscribe: %w", c.addr, err)
	}
	return stream, nil
}

func (c *Client) prefix() *gpb.Path {
	if c.opts.Target == "" {
		return nil
	}
	return &gpb.Path{Target: c.opts.Target}
}
