package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OpenInterface opens a Linux network interface (a veth, a tap or a physical card) with an AF_PACKET socket, which requires CAP_NET_RAW.
// The link receives in promiscuous mode. It does not receive frames that the machine itself sends.
//
// Frames are delivered as they were on the wire. The kernel strips the outer VLAN tag. The link restores it with its own protocol
// identifier (802.1Q or 802.1ad), even if the tag carries only a priority. The link also does the work that a sender on the same machine
// has left to its network card: it completes checksums and cuts segments that are larger than the wire carries. While the link is open,
// receive offload that merges segments is turned off, if CAP_NET_ADMIN permits it.
//
// If the interface is removed, the link waits for another interface with the same name and uses that one.
//
// OpenInterface returns ErrNoInterface for an unknown name. The message lists the existing interfaces.
func OpenInterface(name string) (Link, error) {
	nic, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %q: %w, want one of %s", name, ErrNoInterface, interfaceNames())
	}
	fd, err := openSocket(nic)
	if err != nil {
		return nil, fmt.Errorf("interface %q: %w", name, err)
	}
	l := &interfaceLink{name: name, index: nic.Index, fd: fd, file: os.NewFile(uintptr(fd), "packet socket of "+name)}
	if l.raw, err = l.file.SyscallConn(); err == nil {
		l.kernel, err = openKernel()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("interface %q: %w", name, err), l.file.Close())
	}
	l.restore = disableMerging(fd, name)
	l.refresh()
	go l.follow()
	return l, nil
}

func interfaceNames() string {
	all, err := net.Interfaces()
	if err != nil {
		return "(" + err.Error() + ")"
	}
	names := make([]string, len(all))
	for i, nic := range all {
		names[i] = nic.Name
	}
	return strings.Join(names, ", ")
}

type interfaceLink struct {
	name     string
	file     *os.File // owns fd, and lets the runtime's poller wait for frames
	raw      syscall.RawConn
	fd       int // the packet socket; valid until closed
	kernel   *kernel
	served   atomic.Bool
	counters Counters

	mu      sync.Mutex // guards everything below
	closed  bool
	send    sender
	index   int    // index of the interface to which the socket is bound
	restore func() // undoes the changes of disableMerging
	state   LinkState
	changed func() // may be nil
}

var (
	_ Link     = (*interfaceLink)(nil)
	_ Counted  = (*interfaceLink)(nil)
	_ Followed = (*interfaceLink)(nil)
)

// A sender holds the buffers of an outgoing message. It is reused so that Send does not allocate.
type sender struct {
	offload [vnetHeader]byte // always zero: neither a checksum nor segmentation is left to the card
	vectors [2]unix.Iovec
	message unix.Msghdr
}

func (l *interfaceLink) Name() string { return l.name }

func (l *interfaceLink) Stats() Stats { return l.counters.Stats() }

func (l *interfaceLink) Serve(ctx context.Context, recv func(frame []byte)) error {
	if l.served.Swap(true) {
		return fmt.Errorf("link %q: %w", l.name, ErrServed)
	}
	// A deadline in the past makes the current read and all later reads return.
	defer context.AfterFunc(ctx, func() { _ = l.file.SetReadDeadline(time.Unix(1, 0)) })()
	b := newBatch()
	received, problem := 0, error(nil)
	fetch := func(fd uintptr) bool {
		received, problem = b.receive(int(fd))
		return !errors.Is(problem, unix.EAGAIN)
	}
	count := func(frame []byte) {
		l.counters.Received.Add(1)
		recv(frame)
	}
	for {
		err := l.raw.Read(fetch)
		switch {
		case ctx.Err() != nil || errors.Is(err, os.ErrClosed) || l.isClosed():
			return nil
		case err != nil:
			return fmt.Errorf("link %q: receive: %w", l.name, err)
		case errors.Is(problem, unix.ENETDOWN), errors.Is(problem, unix.EINTR):
			// The socket remains valid when the interface goes down or is removed, because follow binds it to the next interface with
			// that name.
			continue
		case problem != nil:
			return fmt.Errorf("link %q: receive: %w", l.name, problem)
		}
		for i := range received {
			if !b.messages[i].deliver(count) {
				l.counters.Invalid.Add(1)
			}
		}
	}
}

func (l *interfaceLink) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *interfaceLink) Send(frame []byte) error {
	if err := CheckSize(l.name, len(frame)); err != nil {
		return err
	}
	if len(frame) < ethernetHeader {
		return fmt.Errorf("link %q: %w: %d bytes, an Ethernet frame has at least %d", l.name, ErrRunt, len(frame), ethernetHeader)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("link %q: %w", l.name, ErrClosed)
	}
	s := &l.send
	s.vectors[0].Base = &s.offload[0]
	s.vectors[0].SetLen(vnetHeader)
	s.vectors[1].Base = unsafe.SliceData(frame)
	s.vectors[1].SetLen(len(frame))
	s.message.Iov = &s.vectors[0]
	s.message.SetIovlen(len(s.vectors))
	_, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(l.fd), uintptr(unsafe.Pointer(&s.message)), unix.MSG_DONTWAIT)
	s.vectors[1].Base = nil
	switch errno {
	case 0:
		l.counters.Sent.Add(1)
		return nil
	case unix.EAGAIN, unix.ENOBUFS, unix.ENETDOWN, unix.ENXIO, unix.ENODEV, unix.EINTR:
		// The queue is full, the cable is unplugged, or the interface is missing.
		l.counters.Dropped.Add(1)
		return nil
	case unix.EMSGSIZE:
		mtu := interfaceMTU(l.fd, l.name)
		return fmt.Errorf("link %q: %w: %d bytes, the interface's MTU of %d carries at most %d", l.name, ErrOversized, len(frame), mtu, mtu+ethernetHeader)
	default:
		return fmt.Errorf("link %q: send %d bytes: %w", l.name, len(frame), errno)
	}
}

// Close ends Serve, closes the socket and restores the interface's offload settings.
func (l *interfaceLink) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.restore()
	err := l.file.Close()
	l.mu.Unlock()
	close(l.kernel.done)
	<-l.kernel.ended
	l.kernel.handle.Close()
	return err
}
