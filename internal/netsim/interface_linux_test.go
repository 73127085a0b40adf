package netsim

import (
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"op25b/internal/wire"
)

// TestHostAgainstTheKernel verifies that a virtual host and the kernel can exchange TCP over a veth pair whose kernel end has all
// offloads on. The kernel then leaves checksums and segmentation to the network card, which a veth device does not have, and the
// virtual host accepts no wrong checksum.
func TestHostAgainstTheKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: network interfaces need root; run the tests as root to see this one")
	}
	for name, vlan := range map[string]uint16{"untagged": 0, "tagged": 100} {
		t.Run(name, func(t *testing.T) {
			link, listeners := besideKernel(t, vlan)
			c := config("client", 1)
			c.VLAN = vlan
			h := start(t, link, c)
			for _, l := range listeners {
				t.Run(l.Addr().String(), func(t *testing.T) { exchange(t, h, l) })
			}
			if got := link.(wire.Counted).Stats().Invalid; got != 0 {
				t.Errorf("%d frames could not be made whole", got)
			}
		})
	}
}

// exchange sends a megabyte from the kernel to the host and back.
func exchange(t *testing.T, h *Host, l net.Listener) {
	want := make([]byte, 1<<20)
	_, _ = rand.Read(want)
	kernel := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			kernel <- err
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write(want); err != nil {
			kernel <- err
			return
		}
		got := make([]byte, len(want))
		_, err = io.ReadFull(c, got)
		if err == nil && string(got) != string(want) {
			err = errors.New("the kernel received other bytes than it had sent")
		}
		kernel <- err
	}()
	c, err := h.DialContext(within(t), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = io.CopyN(c, c, int64(len(want)))
	if err := errors.Join(err, <-kernel, c.Close()); err != nil {
		t.Fatal(err)
	}
	if err := h.Quiesce(within(t)); err != nil {
		t.Error(err)
	}
}

// besideKernel creates a veth pair in a new network namespace. It returns one end as a link, and the kernel's listeners on the
// other end. These listen on 192.0.2.2 and 2001:db8::2, in the given VLAN.
func besideKernel(t *testing.T, vlan uint16) (link wire.Link, listeners []net.Listener) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	fresh, err := netns.New()
	if err != nil {
		t.Skip("skipped: no network namespace here: " + err.Error())
	}
	defer fresh.Close()
	defer func() { _ = netns.Set(home) }()

	attributes := netlink.NewLinkAttrs()
	attributes.Name = "kernel"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "host"}))
	device, err := netlink.LinkByName("kernel")
	must(err)
	peer, err := netlink.LinkByName("host")
	must(err)
	must(netlink.LinkSetUp(peer))
	must(netlink.LinkSetUp(device))
	if vlan != 0 {
		attributes := netlink.NewLinkAttrs()
		attributes.Name, attributes.ParentIndex = "tagged", device.Attrs().Index
		err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attributes, VlanId: int(vlan), VlanProtocol: netlink.VLAN_PROTOCOL_8021Q})
		if errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("skipped: this kernel has no VLAN interfaces; see this one where the module 8021q is")
		}
		must(err)
		device, err = netlink.LinkByName("tagged")
		must(err)
		must(netlink.LinkSetUp(device))
	}
	for _, own := range []string{"192.0.2.2/24", "2001:db8::2/64"} {
		addr, err := netlink.ParseAddr(own)
		must(err)
		addr.Flags |= 0x02 // IFA_F_NODAD makes the address usable at once
		must(netlink.AddrAdd(device, addr))
		l, err := net.Listen("tcp", net.JoinHostPort(addr.IP.String(), "0"))
		must(err)
		t.Cleanup(func() { _ = l.Close() })
		listeners = append(listeners, l)
	}
	link, err = wire.OpenInterface("host")
	must(err)
	return link, listeners
}
