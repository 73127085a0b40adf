package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	mailclient "net/smtp"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"op25b/internal/bring/bringtest"
	"op25b/internal/compile/compiletest"
	"op25b/internal/native"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
	"op25b/internal/softswitch/engine"
	"op25b/internal/strict"
	"op25b/internal/wire"
)

const kernelPolicy = `
apiVersion: op25b/v1
kind: Policy
name: kernel
lineGroups: [{name: home, sourceCheck: drop}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]
remotes: [{name: relay, relay: true, prefixes: [198.51.100.25/32, "2001:db8:25::25/128"]}]
phases:
  - {name: monitor, effective: 2006-05-18, rules: [{name: mail, service: smtp, action: monitor}]}
  - {name: drop, effective: 2006-06-01, rules: [{name: mail, service: smtp, action: drop}]}
  - {name: reject, effective: 2006-07-01, rules: [{name: mail, service: smtp, action: reject}]}
---
apiVersion: op25b/v1
kind: Inventory
switches:
  - name: edge
    deviceID: 1
    p4runtime: h:1
    gnmi: h:2
    rejectFrom: [192.0.2.1, "2001:db8:ff::1"]
`

// Each access has a server of its own, but all servers have these addresses. The switch distinguishes the servers by their MAC addresses.
var (
	relay4, relay6 = netip.MustParseAddr("198.51.100.25"), netip.MustParseAddr("2001:db8:25::25")
	mx4, mx6       = netip.MustParseAddr("203.0.113.25"), netip.MustParseAddr("2001:db8:99::25")
	all4, all6     = netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")
)

const (
	// silence is the time for which a dropped connection must stay unanswered. It includes the first SYN and its repetition after a second.
	silence = 2 * time.Second
	// firstSYN is the time after which TCP repeats its SYN (RFC 6298 section 2). An error that arrives earlier is the reply to the first
	// SYN.
	firstSYN = time.Second
	// mailPatience limits the wait for mail that must be delivered.
	mailPatience = 20 * time.Second
)

// An accessLine is a line of the switch, with its subscriber, and with a server behind a network port of its own.
type accessLine struct {
	accessForm
	number             int // the number of the access port, counted from 1; the network port has this number plus networkPorts
	subscriber, server *end
	dynamic            bool     // whether the line's addresses are those of its session, and the inventory has none
	routed             bool     // whether the server's end is a router to servers, and has no addresses of servers
	box                *mailbox // nil if the line is routed
}

const networkPorts = 100

func (a *accessLine) accessPort() pipeline.Port  { return pipeline.Port(a.number) }
func (a *accessLine) networkPort() pipeline.Port { return pipeline.Port(networkPorts + a.number) }

// interfaceName returns a name that no other process on this machine uses.
func (a *accessLine) interfaceName(p pipeline.Port) string {
	return fmt.Sprintf("k%d-%d", os.Getpid(), p)
}

// connect creates the two namespaces of an access, and connects them to the switch's ports. If the kernel lacks a feature of the access
// form, notOffered returns true for the error.
func (a *accessLine) connect(t *testing.T) error {
	t.Helper()
	for _, side := range []struct {
		at   **end
		side int
		port pipeline.Port
	}{{&a.subscriber, 1, a.accessPort()}, {&a.server, 2, a.networkPort()}} {
		e := &end{namespace: newNamespace(t), t: t, number: a.number, side: side.side}
		*side.at = e
		e.plug(t, a.interfaceName(side.port), e.mac())
		c, err := a.lay(e)
		if err != nil {
			return err
		}
		if err := a.inside(e, c); err != nil {
			return err
		}
	}
	if a.routed {
		return nil
	}
	var err error
	a.box, err = openMailbox(t, a.server.namespace)
	return err
}

// inside assigns the addresses of the TCP packets to an end, and adds the routes to the other end's addresses.
func (a *accessLine) inside(e *end, c carrier) error {
	for _, family := range []struct {
		has             bool
		own, gateway    netip.Addr
		onLink          int
		everything      netip.Prefix
		serverAddresses []netip.Addr
	}{
		{a.ipv4, e.inner4(), e.other().inner4(), 24, all4, []netip.Addr{mx4, relay4}},
		{a.ipv6, e.inner6(), e.other().inner6(), 64, all6, []netip.Addr{mx6, relay6}},
	} {
		if !family.has {
			continue
		}
		own := netip.PrefixFrom(family.own, family.own.BitLen())
		if c.ethernet {
			own = netip.PrefixFrom(family.own, family.onLink)
		}
		addresses := []netip.Prefix{own}
		if e.side == 2 && !a.routed {
			for _, addr := range family.serverAddresses {
				addresses = append(addresses, netip.PrefixFrom(addr, addr.BitLen()))
			}
		}
		if err := e.address(c.device, addresses...); err != nil {
			return err
		}
		gateway := netip.Addr{}
		if c.ethernet {
			gateway = family.gateway
		}
		if err := e.route(c.device, family.everything, gateway, c.encap); c.encap != nil && errors.Is(err, unix.EINVAL) {
			return errors.Join(err, unix.EOPNOTSUPP) // EINVAL means that the kernel is too old for this mode of segment routing
		} else if err != nil {
			return err
		}
	}
	return nil
}

// connectAll creates every access that this kernel supports. For each other access, it prints a line.
func connectAll(t *testing.T) []*accessLine {
	t.Helper()
	var all []*accessLine
	for i, form := range accessForms() {
		a := &accessLine{accessForm: form, number: i + 1}
		err := a.connect(t)
		if form.needs != "" && notOffered(err) {
			fmt.Fprintf(os.Stderr, "SKIPPED %s: %s: this kernel has no %s (%v)\n", t.Name(), form.name, form.needs, err)
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", form.name, err)
		}
		all = append(all, a)
	}
	return all
}

// inventoryOf returns the ports and lines of a switch as YAML. keys returns the keys of a line that do not depend on its access.
func inventoryOf(all []*accessLine, keys func(a *accessLine) string) string {
	var doc strings.Builder
	doc.WriteString("    ports:\n")
	for _, a := range all {
		fmt.Fprintf(&doc, "      - {port: %d, name: access-%d, role: access}\n", a.accessPort(), a.number)
		fmt.Fprintf(&doc, "      - {port: %d, name: network-%d, role: network, macs: [%q]}\n", a.networkPort(), a.number, a.server.mac())
	}
	doc.WriteString("    lines:\n")
	for _, a := range all {
		addrs := []netip.Addr{a.subscriber.inner4(), a.subscriber.inner6()}
		if a.outer != nil {
			addrs = a.outer(a.subscriber)
		}
		var own []string
		for _, addr := range addrs {
			own = append(own, strconv.Quote(netip.PrefixFrom(addr, addr.BitLen()).String()))
		}
		if a.dynamic {
			own = nil
		}
		tags := ""
		if a.line != "" {
			tags = a.line + ", "
		}
		fmt.Fprintf(&doc, "      - {%s, port: access-%d, %smacs: [%q], prefixes: [%s]}\n",
			keys(a), a.number, tags, a.subscriber.mac(), strings.Join(own, ", "))
	}
	return doc.String()
}

func compileFor(t *testing.T, all []*accessLine, phase string) *pipeline.State {
	t.Helper()
	doc := kernelPolicy + inventoryOf(all, func(a *accessLine) string { return fmt.Sprintf("name: line-%d, group: home", a.number) })
	b, err := policy.Load([]strict.File{{Name: "kernel.yaml", Data: []byte(doc)}})
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	c, err := compiletest.Compile(b, nil, "edge", policy.Everywhere(phase), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &c.State
}

// TestKernelStacks verifies that mail sent by the kernel's own TCP is delivered or stopped, depending on the phase, through every access
// form. A rejected connection must fail at once with the error that the kernel derives from the ICMP message. A dropped connection must
// stay unanswered.
func TestKernelStacks(t *testing.T) {
	if reason := namespaceReason(); reason != "" {
		wants(t, cmp.Or(*targetFlag, "embedded"), reason)
	}
	all := connectAll(t)
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		throughSwitch(t, all, startEmbeddedOn(t, all, time.Now).P4Runtime)
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		wants(t, "bmv2", reason)
		throughSwitch(t, all, startBMv2(t, path, 1, bmv2Interfaces(all), nil))
	})
}

// bmv2Interfaces returns bmv2's arguments for the interfaces of all accesses.
func bmv2Interfaces(all []*accessLine) (args []string) {
	for _, a := range all {
		for _, p := range []pipeline.Port{a.accessPort(), a.networkPort()} {
			args = append(args, "-i", fmt.Sprintf("%d@%s", p, a.interfaceName(p)))
		}
	}
	return args
}

// startEmbeddedOn starts an embedded switch with a clock on the interfaces of all accesses. The switch ends with the test.
func startEmbeddedOn(t *testing.T, all []*accessLine, clock func() time.Time) softswitch.Addrs {
	t.Helper()
	return startEmbeddedAs(t, 1, all, clock)
}

// startEmbeddedAs is startEmbeddedOn for a switch with the given device id.
func startEmbeddedAs(t *testing.T, id uint64, all []*accessLine, clock func() time.Time) softswitch.Addrs {
	t.Helper()
	device, err := softswitch.New(softswitch.Options{DeviceID: id, Clock: clock, Native: []*engine.Native{native.Native}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = device.Close() })
	for _, a := range all {
		for _, p := range []pipeline.Port{a.accessPort(), a.networkPort()} {
			link, err := wire.OpenInterface(a.interfaceName(p))
			if err != nil {
				t.Fatal(err)
			}
			if err := device.Attach(uint32(p), link); err != nil {
				t.Fatal(errors.Join(err, link.Close()))
			}
		}
	}
	services, err := device.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	return services.Addrs
}

// A journey contains the results for one address family of an access.
type journey struct {
	*accessLine
	v6       bool
	rejected time.Duration // how long the rejected connection took to fail
	errno    syscall.Errno
}

func (j *journey) String() string {
	if j.v6 {
		return j.name + " over IPv6"
	}
	return j.name + " over IPv4"
}

func throughSwitch(t *testing.T, all []*accessLine, p4runtime string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	session, err := p4rt.Dial(ctx, p4rt.Config{Addr: p4runtime, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.WaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	var watches []*watch
	for _, a := range all {
		watches = append(watches, a.watch(t)...)
	}
	var journeys []*journey
	for _, a := range all {
		if a.ipv4 {
			journeys = append(journeys, &journey{accessLine: a})
		}
		if a.ipv6 {
			journeys = append(journeys, &journey{accessLine: a, v6: true})
		}
	}
	for _, phase := range []string{"monitor", "drop", "reject"} {
		if _, err := bringtest.Converge(ctx, session, compileFor(t, all, phase)); err != nil {
			t.Fatal(err)
		}
		each(journeys, func(j *journey) {
			for _, port := range []uint16{25, 587} {
				to := j.relay()
				if port == 587 {
					to = j.mx()
				}
				if err := j.mail(ctx, netip.AddrPortFrom(to, port)); err != nil {
					t.Errorf("%s: %v: mail to %v, port %d: %v; want it delivered", phase, j, to, port, err)
				}
			}
		})
		switch phase {
		case "monitor":
			each(journeys, func(j *journey) {
				if err := j.mail(ctx, netip.AddrPortFrom(j.mx(), 25)); err != nil {
					t.Errorf("%s: %v: mail to %v, port 25: %v; want it delivered", phase, j, j.mx(), err)
				}
			})
		case "drop":
			each(journeys, func(j *journey) { j.dropped(ctx, t) })
		case "reject":
			for _, j := range journeys { // one after another, so that the measured times are comparable
				j.isRejected(ctx, t)
			}
		}
	}
	soon, stop := context.WithTimeout(ctx, mailPatience)
	defer stop()
	for _, w := range watches {
		w.check(soon, t)
	}
	report(t, all, journeys)
}

// watch observes the subscriber's frames in both directions. They must have the headers of the access form, and so must the reply to a
// rejected connection.
func (a *accessLine) watch(t *testing.T) []*watch {
	t.Helper()
	var up, down []string
	answer := strings.NewReplacer("options ", "", "routing ", "").Replace(a.around)
	if a.ipv4 {
		up, down = append(up, a.around+"IPv4 TCP"), append(down, a.around+"IPv4 TCP", answer+"IPv4 ICMP:3/13")
	}
	if a.ipv6 {
		up, down = append(up, a.around+"IPv6 TCP"), append(down, a.around+"IPv6 TCP", answer+"IPv6 ICMPv6:1/1")
	}
	sent, err := wire.OpenInterface(a.interfaceName(a.accessPort()))
	if err != nil {
		t.Fatal(err)
	}
	watches := []*watch{newWatch(t, a.name+": to the switch", sent, up)}
	err = a.subscriber.do(func() error {
		received, err := wire.OpenInterface(wan)
		if err == nil {
			watches = append(watches, newWatch(t, a.name+": to the subscriber", received, down))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return watches
}

// report prints how long clients wait for an error.
func report(t *testing.T, all []*accessLine, journeys []*journey) {
	t.Helper()
	for _, a := range all {
		var failed []string
		for _, j := range journeys {
			if j.accessLine == a {
				family := "IPv4"
				if j.v6 {
					family = "IPv6"
				}
				after := fmt.Sprintf("after %.1f ms (%s)", j.rejected.Seconds()*1000, unix.ErrnoName(j.errno))
				if len(failed) == 0 {
					after = "failed " + after
				}
				failed = append(failed, "over "+family+" "+after)
			}
		}
		_, target, _ := strings.Cut(t.Name(), "/")
		fmt.Printf("%s, %s: reject: connect %s; on drop nothing after %v s\n", target, a.name, strings.Join(failed, ", "), silence.Seconds())
	}
}

func each(journeys []*journey, f func(j *journey)) {
	var wait sync.WaitGroup
	for _, j := range journeys {
		wait.Go(func() { f(j) })
	}
	wait.Wait()
}

func (j *journey) mx() netip.Addr {
	if j.v6 {
		return mx6
	}
	return mx4
}

func (j *journey) relay() netip.Addr {
	if j.v6 {
		return relay6
	}
	return relay4
}

// dropped verifies that a connection stays unanswered for the duration of silence.
func (j *journey) dropped(ctx context.Context, t *testing.T) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	conn, took, err := j.subscriber.connect(ctx, netip.AddrPortFrom(j.mx(), 25))
	if err == nil {
		_ = conn.Close()
	}
	if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() || errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("drop: %v: connect to %v, port 25: after %v: %v; want no answer within %v", j, j.mx(), took, err, silence)
	}
}

// isRejected verifies that a connection fails before its first SYN is repeated, with the error that Linux reports for ICMP type 3 code 13
// or ICMPv6 type 1 code 1.
func (j *journey) isRejected(ctx context.Context, t *testing.T) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	conn, took, err := j.subscriber.connect(ctx, netip.AddrPortFrom(j.mx(), 25))
	if err == nil {
		_ = conn.Close()
	}
	j.rejected = took
	want := unix.EHOSTUNREACH
	if j.v6 {
		want = unix.EACCES
	}
	if !errors.As(err, &j.errno) || j.errno != want || took >= firstSYN {
		t.Errorf("reject: %v: connect to %v, port 25: after %v: %v; want %v within %v", j, j.mx(), took, err, want, firstSYN)
	}
}

// mail sends a message. It returns an error if the server does not receive the message.
func (j *journey) mail(ctx context.Context, to netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, mailPatience)
	defer cancel()
	conn, _, err := j.subscriber.connect(ctx, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	client, err := mailclient.NewClient(conn, "server")
	if err != nil {
		return err
	}
	before := j.box.count(to.Port(), to.Addr())
	if err := errors.Join(client.Mail("a@example.net"), client.Rcpt("b@example.com")); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, "Subject: "+j.String()+"\r\n\r\nA line.\r\n"); err != nil {
		return err
	}
	if err := errors.Join(w.Close(), client.Quit()); err != nil {
		return err
	}
	if after := j.box.count(to.Port(), to.Addr()); after != before+1 {
		return fmt.Errorf("the server has %d more messages, want 1", after-before)
	}
	return nil
}
