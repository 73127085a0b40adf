package p4rt

import (
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/proto"
)

// updates is the list of updates of one write, in the form of messages or of entries.
type updates interface {
	len() int
	// batch encodes the request for the batch that begins at index from. The batch has at least one update and at
	// most Config.BatchSize updates. It has at most Config.MaxBatchBytes, unless a single update is larger.
	batch(s *Session, from int) batch
	// message returns update i as a message. It is used to report that the switch refused the update.
	message(i int) *p4v1.Update
	// encoded returns update i in encoded form, for a recording.
	encoded(i int) []byte
}

// A batch is a range of the updates of a write, with the encoded request for them.
type batch struct {
	updates  updates
	from, to int
	request  encodedRequest
	err      error // error from encoding the updates
}

func (b *batch) len() int { return b.to - b.from }

// batches splits updates into batches. Each batch is encoded while the switch processes the previous batch. The
// caller must call stop when it needs no further batch.
func (s *Session) batches(all updates) (next func() (b batch, more bool), stop func()) {
	from := 0
	one := func() (batch, bool) {
		if from == all.len() {
			return batch{}, false
		}
		b := all.batch(s, from)
		from = b.to
		return b, true
	}
	if all.len() <= s.cfg.BatchSize { // one batch, unless the updates are very large
		return one, func() {}
	}
	ahead, stopped, ended := make(chan batch), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(ahead)
		for b, more := one(); more; b, more = one() {
			select {
			case ahead <- b:
			case <-stopped:
				return
			}
		}
	}()
	return func() (batch, bool) { b, more := <-ahead; return b, more }, func() {
		close(stopped)
		<-ended
	}
}

// messages is a list of updates in the form of P4Runtime messages.
type messages []*p4v1.Update

func (m messages) len() int                   { return len(m) }
func (m messages) message(i int) *p4v1.Update { return m[i] }

func (m messages) encoded(i int) []byte {
	encoded, _ := proto.Marshal(m[i]) // the error can be ignored: such an update is not sent either, and the recorded answer contains the error
	return encoded
}

func (m messages) batch(s *Session, from int) batch { return m.encode(s, from, s.batchEnd(m, from)) }

func (m messages) encode(s *Session, from, to int) batch {
	b := batch{updates: m, from: from, to: to}
	b.request, b.err = proto.Marshal(&p4v1.WriteRequest{
		DeviceId: s.cfg.DeviceID, Role: s.cfg.Role, ElectionId: s.cfg.ElectionID.proto(), Updates: m[from:to],
	})
	return b
}

// batchEnd returns the end of the batch that begins at index from. The batch has at least one update and at most
// BatchSize updates. It has at most MaxBatchBytes, unless a single update is larger.
func (s *Session) batchEnd(updates []*p4v1.Update, from int) int {
	bytes := 0
	end := min(len(updates), from+s.cfg.BatchSize)
	for i := from; i < end; i++ {
		bytes += atMost(updates[i])
		if bytes > s.cfg.MaxBatchBytes && i > from {
			return i
		}
	}
	return end
}

// atMost returns an upper bound of an update's size in a request. For table entries, which are most of a write, it
// adds up the sizes of the fields by hand. proto.Size would be too slow, because gRPC measures each message again,
// and measuring twice costs as much as encoding.
func atMost(u *p4v1.Update) int {
	const tagsAndLengths = 16 // upper bound for the tag and length of one message or field, and for the numbers in it
	e := u.GetEntity().GetTableEntry()
	action, direct := e.GetAction().GetType().(*p4v1.TableAction_Action)
	if e == nil || !direct || e.GetMeterConfig() != nil || e.GetCounterData() != nil || e.GetMeterCounterData() != nil {
		return proto.Size(u) + tagsAndLengths
	}
	size := 8*tagsAndLengths + len(e.GetMetadata())
	for _, m := range e.GetMatch() {
		size += 3*tagsAndLengths + len(m.GetExact().GetValue()) + len(m.GetLpm().GetValue()) + len(m.GetTernary().GetValue()) + len(m.GetTernary().GetMask()) +
			len(m.GetRange().GetLow()) + len(m.GetRange().GetHigh()) + len(m.GetOptional().GetValue())
	}
	for _, p := range action.Action.GetParams() {
		size += 2*tagsAndLengths + len(p.GetValue())
	}
	return size
}
