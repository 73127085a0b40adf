package p4fuzz

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A Target is a switch under test. Its client is the primary controller.
type Target struct {
	Client   p4v1.P4RuntimeClient
	DeviceID uint64
	Election *p4v1.Uint128 // the primary's election id; Low is neither 0 nor the maximum
}

// A Report is a switch's answer to an update or to a whole request.
type Report struct {
	Mutations []Mutation
	Code      codes.Code
}

// Play sends a step and compares the answers with the model. It then updates the model and compares the model with all entries of the
// switch. If tell is not nil, Play calls it with each report.
func (t *Target) Play(ctx context.Context, m *Model, s Step, tell func(Report)) error {
	if err := t.write(ctx, m, s, tell); err != nil {
		return err
	}
	shown, err := t.Read(ctx, m.program)
	if err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	return m.Compare(shown)
}

func (t *Target) write(ctx context.Context, m *Model, s Step, tell func(Report)) error {
	_, err := t.Client.Write(ctx, t.request(s))
	if ctx.Err() != nil {
		return err
	}
	if s.Request != "" {
		code := status.Code(err)
		if code == codes.Unknown {
			code = codes.OK // UNKNOWN means that the switch accepted the request, and that the error contains the codes of the updates
		}
		if tell != nil {
			tell(Report{[]Mutation{s.Request}, code})
		}
		if want := m.answers[s.Request]; code != want {
			return fmt.Errorf("%s: answered with %v, want %v", s.Request, err, want)
		}
		if code != codes.OK {
			return nil // the switch refused the whole request, so nothing has changed
		}
	}
	answered, err := perUpdate(err, len(s.Updates))
	if err != nil {
		return err
	}
	for i, u := range s.Updates {
		j := m.Judge(u)
		if tell != nil {
			tell(Report{j.Mutations, answered[i]})
		}
		if !j.Allows(answered[i]) {
			return fmt.Errorf("update %d of %d: answered with %v, want %v: %v\n  %v", i+1, len(s.Updates), answered[i], j.Allowed, j.Mutations, u)
		}
		if answered[i] == codes.OK && j.apply != nil {
			j.apply()
		}
	}
	return nil
}

// request builds the message for a step, with the mutation of the request.
func (t *Target) request(s Step) *p4v1.WriteRequest {
	r := &p4v1.WriteRequest{DeviceId: t.DeviceID, ElectionId: clone(t.Election), Updates: s.Updates}
	switch s.Request {
	case ForeignDevice:
		r.DeviceId += 7
	case UnknownRole:
		r.Role = "nobody"
	case OldElection:
		r.ElectionId.Low--
	case NewElection:
		r.ElectionId.Low++
	case NoElection:
		r.ElectionId = nil
	case Rollback:
		r.Atomicity = p4v1.WriteRequest_ROLLBACK_ON_ERROR
	case DataplaneAtomic:
		r.Atomicity = p4v1.WriteRequest_DATAPLANE_ATOMIC
	case UnknownAtomic:
		r.Atomicity = 9
	}
	return r
}

// perUpdate returns the code of each update from the answer to a batch. An answer of OK has no details. An answer of UNKNOWN must have one
// p4.v1.Error for each update, in order, of which at least one is not OK (section 12.3).
func perUpdate(err error, n int) ([]codes.Code, error) {
	out := make([]codes.Code, n)
	if err == nil {
		return out, nil
	}
	st := status.Convert(err)
	if st.Code() != codes.Unknown || len(st.Details()) != n {
		return nil, fmt.Errorf("a batch of %d was answered with %d details, want UNKNOWN and one for each: %w", n, len(st.Details()), err)
	}
	for i, x := range st.Details() {
		e, ok := x.(*p4v1.Error)
		if !ok {
			return nil, fmt.Errorf("detail %d of a batch's answer is %T, want a p4.v1.Error: %w", i+1, x, err)
		}
		out[i] = codes.Code(e.GetCanonicalCode())
	}
	if !slices.ContainsFunc(out, func(c codes.Code) bool { return c != codes.OK }) {
		return nil, fmt.Errorf("a batch was refused without an update that was: %w", err)
	}
	return out, nil
}

// Read reads all entries with their direct counters and meters, all default entries and all multicast groups.
func (t *Target) Read(ctx context.Context, p *Program) ([]*p4v1.Entity, error) {
	req := &p4v1.ReadRequest{DeviceId: t.DeviceID}
	for _, x := range p.tables {
		e := &p4v1.TableEntry{TableId: x.id}
		if x.counter {
			e.CounterData = &p4v1.CounterData{}
		}
		if x.meter {
			e.MeterConfig = &p4v1.MeterConfig{}
		}
		if len(x.fields) > 0 {
			req.Entities = append(req.Entities, update(0, e).GetEntity())
		}
		req.Entities = append(req.Entities, update(0, &p4v1.TableEntry{TableId: x.id, IsDefaultAction: true}).GetEntity())
	}
	req.Entities = append(req.Entities, groupUpdate(0, &p4v1.MulticastGroupEntry{}).GetEntity())
	stream, err := t.Client.Read(ctx, req)
	if err != nil {
		return nil, err
	}
	var out []*p4v1.Entity
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, m.GetEntities()...)
	}
}
