package softswitch

import (
	"crypto/tls"
	"net"
	"sync"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"

	"op25b/internal/grpcserve"
	"op25b/internal/openconfig"
)

// Addrs holds the addresses of a switch's services, as host:port. A service with an empty address is not served. For port 0, the system
// chooses a free port.
type Addrs struct {
	P4Runtime string
	GNMI      string
	Dataplane string // p4.bm.DataplaneInterface
}

// Services holds the gRPC servers of one switch. Close must be called when they are no longer needed.
type Services struct {
	Addrs   Addrs // the actual addresses, with port 0 replaced by the port that the system chose
	servers []server
	serving sync.WaitGroup
}

// A server is the gRPC server of one service. It is built on grpcserve or on gRPC's own transport.
type server interface {
	grpc.ServiceRegistrar
	Serve(net.Listener)
	Close()
}

// Listen starts the services without TLS. If it cannot listen on one of the addresses, it starts no service.
func (s *Switch) Listen(addrs Addrs, options ...grpc.ServerOption) (*Services, error) {
	return s.ListenTLS(addrs, nil, options...)
}

// ListenTLS is like Listen, but serves P4Runtime and gNMI over TLS, unless secure is nil. The packet service has no TLS, as in bmv2,
// because it replaces cables and is not intended for a shared network.
func (s *Switch) ListenTLS(addrs Addrs, secure *tls.Config, options ...grpc.ServerOption) (*Services, error) {
	gnmi, err := openconfig.NewServer(s.Source(), openconfig.Options{Logger: s.log, Now: s.now})
	if err != nil {
		return nil, err
	}
	services := &Services{}
	var listeners []net.Listener
	budget := grpcserve.NewBudget(s.limits.Budget)
	serve := func(limits grpcserve.Limits) func(string) (server, error) {
		return func(name string) (server, error) {
			return grpcserve.New(grpcserve.Options{Name: name, TLS: secure, Limits: limits, Budget: budget, Now: s.now, Logger: s.log, GRPC: options})
		}
	}
	for _, service := range []struct {
		name     string
		addr     string
		at       *string
		open     func(name string) (server, error)
		register func(grpc.ServiceRegistrar)
	}{
		{"P4Runtime", addrs.P4Runtime, &services.Addrs.P4Runtime, serve(s.limits.P4Runtime), s.p4runtime.Register},
		{"gNMI", addrs.GNMI, &services.Addrs.GNMI, serve(s.limits.GNMI), func(g grpc.ServiceRegistrar) { gpb.RegisterGNMIServer(g, gnmi) }},
		{"packet service", addrs.Dataplane, &services.Addrs.Dataplane, newCables, s.packets.Register},
	} {
		if service.addr == "" {
			continue
		}
		server, err := service.open(service.name)
		var listener net.Listener
		if err == nil {
			listener, err = grpcserve.Listen(service.name, service.addr)
		}
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return nil, err
		}
		service.register(server)
		*service.at = listener.Addr().String()
		services.servers, listeners = append(services.servers, server), append(listeners, listener)
	}
	for i, l := range listeners {
		services.serving.Go(func() { services.servers[i].Serve(l) })
	}
	return services, nil
}

// Close ends the services and all calls in progress.
func (s *Services) Close() {
	for _, server := range s.servers {
		server.Close()
	}
	s.serving.Wait()
}
