package web_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// threePhases is a fleet of three switches under the second of three phases. The switch edge-south was disconnected after it had confirmed it.
func threePhases(now time.Time) *fakeAPI {
	confirmed := func(name string) *op25bv1.InForce {
		return &op25bv1.InForce{Switch: name, Groups: []string{"adsl", "mobile"}, ByDefault: true, Confirmed: name != "edge-south"}
	}
	day := func(n int) *timestamppb.Timestamp { return timestamppb.New(now.AddDate(0, 0, n)) }
	state := op25bv1.SwitchState_SWITCH_STATE_CONVERGED
	return &fakeAPI{
		now: func() time.Time { return now },
		phases: &op25bv1.ListPhasesResponse{Revision: 3, UtcOffset: "+09:00", Phases: []*op25bv1.Phase{
			{Name: "watch", Begins: day(-90)},
			{Name: "drain", Begins: day(-9), SynOnly: true, Everywhere: true, InForce: []*op25bv1.InForce{confirmed("edge-east"), confirmed("edge-west"), confirmed("edge-south")}},
			{Name: "all-destinations", Begins: day(16)},
		}},
		list: &op25bv1.ListSwitchesResponse{Revision: 3, Switches: []*op25bv1.SwitchStatus{
			{Switch: "edge-east", State: state, Converged: true, Revision: 3, Wanted: 3, Lines: 5, LinesConfirmed: 5},
			{Switch: "edge-west", State: state, Converged: true, Revision: 3, Wanted: 3, Lines: 3, LinesConfirmed: 3},
			{
				Switch: "edge-south", State: op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, Revision: 3, Wanted: 3, Lines: 3,
				Seen: timestamppb.New(time.Date(2026, 11, 29, 12, 13, 41, 0, time.UTC)),
			},
		}},
		forecast: func(*op25bv1.ForecastRequest) (*op25bv1.ForecastResponse, error) {
			return nil, connect.NewError(connect.CodeUnimplemented, errors.New("not served"))
		},
		rules: []*op25bv1.PhaseRule{
			{Name: "smtp-all", Service: "smtp", Ports: []uint32{25}, Remote: "any", Action: "drop"},
			{Name: "submit", Service: "submission", Ports: []uint32{465, 587}, Remote: "any", Action: "permit"},
			{Name: "in", Service: "smtp", Ports: []uint32{25}, Remote: "any", Action: "reject", Legs: []string{"down_dst", "up_src"}},
		},
	}
}

// TestProgrammeIsConfirmed verifies that the programme only says "in force" if all switches confirm the phase, and that it names the others. The
// states of phases are words.
func TestProgrammeIsConfirmed(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC)
	f := threePhases(now)
	page := pageOf(t, f, "/programme", "en")
	wantTexts(t, page, "<dd>every line; 8 of 11 lines, confirmed by 2 of 3 switches; not confirmed: edge-south (last known 2026-11-29 21:13:41 &#43;0900)",
		"<strong>past</strong>", "<strong>in force where confirmed, not confirmed by all switches</strong>", "<strong>to come</strong>", "<dt>Should be in force for</dt><dd>no line</dd>", `<li class="current open">`)
	lacksTexts(t, page, "<strong>in force</strong>", "<dd>-</dd>", "In force for", "not in force")
	wantTexts(t, pageOf(t, f, "/programme", "ja"), "11回線中8回線、3台中2台のスイッチで確認済み；未確認：edge-south（最後の確認 2026-11-29 21:13:41 &#43;0900）",
		"<strong>終了</strong>", "<strong>確認済みのスイッチで有効（一部のスイッチは未確認）</strong>", "<strong>開始前</strong>", "<dt>有効であるべき範囲</dt><dd>なし</dd>")

	// The counts of another revision say nothing about this one.
	f.list.Revision = 2
	wantTexts(t, pageOf(t, f, "/programme", "en"), "confirmed by 2 of 3 switches; not confirmed: edge-south")
	f.list.Revision = 3

	drain, south := f.phases.Phases[1], f.list.Switches[2]
	for _, on := range drain.InForce {
		on.Confirmed = false
	}
	south.Seen = nil
	page = pageOf(t, f, "/programme", "en")
	wantTexts(t, page, "<strong>should be in force, not confirmed by any switch</strong>", "0 of 11 lines, confirmed by 0 of 3 switches", "edge-south (never seen)")
	lacksTexts(t, page, "<strong>in force")

	for _, on := range drain.InForce {
		on.Confirmed = true
	}
	// The phases are confirmed, but the lines are not: they may have changed between the two answers.
	lacksTexts(t, pageOf(t, f, "/programme", "en"), "<strong>in force</strong>")
	south.LinesConfirmed = 3
	wantTexts(t, pageOf(t, f, "/programme", "en"), "<strong>in force</strong>", "every line; 11 of 11 lines, confirmed by 3 of 3 switches</dd>")

	// A phase that is in force for a part of the lines names switches and groups.
	drain.Everywhere, drain.InForce = false, []*op25bv1.InForce{{Switch: "edge-east", Groups: []string{"adsl"}, Confirmed: true}}
	f.phases.Phases[0].InForce = []*op25bv1.InForce{
		{Switch: "edge-east", Groups: []string{"mobile"}, ByDefault: true, Confirmed: true},
		{Switch: "edge-west", Groups: []string{"adsl", "mobile"}, ByDefault: true, Confirmed: true},
	}
	wantTexts(t, pageOf(t, f, "/programme", "en"), "<dd>edge-east (adsl); confirmed by 1 of 1 switch</dd>",
		"<dd>edge-east (mobile, lines without a group), edge-west; confirmed by 2 of 2 switches</dd>")
	// A phase whose date has come, but which an activation of an earlier phase replaces, is not said to come.
	drain.InForce = nil
	wantTexts(t, pageOf(t, f, "/programme", "en"), "<strong>should not be in force</strong>")
}

// TestPlannedAndInForce verifies that a phase in force has its planned date beside the time since which it is in force, with who activated it, why, and
// a link to the change. The counts begin at that time.
func TestPlannedAndInForce(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC)
	f := threePhases(now)
	f.stored = &op25bv1.Revision{Number: 1, Time: timestamppb.New(now.Add(-time.Hour))}
	f.activations = []*op25bv1.Activation{
		{Revision: 2, Phase: "watch", Time: timestamppb.New(now.Add(-20 * time.Minute))},
		{Revision: 3, Phase: "drain", Time: timestamppb.New(now.Add(-10 * time.Minute)), Author: "<local>", Reason: "as announced, NOC-1042"},
	}
	var asked []time.Time
	f.series = func(q *op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) {
		asked = append(asked, q.From.AsTime())
		return &op25bv1.ListSeriesResponse{From: q.From, To: timestamppb.New(now), Switches: 1, Steps: []*op25bv1.SeriesStep{{Start: q.From, Recorded: 1}}}, nil
	}
	since := "</dt><dd>2026-11-29 21:10:00 &#43;0900, activated by &lt;local&gt;: as announced, NOC-1042; <a href=\"/changes/3\">change 3</a></dd>"
	wantTexts(t, pageOf(t, f, "/programme", "en"), "<dt>Planned from</dt><dd>2026-11-20 21:20:00 &#43;0900</dd><dt>Should be in force since"+since)
	if len(asked) != 2 || !asked[1].Equal(now.Add(-10*time.Minute)) {
		t.Errorf("the counts are asked for from %v", asked)
	}
	wantTexts(t, pageOf(t, f, "/programme", "ja"), "<dt>開始予定</dt><dd>2026-11-20 21:20:00 &#43;0900</dd><dt>有効であるべき開始時刻</dt><dd>2026-11-29 21:10:00 &#43;0900、&lt;local&gt;が有効化：as announced, NOC-1042")
	f.list.Switches[2].LinesConfirmed = 3
	f.phases.Phases[1].InForce[2].Confirmed = true
	wantTexts(t, pageOf(t, f, "/programme", "en"), "<dt>In force since"+since)
	// A phase that its date put in force has neither a person nor a reason.
	f.activations, f.stored.Time = nil, timestamppb.New(now.AddDate(-1, 0, 0))
	wantTexts(t, pageOf(t, f, "/programme", "en"), "<dt>In force since</dt><dd>2026-11-20 21:20:00 &#43;0900, by its date</dd>")
}

// TestRulesInWords verifies that the programme shows the directions of rules, those of rules without legs too, and that a drain stops new
// connections only.
func TestRulesInWords(t *testing.T) {
	f := threePhases(time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC))
	f.phases.Phases = f.phases.Phases[1:2]
	page := pageOf(t, f, "/programme", "en")
	wantTexts(t, page, "<td>drop (new connections only)</td>", "<td>reject (new connections only)</td>", "<td>permit</td>",
		"<td>from lines to servers; replies of servers to lines</td>", "<td>from lines to servers</td>", "<td>to servers on lines; replies of servers on lines</td>")
	wantTexts(t, pageOf(t, f, "/programme", "ja"), "<td>drop（新しい接続のみ）</td>", "<td>回線からサーバーへ；サーバーから回線への応答</td>")
	f.phases.Phases[0].SynOnly = false
	lacksTexts(t, pageOf(t, f, "/programme", "en"), "new connections only", "New connections only")
}

// TestStaysOpen verifies that the programme says for each phase what passes without a rule: the own servers by name, the ports of submission, and the
// number of exemptions.
func TestStaysOpen(t *testing.T) {
	f := threePhases(time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC))
	ports := []uint32{465, 587}
	f.phases.Phases[0].StaysOpen = &op25bv1.StaysOpen{Servers: []*op25bv1.OpenServers{{Name: "own-relay", Title: "Our <own> relays"}, {Name: "second"}}, Ports: ports}
	f.phases.Phases[1].StaysOpen = &op25bv1.StaysOpen{
		Servers: []*op25bv1.OpenServers{{Name: "own-servers", Limited: true, Services: []string{"submissions", "pop3s"}}}, Ports: ports, ExemptLines: 1204, ExemptPrefixes: 1,
	}
	for lang, want := range map[string][]string{
		"en": {
			"<dt>Stays open</dt><dd><ul><li>every service of own-relay (Our &lt;own&gt; relays)</li><li>every service of second</li><li>ports 465, 587 of all servers</li><li>no line is exempt</li></ul><p>This comes before the rules below, also before those for any server.</p></dd>",
			"<li>submissions, pop3s of own-servers; rules decide the other services</li><li>ports 465, 587 of all other servers</li><li><a href=\"/exemptions\">port 25 of 1,204 exempt lines</a></li><li><a href=\"/exemptions\">port 25 of 1 exempt prefix</a></li></ul>",
		},
		"ja": {
			"<dt>止めない通信</dt><dd><ul><li>own-relay（Our &lt;own&gt; relays）のすべてのサービス</li><li>secondのすべてのサービス</li><li>すべてのサーバーのポート465、587</li><li>適用除外の回線はありません</li></ul><p>下の規則（サーバーがanyのものを含む）より優先されます。</p></dd>",
			"<li>own-serversのsubmissions、pop3s（ほかのサービスは規則によります）</li><li>ほかのすべてのサーバーのポート465、587</li><li><a href=\"/exemptions\">適用除外の1,204回線のポート25</a></li><li><a href=\"/exemptions\">適用除外の1プレフィックスのポート25</a></li></ul>",
		},
	} {
		wantTexts(t, pageOf(t, f, "/programme", lang), want...)
	}
}

// TestAfterDrain verifies that a phase after a drain is said to stop open connections too, which its forecast of lines does not count, and that the
// page explains at that drain what it leaves open.
func TestAfterDrain(t *testing.T) {
	f := threePhases(time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC))
	const open, openJA = "On lines whose new connections are stopped already, it would also end the connections that are still open.", "新しい接続がすでに止まっている回線では、まだ開いている接続も止まります。"
	const means = "New connections only: the rule stops the start of a connection."
	page := pageOf(t, f, "/programme", "en")
	for _, text := range []string{open, means} {
		if n := strings.Count(page, text); n != 1 {
			t.Errorf("the page has %q %d times, want once:\n%s", text, n, page)
		}
	}
	if before, _, _ := strings.Cut(page, `id="phase-all-destinations"`); strings.Contains(before[:strings.Index(before, `id="phase-drain"`)], means) || !strings.Contains(before, means) {
		t.Error("the explanation is not at the drain")
	}
	f.forecast = func(*op25bv1.ForecastRequest) (*op25bv1.ForecastResponse, error) {
		return &op25bv1.ForecastResponse{Days: 7}, nil
	}
	wantTexts(t, pageOf(t, f, "/programme", "en"), "<p>Activated now, this phase would stop mail for no further line.</p><p>"+open+"</p>",
		"<p>Nothing is recorded now on switches that cannot be reached: edge-south.</p>")
	wantTexts(t, pageOf(t, f, "/programme", "ja"), "<p>"+openJA+"</p>", "新しい接続のみ：接続の開始だけを止めます。")

	drain, next := f.phases.Phases[1], f.phases.Phases[2]
	next.SynOnly = true
	lacksTexts(t, pageOf(t, f, "/programme", "en"), open)
	next.SynOnly, drain.SynOnly = false, false
	lacksTexts(t, pageOf(t, f, "/programme", "en"), open, means)
	drain.SynOnly, f.rules = true, []*op25bv1.PhaseRule{{Name: "watch", Service: "smtp", Ports: []uint32{25}, Remote: "any", Action: "monitor"}}
	lacksTexts(t, pageOf(t, f, "/programme", "en"), open, means)
}

func lacksTexts(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			t.Errorf("the page has %s:\n%s", text, page)
		}
	}
}
