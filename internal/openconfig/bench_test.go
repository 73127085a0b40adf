package openconfig

import (
	"fmt"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// BenchmarkSample measures one sample for a subscriber to everything, with 64 ports of 30 rules each, which is 2,752
// counters. The lower bound is reading every value of the state once.
func BenchmarkSample(b *testing.B) {
	st := &State{ACLSet: "op25b"}
	for i := range 64 {
		in := Interface{Name: fmt.Sprint("access-", i), Port: uint32(i + 1), Counters: &InterfaceCounters{}}
		for r := range 30 {
			in.ACL = append(in.ACL, ACLEntry{SequenceID: uint32(r)})
		}
		st.Interfaces = append(st.Interfaces, in)
	}
	b.Run("floor", func(b *testing.B) {
		var sum uint64
		for b.Loop() {
			for _, in := range st.Interfaces {
				sum += in.Counters.InPkts
				for _, e := range in.ACL {
					sum += e.MatchedPackets + e.MatchedOctets
				}
			}
		}
	})
	root := newSchema()
	b.Run("tree", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			newBuilder(root).read(st, stamp)
		}
	})
	b.Run("all", func(b *testing.B) {
		p, err := newPlan(root, listOf(gpb.SubscriptionList_STREAM, sample(time.Second, at())), Options{MinSample: time.Second})
		if err != nil {
			b.Fatal(err)
		}
		now := time.Unix(0, 0)
		tree := newBuilder(root)
		_, _ = p.start(tree.read(st, now), now, false)
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			now = now.Add(time.Second)
			r := tree.read(st, now)
			buf = buf[:0]
			for _, leaves := range p.take(r, now, false).updates {
				for _, l := range leaves {
					buf = appendUpdate(buf, l, r, gpb.Encoding_PROTO)
				}
			}
		}
	})
}
