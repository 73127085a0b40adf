package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// wan is the name of a namespace's device that leads to the switch.
const wan = "wan"

// A namespace is a network namespace with the kernel's stack. It has no name, so the kernel removes it, with all its devices and their
// peers, when its handle is closed. The handle is closed at the latest when this process ends.
type namespace struct {
	handle netns.NsHandle
	links  *netlink.Handle
}

// onThread runs f on a separate thread, which may enter another namespace. The thread ends with f.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, because it is never unlocked
		done <- f()
	}()
	return <-done
}

func openNamespace() (*namespace, error) {
	n := &namespace{}
	err := onThread(func() (err error) {
		n.handle, err = netns.New()
		return err
	})
	if err != nil {
		return nil, err
	}
	if n.links, err = netlink.NewHandleAt(n.handle, unix.NETLINK_ROUTE); err != nil {
		return nil, errors.Join(err, n.handle.Close())
	}
	if err := n.quietIPv6(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	// The loopback device must be up before other code looks for it, because that code keeps the result.
	if err := n.up("lo"); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// quietIPv6 makes devices use their IPv6 addresses at once, without duplicate address detection.
func (n *namespace) quietIPv6() error {
	return n.do(func() error { return setIPv6("default", "accept_dad", "0") })
}

func (n *namespace) Close() error {
	n.links.Close()
	return n.handle.Close()
}

// namespaceReason returns the reason why network namespaces cannot be created on this machine, or "" if they can.
func namespaceReason() string {
	n, err := openNamespace()
	if err == nil {
		err = n.Close()
	}
	if err != nil {
		return fmt.Sprintf("network namespaces cannot be made here (%v): run as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN", err)
	}
	return ""
}

// newNamespace creates a namespace that exists until the test ends.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	n, err := openNamespace()
	if err != nil {
		t.Fatalf("network namespace: %v", err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("network namespace: %v", err)
		}
	})
	return n
}

// do runs f on a thread in the namespace. Sockets and devices that f opens stay in the namespace.
func (n *namespace) do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.handle); err != nil {
			return err
		}
		return f()
	})
}

// plug creates an interface of this host with the given name, and connects it to the namespace's device wan.
func (n *namespace) plug(t *testing.T, name string, mac net.HardwareAddr) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: wan, PeerHardwareAddr: mac, PeerNamespace: netlink.NsFd(n.handle)}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatalf("veth pair %s and %s: %v", name, wan, err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(pair); err != nil {
			t.Errorf("veth pair %s: %v", name, err)
		}
	})
	// The host itself must not send on this interface, which is the switch's end.
	if err := setIPv6(name, "disable_ipv6", "1"); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(pair); err != nil {
		t.Fatalf("%s up: %v", name, err)
	}
	// Without offload, frames are whole and have checksums, as a switch that reads raw frames requires.
	if err := n.do(func() error { return offloadOff(wan) }); err != nil {
		t.Fatalf("offload of %s: %v", wan, err)
	}
	// Disable IPv6 on the device until an address is assigned, so that the device sends nothing on its own.
	if err := n.do(func() error { return setIPv6(wan, "disable_ipv6", "1") }); err != nil {
		t.Fatal(err)
	}
	if err := n.up(wan); err != nil {
		t.Fatal(err)
	}
}

// setIPv6 sets an IPv6 parameter of a device in the calling thread's namespace. It does nothing if the kernel has no IPv6.
func setIPv6(device, parameter, value string) error {
	err := os.WriteFile(fmt.Sprintf("/proc/sys/net/ipv6/conf/%s/%s", device, parameter), []byte(value), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// offloadOff makes the kernel compute checksums and segment packets before a device sends them.
func offloadOff(device string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, command := range []uint32{unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO, unix.ETHTOOL_STXCSUM} {
		value := struct{ command, value uint32 }{command, 0}
		var request struct {
			name     [unix.IFNAMSIZ]byte
			argument unsafe.Pointer
			_        [16]byte // struct ifreq contains a union that is larger than a pointer
		}
		copy(request.name[:unix.IFNAMSIZ-1], device)
		request.argument = unsafe.Pointer(&value)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return fmt.Errorf("ethtool command %#x: %w", command, errno)
		}
	}
	return nil
}

func (n *namespace) up(device string) error {
	link, err := n.links.LinkByName(device)
	if err != nil {
		return fmt.Errorf("%s: %w", device, err)
	}
	if err := n.links.LinkSetUp(link); err != nil {
		return fmt.Errorf("%s up: %w", device, err)
	}
	return nil
}

// address assigns addresses to a device that is up. The addresses can be used at once.
func (n *namespace) address(device string, prefixes ...netip.Prefix) error {
	link, err := n.links.LinkByName(device)
	if err != nil {
		return fmt.Errorf("%s: %w", device, err)
	}
	for _, p := range prefixes {
		addr := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
			if err := n.do(func() error {
				return setIPv6(device, "disable_ipv6", "0")
			}); err != nil {
				return err
			}
		}
		if err := n.links.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("%s: address %v: %w", device, p, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// route adds a route for a prefix through a gateway. If gateway is invalid, the route leads directly to the device. encap may be nil.
func (n *namespace) route(device string, to netip.Prefix, gateway netip.Addr, encap netlink.Encap) error {
	link, err := n.links.LinkByName(device)
	if err != nil {
		return fmt.Errorf("%s: %w", device, err)
	}
	r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(to), Encap: encap}
	if gateway.IsValid() {
		r.Gw = gateway.AsSlice()
	}
	if err := n.links.RouteAdd(r); err != nil {
		return fmt.Errorf("%s: route to %v: %w", device, to, err)
	}
	return nil
}

// connect opens a TCP connection from the namespace, and returns how long connect(2) took. The connection has the deadline of ctx.
func (n *namespace) connect(ctx context.Context, to netip.AddrPort) (conn net.Conn, took time.Duration, err error) {
	err = n.do(func() (err error) {
		began := time.Now()
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
		took = time.Since(began)
		return err
	})
	if deadline, ok := ctx.Deadline(); ok && err == nil {
		err = conn.SetDeadline(deadline)
	}
	return conn, took, err
}

func (n *namespace) listen(port uint16) (l net.Listener, err error) {
	err = n.do(func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	})
	return l, err
}
