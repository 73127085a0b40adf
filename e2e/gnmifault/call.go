package gnmifault

import (
	"context"
	"slices"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// kept is the number of notifications that a call keeps for Faults.Replay.
const kept = 8

// A call is one Subscribe call through the proxy.
type call struct {
	p    *Proxy
	down gpb.GNMI_SubscribeServer

	notifications int
	earlier       []*gpb.Notification // the newest notifications that were sent
	swapped       *gpb.Notification   // a notification to be sent after the next message
	merged        *gpb.Notification   // the collected values before the sync response
	synced        bool
}

// pass applies the current faults to a message of the server, and sends it to the client.
func (c *call) pass(ctx context.Context, r *gpb.SubscribeResponse) error {
	f, err := c.p.now(ctx, c.notifications)
	if err != nil {
		return err
	}
	n := r.GetUpdate()
	if n == nil {
		return c.sync(f, r)
	}
	if f.Merge && !c.synced {
		c.merge(n)
		return nil
	}
	c.notifications++
	nth := func(every int) bool { return every > 0 && c.notifications%every == 0 }
	var out []*gpb.Notification
	if nth(f.Ahead) {
		ahead := proto.CloneOf(n)
		ahead.Timestamp = time.Unix(0, n.GetTimestamp()).AddDate(100, 0, 0).UnixNano()
		out = append(out, ahead)
	}
	if nth(f.Lower) {
		out = append(out, lower(n))
	}
	held := c.swapped
	c.swapped = nil
	if nth(f.Swap) {
		c.swapped = n
	} else {
		out = append(out, n)
	}
	if held != nil {
		out = append(out, held)
	}
	if nth(f.Repeat) {
		out = append(out, n)
	}
	if nth(f.Replay) && len(c.earlier) > 0 {
		out = append(out, c.earlier[c.notifications%len(c.earlier)])
	}
	if c.earlier = append(c.earlier, n); len(c.earlier) > kept {
		c.earlier = c.earlier[1:]
	}
	for _, n := range out {
		if err := c.send(f, &gpb.SubscribeResponse{Response: &gpb.SubscribeResponse_Update{Update: n}}); err != nil {
			return err
		}
	}
	return nil
}

// sync sends the sync response after all values that came before it.
func (c *call) sync(f Faults, r *gpb.SubscribeResponse) error {
	c.synced = true
	for _, n := range []*gpb.Notification{c.merged, c.swapped} {
		if n == nil {
			continue
		}
		if err := c.send(f, &gpb.SubscribeResponse{Response: &gpb.SubscribeResponse_Update{Update: n}}); err != nil {
			return err
		}
	}
	c.merged, c.swapped = nil, nil
	if f.NoSync {
		return nil
	}
	return c.send(f, r)
}

// merge adds a notification to the notification with the values before the sync response.
func (c *call) merge(n *gpb.Notification) {
	if c.merged == nil {
		c.merged = &gpb.Notification{Timestamp: n.GetTimestamp()}
	}
	for _, u := range n.GetUpdate() {
		c.merged.Update = append(c.merged.Update, &gpb.Update{Path: whole(n.GetPrefix(), u.GetPath()), Val: u.GetVal()})
	}
}

// whole joins a prefix and a path.
func whole(prefix, path *gpb.Path) *gpb.Path {
	return &gpb.Path{Target: prefix.GetTarget(), Origin: prefix.GetOrigin(), Elem: slices.Concat(prefix.GetElem(), path.GetElem())}
}

// lower returns a copy of a notification in which every counter has half of its value. The counters of legs are unchanged, because they
// may really fall when an entry of a switch is removed.
func lower(n *gpb.Notification) *gpb.Notification {
	n = proto.CloneOf(n)
	n.Delete = nil
	for _, u := range n.GetUpdate() {
		elems := whole(n.GetPrefix(), u.GetPath()).GetElem()
		if len(elems) == 0 || slices.ContainsFunc(elems, func(e *gpb.PathElem) bool { return e.GetName() == "leg-entries" }) {
			continue
		}
		name := elems[len(elems)-1].GetName()
		v, isNumber := u.GetVal().GetValue().(*gpb.TypedValue_UintVal)
		counts := strings.HasSuffix(name, "-packets") || strings.HasSuffix(name, "-octets") || strings.HasSuffix(name, "-pkts")
		if isNumber && counts {
			u.Val = &gpb.TypedValue{Value: &gpb.TypedValue_UintVal{UintVal: v.UintVal / 2}}
		}
	}
	return n
}

// unknownField is the number of a field that no message of gNMI has.
const unknownField = 1000

// send sends a message, or the bytes that replace it.
func (c *call) send(f Faults, r *gpb.SubscribeResponse) error {
	switch {
	case f.Garbage != nil:
		return c.down.SendMsg(f.Garbage)
	case f.Pad > 0:
		b, err := proto.Marshal(r)
		if err != nil {
			return err
		}
		b = protowire.AppendTag(b, unknownField, protowire.BytesType)
		return c.down.SendMsg(protowire.AppendBytes(b, make([]byte, f.Pad)))
	}
	return c.down.Send(r)
}
