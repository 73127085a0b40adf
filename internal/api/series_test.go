package api

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"op25b/examples"
	"op25b/internal/fleet"
	"op25b/internal/tally"
	"op25b/internal/telemetry/history"
	op25bv1 "op25b/proto/op25b/v1"
)

// openHistory opens a history in a file of its own.
func openHistory(t *testing.T) *history.Store {
	t.Helper()
	h, err := history.Open(history.Config{Path: filepath.Join(t.TempDir(), "history.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func ruleTotal(rule, phase string, packets uint64) history.Total {
	return history.Total{Key: history.Key{Switch: "edge-1", Rule: rule, Leg: "up_dst", Phase: phase}, Packets: packets, Octets: 60 * packets}
}

// TestListSeries verifies an answer with a gap in the middle, over gRPC.
func TestListSeries(t *testing.T) {
	h := openHistory(t)
	w := newWorld(t, func(d *Deps) { d.Name, d.Counters, d.History = "noc-1", ownedSwitch{"edge-1"}, h })
	w.put(edited(t, examples.SpinNet2006()))
	api := op25bv1.NewTelemetryServiceClient(w.dial())
	begin := time.Now().UTC().Truncate(time.Minute).Add(-30 * time.Minute)
	link := func(direction string, n uint64) history.Total {
		return history.Total{Key: history.Key{Switch: "edge-1", Interface: "access-1", Direction: direction}, Packets: n, Octets: 100 * n}
	}
	for _, r := range []struct {
		minute int
		n      uint64
	}{{0, 1000}, {1, 1060}, {2, 1180}, {9, 2000}, {10, 2030}} {
		at := begin.Add(time.Duration(r.minute)*time.Minute + 30*time.Second)
		if err := h.Record(at, []history.Total{ruleTotal("smtp-all", "a", r.n), ruleTotal("relay", "a", 2*r.n), ruleTotal("smtp-all", "b", 0), link("in", r.n), link("out", 0)}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := api.ListSeries(within(t), &op25bv1.ListSeriesRequest{Switch: "edge-1", From: timestamppb.New(begin)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Controller != "noc-1" || r.UtcOffset != "+09:00" || r.Switches != 1 || len(r.Elsewhere) != 0 || !r.From.AsTime().Equal(begin) || r.Step.AsDuration() != time.Minute || r.To.AsTime().After(time.Now()) {
		t.Errorf("%v", r)
	}
	for i, want := range map[int]float64{0: 0, 1: 1, 2: 1, 3: 0, 9: 0, 10: 1, 11: 0} {
		if s := r.Steps[i]; s.Recorded != want || !s.Start.AsTime().Equal(begin.Add(time.Duration(i)*time.Minute)) {
			t.Errorf("step %d: %v, want %v recorded", i, s, want)
		}
	}
	if got := seriesText(r); got != "relay/up_dst: 1:120@2 2:240@4 9:1640!1640 10:60@1, smtp-all/up_dst: 1:60@1 2:120@2 9:820!820 10:30@0.5" {
		t.Errorf("%s", got)
	}
	if s := r.Series[1]; s.Packets != 1030 || s.Octets != 60*1030 || s.GapPackets != 820 || s.GapOctets != 60*820 {
		t.Errorf("sums %v", s)
	}
	r, err = api.ListSeries(within(t), &op25bv1.ListSeriesRequest{
		Switch: "edge-1", Kind: op25bv1.SeriesKind_SERIES_KIND_INTERFACES, From: timestamppb.New(begin), To: timestamppb.New(begin.Add(10 * time.Minute)), MaxPoints: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := seriesText(r); r.Step.AsDuration() != 2*time.Minute && r.Step.AsDuration() != 5*time.Minute || !strings.Contains(got, "access-1/in: ") || !strings.Contains(got, "access-1/out: ") {
		t.Errorf("%v: %s", r.Step, got)
	}
}

// seriesText returns the points of all series, as STEP:PACKETS@RATE, with !PACKETS for those of gaps.
func seriesText(r *op25bv1.ListSeriesResponse) string {
	var all []string
	for _, s := range r.Series {
		text := s.Rule + s.Interface + "/" + s.Leg + s.Direction + ":"
		for _, p := range s.Points {
			text += fmt.Sprintf(" %d:%d", p.Step, p.Packets)
			if p.PacketsPerSecond != nil {
				text += fmt.Sprintf("@%.3g", *p.PacketsPerSecond)
			}
			if p.GapPackets > 0 {
				text += fmt.Sprintf("!%d", p.GapPackets)
			}
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// TestSeriesOfManySwitches verifies that the sum over the fleet contains the switches of this controller, and that the answer names the others.
func TestSeriesOfManySwitches(t *testing.T) {
	h := openHistory(t)
	w := newWorld(t, func(d *Deps) { d.Name, d.Counters, d.History = "noc-1", ownedSwitches{"edge-east", "edge-west"}, h })
	w.put(edited(t, examples.LibmoMobile()))
	p, err := w.store.Join(within(t), "noc-2", fleet.Addresses{API: "192.0.2.2:2525", GNMI: "192.0.2.2:9339"}.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Leave(t.Context()) })
	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-south", Owner: "noc-2", Ownership: op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED})
	begin := time.Now().UTC().Truncate(time.Minute).Add(-10 * time.Minute)
	for i := range 4 {
		all := []history.Total{ruleTotal("smtp-all", "a", uint64(60*i))}
		all[0].Key.Switch = "edge-east"
		for sw, each := range map[string]uint64{"edge-west": 120, "edge-south": 600} {
			other := ruleTotal("smtp-all", "b", each*uint64(i))
			if other.Key.Switch = sw; sw != "edge-west" || i < 2 { // the last two minutes of edge-west are not recorded
				all = append(all, other)
			}
		}
		if err := h.Record(begin.Add(time.Duration(i)*time.Minute+30*time.Second), all); err != nil {
			t.Fatal(err)
		}
	}
	api := op25bv1.NewTelemetryServiceClient(w.dial())
	r, err := api.ListSeries(within(t), &op25bv1.ListSeriesRequest{From: timestamppb.New(begin)})
	if err != nil {
		t.Fatal(err)
	}
	if got := seriesText(r); got != "smtp-all/up_dst: 1:180@3 2:60@1 3:60@1" {
		t.Error(got)
	}
	if r.Switches != 2 || len(r.Elsewhere) != 1 || r.Elsewhere[0].Switch != "edge-south" || r.Elsewhere[0].Owner != "noc-2" || r.Elsewhere[0].OwnerAddress != "192.0.2.2:2525" || r.ElsewhereLeftOut != 0 {
		t.Errorf("%d switches, elsewhere %v", r.Switches, r.Elsewhere)
	}
	if got := []float64{r.Steps[0].Recorded, r.Steps[1].Recorded, r.Steps[2].Recorded, r.Steps[4].Recorded}; got[0] != 0 || got[1] != 1 || got[2] != 0.5 || got[3] != 0 {
		t.Errorf("recorded %v", got)
	}
	r, err = api.ListSeries(within(t), &op25bv1.ListSeriesRequest{Switch: "edge-south", From: timestamppb.New(begin)})
	if err != nil || r.Switches != 0 || len(r.Series) != 0 || len(r.Steps) != 0 || len(r.Elsewhere) != 1 {
		t.Errorf("of another controller's switch: %v, %v", r, err)
	}
}

// ownedSwitches implements Counters with some owned switches.
type ownedSwitches []string

func (o ownedSwitches) Owned() []string { return o }
func (o ownedSwitches) Samples(...string) (all []*tally.Sample) {
	for _, name := range o {
		all = append(all, ownedSwitch{name}.Samples()...)
	}
	return all
}
func (ownedSwitches) News() tally.News        { return tally.News{} }
func (ownedSwitches) Interval() time.Duration { return time.Minute }

func TestSeriesErrors(t *testing.T) {
	h := openHistory(t)
	w := newWorld(t, func(d *Deps) { d.Counters, d.History = ownedSwitch{"edge-1"}, h })
	w.put(edited(t, examples.SpinNet2006()))
	api := op25bv1.NewTelemetryServiceClient(w.dial())
	hour := timestamppb.New(time.Now().Add(-time.Hour))
	for name, tc := range map[string]struct {
		q    *op25bv1.ListSeriesRequest
		code codes.Code
		want string
	}{
		"no time":           {&op25bv1.ListSeriesRequest{}, codes.InvalidArgument, "from: there is no time, or it is invalid; give the time at which the series begin"},
		"an invalid end":    {&op25bv1.ListSeriesRequest{From: hour, To: &timestamppb.Timestamp{Nanos: -1}}, codes.InvalidArgument, "to: the time is invalid; must be a time between the years 1 and 9999; none means now"},
		"no range":          {&op25bv1.ListSeriesRequest{From: hour, To: hour}, codes.InvalidArgument, "from: the range is 0s; must be from 1m0s to 43920h0m0s"},
		"the future":        {&op25bv1.ListSeriesRequest{From: timestamppb.New(time.Now().Add(time.Hour))}, codes.InvalidArgument, "must be from 1m0s to 43920h0m0s"},
		"many years":        {&op25bv1.ListSeriesRequest{From: timestamppb.New(time.Now().AddDate(-6, 0, 0)), To: timestamppb.New(time.Now().AddDate(1, 0, 0))}, codes.InvalidArgument, "must be from 1m0s to 43920h0m0s"},
		"many points":       {&op25bv1.ListSeriesRequest{From: hour, MaxPoints: 201}, codes.InvalidArgument, "maxPoints: 201; must be from 1 to 200; 0 means 200"},
		"many names":        {&op25bv1.ListSeriesRequest{From: hour, Names: make([]string, 257)}, codes.InvalidArgument, "names: 257 names; must be at most 256; none means all"},
		"a strange kind":    {&op25bv1.ListSeriesRequest{From: hour, Kind: 9}, codes.InvalidArgument, "kind: unknown kind 9; must be RULES or INTERFACES"},
		"interfaces of all": {&op25bv1.ListSeriesRequest{From: hour, Kind: op25bv1.SeriesKind_SERIES_KIND_INTERFACES}, codes.InvalidArgument, "switch: series of interfaces are those of one switch; name the switch"},
		"an unknown switch": {&op25bv1.ListSeriesRequest{From: hour, Switch: "edge-9"}, codes.NotFound, `unknown switch "edge-9"; known: edge-1`},
	} {
		if _, err := api.ListSeries(within(t), tc.q); status.Code(err) != tc.code || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	none := newWorld(t, func(d *Deps) { d.Counters = ownedSwitch{"edge-1"} })
	const want = "this controller keeps no history of counters; start it with --history or --prometheus"
	if _, err := op25bv1.NewTelemetryServiceClient(none.dial()).ListSeries(within(t), &op25bv1.ListSeriesRequest{From: hour}); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), want) {
		t.Errorf("without history: %v", err)
	}
}

// A restarting history is a Store that can be closed and opened again, as by a restart of the controller.
type restarting struct {
	t    *rapid.T
	path string
	*history.Store
}

func (r *restarting) restart() {
	if r.Store != nil {
		if err := r.Close(); err != nil {
			r.t.Fatal(err)
		}
	}
	s, err := history.Open(history.Config{Path: r.path})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Store = s
}

// TestSeriesSumUpToCounted draws a history with gaps and restarts of the controller. The sums of the series from a time on must equal what
// ListCounters counts since that time.
func TestSeriesSumUpToCounted(t *testing.T) {
	h := &restarting{}
	w := newWorld(t, func(d *Deps) { d.Counters, d.History = ownedSwitch{"edge-1"}, h })
	w.put(edited(t, examples.SpinNet2006()))
	api := op25bv1.NewTelemetryServiceClient(w.dial())
	rapid.Check(t, func(rt *rapid.T) {
		*h = restarting{t: rt, path: filepath.Join(t.TempDir(), "history.db")}
		h.restart()
		defer h.Close()
		at, totals := time.Now().Add(-time.Duration(rapid.IntRange(1, 6*24*60).Draw(rt, "begin"))*time.Minute), map[string]uint64{}
		for range rapid.IntRange(2, 40).Draw(rt, "records") {
			switch rapid.IntRange(0, 7).Draw(rt, "step") {
			case 0:
				h.restart()
			case 1:
				at = at.Add(time.Duration(rapid.IntRange(3, 1500).Draw(rt, "gap")) * time.Minute)
			default:
				at = at.Add(time.Duration(rapid.IntRange(20, 120).Draw(rt, "seconds")) * time.Second)
			}
			if at.After(time.Now()) {
				break
			}
			var all []history.Total
			for _, rule := range []string{"smtp-all", "relay"} {
				for _, phase := range []string{"a", "b"} {
					totals[rule+phase] += rapid.Uint64Range(0, 500).Draw(rt, "packets")
					all = append(all, ruleTotal(rule, phase, totals[rule+phase]))
				}
			}
			if err := h.Record(at, all); err != nil {
				rt.Fatal(err)
			}
		}
		since := time.Duration(rapid.IntRange(1, 8*24*60).Draw(rt, "since")) * time.Minute
		points := rapid.Uint32Range(1, maxSeriesPoints).Draw(rt, "points")
		s, err := api.ListSeries(within(t), &op25bv1.ListSeriesRequest{Switch: "edge-1", From: timestamppb.New(time.Now().Add(-since)), MaxPoints: points})
		if err != nil {
			rt.Fatal(err)
		}
		if uint32(len(s.Steps)) > points {
			rt.Fatalf("%d steps, want at most %d", len(s.Steps), points)
		}
		c, err := api.ListCounters(within(t), &op25bv1.ListCountersRequest{Since: durationpb.New(time.Since(s.From.AsTime()))})
		if err != nil {
			rt.Fatal(err)
		}
		counted := c.Switches[0].Counted
		if !counted.From.AsTime().Equal(s.From.AsTime()) { // the steps of ListCounters are shorter and divide those of the series
			rt.Fatalf("counted from %v, series from %v", counted.From.AsTime(), s.From.AsTime())
		}
		compareSeries(rt, s, counted)
	})
}

// compareSeries compares the sums of series with counts.
func compareSeries(rt *rapid.T, s *op25bv1.ListSeriesResponse, c *op25bv1.CountedSince) {
	want, got := map[string][2]uint64{}, map[string][2]uint64{}
	for _, r := range c.Rules {
		n := want[r.Rule+"/"+r.Leg]
		want[r.Rule+"/"+r.Leg] = [2]uint64{n[0] + r.Packets, n[1] + r.Octets}
	}
	for _, x := range s.Series {
		n := [2]uint64{}
		for _, p := range x.Points {
			n[0], n[1] = n[0]+p.Packets, n[1]+p.Octets
			if p.PacketsPerSecond != nil && (math.IsNaN(*p.PacketsPerSecond) || *p.PacketsPerSecond < 0) || s.Steps[p.Step].Recorded == 0 && p.Packets == 0 {
				rt.Fatalf("%v in a step of which %v was recorded", p, s.Steps[p.Step].Recorded)
			}
		}
		if n != [2]uint64{x.Packets, x.Octets} {
			rt.Fatalf("%v has the sums %v", x, n)
		}
		if n[0] > 0 {
			got[x.Rule+"/"+x.Leg] = n
		}
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		rt.Fatalf("the series sum up to %v, and counted is %v", got, want)
	}
}
