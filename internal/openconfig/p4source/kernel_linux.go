package p4source

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"op25b/internal/openconfig"
	"op25b/internal/wire"
)

// Kernel implements Links for interfaces of this Linux machine over rtnetlink. A frame that the kernel receives on an interface enters
// the switch to which the interface belongs.
type Kernel struct{}

var _ Links = Kernel{}

// Link returns the kernel's 64-bit counters and operational state of the interface.
func (Kernel) Link(_ context.Context, name string) (Link, bool, error) {
	found, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return Link{}, false, nil
	}
	if err != nil {
		return Link{}, false, fmt.Errorf("rtnetlink: %w", err)
	}
	attrs := found.Attrs()
	l := LinkOf(wire.StateOf(attrs))
	if st := attrs.Statistics; st != nil {
		l.Counters = &openconfig.InterfaceCounters{
			InPkts: st.RxPackets, InOctets: st.RxBytes, InDiscards: st.RxDropped, InErrors: st.RxErrors,
			OutPkts: st.TxPackets, OutOctets: st.TxBytes, OutDiscards: st.TxDropped, OutErrors: st.TxErrors,
		}
	}
	return l, true, nil
}

// Watch calls changed at the start and whenever a link is added, removed or changes state.
func (Kernel) Watch(ctx context.Context, changed func()) error {
	updates := make(chan netlink.LinkUpdate)
	done := make(chan struct{})
	failed := make(chan error, 1)
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{
		ErrorCallback: func(err error) {
			select {
			case failed <- err:
			default:
			}
		},
	})
	if err != nil {
		close(done)
		return fmt.Errorf("rtnetlink: %w", err)
	}
	defer func() {
		close(done)
		for range updates { // the subscription's goroutine may be sending an update; it closes the channel when it ends
		}
	}()
	changed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("rtnetlink: %w", err)
		case _, ok := <-updates:
			if !ok {
				return errors.New("rtnetlink: the subscription has ended")
			}
			changed()
		}
	}
}
