package wire

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// StateOf reads the state of an interface from an rtnetlink message. If a driver reports no operational state (tun, dummy, loopback),
// StateOf derives the state from the carrier. If an interface is administratively down, its operational state is down, whatever its
// driver reports.
func StateOf(a *netlink.LinkAttrs) LinkState {
	const carrier = unix.IFF_LOWER_UP
	s := LinkState{Index: uint32(a.Index), Admin: a.RawFlags&unix.IFF_UP != 0}
	switch {
	case !s.Admin:
		s.Oper = OperDown
	case a.OperState == netlink.OperUnknown && a.RawFlags&carrier != 0:
		s.Oper = OperUp
	default:
		s.Oper = map[netlink.LinkOperState]OperState{
			netlink.OperUnknown: OperDown, netlink.OperNotPresent: OperNotPresent, netlink.OperDown: OperDown,
			netlink.OperLowerLayerDown: OperLowerLayerDown, netlink.OperTesting: OperTesting, netlink.OperDormant: OperDormant, netlink.OperUp: OperUp,
		}[a.OperState]
	}
	return s
}

// A kernel is a link's connection to rtnetlink. Its sockets belong to the network namespace in which the link was opened.
type kernel struct {
	handle  *netlink.Handle
	updates chan netlink.LinkUpdate
	done    chan struct{} // closed by Close
	ended   chan struct{} // closed when follow returns
}

// resubscribeAfter is the time that a link waits before it subscribes again. The kernel ends a subscription when too many messages are
// queued.
const resubscribeAfter = time.Second

func openKernel() (*kernel, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	k := &kernel{handle: handle, done: make(chan struct{}), ended: make(chan struct{})}
	if k.updates, err = k.subscribe(); err != nil {
		handle.Close()
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	return k, nil
}

func (k *kernel) subscribe() (chan netlink.LinkUpdate, error) {
	updates := make(chan netlink.LinkUpdate, 64)
	// On an error, the library ends the subscription and closes the channel.
	return updates, netlink.LinkSubscribeWithOptions(updates, k.done, netlink.LinkSubscribeOptions{ErrorCallback: func(error) {}})
}

// follow reads the state of the link's interface after every change of any interface, until the link is closed. If the interface was
// created anew, follow binds the socket to the new interface.
func (l *interfaceLink) follow() {
	k := l.kernel
	defer close(k.ended)
	again := time.NewTimer(resubscribeAfter)
	defer again.Stop()
	for {
		select {
		case <-k.done:
			if k.updates != nil {
				for range k.updates { // drain updates, because the subscription's goroutine may be blocked on a send
				}
			}
			return
		case _, more := <-k.updates:
			if !more {
				k.updates = nil
				again.Reset(resubscribeAfter)
				continue
			}
			l.refresh()
		case <-again.C:
			if k.updates != nil {
				continue
			}
			updates, err := k.subscribe()
			if err != nil {
				again.Reset(resubscribeAfter)
				continue
			}
			k.updates = updates
			l.refresh() // Changes may have been missed while the link was not subscribed.
		}
	}
}

// refresh reads the state of the interface that currently has the link's name.
func (l *interfaceLink) refresh() {
	found, err := l.kernel.handle.LinkByName(l.name)
	state := LinkState{Oper: OperNotPresent}
	var missing netlink.LinkNotFoundError
	switch {
	case err == nil:
		state = StateOf(found.Attrs())
	case !errors.As(err, &missing):
		return // refresh is called again at the next change
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	if state.Index != 0 && int(state.Index) != l.index {
		if err := l.rebindLocked(int(state.Index)); err != nil {
			state.Oper = OperUnknown // the interface exists, but the socket could not be bound to it
		}
	}
	changed := state != l.state
	l.state = state
	tell := l.changed
	l.mu.Unlock()
	if changed && tell != nil {
		tell()
	}
}

// rebindLocked binds the socket to the interface that has replaced the previous one.
func (l *interfaceLink) rebindLocked(index int) error {
	if err := bindSocket(l.fd, &net.Interface{Index: index, Name: l.name}); err != nil {
		return err
	}
	l.index = index
	l.restore = disableMerging(l.fd, l.name)
	return nil
}

// State implements Followed.
func (l *interfaceLink) State() LinkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Follow implements Followed.
func (l *interfaceLink) Follow(changed func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = changed
}
