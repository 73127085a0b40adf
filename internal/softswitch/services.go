package softswitch

import (
	"crypto/tls"
	"net"
	"sync"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"op25b/internal/listen"
	"op25b/internal/openconfig"
	"op25b/internal/softswitch/p4rtserver"
)

// Addrs are where a switch's services listen, as host:port. An empty one is not served; a port of 0 takes any that is free.
type Addrs struct {
	P4Runtime string
	GNMI      string
	Dataplane string // p4.bm.DataplaneInterface
}

// Services are the gRPC servers of one switch. Close must be called when they are no longer needed.
type Services struct {
	Addrs   Addrs // where they really listen
	servers []*grpc.Server
	serving sync.WaitGroup
}

// Listen opens the services in plain text, all of them or, if one address cannot be had, none.
func (s *Switch) Listen(addrs Addrs, options ...grpc.ServerOption) (*Services, error) {
	return s.ListenTLS(addrs, nil, options...)
}

// ListenTLS is Listen with P4Runtime and gNMI behind TLS, unless secure is nil. The packet service stands for cables: its frames are
// not for a network that others are on, and it stays in plain text as bmv2's is.
func (s *Switch) ListenTLS(addrs Addrs, secure *tls.Config, options ...grpc.ServerOption) (*Services, error) {
	gnmi, err := openconfig.NewServer(s.Source(), openconfig.Options{Logger: s.log, Now: s.now})
	if err != nil {
		return nil, err
	}
	services := &Services{}
	type opened struct {
		server   *grpc.Server
		listener net.Listener
	}
	var all []opened
	for _, service := range []struct {
		name     string
		secure   *tls.Config
		addr     string
		at       *string
		register func(*grpc.Server)
	}{
		{"P4Runtime", secure, addrs.P4Runtime, &services.Addrs.P4Runtime, func(g *grpc.Server) { s.p4runtime.Register(g) }},
		{"gNMI", secure, addrs.GNMI, &services.Addrs.GNMI, func(g *grpc.Server) { gpb.RegisterGNMIServer(g, gnmi) }},
		{"packet service", nil, addrs.Dataplane, &services.Addrs.Dataplane, func(g *grpc.Server) { s.packets.Register(g) }},
	} {
		if service.addr == "" {
			continue
		}
		listener, err := listen.TCP(service.name, service.addr)
		if err != nil {
			for _, o := range all {
				_ = o.listener.Close()
			}
			return nil, err
		}
		with := append(p4rtserver.ServerOptions(), options...)
		if service.secure != nil {
			with = append(with, grpc.Creds(credentials.NewTLS(service.secure)))
		}
		server := grpc.NewServer(with...)
		service.register(server)
		*service.at = listener.Addr().String()
		all = append(all, opened{server, listener})
	}
	for _, o := range all {
		services.servers = append(services.servers, o.server)
		services.serving.Go(func() { _ = o.server.Serve(o.listener) }) // ends with Close, and says so by an error
	}
	return services, nil
}

// Close ends the services and every call under way.
func (s *Services) Close() {
	for _, server := range s.servers {
		server.Stop()
	}
	s.serving.Wait()
}
