package web_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/controller"
	op25bv1 "op25b/proto/op25b/v1"
)

// curvedNow is the time of a page with curves.
var curvedNow = time.Date(2006, 12, 2, 12, 0, 0, 0, time.UTC)

// seriesOf returns series of 4 steps that end at curvedNow. The third step is a gap, and 820 packets were counted in it. The last step was recorded
// by half. A series of all switches is of two.
func seriesOf(q *op25bv1.ListSeriesRequest) *op25bv1.ListSeriesResponse {
	length := curvedNow.Sub(q.From.AsTime()) / 4
	r := &op25bv1.ListSeriesResponse{
		Controller: "noc-1", UtcOffset: "+09:00", From: q.From, To: timestamppb.New(curvedNow), Step: durationpb.New(length), Switches: 1,
	}
	for i, recorded := range []float64{1, 1, 0, 0.5} {
		r.Steps = append(r.Steps, &op25bv1.SeriesStep{Start: timestamppb.New(q.From.AsTime().Add(time.Duration(i) * length)), Recorded: recorded})
	}
	series := func(s *op25bv1.Series, rates ...float64) {
		for i, step := range []uint32{0, 1, 3} {
			n := uint64(rates[i] * length.Seconds())
			s.Points = append(s.Points, &op25bv1.SeriesPoint{Step: step, Packets: n, PacketsPerSecond: &rates[i]})
			s.Packets += n
		}
		s.Points[2].Packets, s.Points[2].GapPackets = s.Points[2].Packets+820, 820
		s.Packets, s.GapPackets = s.Packets+820, 820
		r.Series = append(r.Series, s)
	}
	if q.Kind == op25bv1.SeriesKind_SERIES_KIND_INTERFACES {
		series(&op25bv1.Series{Interface: "access-1", Direction: "in"}, 7, 8, 9)
		series(&op25bv1.Series{Interface: "access-1", Direction: "out"}, 0, 0, 0)
		return r
	}
	series(&op25bv1.Series{Rule: "relay", Leg: "any"}, 0, 1, 2)
	series(&op25bv1.Series{Rule: "smtp-all", Leg: "up_dst"}, 0.5, 3, 1)
	series(&op25bv1.Series{Rule: "smtp-all", Leg: "down_src"}, 1, 0, 0.25)
	if q.Switch == "" {
		r.Switches, r.Elsewhere, r.ElsewhereLeftOut = 2, []*op25bv1.SwitchElsewhere{{Switch: "edge-3", Owner: "noc-2"}, {Switch: "edge-4"}}, 3
	}
	return r
}

// hardlyRecorded returns the series of a controller that has just begun to record. It has counted nothing yet.
func hardlyRecorded(q *op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) {
	r := seriesOf(q)
	for i, s := range r.Steps {
		s.Recorded = 0
		if i == len(r.Steps)-1 {
			s.Recorded = 10 / r.Step.AsDuration().Seconds()
		}
	}
	zero := 0.
	for _, s := range r.Series {
		s.Packets, s.GapPackets, s.Points = 0, 0, []*op25bv1.SeriesPoint{{Step: 3, PacketsPerSecond: &zero}}
	}
	return r, nil
}

// curvedAPI returns an API whose switch has curves, state changes and certificates.
func curvedAPI() *fakeAPI {
	at := func(before time.Duration) *timestamppb.Timestamp { return timestamppb.New(curvedNow.Add(-before)) }
	const converged, gone = op25bv1.SwitchState_SWITCH_STATE_CONVERGED, op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED
	return &fakeAPI{
		now: func() time.Time { return curvedNow },
		phases: &op25bv1.ListPhasesResponse{Revision: 7, UtcOffset: "+09:00", Policy: "spinnet", Phases: []*op25bv1.Phase{
			{Name: "before", Begins: at(10 * 24 * time.Hour), Everywhere: true, StaysOpen: &op25bv1.StaysOpen{
				Servers: []*op25bv1.OpenServers{{Name: "own-relay", Title: "Our own mail relays"}}, Ports: []uint32{465, 587}, ExemptLines: 1,
			}}, {Name: "all", Begins: timestamppb.New(curvedNow.Add(24 * time.Hour))},
		}},
		rules: []*op25bv1.PhaseRule{{Name: "smtp-all", Action: "drop", Service: "smtp"}, {Name: "relay", Action: "permit"}, {Name: "unused", Action: "drop"}},
		list:  &op25bv1.ListSwitchesResponse{Revision: 7, Switches: []*op25bv1.SwitchStatus{{Switch: "edge-1", State: converged, Converged: true}}},
		counters: func(*op25bv1.ListCountersRequest) (*op25bv1.ListCountersResponse, error) {
			return nil, connect.NewError(connect.CodeUnimplemented, errors.New("none"))
		},
		forecast: func(*op25bv1.ForecastRequest) (*op25bv1.ForecastResponse, error) {
			return nil, connect.NewError(connect.CodeUnimplemented, errors.New("none"))
		},
		series: func(q *op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) { return seriesOf(q), nil },
		stateChanges: []*op25bv1.StateChange{
			{Time: at(time.Hour), State: converged, Reason: op25bv1.SwitchReason_SWITCH_REASON_AS_WANTED, Revision: 7, Owner: "noc-1"},
			{Time: at(2 * time.Hour), State: gone, Reason: op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE, Revision: 6, Owner: "noc-2"},
		},
		certificates: &op25bv1.ListCertificatesResponse{Controller: "noc-1", Owned: true, Certificates: []*op25bv1.CertificateEnd{
			{Use: "p4runtime-server", NotAfter: at(time.Hour)},
			{Use: "p4runtime-client", NotAfter: timestamppb.New(curvedNow.Add(100*24*time.Hour + time.Hour))},
			{Use: "gnmi-client", NotAfter: timestamppb.New(curvedNow.Add(26 * time.Hour))},
			{Use: "gnmi-ca", NotAfter: timestamppb.New(curvedNow.Add(10*24*time.Hour + 3*time.Hour))},
		}},
	}
}

func wantTexts(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %s:\n%s", text, page)
		}
	}
}

// TestCurvesOfASwitch verifies that the page shows the series of the API: the curve, its sums, the gap, and the same numbers as a table.
func TestCurvesOfASwitch(t *testing.T) {
	f := curvedAPI()
	var asked []*op25bv1.ListSeriesRequest
	f.series = func(q *op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) {
		asked = append(asked, proto.CloneOf(q))
		return seriesOf(q), nil
	}
	page := pageOf(t, f, "/switch/edge-1?range=1h", "en")
	if len(asked) != 2 || asked[0].Switch != "edge-1" || asked[0].Kind != 0 || asked[1].Kind != op25bv1.SeriesKind_SERIES_KIND_INTERFACES || !asked[1].From.AsTime().Equal(curvedNow.Add(-time.Hour)) {
		t.Errorf("asked %v", asked)
	}
	wantTexts(
		t, page,
		`<a href="?range=1h" aria-current="true">Last hour</a>`, `<a href="?range=90d">Last 90 days</a>`,
		// 15 minutes at 0.5, 3 and 1 packets/s, and the packets of the gap
		`<strong>smtp-all</strong> up_dst</span><br>4,870 packets, 820 of them in gaps</figcaption>`, `<p>Packets in gaps were counted in a time without records.`,
		`<title id="rules-1-t">smtp-all up_dst</title><desc id="rules-1-d">Largest rate: 3 packets/s, from 2006-12-02 20:15 on. Newest rate: 1 packets/s, from 2006-12-02 20:45 on.</desc>`,
		`<rect class="gap" x="164" y="18" width="76" height="70"/>`, `<rect class="part" x="240"`, `>5 Packets/s</text>`, `>20:00</text>`, `>21:00</text>`,
		`<th scope="col">From</th><th scope="col">Recorded</th><th scope="col">relay any</th><th scope="col">smtp-all up_dst</th><th scope="col">smtp-all down_src</th>`,
		`<th scope="row">2006-12-02 20:45</th><td class="n">50%</td><td class="n">2</td><td class="n">1</td><td class="n">0.25</td>`,
		`<th scope="row">2006-12-02 20:30</th><td class="n">0%</td><td class="n">-</td><td class="n">-</td><td class="n">-</td>`,
		`Last hour: 38 min of 1 h were recorded.`,
		`<strong>access-1</strong> → in</span><br>`, `<strong>access-1</strong> ← out</span><br>820 packets, 820 of them in gaps</figcaption>`,
	)
	wantTexts(t, pageOf(t, f, "/switch/edge-1", "ja"), "規則ごとの毎秒パケット数", `<a href="?range=1d" aria-current="true">直近24時間</a>`, "うち820パケットは記録がない時間")
	for choice, length := range map[string]time.Duration{"": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "90d": 90 * 24 * time.Hour, "1y": 24 * time.Hour} {
		asked = nil
		pageOf(t, f, "/switch/edge-1?range="+choice, "en")
		if len(asked) != 2 || !asked[0].From.AsTime().Equal(curvedNow.Add(-length)) {
			t.Errorf("%q: asked %v", choice, asked)
		}
	}
}

// TestYoungCurves verifies that the page begins with the curves of an hour if only the last hour was recorded, unless the reader has chosen a day.
func TestYoungCurves(t *testing.T) {
	for _, c := range []struct {
		recorded time.Duration // before the page's time; a step is recorded if it begins within it
		query    string
		want     time.Duration
	}{
		{20 * time.Minute, "", time.Hour},
		{59 * time.Minute, "", time.Hour},
		{61 * time.Minute, "", 24 * time.Hour},
		{20 * time.Minute, "?range=1d", 24 * time.Hour},
		{0, "", 24 * time.Hour},
	} {
		f := curvedAPI()
		var asked []*op25bv1.ListSeriesRequest
		f.series = func(q *op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) {
			asked = append(asked, proto.CloneOf(q))
			r := seriesOf(q)
			r.Steps, r.Series = nil, nil
			for at := q.From.AsTime(); at.Before(curvedNow); at = at.Add(time.Minute) {
				s := &op25bv1.SeriesStep{Start: timestamppb.New(at)}
				if curvedNow.Sub(at) <= c.recorded {
					s.Recorded = 1
				}
				r.Steps = append(r.Steps, s)
			}
			return r, nil
		}
		page := pageOf(t, f, "/switch/edge-1"+c.query, "en")
		last := asked[len(asked)-1] // the curves of interfaces have the same range
		if got := curvedNow.Sub(last.From.AsTime()); got != c.want || last.Kind != op25bv1.SeriesKind_SERIES_KIND_INTERFACES {
			t.Errorf("recorded %v, %q: the curves are of %v, want %v", c.recorded, c.query, got, c.want)
		}
		wantTexts(t, page, map[time.Duration]string{time.Hour: `<a href="?range=1h" aria-current="true">`, 24 * time.Hour: `<a href="?range=1d" aria-current="true">`}[c.want])
	}
}

// TestNoCurves verifies that the page says why there are no curves.
func TestNoCurves(t *testing.T) {
	for name, c := range map[string]struct {
		series   func(*op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error)
		en, ja   string
		noFigure bool
	}{
		"no history": {nil, "This controller keeps no history of counters", "履歴を保存していません", true},
		"an error": {func(*op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) {
			return nil, connect.NewError(connect.CodeUnavailable, errors.New("prometheus <down>"))
		}, "The history cannot be read now: <span lang=\"en\">prometheus &lt;down&gt;</span>", "いまは履歴を読み出せません：<span lang=\"en\">prometheus &lt;down&gt;</span>", true},
		"elsewhere": {func(*op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) {
			return &op25bv1.ListSeriesResponse{Elsewhere: []*op25bv1.SwitchElsewhere{{Switch: "edge-1", Owner: "noc-2"}}}, nil
		}, "Not included, because this controller does not own them: edge-1 (1 in all). Of these, the controller of edge-1 is noc-2.", "このコントローラーが管理していないため", true},
		"nothing recorded": {func(q *op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) {
			r := seriesOf(q)
			r.Series = nil
			for _, s := range r.Steps {
				s.Recorded = 0
			}
			return r, nil
		}, "Last 24 hours: nothing was recorded.", "直近24時間：記録がありません。", true},
		"hardly recorded": {hardlyRecorded, "Last 24 hours: less than 1 min of 24 h were recorded.", "直近24時間：24時間のうち1分未満が記録されています。", true},
		"very many": {func(q *op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) {
			r := seriesOf(q)
			for i := range 30 {
				r.Series = append(r.Series, &op25bv1.Series{Rule: fmt.Sprint("rule-", i)})
			}
			r.SeriesLeftOut = 1000
			return r, nil
		}, "1,009 more are not shown.", "ほかに1,009件あります。", false},
	} {
		f := curvedAPI()
		f.series = c.series
		for lang, want := range map[string]string{"en": c.en, "ja": c.ja} {
			page := pageOf(t, f, "/switch/edge-1", lang)
			wantTexts(t, page, want)
			if n := strings.Count(page, "<svg class=\"chart\""); c.noFigure != (n == 0) || n > 48 {
				t.Errorf("%s: %d images", name, n)
			}
		}
	}
}

// TestPastOfASwitch verifies the state changes and the certificates.
func TestPastOfASwitch(t *testing.T) {
	f := curvedAPI()
	wantTexts(
		t, pageOf(t, f, "/switch/edge-1", "en"),
		`<tr class="good"><th scope="row">2006-12-02 20:00:00 &#43;0900</th><td>converged</td><td>nothing had to be written</td><td class="n">7</td><td>noc-1</td></tr>`,
		`<tr class="bad"><th scope="row">2006-12-02 19:00:00 &#43;0900</th><td>disconnected</td><td>the switch is unreachable</td><td class="n">6</td><td>noc-2</td></tr>`,
		`Known since 2006-12-02 19:00:00 &#43;0900.`,
		`<tr class="bad"><th scope="row">P4Runtime: the switch&#39;s</th><td>has ended</td><td>2006-12-02 20:00:00 &#43;0900</td></tr>`,
		`<tr class="good"><th scope="row">P4Runtime: the controller&#39;s</th><td>100 d</td>`,
		`<tr class="bad"><th scope="row">gNMI: the controller&#39;s</th><td>26 h</td>`,
		`<tr class="busy"><th scope="row">gNMI: CA of the switch&#39;s</th><td>10 d 3 h</td>`,
	)
	f.stateChanges, f.certificates = nil, &op25bv1.ListCertificatesResponse{Owned: true}
	wantTexts(t, pageOf(t, f, "/switch/edge-1", "en"), "No change of the state has been recorded yet.", "No certificate is known: the sessions use no TLS")
	f.certificates = nil
	wantTexts(t, pageOf(t, f, "/switch/edge-1", "ja"), "状態の変化はまだ記録されていません。", "このスイッチを管理しているコントローラーだけが把握しています。")
}

// TestLeasesOnASwitch verifies that the page of a switch has the number of its leases and why leases wait, and that no other page speaks of leases.
func TestLeasesOnASwitch(t *testing.T) {
	f := curvedAPI()
	if page := pageOf(t, f, "/switch/edge-1", "en"); strings.Contains(page, "Leases") {
		t.Error("the page of a switch without leases has them")
	}
	f.list.Switches[0].Leases = &op25bv1.SwitchLeases{InForce: 1412, Waiting: 2, Detail: `table "subscriber_v4": no room`}
	detail := `<span lang="en">table &#34;subscriber_v4&#34;: no room</span>`
	wantTexts(t, pageOf(t, f, "/switch/edge-1", "en"), "<dt>Leases, when last seen</dt><dd>1,412 in force, 2 waiting<br>"+detail+"</dd>")
	wantTexts(t, pageOf(t, f, "/switch/edge-1", "ja"), "<dt>一時許可（最終応答の時点）</dt><dd>有効1,412件、待機中2件<br>"+detail+"</dd>")
}

// TestWhatRulesStopped verifies the counts of the programme: over the last day, since the phase began, and which switches they do not include.
func TestWhatRulesStopped(t *testing.T) {
	f := curvedAPI()
	var asked []*op25bv1.ListSeriesRequest
	f.series = func(q *op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) {
		asked = append(asked, proto.CloneOf(q))
		r := seriesOf(q)
		if q.MaxPoints == 0 { // the steps begin up to a day before the phase
			for _, s := range append(r.Steps[:0:0], r.Steps...) {
				s.Start = timestamppb.New(s.Start.AsTime().Truncate(24 * time.Hour))
			}
		}
		return r, nil
	}
	page := pageOf(t, f, "/programme", "en")
	if len(asked) != 2 || !asked[0].From.AsTime().Equal(curvedNow.Add(-24*time.Hour)) || !asked[1].From.AsTime().Equal(curvedNow.Add(-10*24*time.Hour)) || asked[0].Switch+asked[1].Switch != "" {
		t.Errorf("asked %v", asked)
	}
	// 6 hours at 1.5, 3 and 1.25 packets/s on both legs, and 820 of each gap. Of the 10 days, the first of 4 steps is left out.
	day, begun := uint64(6*3600*5.75)+1640, uint64(60*3600*4.25)+1640
	comma := func(n uint64) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
	wantTexts(
		t, page,
		fmt.Sprintf(`<td class="n">%s</td><td class="n">%s</td><td class="spark"><svg class="chart"`, comma(day), comma(begun)),
		`<tr class="action-drop"><th scope="row">unused</th><td>drop</td><td></td><td></td><td>all</td><td>from lines to servers</td><td class="n">0</td><td class="n">0</td><td class="spark">-</td></tr>`,
		"on the switches of this controller (2). Packets are counted, and not mails: each further attempt of the same mail counts again.",
		"<p>The rules of this phase with the actions drop and reject stopped these packets.</p>", "Last 24 hours: 15 h of 24 h were recorded.",
		"Not included, because this controller does not own them: edge-3, edge-4 (5 in all).", "Of these, the controller of edge-3 is noc-2.", "No controller owns edge-4.",
		"Since the phase is in force, counted from 2006-11-25 09:00 on: 3 d 6 h of 7 d 12 h were recorded.",
		`<th scope="col">Recorded</th><th scope="col">relay</th><th scope="col">smtp-all</th>`, `<td class="n">50%</td><td class="n">2</td><td class="n">1.25</td>`,
	)
	if n := len(regexp.MustCompile(`<td class="spark">`).FindAllString(page, -1)); n != 3 {
		t.Errorf("%d rows have counts, want the 3 of the phase in force", n)
	}
	wantTexts(t, pageOf(t, f, "/programme", "ja"), "直近24時間のパケット", "含まれないスイッチ：edge-3、edge-4（計5台）。")
	// A drain lets the packets of open connections pass, and counts them for the same rules.
	f.phases.Phases[0].SynOnly = true
	const passed, stopped = "also count the packets of connections that were open already. These packets passed", "stopped these packets"
	page = pageOf(t, f, "/programme", "en")
	wantTexts(t, page, passed)
	lacksTexts(t, page, stopped)
	f.phases.Phases[0].SynOnly, f.rules[0].Action, f.rules[2].Action = false, "monitor", "monitor"
	lacksTexts(t, pageOf(t, f, "/programme", "en"), passed, stopped)
	f.rules[0].Action, f.rules[2].Action = "drop", "drop"
	f.series = hardlyRecorded
	page = pageOf(t, f, "/programme", "en")
	wantTexts(
		t, page, `<td class="n">-</td><td class="n">-</td><td class="spark">-</td>`, "Last 24 hours: less than 1 min of 24 h were recorded.",
		"Since the phase is in force, counted from 2006-11-22 21:00 on: less than 1 min of 10 d were recorded.", "The first record is of",
	)
	if strings.Contains(page, `<td class="n">0</td>`) || strings.Contains(page, `<svg class="chart"`) {
		t.Errorf("counts and curves of hardly anything:\n%s", page)
	}
	f.series = nil
	page = pageOf(t, f, "/programme", "en")
	wantTexts(t, page, "This controller keeps no history of counters")
	if strings.Contains(page, "spark") {
		t.Error("a page without history has counts")
	}
}

// TestCurvesByController verifies the pages with a real controller, which has recorded nothing yet.
func TestCurvesByController(t *testing.T) {
	base, addr := siteAndAPI(t, func(c *controller.Config) { c.History.File = filepath.Join(t.TempDir(), "history.db") })
	awaitOwner(t, addr)
	_, page := newBrowser(t, base).get("/switch/edge-1?range=7d")
	wantTexts(t, page, "<p>Last 7 days: nothing was recorded.</p>", "Known since ", "No certificate is known")
	_, page = newBrowser(t, base).get("/programme")
	wantTexts(t, page, "on the switches of this controller (1).", "Last 24 hours: nothing was recorded.")
}
