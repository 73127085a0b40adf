package telemetry

import (
	"fmt"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/proto"
)

// usual returns the messages of a sample as this project's servers send them. Each interface has a prefix, and the legs share one. If
// whole is true, the messages have full paths instead. The counters have the values of the given step.
func usual(t testing.TB, interfaces, rules int, step uint64, whole bool) (messages [][]byte, leaves int) {
	t.Helper()
	add := func(prefix *gpb.Path, below ...*gpb.Path) {
		n := &gpb.Notification{Timestamp: int64(step), Prefix: prefix}
		for i, p := range below {
			if whole {
				n.Prefix, p = nil, &gpb.Path{Elem: append(prefix.Elem[:len(prefix.Elem):len(prefix.Elem)], p.Elem...)}
			}
			n.Update = append(n.Update, &gpb.Update{Path: p, Val: number(step<<33 + uint64(i))})
		}
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(note(n))
		if err != nil {
			t.Fatal(err)
		}
		messages, leaves = append(messages, b), leaves+len(below)
	}
	for i := range interfaces {
		name := map[string]string{"name": fmt.Sprint("access-", i)}
		var counters []*gpb.Path
		for _, c := range counterNames {
			counters = append(counters, steps("state", "counters", c))
		}
		add(&gpb.Path{Elem: []*gpb.PathElem{{Name: "interfaces"}, {Name: "interface", Key: name}}}, counters...)
		var acl []*gpb.Path
		for r := range rules {
			for _, l := range []string{"matched-packets", "matched-octets"} {
				p := steps("ingress-acl-sets", "ingress-acl-set", "acl-entries", "acl-entry", "state", l)
				p.Elem[1].Key = map[string]string{"set-name": "op25b", "type": "ACL_MIXED"}
				p.Elem[3].Key = map[string]string{"sequence-id": fmt.Sprint(r)}
				acl = append(acl, p)
			}
		}
		add(&gpb.Path{Elem: []*gpb.PathElem{{Name: "acl"}, {Name: "interfaces"}, {Name: "interface", Key: map[string]string{"id": name["name"]}}}}, acl...)
	}
	var legs []*gpb.Path
	for r := range rules {
		for _, l := range []string{"matched-packets", "matched-octets"} {
			p := steps("leg-entries", "leg-entry", "state", l)
			p.Elem[1].Key = map[string]string{"epoch": "1", "leg": "UP_DST", "sequence-id": fmt.Sprint(r)}
			legs = append(legs, p)
		}
	}
	set := steps("acl", "acl-sets", "acl-set")
	set.Elem[2].Key = map[string]string{"name": "op25b", "type": "ACL_MIXED"}
	add(set, legs...)
	return messages, leaves
}

// TestUsualMessagesAllocateNothing verifies that samples of known interfaces, ACL entries and legs are decoded without an allocation, in
// both forms.
func TestUsualMessagesAllocateNothing(t *testing.T) {
	for name, whole := range map[string]bool{"prefixes": false, "whole paths": true} {
		r := newRecorder(t)
		step := uint64(0)
		var now, next [][]byte
		feed := func() {
			for _, m := range now {
				if _, err := r.message(m, int64(step)); err != nil {
					t.Fatal(err)
				}
			}
			now, next = next, now
		}
		now, _ = usual(t, 3, 4, 1, whole)
		next, _ = usual(t, 3, 4, 2, whole)
		feed() // the first values
		feed()
		if n := testing.AllocsPerRun(20, feed); n != 0 {
			t.Errorf("%s: %v allocations for a sample, want none", name, n)
		}
		got := r.series.reading()
		if len(got.Interfaces) != 3 || len(got.Interfaces[2].ACL) != 4 || len(got.Legs) != 4 || got.Rejected != 0 {
			t.Errorf("%s: the messages are not what they should be: %+v", name, got)
		}
	}
}

// BenchmarkDecode decodes a sample of 64 interfaces with 16 rules each. In the same run, the floor is a copy of the messages, and the peer
// is their decoding to Go messages.
func BenchmarkDecode(b *testing.B) {
	for _, whole := range []bool{false, true} {
		b.Run(map[bool]string{false: "prefixes", true: "whole-paths"}[whole], func(b *testing.B) {
			messages, leaves := usual(b, 64, 16, 1, whole)
			r := newRecorder(b)
			b.ReportAllocs()
			for b.Loop() {
				for _, m := range messages {
					if _, err := r.message(m, 1); err != nil {
						b.Fatal(err)
					}
				}
			}
			ours := float64(b.Elapsed()) / float64(b.N)
			again := func(do func(m []byte)) float64 {
				began := time.Now()
				for range b.N {
					for _, m := range messages {
						do(m)
					}
				}
				return float64(time.Since(began)) / float64(b.N)
			}
			var into []byte
			floor := again(func(m []byte) { into = append(into[:0], m...) })
			peer := again(func(m []byte) {
				if err := proto.Unmarshal(m, &gpb.SubscribeResponse{}); err != nil {
					b.Fatal(err)
				}
			})
			b.ReportMetric(ours/float64(leaves), "ns/leaf")
			b.ReportMetric(ours/floor, "x-copy")
			b.ReportMetric(ours/peer, "x-unmarshal")
		})
	}
}
