package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestEnglishIsMarked verifies that the Japanese page marks what is in English: errors, notices, details and the preview.
func TestEnglishIsMarked(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC)
	f := threePhases(now)
	f.list.Notices = []string{"the store is nearly full"}
	south := f.list.Switches[2]
	south.Reason, south.Detail, south.Since = op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE, "connection refused", timestamppb.New(now)
	south.Drift = []string{"2026-11-29T12:20:00Z missing rule 7"}
	reason := `スイッチに到達できません：<span lang="en">connection refused</span>`
	wantTexts(t, pageOf(t, f, "/", "ja"), ">"+reason+"</td>", `<p class="notice" lang="en">the store is nearly full</p>`, `title="edge-south：切断、スイッチに到達できません：connection refused"`)
	wantTexts(t, pageOf(t, f, "/", "en"), ">the switch is unreachable: connection refused</td>")
	f.list.Switches = []*op25bv1.SwitchStatus{south}
	f.counters = func(*op25bv1.ListCountersRequest) (*op25bv1.ListCountersResponse, error) {
		return &op25bv1.ListCountersResponse{Switches: []*op25bv1.SwitchCounters{{
			Switch: "edge-south", State: op25bv1.CollectionState_COLLECTION_STATE_STALE, Reason: op25bv1.CollectionReason_COLLECTION_REASON_SILENT, Detail: "10 s",
		}}}, nil
	}
	f.series = func(*op25bv1.ListSeriesRequest) (*op25bv1.ListSeriesResponse, error) {
		return nil, connect.NewError(connect.CodeUnavailable, http.ErrServerClosed)
	}
	wantTexts(t, pageOf(t, f, "/switch/edge-south", "ja"), "<br>"+reason+"</dd>", `<dd>古い値：予定の値が届いていません：<span lang="en">10 s</span></dd>`,
		`<li>2026-11-29 21:20:00 &#43;0900 <span lang="en">missing rule 7</span></li>`, `<p>いまは履歴を読み出せません：<span lang="en">http: Server closed</span></p>`)
	wantTexts(t, pageOf(t, f, "/programme", "ja"), "<td>smtp（25）</td>", "<td>submission（465、587）</td>")
	wantTexts(t, pageOf(t, f, "/programme", "en"), "<td>submission (465, 587)</td>")

	base := serve(t, siteOf(t, f))
	b := newBrowser(t, base)
	_, page := b.get("/nowhere", "Accept-Language", "ja")
	wantTexts(t, page, `<p class="problem" role="alert"><span lang="en">there is no such page</span></p>`, "</time>。<a href")
	// The outcome of a change that is not known is described in Japanese, with the error in English.
	_, page = b.get("/programme")
	form := url.Values{"csrf": {csrf(page)}, "phase": {"drain"}, "reason": {"test"}, "base": {"3"}, "shown": {"1"}, "request": {"r"}}
	f.activated = connect.NewError(connect.CodeUnavailable, http.ErrServerClosed)
	res, page := b.post("/change", form, "Accept-Language", "ja")
	wantTexts(t, page, `変更が行われたか不明です。繰り返す前に「変更」で確認してください：<span lang="en">http: Server closed</span>`)
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", res.StatusCode)
	}
}

// TestPhasesOfSwitch verifies that the page of a switch shows the counters of the phases that should be in force before those of others, and that it
// says whether the switch confirms these phases.
func TestPhasesOfSwitch(t *testing.T) {
	f := threePhases(time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC))
	f.counters = func(*op25bv1.ListCountersRequest) (*op25bv1.ListCountersResponse, error) {
		return &op25bv1.ListCountersResponse{Switches: []*op25bv1.SwitchCounters{{Switch: "edge-east", Rules: []*op25bv1.RuleCounters{
			{Rule: "watched", Phase: "watch"}, {Rule: "stopped", Phase: "drain"}, {Rule: "always"},
		}}}}, nil
	}
	east, south := f.list.Switches[0], f.list.Switches[2]
	east.InForce = "drain"
	f.list.Switches = f.list.Switches[:1]
	counted := func() (wanted, others string) {
		t.Helper()
		_, page, _ := strings.Cut(pageOf(t, f, "/switch/edge-east", "en"), `<h2 id="h-counters">`)
		page, _, _ = strings.Cut(page, "</section>")
		wanted, others, _ = strings.Cut(page, "<details")
		return wanted, others
	}
	wanted, others := counted()
	wantTexts(t, wanted, "<p>The switch confirms that these phases are in force: drain.</p>", `<th scope="row">stopped</th>`, `<th scope="row">always</th>`)
	wantTexts(t, others, `<summary id="h-others">Counters of other phases</summary>`, `<th scope="row">watched</th>`)
	lacksTexts(t, wanted, "watched")
	wantTexts(t, pageOf(t, f, "/switch/edge-east", "en"), "<dt>In force</dt><dd>drain</dd>")

	f.phases.Phases[1].InForce[0].Confirmed, east.Converged = false, false
	wanted, _ = counted()
	wantTexts(t, wanted, "<p>These phases should be in force on this switch: drain.</p>")
	page := pageOf(t, f, "/switch/edge-east", "en")
	wantTexts(t, page, "<dt>Last seen in force</dt><dd>drain</dd>")
	lacksTexts(t, page, "<dt>In force</dt>")
	wantTexts(t, pageOf(t, f, "/switch/edge-east", "ja"), "<p>このスイッチで有効であるべきフェーズ：drain。</p>", "<dt>最後に確認した有効フェーズ</dt>")
	// A switch that cannot be reached has no phase in force in the present tense, and says when it was seen.
	south.InForce, south.Converged = "drain", true
	f.list.Switches[0] = south
	page = pageOf(t, f, "/switch/edge-south", "en")
	wantTexts(t, page, "<dt>Last seen in force</dt><dd>drain (last known 2026-11-29 21:13:41 &#43;0900)</dd>")
	if strings.Index(page, `id="h-counters"`) > strings.Index(page, `id="h-curves"`) {
		t.Error("the curves stand before the counters")
	}
	wantTexts(t, pageOf(t, f, "/switch/edge-south", "ja"), "<dd>drain（最後の確認 2026-11-29 21:13:41 &#43;0900）</dd>")
	f.list.Switches[0] = east

	// Without a phase there is nothing to tell apart.
	f.phases.Phases[1].InForce = nil
	if wanted, others = counted(); others != "" || !strings.Contains(wanted, "watched") {
		t.Errorf("without a phase: %s, %s", wanted, others)
	}
}
