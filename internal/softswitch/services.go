package softswitch

import (
	"net"
	"sync"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"

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

// Listen opens the services, all of them or, if one address cannot be had, none.
func (s *Switch) Listen(addrs Addrs, options ...grpc.ServerOption) (*Services, error) {
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
		addr     string
		at       *string
		register func(*grpc.Server)
	}{
		{"P4Runtime", addrs.P4Runtime, &services.Addrs.P4Runtime, func(g *grpc.Server) { s.p4runtime.Register(g) }},
		{"gNMI", addrs.GNMI, &services.Addrs.GNMI, func(g *grpc.Server) { gpb.RegisterGNMIServer(g, gnmi) }},
		{"packet service", addrs.Dataplane, &services.Addrs.Dataplane, func(g *grpc.Server) { s.packets.Register(g) }},
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
		server := grpc.NewServer(append(p4rtserver.ServerOptions(), options...)...)
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
