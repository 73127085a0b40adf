package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"op25b/internal/netsim"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/wire"
	"op25b/internal/wire/dataplane"
)

const (
	// hostPause is the pause of a host between two connections.
	hostPause = 250 * time.Millisecond
	// hostPatience is the longest wait of a host for a connection. It is long for a network without delay, because the machine may be busy.
	hostPatience = time.Second
	// hostRetry is the pause before the hosts of a switch are connected again.
	hostRetry = time.Second
	// hostDial is the longest wait for the packet service of a switch.
	hostDial = 10 * time.Second
)

// A Reach is how many lines of all switches reach a service of a server.
type Reach struct {
	Server         string // such as carrier-mx:25
	Lines, Reached int
}

// Hosts are the virtual hosts of the lines of a fleet, and the servers of the demo behind each switch. They open connections all the time, over IPv4.
// Each line needs an IPv4 address and a MAC address, and each switch the network ports of the demo: core-relay, core-carrier and core-provider.
type Hosts struct {
	switches []policy.Switch
	packets  func(sw *policy.Switch) string
	targets  []hostTarget

	mu    sync.Mutex // guards lines
	lines map[string][]outcome
}

type hostTarget struct {
	name string
	addr string
}

// An outcome is whether a line reaches a target. It changes with the second attempt in a row that ends otherwise, because one may be due to a busy
// machine, or to a change of the rules.
type outcome struct{ reached, other bool }

// NewHosts returns the hosts of the lines of switches. packets returns the address of the packet service of a switch, as host:port.
func NewHosts(switches []policy.Switch, packets func(sw *policy.Switch) string) *Hosts {
	h := &Hosts{switches: switches, packets: packets, lines: make(map[string][]outcome)}
	for _, s := range sites {
		for _, port := range s.hostPorts() {
			h.targets = append(h.targets, hostTarget{fmt.Sprintf("%s:%d", s.name, port), fmt.Sprintf("%s:%d", s.addrs[0].Addr(), port)})
		}
	}
	for i := range switches {
		for _, line := range switches[i].Lines {
			h.lines[line.Name] = make([]outcome, len(h.targets))
		}
	}
	return h
}

// hostPorts returns the ports on which a server accepts connections of Hosts.
func (s site) hostPorts() []int {
	if s.submission {
		return []int{netsim.PortSMTP, netsim.PortSubmission}
	}
	return []int{netsim.PortSMTP}
}

// Reached returns for each server how many lines reach it.
func (h *Hosts) Reached() []Reach {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Reach, len(h.targets))
	for i, t := range h.targets {
		all[i] = Reach{Server: t.name, Lines: len(h.lines)}
		for _, outcomes := range h.lines {
			if outcomes[i].reached {
				all[i].Reached++
			}
		}
	}
	return all
}

// Run opens connections until ctx ends. If a switch ends or is not there yet, its hosts are connected to it again.
func (h *Hosts) Run(ctx context.Context, warn func(sw string, err error)) {
	var running sync.WaitGroup
	for i := range h.switches {
		sw := &h.switches[i]
		running.Go(func() {
			for ctx.Err() == nil {
				if err := h.serve(ctx, sw); ctx.Err() == nil {
					warn(sw.Name, err)
				}
				for _, line := range sw.Lines {
					for target := range h.targets {
						h.note(line.Name, target, false)
					}
				}
				select {
				case <-ctx.Done():
				case <-time.After(hostRetry):
				}
			}
		})
	}
	running.Wait()
}

// serve runs the hosts of a switch until ctx or the packet stream of the switch ends.
func (h *Hosts) serve(ctx context.Context, sw *policy.Switch) (err error) {
	dialling, cancel := context.WithTimeoutCause(ctx, hostDial, errors.New("no answer"))
	client, err := dataplane.Dial(dialling, h.packets(sw), uint64(sw.DeviceID))
	cancel()
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	var hosts []*netsim.Host
	defer func() {
		end(nil)
		running.Wait()
		for _, host := range hosts {
			_ = host.Close()
		}
		_ = client.Close()
	}()
	plug := func(name, port string, mac pipeline.MAC, addrs []netip.Prefix, line *policy.Line) (*netsim.Host, error) {
		p, ok := sw.Port(port)
		if !ok {
			return nil, fmt.Errorf("host %q: switch %q has no port %q", name, sw.Name, port)
		}
		config := netsim.HostConfig{Name: name, MAC: net.HardwareAddr(mac[:])}
		for _, a := range addrs {
			if a.Addr().Is4() {
				config.IPv4 = append(config.IPv4, a)
			}
		}
		if line != nil {
			config.VLAN, config.InnerVLAN = uint16(line.VLAN), uint16(line.InnerVLAN)
		}
		link, err := client.Port(uint32(p.Number), name)
		if err != nil {
			return nil, err
		}
		host, err := netsim.NewHost(watchedLink{link, end}, config)
		if err != nil {
			return nil, errors.Join(err, link.Close())
		}
		hosts = append(hosts, host)
		return host, nil
	}
	for _, s := range sites {
		port, ok := sw.Port(s.port)
		if !ok || len(port.MACs) != 1 {
			return fmt.Errorf("server %q: switch %q has no port %q with exactly one MAC address", s.name, sw.Name, s.port)
		}
		host, err := plug(s.name, s.port, port.MACs[0], s.addrs, nil)
		if err != nil {
			return err
		}
		for _, number := range s.hostPorts() {
			l, err := host.Listen("tcp4", fmt.Sprintf("%s:%d", s.addrs[0].Addr(), number))
			if err != nil {
				return err
			}
			running.Go(func() { accept(ctx, l) })
		}
	}
	for i := range sw.Lines {
		line := &sw.Lines[i]
		if len(line.MACs) != 1 {
			return fmt.Errorf("line %q of switch %q has %d MAC addresses, and must have one", line.Name, sw.Name, len(line.MACs))
		}
		host, err := plug(line.Name, line.Port, line.MACs[0], line.Prefixes, line)
		if err != nil {
			return err
		}
		running.Go(func() { h.connect(ctx, host, line.Name) })
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// accept closes each connection to a server at once, until ctx ends.
func accept(ctx context.Context, l net.Listener) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.Close()
	}
}

// connect opens connections of a line to each target in turn, until ctx ends.
func (h *Hosts) connect(ctx context.Context, host *netsim.Host, line string) {
	for {
		for i, t := range h.targets {
			dialling, cancel := context.WithTimeout(ctx, hostPatience)
			c, err := host.DialContext(dialling, "tcp4", t.addr)
			cancel()
			if err == nil {
				_ = c.Close()
			}
			if ctx.Err() != nil {
				return
			}
			h.note(line, i, err == nil)
			select {
			case <-ctx.Done():
				return
			case <-time.After(hostPause):
			}
		}
	}
}

// note notes the outcome of a connection.
func (h *Hosts) note(line string, target int, reached bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := &h.lines[line][target]
	switch {
	case o.reached == reached:
		o.other = false
	case o.other:
		*o = outcome{reached: reached}
	default:
		o.other = true
	}
}

// A watchedLink reports when the link ends.
type watchedLink struct {
	wire.Link
	ended context.CancelCauseFunc
}

// Serve implements wire.Link.
func (l watchedLink) Serve(ctx context.Context, recv func(frame []byte)) error {
	err := l.Link.Serve(ctx, recv)
	l.ended(err)
	return err
}
