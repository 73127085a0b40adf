package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// inNamespace runs f in a new network namespace. It skips the test if the test lacks the privilege to create one.
func inNamespace(t testing.TB, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: network interfaces need root; run the tests as root to see this one")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		t.Fatal(err)
	}
	fresh, err := netns.New()
	if err != nil {
		runtime.UnlockOSThread()
		t.Skip("skipped: no network namespace here: " + err.Error())
	}
	t.Cleanup(func() { _ = fresh.Close() })
	defer func() {
		if err := errors.Join(netns.Set(home), home.Close()); err != nil {
			// The thread stays locked, so it exits with this goroutine.
			t.Fatal(err)
		}
		runtime.UnlockOSThread()
	}()
	f()
}

// vethPair creates veth0 and veth1 in the current namespace and returns when they are up.
func vethPair(t testing.TB) {
	t.Helper()
	updates, done := make(chan netlink.LinkUpdate, 64), make(chan struct{})
	if err := netlink.LinkSubscribe(updates, done); err != nil {
		t.Fatal(err)
	}
	defer func() {
		close(done)
		for range updates { // until the subscription's goroutine has closed the channel
		}
	}()
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "veth0"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "veth1"}); err != nil {
		t.Fatal(err)
	}
	down := map[string]bool{"veth0": true, "veth1": true}
	for name := range down {
		l, err := netlink.LinkByName(name)
		if err == nil {
			// Without IPv6 the interface gets no address, so the kernel sends no neighbour discovery.
			err = errors.Join(os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0), netlink.LinkSetUp(l))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// The kernel silently drops a frame that is sent before it has detected the carrier.
	timeout := time.After(patience)
	for len(down) > 0 {
		select {
		case u := <-updates:
			if u.Attrs().OperState == netlink.OperUp {
				delete(down, u.Attrs().Name)
			}
		case <-timeout:
			t.Fatalf("still down: %v", down)
		}
	}
}

// veths opens both ends of a veth pair.
func veths(t testing.TB) (a, b Link) {
	t.Helper()
	inNamespace(t, func() {
		vethPair(t)
		for name, l := range map[string]*Link{"veth0": &a, "veth1": &b} {
			opened, err := OpenInterface(name)
			if err != nil {
				t.Fatal(err)
			}
			shut(t, opened)
			*l = opened
		}
	})
	return a, b
}

var (
	macs    = []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	payload = append([]byte{0x88, 0xb5}, bytes.Repeat([]byte{0x5a}, 60)...) // EtherType for local experiments (IEEE 802)
)

func frameWith(tags ...byte) []byte {
	return append(append(append([]byte(nil), macs...), tags...), payload...)
}

func TestInterfaceKeepsTags(t *testing.T) {
	a, b := veths(t)
	frames := collect(t, b)
	for name, frame := range map[string][]byte{
		"untagged":             frameWith(),
		"802.1Q":               frameWith(0x81, 0x00, 0x00, 0x64),
		"802.1Q with PCP, DEI": frameWith(0x81, 0x00, 0xbf, 0xff),
		"priority":             frameWith(0x81, 0x00, 0xa0, 0x00),
		"all zero priority":    frameWith(0x81, 0x00, 0x00, 0x00),
		"802.1ad":              frameWith(0x88, 0xa8, 0x00, 0x65),
		"802.1ad and 802.1Q":   frameWith(0x88, 0xa8, 0x00, 0x65, 0x81, 0x00, 0x00, 0x66),
		"802.1Q twice":         frameWith(0x81, 0x00, 0x00, 0x67, 0x81, 0x00, 0x00, 0x68),
	} {
		t.Run(name, func(t *testing.T) {
			if err := a.Send(frame); err != nil {
				t.Fatal(err)
			}
			if got := next(t, frames); !bytes.Equal(got, frame) {
				t.Errorf("received %x\nwant     %x", got[:min(24, len(got))], frame[:24])
			}
		})
	}
}

func TestInterfaceIgnoresItsOwn(t *testing.T) {
	a, b := veths(t)
	atA, atB := collect(t, a), collect(t, b)
	if err := a.Send(frameWith(1, 1)); err != nil {
		t.Fatal(err)
	}
	next(t, atB)
	want := frameWith(2, 2)
	if err := b.Send(want); err != nil {
		t.Fatal(err)
	}
	if got := next(t, atA); !bytes.Equal(got, want) {
		t.Errorf("a received %x, want what b sent", got)
	}
	if got, want := a.(Counted).Stats(), (Stats{Sent: 1, Received: 1}); got != want {
		t.Errorf("a counted %+v, want %+v", got, want)
	}
}

func TestInterfaceSizes(t *testing.T) {
	a, b := veths(t)
	frames := collect(t, b)
	largest := append(frameWith(), make([]byte, 1514-len(frameWith()))...)
	if err := a.Send(largest); err != nil {
		t.Fatal(err)
	}
	if got := next(t, frames); !bytes.Equal(got, largest) {
		t.Errorf("received %d bytes, want 1514", len(got))
	}
	tagged := append(frameWith(0x81, 0, 0, 1), make([]byte, 1518-len(frameWith(0x81, 0, 0, 1)))...)
	if err := a.Send(tagged); err != nil {
		t.Errorf("a tag on the largest frame: %v", err)
	}
	if got := next(t, frames); !bytes.Equal(got, tagged) {
		t.Errorf("received %d bytes, want 1518", len(got))
	}
	for _, tc := range []struct {
		size int
		is   error
		want string
	}{
		{1515, ErrOversized, `link "veth0": frame too long: 1515 bytes, the interface's MTU of 1500 carries at most 1514`},
		{MaxFrame + 1, ErrOversized, `link "veth0": frame too long: 9239 bytes, a frame has at most 9238`},
		{13, ErrRunt, `link "veth0": frame too short: 13 bytes, an Ethernet frame has at least 14`},
		{0, ErrRunt, `link "veth0": frame too short: 0 bytes, a frame has at least 1`},
	} {
		if err := a.Send(make([]byte, tc.size)); !errors.Is(err, tc.is) || err.Error() != tc.want {
			t.Errorf("Send of %d bytes: %v\nwant: %s", tc.size, err, tc.want)
		}
	}
	if got := a.(Counted).Stats(); got.Sent != 2 {
		t.Errorf("counted %+v, want 2 sent", got)
	}
}

func TestInterfaceServeEnds(t *testing.T) {
	a, b := veths(t)
	served := make(chan error, 1)
	go func() { served <- a.Serve(t.Context(), func([]byte) {}) }()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
	if err := a.Send(frameWith()); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
	collect(t, b) // collect's cleanup cancels the context, which ends Serve
}

// TestInterfaceFollowed verifies that a link reports each change of its interface's state, and that it uses an interface that is
// created anew under the same name.
func TestInterfaceFollowed(t *testing.T) {
	inNamespace(t, func() {
		vethPair(t)
		opened, err := OpenInterface("veth0")
		if err != nil {
			t.Fatal(err)
		}
		shut(t, opened)
		a, ok := opened.(Followed)
		if !ok {
			t.Fatalf("%T is not followed", opened)
		}
		changes := make(chan struct{}, 1)
		a.Follow(func() {
			select {
			case changes <- struct{}{}:
			default:
			}
		})
		frames := collect(t, a)
		until := func(what string, is func(LinkState) bool) LinkState {
			t.Helper()
			timeout := time.After(patience)
			for {
				if s := a.State(); is(s) {
					return s
				}
				select {
				case <-changes:
				case <-timeout:
					t.Fatalf("never %s: %+v", what, a.State())
				}
			}
		}
		set := func(name string, do func(netlink.Link) error) {
			t.Helper()
			l, err := netlink.LinkByName(name)
			if err == nil {
				err = do(l)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		first := until("up", func(s LinkState) bool { return s.Oper == OperUp && s.Admin && s.Index != 0 })
		set("veth1", netlink.LinkSetDown)
		until("without carrier", func(s LinkState) bool { return s.Admin && (s.Oper == OperLowerLayerDown || s.Oper == OperDown) })
		set("veth0", netlink.LinkSetDown)
		until("set down", func(s LinkState) bool { return !s.Admin && s.Oper == OperDown })
		set("veth0", netlink.LinkDel)
		until("gone", func(s LinkState) bool { return s == LinkState{Oper: OperNotPresent} })
		if err := a.Send(frameWith()); err != nil {
			t.Errorf("Send while there is no interface: %v, want it dropped", err)
		}
		vethPair(t)
		until("up again", func(s LinkState) bool { return s.Oper == OperUp && s.Index != first.Index })
		b, err := OpenInterface("veth1")
		if err != nil {
			t.Fatal(err)
		}
		shut(t, b)
		back := collect(t, b)
		if err := errors.Join(b.Send(frameWith()), a.Send(frameWith(0x81, 0x00, 0x00, 0x64))); err != nil {
			t.Fatal(err)
		}
		if got := next(t, frames); !bytes.Equal(got, frameWith()) {
			t.Errorf("the new interface received %x", got)
		}
		if got := next(t, back); !bytes.Equal(got, frameWith(0x81, 0x00, 0x00, 0x64)) {
			t.Errorf("the new interface sent %x", got)
		}
	})
}

func TestNoSuchInterface(t *testing.T) {
	inNamespace(t, func() {
		vethPair(t)
		_, err := OpenInterface("veth7")
		if want := `interface "veth7": no such interface, want one of lo, veth1, veth0`; !errors.Is(err, ErrNoInterface) || !sameNames(err.Error(), want) {
			t.Errorf("OpenInterface: %v\nwant: %s", err, want)
		}
	})
}

// sameNames reports whether two messages contain the same words in any order.
func sameNames(a, b string) bool {
	words := func(s string) map[string]bool {
		all := map[string]bool{}
		for _, w := range strings.Fields(s) {
			all[strings.TrimSuffix(w, ",")] = true
		}
		return all
	}
	return fmt.Sprint(words(a)) == fmt.Sprint(words(b))
}

func TestMergingIsTurnedOffWhileOpen(t *testing.T) {
	inNamespace(t, func() {
		vethPair(t)
		probe, err := OpenInterface("veth1")
		if err != nil {
			t.Fatal(err)
		}
		shut(t, probe)
		fd := probe.(*interfaceLink).fd
		gro := func() uint32 {
			value, err := ethtool(fd, "veth0", unix.ETHTOOL_GGRO, 0)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
		if _, err := ethtool(fd, "veth0", unix.ETHTOOL_SGRO, 1); err != nil {
			t.Skip("skipped: veth has no GRO to turn off here: " + err.Error())
		}
		l, err := OpenInterface("veth0")
		if err != nil {
			t.Fatal(err)
		}
		if got := gro(); got != 0 {
			t.Errorf("GRO is %d while the link is open", got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got := gro(); got != 1 {
			t.Errorf("GRO is %d after Close, want 1 as before", got)
		}
	})
}

// BenchmarkInterface sends frames of 60 bytes from one end of a veth pair to the other. It measures the cost of an AF_PACKET port
// when both ends share the processors.
func BenchmarkInterface(b *testing.B) {
	from, to := veths(b)
	ctx, stop := context.WithCancel(b.Context())
	served := make(chan error, 1)
	go func() { served <- to.Serve(ctx, func([]byte) {}) }()
	frame := frameWith()
	b.ReportAllocs()
	for b.Loop() {
		if err := from.Send(frame); err != nil {
			b.Fatal(err)
		}
	}
	stop()
	if err := <-served; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(to.(Counted).Stats().Received)/float64(b.N), "received/sent")
}
