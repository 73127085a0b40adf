package p4rt

import (
	"context"
	"encoding/binary"
	"errors"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Cookie returns the cookie of a pipeline: the first 64 bits of the SHA-256 over the length of its P4Info, the
// P4Info, and its device configuration. The cookie 0 means that a pipeline was pushed without a cookie. Cookie
// returns 0 only if the P4Info cannot be encoded because a string in it is not valid UTF-8.
//
// The hash covers the deterministic encoding of the P4Info. If a later protobuf release changes that encoding, an
// upgrade causes an unnecessary push. It never causes a necessary push to be omitted.
func Cookie(p4info *configv1.P4Info, deviceConfig []byte) uint64 {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(p4info)
	if err != nil {
		return 0
	}
	sum := hashPipeline(encoded, deviceConfig)
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

// PipelineCookie returns the cookie of the switch's pipeline, or 0 if the pipeline was pushed without a cookie. If
// the switch has no pipeline, the bool is false and the error is nil.
func (r *Reader) PipelineCookie(ctx context.Context) (uint64, bool, error) {
	config, err := r.getPipeline(ctx, "read pipeline cookie", p4v1.GetForwardingPipelineConfigRequest_COOKIE_ONLY)
	if errors.Is(err, ErrNoPipeline) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return config.GetCookie().GetCookie(), true, nil
}

// GetP4Info returns the P4Info of the switch's pipeline, or ErrNoPipeline.
func (r *Reader) GetP4Info(ctx context.Context) (*configv1.P4Info, error) {
	const op = "read P4Info"
	config, err := r.getPipeline(ctx, op, p4v1.GetForwardingPipelineConfigRequest_P4INFO_AND_COOKIE)
	if err != nil {
		return nil, err
	}
	if config.GetP4Info() == nil {
		return nil, r.fail(op, ErrNoPipeline, errors.New("the switch answered without a P4Info"))
	}
	return config.GetP4Info(), nil
}

func (r *Reader) getPipeline(ctx context.Context, op string, what p4v1.GetForwardingPipelineConfigRequest_ResponseType) (*p4v1.ForwardingPipelineConfig, error) {
	if err := r.ended(); err != nil {
		return nil, r.fail(op, nil, err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CallTimeout)
	defer cancel()
	answer, err := r.client.GetForwardingPipelineConfig(ctx, &p4v1.GetForwardingPipelineConfigRequest{
		DeviceId: r.cfg.DeviceID, ResponseType: what,
	})
	if err != nil {
		return nil, r.rpcError(ctx, op, err)
	}
	return answer.GetConfig(), nil
}

// Push pushes a pipeline and puts it in force (VERIFY_AND_COMMIT, section 14). This deletes all entries of the
// switch. Push returns ErrNotPrimary if the session is not primary, and ErrPipelineRefused with the switch's message
// if the switch refuses the pipeline. If Push returns ErrUnreachable, the switch may have either the old or the new
// pipeline.
func (s *Session) Push(ctx context.Context, p4info *configv1.P4Info, deviceConfig []byte, cookie uint64) error {
	const op = "push pipeline"
	if err := s.mayWrite(ctx); err != nil {
		return s.fail(op, nil, err)
	}
	request := s.record.push(p4info, deviceConfig, cookie)
	refused, err := s.push(ctx, p4info, deviceConfig, cookie)
	request.answered(answerOf(err, refused))
	if err != nil {
		return err
	}
	s.record.inForce(p4info, deviceConfig, cookie)
	s.log.Info("pipeline pushed", zap.Uint64("cookie", cookie), zap.Int("bytes", len(deviceConfig)))
	return nil
}

// push pushes a pipeline like Push, but does not check whether the session is primary. refused reports whether the
// switch has kept its previous pipeline.
func (s *Session) push(ctx context.Context, p4info *configv1.P4Info, deviceConfig []byte, cookie uint64) (refused bool, err error) {
	const op = "push pipeline"
	callCtx, cancel := graceful(ctx, s.cfg.PushTimeout, s.cfg.CancelGrace)
	defer cancel()
	_, err = s.client.SetForwardingPipelineConfig(callCtx, &p4v1.SetForwardingPipelineConfigRequest{
		DeviceId: s.cfg.DeviceID, Role: s.cfg.Role, ElectionId: s.cfg.ElectionID.proto(),
		Action: p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT,
		Config: &p4v1.ForwardingPipelineConfig{
			P4Info: p4info, P4DeviceConfig: deviceConfig, Cookie: &p4v1.ForwardingPipelineConfig_Cookie{Cookie: cookie},
		},
	})
	switch {
	case err == nil:
		return false, nil
	case status.Code(err) == codes.PermissionDenied:
		return true, s.fail(op, nil, s.fence(err))
	case callCtx.Err() != nil, transportKind(status.Code(err)) != nil, status.Code(err) == codes.Canceled:
		return false, s.rpcError(callCtx, op, err)
	default:
		return true, s.fail(op, ErrPipelineRefused, err)
	}
}

// EnsurePipeline pushes the pipeline unless the switch's cookie shows that the switch already has it. pushed reports
// whether the pipeline was pushed. If the switch already has the pipeline, the session need not be primary.
func (s *Session) EnsurePipeline(ctx context.Context, p4info *configv1.P4Info, deviceConfig []byte) (pushed bool, err error) {
	want := Cookie(p4info, deviceConfig)
	if want == 0 {
		return false, s.fail("push pipeline", ErrPipelineRefused, errors.New("the P4Info has a string that is not UTF-8"))
	}
	have, ok, err := s.PipelineCookie(ctx)
	if err != nil {
		return false, err
	}
	if ok && have == want {
		s.record.inForce(p4info, deviceConfig, want)
		return false, nil
	}
	if err := s.Push(ctx, p4info, deviceConfig, want); err != nil {
		return false, err
	}
	// If a switch does not keep the cookie, every start of the controller would push the pipeline and thereby delete
	// all entries.
	switch have, ok, err = s.PipelineCookie(ctx); {
	case err != nil:
		return true, err
	case !ok || have != want:
		s.log.Warn("the switch does not keep the pipeline's cookie; it will be pushed again with the next session",
			zap.Uint64("pushed", want), zap.Uint64("kept", have))
	}
	return true, nil
}
