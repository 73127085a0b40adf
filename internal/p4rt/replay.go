package p4rt

import (
	"context"
	"errors"
	"fmt"
	"time"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	op25bv1 "op25b/proto/op25b/v1"
)

// A Replayed is the result of a replay.
type Replayed struct {
	Records int    `json:"records"` // number of records read
	Pushes  int    `json:"pushes"`  // number of pipelines pushed
	Writes  int    `json:"writes"`  // number of write requests sent
	Updates int    `json:"updates"` // number of updates in these requests
	Skipped int    `json:"skipped"` // number of requests not sent, because they had been refused when another controller owned the switch
	Unknown int    `json:"unknown"` // number of requests sent whose recorded answer is missing or unclear, so that it cannot be compared
	Gaps    uint64 `json:"gaps"`    // number of records that the recorder dropped
	Torn    bool   `json:"torn"`    // whether the last record is incomplete, because the recording process was killed or is still running

	Differences []ReplayDifference `json:"differences,omitempty"` // differences in the order of the recording
}

// A ReplayDifference is an answer that differs from the recorded answer. Only the codes are compared, not the texts.
type ReplayDifference struct {
	Record   int       `json:"record"` // number of the record with the request in the file, which counts from 1
	Time     time.Time `json:"time"`   // time at which the request was recorded
	What     string    `json:"what"`   // `push` or `update 3 of 1000 (INSERT table_entry)`
	Recorded string    `json:"recorded"`
	Got      string    `json:"got"`
}

// String returns text such as `record 12, 2006-10-01T03:00:00Z, update 3 of 1000 (INSERT table_entry): recorded OK,
// now AlreadyExists: ...`.
func (d ReplayDifference) String() string {
	return fmt.Sprintf("record %d, %s, %s: recorded %s, now %s", d.Record, d.Time.UTC().Format(time.RFC3339), d.What, d.Recorded, d.Got)
}

// Replay sends the pushes and writes of the recording at path to s, in the recorded order and batches, and compares
// the answers with the recorded answers. The recorded times are ignored; each request is sent when the previous
// request has been answered. If the recorded switch already had its pipeline, Replay pushes this pipeline unless the
// switch of s has it too; a push deletes all entries. The answers can only be the same if the switch has the same
// entries as the recorded switch had at the beginning.
//
// Replay stops at the first unclear answer, or when s is no longer primary, and returns the results so far. It
// returns ErrRecording if the file is not a recording, is damaged, or contains more than one switch.
func Replay(ctx context.Context, path string, s *Session) (*Replayed, error) {
	answers, err := readAnswers(path)
	if err != nil {
		return nil, err
	}
	p := &replay{s: s, answers: answers, pipelines: map[pipelineSHA]*op25bv1.Pipeline{}}
	torn, err := eachRecord(path, func(n int, rec *op25bv1.Record) error {
		p.out.Records = n
		if err := p.record(ctx, n, rec); err != nil {
			return fmt.Errorf("%s: record %d: %w", path, n, err)
		}
		return nil
	})
	p.out.Torn = torn
	return &p.out, err
}

// A replay is the state of one call of Replay.
type replay struct {
	s         *Session
	answers   map[requestID]*op25bv1.Answer
	pipelines map[pipelineSHA]*op25bv1.Pipeline
	part      int
	out       Replayed
}

func (p *replay) record(ctx context.Context, n int, rec *op25bv1.Record) error {
	switch event := rec.GetEvent().(type) {
	case *op25bv1.Record_Opening:
		p.part++
	case *op25bv1.Record_Pipeline:
		p.pipelines[pipelineSHA(event.Pipeline.GetSha256())] = event.Pipeline // the conversion cannot panic, because eachRecord has checked the length
	case *op25bv1.Record_PipelineInForce:
		return p.inForce(ctx, event.PipelineInForce)
	case *op25bv1.Record_Push:
		return p.push(ctx, n, rec, event.Push)
	case *op25bv1.Record_Write:
		return p.write(ctx, n, rec, event.Write)
	case *op25bv1.Record_Gap:
		p.out.Gaps += event.Gap.GetRecords()
	}
	return nil
}

// recorded returns the recorded answer to a request. The answer is nil if it is missing or unclear. send reports
// whether the request must be sent.
func (p *replay) recorded(request uint64) (_ *op25bv1.Answer, send bool) {
	a := p.answers[requestID{p.part, request}]
	switch a.GetOutcome() {
	case op25bv1.Answer_NOT_PRIMARY:
		p.out.Skipped++
		return nil, false
	case op25bv1.Answer_ANSWERED, op25bv1.Answer_REFUSED:
		return a, true
	}
	p.out.Unknown++
	return nil, true
}

func (p *replay) inForce(ctx context.Context, there *op25bv1.PipelineInForce) error {
	have, ok, err := p.s.PipelineCookie(ctx)
	if err != nil || ok && have == there.GetCookie() {
		return err
	}
	info, config, err := p.pipeline(there.GetPipelineSha256())
	if err != nil {
		return err
	}
	p.out.Pushes++
	return p.s.Push(ctx, info, config, there.GetCookie())
}

func (p *replay) push(ctx context.Context, n int, rec *op25bv1.Record, push *op25bv1.Push) error {
	was, send := p.recorded(push.GetRequest())
	if !send {
		return nil
	}
	info, config, err := p.pipeline(push.GetPipelineSha256())
	if err != nil {
		return err
	}
	err = p.s.Push(ctx, info, config, push.GetCookie())
	now := answerOf(err, errors.Is(err, ErrPipelineRefused))
	switch now.GetOutcome() {
	case op25bv1.Answer_UNCLEAR, op25bv1.Answer_NOT_PRIMARY:
		return err
	}
	p.out.Pushes++
	if was != nil && (was.GetOutcome() != now.GetOutcome() || was.GetCode() != now.GetCode()) {
		p.differ(n, rec, "push", wholeText(was), wholeText(now))
	}
	return nil
}

func (p *replay) pipeline(name []byte) (*configv1.P4Info, []byte, error) {
	if len(name) != len(pipelineSHA{}) {
		return nil, nil, fmt.Errorf("%w: a pipeline's name has %d bytes, want %d", ErrRecording, len(name), len(pipelineSHA{}))
	}
	pipeline, ok := p.pipelines[pipelineSHA(name)]
	if !ok {
		return nil, nil, fmt.Errorf("%w: pipeline %x is not in the file before it is named", ErrRecording, name)
	}
	info := new(configv1.P4Info)
	if err := proto.Unmarshal(pipeline.GetP4Info(), info); err != nil {
		return nil, nil, fmt.Errorf("%w: pipeline %x: P4Info: %w", ErrRecording, name, err)
	}
	return info, pipeline.GetDeviceConfig(), nil
}

func (p *replay) write(ctx context.Context, n int, rec *op25bv1.Record, write *op25bv1.Write) error {
	was, send := p.recorded(write.GetRequest())
	if !send {
		return nil
	}
	batch := make([]*p4v1.Update, len(write.GetUpdates()))
	for i, encoded := range write.GetUpdates() {
		batch[i] = new(p4v1.Update)
		if err := proto.Unmarshal(encoded, batch[i]); err != nil {
			return fmt.Errorf("%w: update %d of %d: %w", ErrRecording, i, len(batch), err)
		}
	}
	if err := p.s.mayWrite(ctx); err != nil {
		return p.s.fail(opWrite, nil, err)
	}
	whole := messages(batch).encode(p.s, 0, len(batch))
	out := p.s.writeBatch(ctx, &whole)
	now := out.answer(0)
	switch now.GetOutcome() {
	case op25bv1.Answer_UNCLEAR, op25bv1.Answer_NOT_PRIMARY:
		return p.s.fail(opWrite, nil, out.stop)
	}
	p.out.Writes++
	p.out.Updates += len(batch)
	if was != nil {
		p.compare(n, rec, batch, was, now)
	}
	return nil
}

// compare records the differences between two answers to a batch. If both answers report each update, compare
// compares them update by update.
func (p *replay) compare(n int, rec *op25bv1.Record, batch []*p4v1.Update, was, now *op25bv1.Answer) {
	if was.GetOutcome() != op25bv1.Answer_ANSWERED || now.GetOutcome() != op25bv1.Answer_ANSWERED {
		if was.GetOutcome() != now.GetOutcome() || was.GetCode() != now.GetCode() {
			p.differ(n, rec, fmt.Sprintf("all %d updates", len(batch)), wholeText(was), wholeText(now))
		}
		return
	}
	refused := func(a *op25bv1.Answer) map[uint32]*op25bv1.Refusal {
		byIndex := map[uint32]*op25bv1.Refusal{}
		for _, r := range a.GetRefused() {
			byIndex[r.GetIndex()] = r
		}
		return byIndex
	}
	before, after := refused(was), refused(now)
	for i, u := range batch {
		b, a := before[uint32(i)], after[uint32(i)]
		if b.GetCode() != a.GetCode() {
			what := fmt.Sprintf("update %d of %d (%v %s)", i, len(batch), u.GetType(), EntityKind(u.GetEntity()))
			p.differ(n, rec, what, codeText(b.GetCode(), b.GetMessage()), codeText(a.GetCode(), a.GetMessage()))
		}
	}
}

func (p *replay) differ(n int, rec *op25bv1.Record, what, recorded, got string) {
	p.out.Differences = append(p.out.Differences, ReplayDifference{
		Record: n, Time: rec.GetTime().AsTime(), What: what, Recorded: recorded, Got: got,
	})
}

// wholeText describes an answer as a whole.
func wholeText(a *op25bv1.Answer) string {
	if a.GetOutcome() == op25bv1.Answer_ANSWERED {
		if n := len(a.GetRefused()); n > 0 {
			return fmt.Sprintf("%d refused", n)
		}
		return codes.OK.String()
	}
	return codeText(a.GetCode(), a.GetMessage())
}

func codeText(code int32, message string) string {
	text := canonical(code).String()
	if message != "" {
		text += ": " + message
	}
	return text
}
