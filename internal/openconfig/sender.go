package openconfig

import (
	"maps"
	"slices"
	"sync"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/encoding/protowire"
)

// maxUpdates is the largest number of changes in one message, which is enough for all counters of an interface in most cases. 128 changes
// with a common prefix have less than 16 KiB, for which gRPC has small buffers.
const maxUpdates = 128

// A sender sends notifications to one subscriber.
//
// A notification has the updates of one group, and the group's path as its prefix. Deletes are sent before the updates, in separate
// notifications with complete paths.
type sender struct {
	stream   gpb.GNMI_SubscribeServer
	encoding gpb.Encoding
	prefix   *gpb.Path // the target and origin of the request; nil if it has neither
	response gpb.SubscribeResponse
}

// buffers contains buffers for the bytes of messages that are being sent.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// room is the space before a notification for the header, which consists of a tag and a length.
const room = 1 + 10

// send sends d with the values of r, in messages of at most maxUpdates changes. It sends nothing if d is empty.
func (o *sender) send(d delta, r *reading) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	n := message{b: append((*buf)[:0], make([]byte, room)...)}
	defer func() { *buf = n.b }()
	for _, id := range slices.Sorted(maps.Keys(d.deletes)) {
		if n.count == 0 {
			o.begin(&n, nil, r.at)
		}
		n.b = appendDelete(n.b, d.deletes[id])
		if n.count++; n.count == maxUpdates {
			if err := o.flush(&n); err != nil {
				return err
			}
		}
	}
	if err := o.flush(&n); err != nil {
		return err
	}
	for _, leaves := range d.updates {
		for _, l := range leaves {
			if n.count == maxUpdates || n.group != l.place.group {
				if err := o.flush(&n); err != nil {
					return err
				}
			}
			if n.count == 0 {
				o.begin(&n, l.place.group, r.at)
			}
			n.b = appendUpdate(n.b, l, r, o.encoding)
			n.count++
		}
	}
	return o.flush(&n)
}

// A message is a notification that is being encoded. It starts with room for the header.
type message struct {
	b     []byte
	group *group
	count int
}

// begin appends the timestamp and the prefix.
func (o *sender) begin(n *message, g *group, at time.Time) {
	n.group = g
	n.b = protowire.AppendTag(n.b[:room], fieldTimestamp, protowire.VarintType)
	n.b = protowire.AppendVarint(n.b, uint64(at.UnixNano()))
	origin, target := o.prefix.GetOrigin(), o.prefix.GetTarget()
	size := 0
	if g != nil {
		size += len(g.wire)
	}
	for _, s := range []string{origin, target} {
		if s != "" {
			size += sizeBytes(len(s))
		}
	}
	if size == 0 {
		return
	}
	n.b = protowire.AppendTag(n.b, fieldPrefix, protowire.BytesType)
	n.b = protowire.AppendVarint(n.b, uint64(size))
	if origin != "" {
		n.b = appendText(n.b, fieldPathOrigin, origin)
	}
	if g != nil {
		n.b = append(n.b, g.wire...)
	}
	if target != "" {
		n.b = appendText(n.b, fieldPathTarget, target)
	}
}

// flush sends the message if it contains a change.
//
// The bytes are set as unknown fields of an empty message, so that any gRPC server sends them unchanged. Send copies them before it returns.
func (o *sender) flush(n *message) error {
	if n.count == 0 {
		return nil
	}
	n.count = 0
	size := len(n.b) - room
	header := protowire.AppendVarint(protowire.AppendTag(nil, fieldResponseUpdate, protowire.BytesType), uint64(size))
	begin := room - len(header)
	copy(n.b[begin:], header)
	o.response.ProtoReflect().SetUnknown(n.b[begin:])
	defer o.response.ProtoReflect().SetUnknown(nil)
	return o.stream.Send(&o.response)
}

func (o *sender) sync() error {
	return o.stream.Send(&gpb.SubscribeResponse{Response: &gpb.SubscribeResponse_SyncResponse{SyncResponse: true}})
}
