package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	"op25b/internal/p4rt"
)

// The limits of a subscription to mail flows.
const (
	// flowList is the maximum number of flows in one list. A flow takes about 100 bytes in a message, so a list takes 25 kB.
	flowList = 256
	// flowDelay is the time that a switch may keep a flow until its list is full. It limits a switch to ten lists a second beside full
	// lists.
	flowDelay = 100 * time.Millisecond
)

// A flowReader passes the mail flows of one session to OnFlows. The switch sends flows only after the first subscribe.
type flowReader struct {
	w          *worker
	subscribed bool // whether the program in force sends mail flows; only the goroutine of work accesses it
	reading    sync.WaitGroup
}

// startFlows starts to read the mail flows of a session. The caller must call wait after ctx has ended.
func (w *worker) startFlows(ctx context.Context, s *p4rt.Session) *flowReader {
	r := &flowReader{w: w}
	if w.c.OnFlows != nil {
		r.reading.Go(func() { r.read(ctx, s) })
	}
	return r
}

func (r *flowReader) wait() { r.reading.Wait() }

// read passes flows on until the session or ctx ends. It runs beside the writes of the session, which it never blocks.
func (r *flowReader) read(ctx context.Context, s *p4rt.Session) {
	defer func() { r.w.c.Metrics.flowsDropped(dropSession, s.Drops().Digests) }()
	for {
		select {
		case <-ctx.Done():
			return
		case list, more := <-s.Digests():
			if !more {
				return
			}
			flows, err := p4rt.MailFlows(list)
			if err != nil {
				r.w.c.Metrics.flowsDropped(dropForeign, 1)
				r.w.log.Debug("a digest cannot be read", zap.Error(err))
			} else {
				r.w.c.Metrics.flowsRead(len(flows))
				r.w.c.OnFlows(r.w.name, flows)
			}
			// An acknowledgement that fails means that the session ends.
			_ = s.Ack(ctx, list)
		}
	}
}

// subscribe makes the switch send mail flows, unless it does already. pushed reports that the program was pushed, which ends an earlier
// subscription. Flows are not needed to filter mail. A refusal is therefore only logged, and the next audit tries again.
func (r *flowReader) subscribe(ctx context.Context, s *p4rt.Session, pushed bool) {
	if r.w.c.OnFlows == nil || r.subscribed && !pushed {
		return
	}
	write := func(kind p4v1.Update_Type) error {
		return s.Write(ctx, []*p4v1.Update{{Type: kind, Entity: p4rt.FlowDigest(flowList, flowDelay)}})
	}
	err := write(p4v1.Update_INSERT)
	// The switch may still have the subscription of an earlier session.
	if refused := (*p4rt.WriteError)(nil); errors.As(err, &refused) && refused.Only(codes.AlreadyExists) {
		err = write(p4v1.Update_MODIFY)
	}
	r.subscribed = err == nil
	if err != nil && ctx.Err() == nil {
		r.w.log.Warn("the switch does not report mail flows", zap.Error(err))
	}
}
