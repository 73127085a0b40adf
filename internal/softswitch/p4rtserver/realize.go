package p4rtserver

import (
	"errors"
	"fmt"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
)

// A Realized is an engine with entries that are written without a server. Idle timeouts and digests therefore have no effect. It is not safe
// for concurrent use.
type Realized struct{ p *pipeline }

// NewRealized returns an engine that runs a program without entries, as if a controller had pushed the program.
func NewRealized(load func(deviceConfig []byte) (*engine.Engine, error), deviceConfig []byte, info *p4cfg.P4Info) (*Realized, error) {
	s, err := New(Options{DeviceID: 1, Load: load})
	if err != nil {
		return nil, err
	}
	p, err := s.newPipeline(&p4v1.ForwardingPipelineConfig{P4Info: info, P4DeviceConfig: deviceConfig})
	if err != nil {
		return nil, fmt.Errorf("program: %s", status.Convert(err).Message())
	}
	return &Realized{p}, nil
}

// Engine returns the engine.
func (r *Realized) Engine() *engine.Engine { return r.p.eng }

// Apply writes an update. Its error is the message that a controller would get.
func (r *Realized) Apply(u *p4v1.Update) error {
	if err := r.p.apply(u); err != nil {
		return errors.New(status.Convert(err).Message())
	}
	return nil
}

// Metadata returns the metadata that an entry of the engine was written with.
func Metadata(en *engine.Entry) []byte {
	_, data := splitCookie(en.Cookie)
	return data
}

// Realize returns an engine that runs a program with the given entities, as if a controller had pushed the program and written the
// entities. Default entries are written with MODIFY and all others with INSERT, in order. There is no server, so idle timeouts and
// digests have no effect.
//
// If an entity is refused, the error is the same as a controller would get, with the index of the entity.
func Realize(load func(deviceConfig []byte) (*engine.Engine, error), deviceConfig []byte, info *p4cfg.P4Info, entities []*p4v1.Entity) (*engine.Engine, error) {
	r, err := NewRealized(load, deviceConfig, info)
	if err != nil {
		return nil, err
	}
	for i, entity := range entities {
		op := p4v1.Update_INSERT
		if entity.GetTableEntry().GetIsDefaultAction() {
			op = p4v1.Update_MODIFY
		}
		if err := r.Apply(&p4v1.Update{Type: op, Entity: entity}); err != nil {
			return nil, fmt.Errorf("entity %d: %w", i, err)
		}
	}
	return r.Engine(), nil
}
