package e2e

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	"google.golang.org/grpc"

	"op25b/internal/bring/bringtest"
	"op25b/internal/native"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/p4rtserver"
)

// loaded returns the engine of a switch that was brought to a state over P4Runtime, as a controller does it. The P4Runtime server has already
// ended, so only the test reads the engine's digests.
func loaded(tb testing.TB, want *pipeline.State) *engine.Engine {
	tb.Helper()
	return loadedWith(tb, want, engine.Options{Native: []*engine.Native{native.Native}})
}

func loadedWith(tb testing.TB, want *pipeline.State, o engine.Options) *engine.Engine {
	tb.Helper()
	var running *engine.Engine
	serving := &scope{TB: tb}
	defer serving.end()
	session := serveEngine(serving, o, func(e *engine.Engine) { running = e })
	if _, err := bringtest.Converge(tb.Context(), session, want); err != nil {
		tb.Fatal(err)
	}
	return running
}

// serveEngine serves P4Runtime for engines without ports, and returns a primary session. It calls committed with the engine of every program
// that is pushed.
func serveEngine(tb testing.TB, o engine.Options, committed func(e *engine.Engine)) *p4rt.Session {
	tb.Helper()
	_, session := serveP4Runtime(tb, o, committed)
	return session
}

// serveP4Runtime is like serveEngine, but also returns the server.
func serveP4Runtime(tb testing.TB, o engine.Options, committed func(e *engine.Engine)) (*p4rtserver.Server, *p4rt.Session) {
	tb.Helper()
	server, err := p4rtserver.New(p4rtserver.Options{
		DeviceID: 1,
		Load:     func(json []byte) (*engine.Engine, error) { return engine.Load(json, o) },
		OnCommit: func(e *engine.Engine, _ *configv1.P4Info) { committed(e) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
	server.Register(g)
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(listener) }()
	tb.Cleanup(func() { server.Close(); g.Stop(); <-served })
	return server, dialPrimary(tb, listener.Addr().String())
}

const (
	accessPort  = 1
	networkPort = 11

	relayClass  = 1
	exemptClass = 1
	smtp        = 1
	submission  = 2
)

var (
	subscriberMAC = pipeline.MAC{2, 0, 0, 0, 1, 1}
	serverMAC     = pipeline.MAC{2, 0, 0, 0, 2, 1}
)

// filtering returns a state with one line and one network port. It drops mail on port 25, except to relays and from exempt subscribers. The
// arguments are the numbers of exempt subscribers and of relay prefixes. The exempt IPv4 subscribers are the first subscribersV4 addresses of
// 10.0.0.0/8. The relays start at 172.16.0.0.
func filtering(subscribersV4, subscribersV6, remotes int) *pipeline.State {
	s := &pipeline.State{
		Ports: map[pipeline.Port]pipeline.PortRole{networkPort: pipeline.Network},
		Lines: map[pipeline.LineKey]pipeline.Line{{Port: accessPort}: {Group: 1, Index: 1}},
		Services: map[pipeline.ServiceKey]pipeline.ServiceValue{
			{DstPort: pipeline.PortMatch{Port: 25, Exact: true}}:                         {Leg: pipeline.UpDst, Service: smtp, Priority: 1},
			{DstPort: pipeline.PortMatch{Port: 587, Exact: true}}:                        {Leg: pipeline.UpDst, Service: submission, Priority: 1},
			{Role: pipeline.Network, SrcPort: pipeline.PortMatch{Port: 25, Exact: true}}: {Leg: pipeline.DownSrc, Service: smtp, Priority: 1},
		},
		Remotes:     map[netip.Prefix]pipeline.Class{},
		Subscribers: map[netip.Prefix]pipeline.Subscriber{},
		Verdicts: map[pipeline.VerdictKey]pipeline.Verdict{
			{RemoteClass: pipeline.Exactly[pipeline.Class](relayClass), Priority: 4}:      {Action: pipeline.Permit, Rule: 2},
			{Service: pipeline.Exactly[pipeline.Service](submission), Priority: 3}:        {Action: pipeline.Permit, Rule: 3},
			{SubscriberClass: pipeline.Exactly[pipeline.Class](exemptClass), Priority: 2}: {Action: pipeline.Permit, Rule: 4},
			{Service: pipeline.Exactly[pipeline.Service](smtp), Priority: 1}:              {Action: pipeline.Drop, Rule: 5},
		},
		Bridge: map[pipeline.MAC]pipeline.BridgePort{
			subscriberMAC: {Port: accessPort, Role: pipeline.Access},
			serverMAC:     {Port: networkPort, Role: pipeline.Network},
		},
		NetworkPorts: []pipeline.Port{networkPort},
		AllPorts:     []pipeline.Port{accessPort, networkPort},
	}
	for i := range subscribersV4 {
		s.Subscribers[netip.PrefixFrom(v4(10<<24|i), 32)] = pipeline.Subscriber{Class: exemptClass}
	}
	for i := range subscribersV6 {
		a := netip.MustParseAddr("2001:db8::").As16()
		binary.BigEndian.PutUint32(a[4:], uint32(i))
		s.Subscribers[netip.PrefixFrom(netip.AddrFrom16(a), 64)] = pipeline.Subscriber{Class: exemptClass}
	}
	for i := range remotes {
		s.Remotes[netip.PrefixFrom(v4(172<<24|16<<16|i<<4), 28)] = relayClass
	}
	return s
}

func v4(n int) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(n))))
}

// segment returns an Ethernet frame of 60 bytes with a SYN from the subscriber to the server.
func segment(tb testing.TB, src, dst netip.Addr, port uint16) []byte {
	tb.Helper()
	f := make([]byte, 0, 60)
	f = append(f, serverMAC[:]...)
	f = append(f, subscriberMAC[:]...)
	f = append(f, 0x08, 0x00)
	f = append(f, 0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0)
	f = append(f, src.AsSlice()...)
	f = append(f, dst.AsSlice()...)
	sumIPv4(f[14:])
	f = binary.BigEndian.AppendUint16(f, 49152)
	f = binary.BigEndian.AppendUint16(f, port)
	f = append(f, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0)
	return f[:60]
}

// sumIPv4 sets the checksum of an IPv4 header whose checksum field is zero. The checksum must be right, because the switch only rejects
// connections with a right checksum (RFC 1812 4.2.2.5).
func sumIPv4(header []byte) {
	sum := uint32(0)
	for i := 0; i+1 < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	sum = sum>>16 + sum&0xffff
	sum += sum >> 16
	binary.BigEndian.PutUint16(header[10:], ^uint16(sum))
}
