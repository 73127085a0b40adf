// Package agent serves gNMI for a switch without a gNMI server, such as bmv2's simple_switch_grpc. It runs on the switch's host. It reads
// the P4 counters over P4Runtime without taking part in the arbitration, and the interface counters from the kernel.
//
// The agent writes nothing to the switch and depends on no P4 name: annotations in the P4Info mark the counters (see p4source.Find).
//
// The agent reports a new boot-time when it first reaches the program, when the program changes, or when a counter has decreased. It does
// not notice a restart after which every counter is at least as high as before.
package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"

	"op25b/internal/openconfig"
	"op25b/internal/openconfig/p4source"
)

// A Reader is the part of a P4Runtime client that the agent uses; p4rt.Reader implements it.
type Reader interface {
	// PipelineCookie returns the cookie of the running pipeline, or false if no pipeline is running.
	PipelineCookie(ctx context.Context) (uint64, bool, error)
	GetP4Info(ctx context.Context) (*configv1.P4Info, error)
	Read(ctx context.Context, entities ...*p4v1.Entity) ([]*p4v1.Entity, error)
}

// A Source is an openconfig.Source over P4Runtime. After a client has pushed a new pipeline, the next Snapshot uses the counters of that
// pipeline.
type Source struct {
	*p4source.Source // provides Watch

	reader Reader
	log    *zap.Logger

	mu      sync.Mutex // guards everything below
	asked   bool       // the layout has been set
	running bool       // the layout belongs to the pipeline with this cookie; if false, no pipeline is running
	cookie  uint64
}

var _ openconfig.Source = (*Source)(nil)

// Config configures a Source.
type Config struct {
	// Ports maps P4Runtime ports to interface names.
	Ports map[uint32]string
	// Links may be nil if the kernel has none of the interfaces.
	Links p4source.Links
	// Hostname is the name of the host, and Version is the version of the agent. An empty string means unknown.
	Hostname, Version string
	// Logger may be nil.
	Logger *zap.Logger
}

// New returns the source of the switch behind reader.
func New(reader Reader, cfg Config) (*Source, error) {
	inner, err := p4source.New(p4source.Config{
		Ports: cfg.Ports, Links: cfg.Links, Hostname: cfg.Hostname, Version: cfg.Version,
		Read: func(ctx context.Context, entities []*p4v1.Entity) ([]*p4v1.Entity, error) {
			return reader.Read(ctx, entities...)
		},
	})
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	return &Source{Source: inner, reader: reader, log: cfg.Logger}, nil
}

// maxReadings limits the readings of one Snapshot. A Snapshot only fails if another pipeline is pushed during each of them.
const maxReadings = 3

// Snapshot requests the cookie of the running pipeline, reads the P4Info if the cookie has changed, and then reads the counters. If the
// pipeline has changed in the meantime, Snapshot begins again, because some of the values may belong to the previous pipeline.
func (s *Source) Snapshot(ctx context.Context, parts openconfig.Parts) (*openconfig.State, error) {
	if _, err := s.follow(ctx); err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		st, err := s.Source.Snapshot(ctx, parts)
		if err != nil {
			return nil, err
		}
		if changed, err := s.follow(ctx); err != nil || !changed || n == maxReadings {
			return st, err
		}
	}
}

// follow reports whether the pipeline has changed since the last call.
func (s *Source) follow(ctx context.Context) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cookie, running, err := s.reader.PipelineCookie(ctx)
	if err != nil {
		return false, fmt.Errorf("which pipeline runs: %w", err)
	}
	if !running {
		if s.asked && !s.running {
			return false, nil
		}
		s.log.Info("the switch has no pipeline")
		s.asked, s.running = true, false
		return true, s.SetLayout(p4source.Layout{}, time.Now())
	}
	if s.running && s.cookie == cookie {
		return false, nil
	}
	info, err := s.reader.GetP4Info(ctx)
	if err != nil {
		return false, fmt.Errorf("the pipeline's P4Info: %w", err)
	}
	layout, err := p4source.Find(info)
	if err != nil {
		return false, err
	}
	boot := time.Now()
	if !s.asked { // the pipeline may have run and counted for a long time
		boot = time.Time{}
	}
	if err := s.SetLayout(layout, boot); err != nil {
		return false, err
	}
	s.asked, s.running, s.cookie = true, true, cookie
	s.log.Info("following the pipeline", zap.Uint64("cookie", cookie), zap.String("program", layout.Program),
		zap.Bool("acl", layout.ACL != nil), zap.Bool("lines", layout.Lines != nil), zap.Bool("legs", layout.Legs != nil))
	return true, nil
}
