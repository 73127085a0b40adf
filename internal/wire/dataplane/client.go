package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"op25b/internal/wire"
	bmv1 "op25b/proto/bm/v1"
)

// queueLength is the number of frames that can wait for each port and for the stream. It is the same as for a wire.Pipe.
const queueLength = wire.PipeQueue

// A Client is a packet stream to a switch. Port returns links to the switch's ports.
type Client struct {
	addr     string
	deviceID uint64
	conn     *grpc.ClientConn
	stream   grpc.BidiStreamingClient[bmv1.PacketStreamRequest, bmv1.PacketStreamResponse]
	out      *wire.Queue[uint32] // the frames to send to the switch, each with its port number
	cancel   context.CancelFunc
	workers  sync.WaitGroup

	mu     sync.Mutex // guards everything below
	ports  map[uint32]*port
	failed error // reason why the stream ended; nil while it is open
	closed bool
}

// Dial opens the packet stream of the switch with the given device id. addr is a host and a port, such as "127.0.0.1:9560". ctx limits
// only the dialling, not the life of the stream.
//
// A switch serves one stream at a time. If another client already has the stream, Dial still succeeds, and the Serve method of each port
// returns the error later. The switch silently ignores frames for another device id.
func Dial(ctx context.Context, addr string, deviceID uint64) (*Client, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("packet service at %s: %w", addr, context.Cause(ctx))
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("packet service at %s: %w", addr, err)
	}
	// The stream outlives ctx, which can abort only the opening of the stream.
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	stream, err := bmv1.NewDataplaneInterfaceClient(conn).PacketStream(streamCtx)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("packet service at %s: %w", addr, err), conn.Close())
	}
	c := &Client{
		addr: addr, deviceID: deviceID, conn: conn, stream: stream, cancel: cancel,
		out: wire.NewQueue[uint32](queueLength), ports: map[uint32]*port{},
	}
	c.workers.Go(func() { c.receive() })
	c.workers.Go(func() { c.transmit(streamCtx) })
	return c, nil
}

// Port returns a link to port n of the switch. It returns ErrPortInUse if the port already has an open link, ErrStreamEnded once the
// stream has ended, and wire.ErrClosed after Close.
func (c *Client) Port(n uint32, name string) (wire.Link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, fmt.Errorf("port %d of the switch at %s: %w", n, c.addr, wire.ErrClosed)
	case c.failed != nil:
		return nil, fmt.Errorf("port %d: %w", n, c.failed)
	case c.ports[n] != nil:
		return nil, fmt.Errorf("port %d of the switch at %s: %w, %q", n, c.addr, ErrPortInUse, c.ports[n].name)
	}
	p := &port{client: c, number: n, name: name, in: wire.NewQueue[struct{}](queueLength)}
	c.ports[n] = p
	return p, nil
}

// Close ends the stream and makes the Serve method of every port return. Close may be called more than once.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	ports := make([]*port, 0, len(c.ports))
	for _, p := range c.ports {
		ports = append(ports, p)
	}
	c.mu.Unlock()
	for _, p := range ports {
		p.end()
	}
	c.cancel()
	c.out.Close()
	c.workers.Wait()
	return c.conn.Close()
}

// receive passes frames from the switch to the ports until the stream ends.
func (c *Client) receive() {
	for {
		response, err := c.stream.Recv()
		if err != nil {
			c.fail(err)
			return
		}
		c.mu.Lock()
		p := c.ports[response.Port]
		c.mu.Unlock()
		if p != nil {
			p.deliver(response.Packet)
		}
	}
}

// transmit is the only sender on the stream. It blocks while the switch is slow to receive.
func (c *Client) transmit(ctx context.Context) {
	// The request can be reused because gRPC has encoded it by the time Send returns. Only a stats handler could keep a reference to it,
	// and this connection has none.
	request := &bmv1.PacketStreamRequest{DeviceId: c.deviceID}
	err := c.out.Serve(ctx, func(n uint32, frame []byte) error {
		request.Port, request.Packet = n, frame
		return c.stream.Send(request)
	})
	// When the stream fails, Send returns only io.EOF, and receive gets the actual error.
	if err != nil && !errors.Is(err, io.EOF) {
		c.fail(err)
	}
}

// fail makes the Serve method of every port return err as the reason why the stream has ended.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.failed != nil {
		c.mu.Unlock()
		return
	}
	if errors.Is(err, io.EOF) {
		c.failed = fmt.Errorf("switch at %s: %w by the switch", c.addr, ErrStreamEnded)
	} else {
		c.failed = fmt.Errorf("switch at %s: %w: %w", c.addr, ErrStreamEnded, err)
	}
	ports := make([]*port, 0, len(c.ports))
	for _, p := range c.ports {
		ports = append(ports, p)
	}
	c.mu.Unlock()
	c.out.Close()
	for _, p := range ports {
		p.in.Finish()
	}
}

// failure returns the reason why the stream ended. It returns nil while the stream is open and after Close.
func (c *Client) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	return c.failed
}
