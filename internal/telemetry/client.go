// Package telemetry reads what a switch counts, as a gNMI client: once, or as a stream that is kept up for as long as it is
// wanted.
//
// It reads the interface and ingress ACL counters of OpenConfig from any target, op25b's own or not, and believes none of
// them: modules in names or not, numbers as strings or not, leaves or JSON subtrees, with or without prefixes. It keeps the
// last value of each counter and no series, and it does not know what a rule id means.
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
	// DefaultCallTimeout bounds one question and answer, connecting included: a far-away switch answers within a second,
	// and three SYNs take seven.
	DefaultCallTimeout = 10 * time.Second
	// DefaultMinBackoff and DefaultMaxBackoff bound the wait before the next attempt. It doubles: 1, 2, 4, ... 60 s. A
	// thousand switches that are all down cost 17 attempts a second.
	DefaultMinBackoff = time.Second
	DefaultMaxBackoff = time.Minute
	// DefaultSilence is the least time without a message after which a stream is looked into. Servers built on gRPC's C
	// core cut off clients that send keepalive pings more often than every five minutes, so that pings cannot do this.
	DefaultSilence = 30 * time.Second
	// maxMessage is the largest message taken: foreign targets put all they have into one.
	maxMessage = 64 << 20
)

// Options are what a Client can be told. The zero value reads op25b's switches on the loopback interface.
type Options struct {
	// Target is put into the prefix of requests, for a proxy in between; empty: none.
	Target string
	// ACLSet is the one ingress ACL set that is read; empty: all of them.
	ACLSet string
	// Credentials secure the connection; nil: none.
	Credentials credentials.TransportCredentials
	// DialOptions are added to the connection's own.
	DialOptions []grpc.DialOption
	// CallTimeout, MinBackoff, MaxBackoff and Silence replace the defaults of the same names where they are > 0.
	CallTimeout, MinBackoff, MaxBackoff, Silence time.Duration
	// Now tells when a value came in. It is never used to wait.
	Now func() time.Time
	// Logger may be nil.
	Logger *zap.Logger
}

// A Client reads one target. Its methods may be called from several goroutines.
type Client struct {
	addr string
	opts Options
	log  *zap.Logger

	// mu guards everything that follows.
	mu      sync.Mutex
	conn    *grpc.ClientConn
	offered *offer // what the target has said it can do; nil until it was asked
}

// An offer is what is used of a target's Capabilities.
type offer struct {
	encoding   gpb.Encoding
	acl, p4rt  bool // models
	sampleOnly bool // has refused ON_CHANGE
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

// Dial returns a client of a target that has answered, and can be understood.
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

// Close ends the connection, and every call on it with an error.
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

// stub returns the connection. One that has failed is replaced: gRPC would answer from it with the old failure until its own
// backoff is over, and how often is tried is decided here.
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

// ask learns from the target what it can do. It is also how a target that says nothing is tested for being there.
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
	all := len(res.GetSupportedModels()) == 0 // then it is tried
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

// offer returns what the target can do, asking it if that is not known yet.
func (c *Client) offer(ctx context.Context) (offer, error) {
	c.mu.Lock()
	known := c.offered
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	return c.ask(ctx)
}

// Once reads all counters now. An answer that is not complete is an error.
func (c *Client) Once(ctx context.Context) (*Snapshot, error) {
	o, err := c.offer(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx) // ends the call on every way out
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
	if err := stream.Send(req); err != nil && !errors.Is(err, io.EOF) { // after io.EOF, Recv says why
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

// aclEntries selects the ACL entries of every interface, in the wanted set or in all.
func (c *Client) aclEntries() *gpb.Path {
	names := aclPath("")
	p := steps(names[:len(names)-1]...)
	if c.opts.ACLSet != "" {
		p.Elem[4].Key = map[string]string{"set-name": c.opts.ACLSet, "type": "*"}
	}
	return p
}
