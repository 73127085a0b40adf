package demo

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
	"op25b/internal/wire"
)

// An Embedded provides a Rig whose switch is the embedded switch in this process.
type Embedded struct {
	Rig
	sw       *softswitch.Switch
	services *softswitch.Services
	ends     map[pipeline.Port]wire.Link
}

// NewEmbedded starts the switch with every port of the inventory, and its services on the given addresses. For an empty address, it uses
// any free port of 127.0.0.1.
func NewEmbedded(sw *policy.Switch, addrs softswitch.Addrs, log *zap.Logger) (_ *Embedded, err error) {
	for _, a := range []*string{&addrs.P4Runtime, &addrs.GNMI} {
		if *a == "" {
			*a = "127.0.0.1:0"
		}
	}
	e := &Embedded{ends: map[pipeline.Port]wire.Link{}}
	if e.sw, err = softswitch.New(softswitch.Options{DeviceID: uint64(sw.DeviceID), Clock: time.Now, Logger: log}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	for _, p := range sw.Ports {
		near, far := wire.Pipe(p.Name, p.Name+" host")
		if err := e.sw.Attach(uint32(p.Number), near); err != nil {
			return nil, err
		}
		e.ends[p.Number] = far
	}
	if e.services, err = e.sw.Listen(addrs); err != nil {
		return nil, err
	}
	e.Rig = Rig{
		DeviceID: uint64(sw.DeviceID), P4Runtime: e.services.Addrs.P4Runtime, GNMI: e.services.Addrs.GNMI,
		Link: func(port pipeline.Port, name string) (wire.Link, error) {
			link, ok := e.ends[port]
			if !ok {
				return nil, fmt.Errorf("port %d for %q: it does not exist or has a host already", port, name)
			}
			delete(e.ends, port)
			return link, nil
		},
	}
	return e, nil
}

// Close stops the services and the switch.
func (e *Embedded) Close() error {
	if e.services != nil {
		e.services.Close()
	}
	errs := []error{e.sw.Close()}
	for _, link := range e.ends {
		errs = append(errs, link.Close())
	}
	return errors.Join(errs...)
}
