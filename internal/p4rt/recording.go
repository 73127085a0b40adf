package p4rt

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	op25bv1 "op25b/proto/op25b/v1"
)

// A recording is the part of a Recorder's output that belongs to one session. If the Recorder is nil, all methods
// do nothing.
type recording struct {
	r       *Recorder
	session uint64
}

func (r *Recorder) dialed(cfg Config) recording {
	if r == nil {
		return recording{}
	}
	r.mu.Lock()
	r.sessions++
	rec := recording{r, r.sessions}
	r.mu.Unlock()
	rec.put(&op25bv1.Record{Event: &op25bv1.Record_Dialed{Dialed: &op25bv1.Session{
		Addr: valid(cfg.Addr), DeviceId: cfg.DeviceID, ElectionId: recordID(cfg.ElectionID), Role: valid(cfg.Role),
	}}}, repeatSession)
	return rec
}

func (rec recording) put(m *op25bv1.Record, as repeat) { rec.r.put(rec.session, m, as, pipelineSHA{}) }

func (rec recording) status(st SessionStatus) {
	if rec.r == nil {
		return
	}
	event := &op25bv1.SessionStatus{State: st.State.String(), Reason: string(st.Reason), Leader: recordID(st.Leader)}
	if st.Err != nil {
		event.Error = valid(st.Err.Error())
	}
	rec.put(&op25bv1.Record{Event: &op25bv1.Record_Status{Status: event}}, repeatNever)
}

// A request identifies a recorded request, so that its answer can be recorded later.
type request struct {
	of    recording
	id    uint64
	began time.Time
}

func (rec recording) request() request {
	if rec.r == nil {
		return request{}
	}
	rec.r.mu.Lock()
	defer rec.r.mu.Unlock()
	rec.r.requests++
	return request{rec, rec.r.requests, rec.r.cfg.Now()}
}

func (rec recording) write(b *batch) request {
	if rec.r == nil {
		return request{}
	}
	updates := make([][]byte, b.len())
	for i := range updates {
		updates[i] = b.updates.encoded(b.from + i)
	}
	q := rec.request()
	rec.put(&op25bv1.Record{Event: &op25bv1.Record_Write{Write: &op25bv1.Write{Request: q.id, Updates: updates}}}, repeatNever)
	return q
}

func (rec recording) push(p4info *configv1.P4Info, deviceConfig []byte, cookie uint64) request {
	if rec.r == nil {
		return request{}
	}
	sha := rec.pipeline(p4info, deviceConfig)
	q := rec.request()
	rec.put(&op25bv1.Record{Event: &op25bv1.Record_Push{Push: &op25bv1.Push{Request: q.id, PipelineSha256: sha[:], Cookie: cookie}}}, repeatNever)
	return q
}

// inForce records that a pipeline is in force on the switch, because it was found there or was pushed.
func (rec recording) inForce(p4info *configv1.P4Info, deviceConfig []byte, cookie uint64) {
	if rec.r == nil {
		return
	}
	sha := rec.pipeline(p4info, deviceConfig)
	rec.put(&op25bv1.Record{Event: &op25bv1.Record_PipelineInForce{
		PipelineInForce: &op25bv1.PipelineInForce{PipelineSha256: sha[:], Cookie: cookie},
	}}, repeatInForce)
}

func (rec recording) pipeline(p4info *configv1.P4Info, deviceConfig []byte) pipelineSHA {
	encoded, _ := proto.MarshalOptions{Deterministic: true}.Marshal(p4info) // the error can be ignored for the same reason as in messages.encoded
	sha := hashPipeline(encoded, deviceConfig)
	rec.r.put(rec.session, &op25bv1.Record{Event: &op25bv1.Record_Pipeline{
		Pipeline: &op25bv1.Pipeline{Sha256: sha[:], P4Info: encoded, DeviceConfig: deviceConfig},
	}}, repeatPipeline, sha)
	return sha
}

func (q request) answered(a *op25bv1.Answer) {
	if q.of.r == nil {
		return
	}
	a.Request, a.After = q.id, durationpb.New(q.of.r.cfg.Now().Sub(q.began))
	q.of.put(&op25bv1.Record{Event: &op25bv1.Record_Answer{Answer: a}}, repeatNever)
}

// answer returns the outcome of a batch in recorded form. from is the index of the batch's first update.
func (out outcome) answer(from int) *op25bv1.Answer {
	if out.stop != nil {
		return answerOf(out.stop, out.refused)
	}
	a := &op25bv1.Answer{Outcome: op25bv1.Answer_ANSWERED}
	for _, f := range out.failed {
		a.Refused = append(a.Refused, &op25bv1.Refusal{
			Index: uint32(f.Index - from), Code: int32(f.Code), Message: valid(f.Message), Space: valid(f.Space), SpaceCode: f.SpaceCode,
		})
	}
	return a
}

// answerOf returns the recorded answer to a request that the switch accepts or refuses as a whole. refused reports
// whether the switch has certainly refused the request.
func answerOf(err error, refused bool) *op25bv1.Answer {
	switch {
	case err == nil:
		return &op25bv1.Answer{Outcome: op25bv1.Answer_ANSWERED}
	case errors.Is(err, ErrNotPrimary):
		return &op25bv1.Answer{Outcome: op25bv1.Answer_NOT_PRIMARY, Code: int32(codes.PermissionDenied), Message: valid(err.Error())}
	case refused:
		return &op25bv1.Answer{Outcome: op25bv1.Answer_REFUSED, Code: int32(status.Code(err)), Message: valid(err.Error())}
	default:
		return &op25bv1.Answer{Outcome: op25bv1.Answer_UNCLEAR, Code: int32(status.Code(err)), Message: valid(err.Error())}
	}
}

// A pipelineSHA identifies a pipeline. It is the SHA-256 over the length of its encoded P4Info, the P4Info, and its
// device configuration.
type pipelineSHA [sha256.Size]byte

func hashPipeline(p4info, deviceConfig []byte) (sum pipelineSHA) {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p4info))))
	h.Write(p4info)
	h.Write(deviceConfig)
	h.Sum(sum[:0])
	return sum
}

func recordID(id ElectionID) *op25bv1.ElectionID {
	return &op25bv1.ElectionID{High: id.High, Low: id.Low}
}

// valid replaces invalid UTF-8 in a text. This is necessary because protobuf requires valid UTF-8 and a switch may
// send any bytes.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
