package openconfig

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"pgregory.net/rapid"
)

// TestBuild verifies that a tree that is built from the previous one equals a tree that is built from nothing.
// Leaves that still exist must be the same nodes.
func TestBuild(t *testing.T) {
	root := newSchema()
	values := func(r *reading) map[string]string {
		all := map[string]string{}
		r.shape.root.eachLeaf(allLeaves, func(n *node) { all[pathText(n.path())] = valueText(leafValue(n, r, gpb.Encoding_PROTO)) })
		return all
	}
	order := func(r *reading) (all []string) {
		r.shape.root.walk(func(n *node) bool {
			all = append(all, pathText(n.path()))
			return true
		})
		return all
	}
	rapid.Check(t, func(t *rapid.T) {
		b := newBuilder(root)
		before := b.read(&State{}, stamp)
		for range 5 {
			st := drawState(t)
			r, want := b.read(st, stamp), readingOf(root, st)
			if got, want := values(r), values(want); !maps.Equal(got, want) {
				t.Fatalf("got  %v\nwant %v", got, want)
			}
			if got, want := order(r), order(want); !slices.Equal(got, want) {
				t.Fatalf("order: got  %v\nwant %v", got, want)
			}
			if same := slices.Equal(order(before), order(r)); same != (before.shape == r.shape) {
				t.Fatalf("the paths are the same: %v; the shape is the same: %v", same, before.shape == r.shape)
			}
			old := values(before)
			before.shape.root.eachLeaf(allLeaves, func(n *node) {
				if _, there := values(r)[pathText(n.path())]; there != r.shape.has(n) {
					t.Fatalf("%s is there: %v; the same node is there: %v", pathText(n.path()), there, r.shape.has(n))
				}
			})
			if again := values(before); !maps.Equal(again, old) {
				t.Fatalf("an older reading has changed: %v, was %v", again, old)
			}
			before = r
		}
	})
}

// TestPlanFollowsEveryReading verifies that a subscriber that applies every message has the same values as the last
// reading, in every mode of subscription.
func TestPlanFollowsEveryReading(t *testing.T) {
	root := newSchema()
	rapid.Check(t, func(t *rapid.T) {
		b := newBuilder(root)
		path := rapid.SampledFrom([]*gpb.Path{at(), at("interfaces"), at("acl", "...", "matched-packets"), at("interfaces", "interface", "name=a"), at("...", "state")}).Draw(t, "path")
		sub := rapid.SampledFrom([]*gpb.Subscription{sample(time.Second, path), onChange(path), {Path: path}}).Draw(t, "mode")
		other := sample(time.Hour, at("interfaces", "interface", "name=b")) // this sample is rarely due
		p, err := newPlan(root, listOf(gpb.SubscriptionList_STREAM, sub, other), Options{MinSample: time.Second, CounterInterval: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		pick := picker{pattern: p.watches[0].pattern, set: allLeaves}
		has := map[string]string{}
		apply := func(d delta, r *reading) {
			for id := range d.deletes {
				maps.DeleteFunc(has, func(path, _ string) bool {
					return path == id || strings.HasPrefix(path, id+"/") || strings.HasPrefix(path, id+"[")
				})
			}
			for _, leaves := range d.updates {
				for _, l := range leaves {
					has[pathText(l.path())] = valueText(leafValue(l, r, gpb.Encoding_PROTO))
				}
			}
		}
		now := time.Unix(0, 0)
		for i := range 6 {
			r := b.read(drawState(t), now)
			if i == 0 {
				d, err := p.start(r, now, false)
				if err != nil {
					t.Fatal(err)
				}
				apply(d, r)
			} else {
				apply(p.take(r, now, true), r)
			}
			for _, l := range pick.in(r.shape).leaves {
				if l.schema.typ == typeClock {
					continue
				}
				path, want := pathText(l.path()), valueText(leafValue(l, r, gpb.Encoding_PROTO))
				if has[path] != want {
					t.Fatalf("%s: has %q, want %q", path, has[path], want)
				}
			}
			for path := range has {
				if !slices.ContainsFunc(pick.in(r.shape).leaves, func(l *node) bool { return pathText(l.path()) == path }) && !strings.Contains(path, "[name=b]") {
					t.Fatalf("%s is gone, and was not deleted", path)
				}
			}
			now = now.Add(time.Second)
			if rapid.Bool().Draw(t, "unseen") { // a State that this subscriber's readings skip
				b.read(drawState(t), now)
			}
		}
	})
}

func drawState(t *rapid.T) *State {
	st := &State{ACLSet: rapid.SampledFrom([]string{"", "s", "t"}).Draw(t, "set")}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID[string]).Draw(t, "names") {
		in := Interface{Name: name, Port: rapid.Uint32Range(0, 1).Draw(t, "port"), IfIndex: rapid.Uint32Range(0, 1).Draw(t, "index")}
		if rapid.Bool().Draw(t, "counted") {
			in.Counters = &InterfaceCounters{InPkts: rapid.Uint64().Draw(t, "frames")}
		}
		for _, seq := range rapid.SliceOfNDistinct(rapid.Uint32Range(0, 2), 0, 3, rapid.ID[uint32]).Draw(t, "rules") {
			in.ACL = append(in.ACL, ACLEntry{SequenceID: seq, MatchedPackets: rapid.Uint64Range(0, 2).Draw(t, "packets")})
		}
		st.Interfaces = append(st.Interfaces, in)
	}
	for _, id := range rapid.SliceOfNDistinct(rapid.Uint32Range(0, 3), 0, 3, rapid.ID[uint32]).Draw(t, "lines") {
		st.Lines = append(st.Lines, Line{ID: id, Stopped: Tally{Packets: rapid.Uint64Range(0, 2).Draw(t, "stopped")}})
	}
	for _, l := range rapid.SliceOfNDistinct(rapid.Uint8Range(0, 4), 0, 2, rapid.ID[uint8]).Draw(t, "legs") {
		st.Legs = append(st.Legs, LegEntry{Epoch: 1, Leg: Leg(l), SequenceID: 5})
	}
	if rapid.Bool().Draw(t, "system") {
		st.System = &System{Hostname: "h", BootTime: time.Unix(rapid.Int64Range(1, 2).Draw(t, "boot"), 0)}
	}
	return st
}
