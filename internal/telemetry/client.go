// Package telemetry reads a switch's counters as a gNMI client: once, or as a stream that reconnects until its context ends.
//
// The client reads the interface and ingress ACL counters of OpenConfig from op25b's switches and from other targets. It accepts names with
// and without modules, numbers as strings, leaves and JSON subtrees, and paths with and without prefixes. It keeps only the last value of
// each counter, and does not interpret rule ids.
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
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// The defaults of Options.
const (
	// DefaultCallTimeout is the timeout of a request, including connecting. A distant switch answers within a second, and three SYNs take
	// seven seconds.
	DefaultCallTimeout = 10 * time.Second
	// DefaultMinBackoff and DefaultMaxBackoff bound the pause before the next attempt. The pause doubles: 1, 2, 4, ... 60 s. A thousand
	// unreachable switches cause 17 attempts a second.
	DefaultMinBackoff = time.Second
	DefaultMaxBackoff = time.Minute
	// DefaultSilence is the shortest time without a message after which a stream is probed. Servers built on gRPC's C core disconnect
	// clients that send keepalive pings more often than every five minutes, so pings are not used.
	DefaultSilence = 30 * time.Second
	// maxMessage is the largest accepted message. Some targets of other vendors send all values in one message.
	maxMessage = 64 << 20
)

// Options configure a Client. The zero value reads op25b's switches on the loopback interface.
type Options struct {
	// Target is the target in the prefix of requests, which a gNMI proxy requires; empty means no target.
	Target string
	// ACLSet is the ingress ACL set to read; empty means all sets.
	ACLSet string
	// Credentials secure the connection; nil means plaintext.
	Credentials credentials.TransportCredentials
	// DialOptions are added to the connection's own.
	DialOptions []grpc.DialOption
	// CallTimeout, MinBackoff, MaxBackoff and Silence replace DefaultCallTimeout, DefaultMinBackoff and so on if they are > 0.
	CallTimeout, MinBackoff, MaxBackoff, Silence time.Duration
	// Now returns the arrival time of values. It does not affect timers.
	Now func() time.Time
	// Logger may be nil.
	Logger *zap.Logger
}

// A Client reads one gNMI target. Its methods may be called from several goroutines.
type Client struct {
	addr string
	opts Options
	log  *zap.Logger

	// mu guards everything below.
	mu      sync.Mutex
	conn    *grpc.ClientConn
	offered *offer // the target's capabilities; nil until they are requested
}

// An offer is the relevant part of a target's Capabilities.
type offer struct {
	encoding   gpb.Encoding
	acl, p4rt  bool // whether the target has the models openconfig-acl and openconfig-p4rt
	sampleOnly bool // the target has refused ON_CHANGE
}

// New returns a client of the target at addr (host:port) without connecting to it.
func New(addr string, opts Options) (*Client, error) {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&opts.CallTimeout, DefaultCallTimeout},
		{&opts.MinBackoff, DefaultMinBackoff},
		{&opts.MaxBackoff, DefaultMaxBackoff},
		{&opts.Silence, DefaultSilence},
	} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	opts.MaxBackoff = max(opts.MaxBackoff, opts.MinBackoff)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	if opts.Credentials == nil {
		opts.Credentials = insecure.NewCredentials()
	}
	c := &Client{addr: addr, opts: opts, log: opts.Logger.With(zap.String("gnmi", addr))}
	var err error
	if c.conn, err = c.connect(); err != nil {
		return nil, err
	}
	return c, nil
}

// Dial returns a client of a target that has answered and supports a known encoding.
func Dial(ctx context.Context, addr string, opts Options) (*Client, error) {
	c, err := New(addr, opts)
	if err != nil {
		return nil, err
	}
	if _, err := c.ask(ctx); err != nil {
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
	}, c.opts.DialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("gNMI target %s: %w", c.addr, err)
	}
	return conn, nil
}

// stub returns a stub for the connection. It replaces a failed connection, because gRPC would return the old error until the end of gRPC's
// backoff, and this package has its own backoff.
func (c *Client) stub() (gpb.GNMIClient, error) {
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
	return gpb.NewGNMIClient(c.conn), nil
}

// ask requests the target's capabilities. It is also used to probe a silent target.
func (c *Client) ask(ctx context.Context) (offer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.CallTimeout)
	defer cancel()
	stub, err := c.stub()
	if err != nil {
		return offer{}, err
	}
	res, err := stub.Capabilities(ctx, &gpb.CapabilityRequest{})
	if err != nil {
		return offer{}, fmt.Errorf("gNMI target %s: capabilities: %w", c.addr, err)
	}
	o := offer{}
	found := false
	for _, e := range []gpb.Encoding{gpb.Encoding_PROTO, gpb.Encoding_JSON_IETF, gpb.Encoding_JSON} {
		if !found && slices.Contains(res.GetSupportedEncodings(), e) {
			o.encoding, found = e, true
		}
	}
	if !found {
		return offer{}, fmt.Errorf("gNMI target %s: %w: it offers %v; PROTO, JSON_IETF or JSON is needed", c.addr, ErrNoEncoding, res.GetSupportedEncodings())
	}
	all := len(res.GetSupportedModels()) == 0 // a target that lists no models may have them
	o.acl, o.p4rt = all, all
	for _, m := range res.GetSupportedModels() {
		o.acl = o.acl || m.GetName() == "openconfig-acl"
		o.p4rt = o.p4rt || m.GetName() == "openconfig-p4rt"
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
	return c.ask(ctx)
}

// Once reads all counters. It returns ErrNotSynced if the answer may be incomplete.
func (c *Client) Once(ctx context.Context) (*Snapshot, error) {
	o, err := c.offer(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx) // ends the call on every return
	defer cancel()
	list := &gpb.SubscriptionList{Mode: gpb.SubscriptionList_ONCE, Encoding: o.encoding, Prefix: c.prefix()}
	list.Subscription = append(list.Subscription, &gpb.Subscription{Path: steps("interfaces", "interface", "state")})
	if o.acl {
		list.Subscription = append(list.Subscription, &gpb.Subscription{Path: c.aclEntries()})
	}
	stream, err := c.subscribe(ctx, list)
	if err != nil {
		return nil, err
	}
	m := newModel()
	for {
		res, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			err = ErrNotSynced
		}
		if err != nil {
			return nil, fmt.Errorf("gNMI target %s: once: %w", c.addr, err)
		}
		if res.GetSyncResponse() {
			return m.snapshot(), nil
		}
		if err := m.apply(res.GetUpdate(), c.opts.Now()); err != nil {
			return nil, fmt.Errorf("gNMI target %s: once: %w", c.addr, err)
		}
	}
}

func (c *Client) subscribe(ctx context.Context, list *gpb.SubscriptionList) (gpb.GNMI_SubscribeClient, error) {
	stub, err := c.stub()
	if err != nil {
		return nil, err
	}
	stream, err := stub.Subscribe(ctx)
	if err != nil {
		return nil, fmt.Errorf("gNMI target %s: subscribe: %w", c.addr, err)
	}
	req := &gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}}
	if err := stream.Send(req); err != nil && !errors.Is(err, io.EOF) { // after io.EOF, Recv returns the reason
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

// aclEntries returns the path of the ACL entries of every interface, in Options.ACLSet or in all sets.
func (c *Client) aclEntries() *gpb.Path {
	names := aclPath("")
	p := steps(names[:len(names)-1]...)
	if c.opts.ACLSet != "" {
		p.Elem[4].Key = map[string]string{"set-name": c.opts.ACLSet, "type": "*"}
	}
	return p
}
