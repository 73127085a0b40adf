package openconfig

import (
	"fmt"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// BenchmarkSample is one sample of a subscriber of everything: 64 ports with 30 rules each, 2,752 counters. The floor is
// touching every value of the state once.
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
			newTree(root, st)
		}
	})
	b.Run("all", func(b *testing.B) {
		p, err := newPlan(root, listOf(gpb.SubscriptionList_STREAM, sample(time.Second, at())), Options{MinSample: time.Second})
		if err != nil {
			b.Fatal(err)
		}
		now := time.Unix(0, 0)
		tree := newTree(root, st)
		_, _ = p.start(tree, now, false)
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(time.Second)
			tree.fill(st)
			for _, l := range p.take(tree, now, false).updates {
				leafValue(l, gpb.Encoding_PROTO)
			}
		}
	})
}
