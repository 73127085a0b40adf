package p4rtserver

import (
	"context"
	"sync"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"op25b/internal/softswitch/engine"
)

// A pipeline is a forwarding pipeline config that has been loaded. It consists of an engine, the P4Info bound to it, and the P4Runtime
// state that the engine does not store. Server.mu guards the fields of a pipeline, and the engine guards its own state.
type pipeline struct {
	config *p4v1.ForwardingPipelineConfig
	schema *schema
	eng    *engine.Engine

	defaults  map[uint32][]byte                    // metadata of each default entry, by table id
	changed   map[uint32]bool                      // whether the control plane has set a table's default entry, by table id
	selectors map[uint32]*selector                 // state of each action profile, by its id
	groups    map[uint32]*p4v1.MulticastGroupEntry // multicast groups as clients wrote them
	sessions  map[uint32]*p4v1.CloneSessionEntry   // clone sessions as clients wrote them
	digests   *digester
	idle      *idler
	held      int64 // approximate memory of written state in bytes; at most maxState
	maxState  int64

	// done and wg control the goroutines that start creates and stop ends.
	done chan struct{}
	wg   sync.WaitGroup
}

// newPipeline loads a config without changing the running pipeline. Every error that it returns has the code INVALID_ARGUMENT.
func (s *Server) newPipeline(config *p4v1.ForwardingPipelineConfig) (*pipeline, error) {
	switch {
	case config == nil:
		return nil, invalidf("config: missing; this action needs one")
	case config.P4Info == nil:
		return nil, invalidf("config.p4info: missing")
	case len(config.P4DeviceConfig) == 0:
		return nil, invalidf("config.p4_device_config: empty; it must be the JSON of p4c-bm2-ss")
	}
	if err := checkNames(config.P4Info); err != nil {
		return nil, err
	}
	sch, err := newSchema(config.P4Info)
	if err != nil {
		return nil, invalidf("config: %v", err)
	}
	eng, err := s.opts.Load(config.P4DeviceConfig)
	if err != nil {
		return nil, invalidf("config.p4_device_config: %v", err)
	}
	if err := sch.bind(eng); err != nil {
		return nil, invalidf("config: %v", err)
	}
	if err := sch.bindConfig(config.P4DeviceConfig); err != nil {
		return nil, invalidf("config: %v", err)
	}
	p := &pipeline{
		config: proto.Clone(config).(*p4v1.ForwardingPipelineConfig), schema: sch, eng: eng,
		defaults: map[uint32][]byte{}, changed: map[uint32]bool{}, selectors: map[uint32]*selector{},
		groups: map[uint32]*p4v1.MulticastGroupEntry{}, sessions: map[uint32]*p4v1.CloneSessionEntry{},
		done: make(chan struct{}), maxState: s.opts.MaxState,
	}
	for id := range sch.profiles {
		p.selectors[id] = &selector{oneShots: map[uint32]*oneShot{}, maxSizes: map[uint32]int32{}}
	}
	p.digests = newDigester(s.opts.Now, func(l *p4v1.DigestList) bool {
		return s.toPrimaries(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Digest{Digest: l}}) > 0
	})
	for _, g := range sch.digests {
		p.digests.add(g)
	}
	p.idle = newIdler(s.opts.Now, func(n *p4v1.IdleTimeoutNotification) {
		s.toPrimaries(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_IdleTimeoutNotification{IdleTimeoutNotification: n}})
	})
	return p, nil
}

// start begins to receive digests and to watch idle entries. It is called only for the committed pipeline.
func (p *pipeline) start() {
	p.wg.Go(func() { p.digests.run(p.done) })
	p.wg.Go(func() { p.idle.run(p.done) })
	if len(p.schema.digests) > 0 {
		p.wg.Go(func() { p.digests.take(p.eng.Digests(), p.done) })
	}
}

// stop ends the goroutines that start has created and waits for them. It may be called more than once.
func (p *pipeline) stop() {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	p.wg.Wait()
}

// SetForwardingPipelineConfig pushes a pipeline (spec 14). If the push is refused, nothing has changed.
func (s *Server) SetForwardingPipelineConfig(ctx context.Context, req *p4v1.SetForwardingPipelineConfigRequest) (*p4v1.SetForwardingPipelineConfigResponse, error) {
	roleID := req.ProtoReflect().Get(req.ProtoReflect().Descriptor().Fields().ByName("role_id")).Uint()
	authorized := func() error {
		if s.isClosed() {
			return errClosed()
		}
		return s.arb.authorize(req.DeviceId, req.Role, roleID, req.ElectionId)
	}
	// Authorization is checked before the work and again under the lock, because loading a program takes long and the primary may change in
	// the meantime.
	if err := authorized(); err != nil {
		return nil, err
	}
	var next *pipeline
	switch req.Action {
	case p4v1.SetForwardingPipelineConfigRequest_COMMIT:
		if req.Config != nil {
			return nil, invalidf("COMMIT: a config is given; it commits the one saved before")
		}
	case p4v1.SetForwardingPipelineConfigRequest_VERIFY, p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_SAVE,
		p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT, p4v1.SetForwardingPipelineConfigRequest_RECONCILE_AND_COMMIT:
		if err := waitFor(ctx, s.loads, 1, loadWait); err != nil {
			return nil, status.Errorf(codes.ResourceExhausted, "%v: another program is being loaded: try again", req.Action)
		}
		defer s.loads.Release(1)
		var err error
		if next, err = s.newPipeline(req.Config); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "%v: %s", req.Action, status.Convert(err).Message())
		}
	default:
		return nil, invalidf("action %v: it must be VERIFY, VERIFY_AND_SAVE, VERIFY_AND_COMMIT, COMMIT or RECONCILE_AND_COMMIT", req.Action)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if err := authorized(); err != nil {
		return nil, err
	}
	switch req.Action {
	case p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_SAVE:
		s.saved = next
	case p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT:
		s.commitLocked(next)
	case p4v1.SetForwardingPipelineConfigRequest_COMMIT:
		if s.saved == nil {
			return nil, status.Error(codes.NotFound, "COMMIT: no config is saved; VERIFY_AND_SAVE saves one")
		}
		s.commitLocked(s.saved)
	case p4v1.SetForwardingPipelineConfigRequest_RECONCILE_AND_COMMIT:
		if from := s.controlled(); from != nil {
			if err := next.inherit(from); err != nil {
				return nil, invalidf("RECONCILE_AND_COMMIT: the forwarding state cannot be kept: %s", status.Convert(err).Message())
			}
		}
		s.commitLocked(next)
	}
	s.log.Info("pipeline pushed", zap.Stringer("action", req.Action), zap.String("program", req.GetConfig().GetP4Info().GetPkgInfo().GetName()),
		zap.Uint64("cookie", req.GetConfig().GetCookie().GetCookie()))
	return &p4v1.SetForwardingPipelineConfigResponse{}, nil
}

// commitLocked makes next the committed pipeline, so that packets are passed to it, and discards the saved pipeline.
func (s *Server) commitLocked(next *pipeline) {
	old := s.live
	// While the engines are exchanged, the server does not know which program has sent a frame to the CPU port. Such a frame is dropped,
	// because it could be parsed with the wrong header.
	s.headers.Store(nil)
	s.digesting.Store(nil)
	if s.opts.OnCommit != nil {
		s.opts.OnCommit(next.eng, next.config.GetP4Info())
	}
	if old != nil {
		old.stop()
	}
	next.start()
	s.live, s.saved = next, nil
	s.digesting.Store(next.digests)
	s.headers.Store(&controllerHeaders{in: next.schema.packetIn, out: next.schema.packetOut})
}

// primaryChanged makes the digester forget the digests that were sent to a former primary, so that they can be sent to the new primary.
func (s *Server) primaryChanged() {
	if d := s.digesting.Load(); d != nil {
		d.forget()
	}
}

// GetForwardingPipelineConfig returns the committed config (spec 15). Before the first commit it returns FAILED_PRECONDITION. The
// specification also allows a response without a config. However, simple_switch_grpc and Stratum return FAILED_PRECONDITION, and their
// clients expect it.
func (s *Server) GetForwardingPipelineConfig(_ context.Context, req *p4v1.GetForwardingPipelineConfigRequest) (*p4v1.GetForwardingPipelineConfigResponse, error) {
	if s.isClosed() {
		return nil, errClosed()
	}
	if err := s.arb.known(req.DeviceId, ""); err != nil {
		return nil, err
	}
	s.mu.RLock()
	live := s.live
	s.mu.RUnlock()
	if live == nil {
		return nil, errNoPipeline()
	}
	out := &p4v1.ForwardingPipelineConfig{Cookie: live.config.Cookie}
	switch req.ResponseType {
	case p4v1.GetForwardingPipelineConfigRequest_ALL:
		out.P4Info, out.P4DeviceConfig = live.config.P4Info, live.config.P4DeviceConfig
	case p4v1.GetForwardingPipelineConfigRequest_COOKIE_ONLY:
	case p4v1.GetForwardingPipelineConfigRequest_P4INFO_AND_COOKIE:
		out.P4Info = live.config.P4Info
	case p4v1.GetForwardingPipelineConfigRequest_DEVICE_CONFIG_AND_COOKIE:
		out.P4DeviceConfig = live.config.P4DeviceConfig
	default:
		return nil, invalidf("response_type %d: it must be ALL, COOKIE_ONLY, P4INFO_AND_COOKIE or DEVICE_CONFIG_AND_COOKIE", req.ResponseType)
	}
	return &p4v1.GetForwardingPipelineConfigResponse{Config: out}, nil
}
