package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"op25b/internal/netsim"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/wire"
)

// A Rig provides the switch of a play. It contains the addresses of the switch's services, and a function that connects a virtual
// host to a port.
type Rig struct {
	DeviceID  uint64
	P4Runtime string // host:port
	GNMI      string // host:port; for bmv2, the gNMI agent's address
	// Link returns the host's end of the link to a port. The caller must close it.
	Link func(port pipeline.Port, name string) (wire.Link, error)
}

// A site describes a server on the network side. Its MAC address comes from the inventory.
type site struct {
	name       string
	port       string // the name of the switch's port
	addrs      []netip.Prefix
	aftr       netip.Addr // the address where DS-Lite softwires to this server end
	domain     string
	relay      bool // whether the server relays mail from subscribers to any domain
	submission bool // whether the server accepts mail on port 587 with STARTTLS and AUTH
}

// sites are the servers of the demo. Their addresses are documentation addresses of RFC 5737 and RFC 3849, as in the example
// policy.
var sites = []site{
	{"isp-relay", "core-relay", prefixes("198.51.100.25/32", "2001:db8:25::25/128"), netip.MustParseAddr("2001:db8:25::a"), "relay.isp.example", true, false},
	{"carrier-mx", "core-carrier", prefixes("203.0.113.25/32", "2001:db8:ca::25/128"), netip.MustParseAddr("2001:db8:ca::a"), "carrier.example", false, false},
	{"provider", "core-provider", prefixes("203.0.113.129/32", "2001:db8:99::25/128"), netip.MustParseAddr("2001:db8:99::a"), "provider.example", false, true},
}

const (
	account  = "customer"
	password = "a password of the customer's"
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		all[i] = netip.MustParsePrefix(t)
	}
	return all
}

// A subscriber is a line and its host.
type subscriber struct {
	line   policy.Line
	port   string // the port's name, which is also the interface's name in gNMI
	host   *netsim.Host
	leased bool // whether a login has been reported, so that the line has a lease
}

// A destination is a mail service of one server.
type destination struct {
	site   site
	server *netsim.MailServer
	host   *netsim.Host
	port   uint16
	after  bool // whether the mail is sent after a login to the server's mailbox, and only in phases with rules for leases
}

// reads reports whether subscribers read their mail there, and do not send any.
func (t destination) reads() bool { return t.port == netsim.PortPOP3 || t.port == netsim.PortPOP3S }

// A world contains all hosts of the demo, each connected to the switch.
type world struct {
	subscribers  []*subscriber
	destinations []destination
	hosts        []*netsim.Host
	servers      []*netsim.MailServer
}

// newWorld starts the hosts on the inventory's lines and the servers on its network ports. If the policy has own servers, the ISP's relay is
// one, with all services of a provider. Otherwise it is only a relay. loggedIn is called for each login to a mailbox.
func newWorld(rig Rig, p *policy.Policy, sw *policy.Switch, lines Lines, loggedIn func(client netip.Addr, tls bool)) (_ *world, err error) {
	w := &world{}
	mailboxes := slices.ContainsFunc(p.Remotes, func(r policy.Remote) bool { return r.Own })
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	plug := func(name, portName string, macs []pipeline.MAC, addrs []netip.Prefix, access func(*netsim.HostConfig) error) (*netsim.Host, error) {
		port, ok := sw.Port(portName)
		if !ok || len(macs) != 1 {
			return nil, fmt.Errorf("host %q: switch %q has no port %q with exactly one MAC address", name, sw.Name, portName)
		}
		config := netsim.HostConfig{Name: name, MAC: net.HardwareAddr(macs[0][:])}
		for _, a := range addrs {
			if a.Addr().Is4() {
				config.IPv4 = append(config.IPv4, a)
			} else {
				config.IPv6 = append(config.IPv6, a)
			}
		}
		if err := access(&config); err != nil {
			return nil, err
		}
		link, err := rig.Link(port.Number, name)
		if err != nil {
			return nil, fmt.Errorf("host %q: %w", name, err)
		}
		host, err := netsim.NewHost(link, config)
		if err != nil {
			return nil, errors.Join(err, link.Close())
		}
		w.hosts = append(w.hosts, host)
		return host, nil
	}

	var own []netip.Prefix
	for i, line := range sw.Lines {
		host, err := plug(line.Name, line.Port, line.MACs, line.Prefixes, func(c *netsim.HostConfig) error { return lines.connect(c, i, line, sw) })
		if err != nil {
			return nil, err
		}
		w.subscribers = append(w.subscribers, &subscriber{line: line, port: line.Port, host: host})
		own = append(own, line.Prefixes...)
	}
	for _, s := range sites {
		port, ok := sw.Port(s.port)
		if !ok {
			return nil, fmt.Errorf("host %q: switch %q has no port %q", s.name, sw.Name, s.port)
		}
		host, err := plug(s.name, s.port, port.MACs, s.addrs, func(c *netsim.HostConfig) error {
			lines.serve(c, s)
			return nil
		})
		if err != nil {
			return nil, err
		}
		config := netsim.MailConfig{Hostname: "mail." + s.domain, Domains: []string{s.domain}}
		if s.relay {
			config.RelayFor = own
		}
		ports := []uint16{netsim.PortSMTP}
		if s.submission || s.relay && mailboxes {
			config.Accounts = map[string]string{account: password}
			ports = append(ports, netsim.PortSubmission)
		}
		if s.relay && mailboxes {
			config.Mailboxes, config.LoggedIn = true, loggedIn
			ports = append(ports, netsim.PortSubmissions, netsim.PortPOP3, netsim.PortPOP3S)
		}
		server, err := netsim.NewMailServer(host, config)
		if err != nil {
			return nil, err
		}
		w.servers = append(w.servers, server)
		for _, port := range ports {
			w.destinations = append(w.destinations, destination{site: s, server: server, host: host, port: port})
		}
		if config.Mailboxes && len(p.Leases) > 0 {
			w.destinations = append(w.destinations, destination{site: s, server: server, host: host, port: netsim.PortSubmission, after: true})
		}
	}
	return w, nil
}

// Close closes all servers and hosts.
func (w *world) Close() error {
	var errs []error
	for _, s := range w.servers {
		errs = append(errs, s.Close())
	}
	for _, h := range w.hosts {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}

// send sends one mail, or reads the mailbox. It returns once neither host has more frames of this attempt to send.
func (w *world) send(ctx context.Context, from *subscriber, to destination, v6 bool) (result netsim.Result, server netip.Addr, err error) {
	if to.reads() {
		attempt, err := to.server.ReadAttempt(to.port == netsim.PortPOP3S, v6)
		if err != nil {
			return netsim.Result{}, netip.Addr{}, err
		}
		attempt.Username, attempt.Password = account, password
		result, server = netsim.Read(ctx, from.host, attempt), attempt.Server.Addr()
	} else {
		mode := netsim.MX
		for _, m := range []netsim.Mode{netsim.Submission, netsim.Submissions} {
			if m.Port() == to.port {
				mode = m
			}
		}
		attempt, err := to.server.Attempt(mode, v6)
		if err != nil {
			return netsim.Result{}, netip.Addr{}, err
		}
		attempt.From, attempt.To = account+"@"+from.line.Name+".example", account+"@"+to.site.domain
		if mode != netsim.MX {
			attempt.Username, attempt.Password = account, password
		}
		result, server = netsim.Send(ctx, from.host, attempt), attempt.Server.Addr()
	}
	own, _ := from.host.Addr(v6)
	err = errors.Join(from.host.Quiesce(ctx), to.host.QuiesceWith(ctx, own))
	return result, server, err
}
