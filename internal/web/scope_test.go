package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestScope verifies that the forms of the programme offer the known line groups and switches, and that there is no form for a rollback if
// there is nothing to undo.
func TestScope(t *testing.T) {
	f := threePhases(time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC))
	box := func(name, value string) string {
		return `<label><input type="checkbox" name="` + name + `" value="` + value + `"> ` + value + `</label>`
	}
	page := pageOf(t, f, "/programme", "en")
	wantTexts(t, page, "<legend>Line groups (tick none for all groups)</legend>"+box("groups", "adsl")+"\n"+box("groups", "mobile")+"\n</fieldset>",
		"<legend>Switches (tick none for all switches)</legend>"+box("switches", "edge-east"), box("switches", "edge-south"), box("switches", "edge-west"),
		"<p>No rollback is possible now: no activation can be undone. To go back to an earlier phase, activate it above.</p>")
	lacksTexts(t, page, "Show what a rollback would change", "<datalist")
	// Only the form of the next phase is open.
	wantTexts(t, page, `<details open aria-labelledby="a-all-destinations"><summary id="a-all-destinations">Activate all-destinations</summary>`, `<details aria-labelledby="a-drain">`)
	if got := strings.Count(page, box("switches", "edge-west")); got != 3 {
		t.Errorf("%d boxes for a switch, want one for each of 3 phases", got)
	}
	wantTexts(t, pageOf(t, f, "/programme", "ja"), "<legend>回線グループ（選択しなければすべてのグループが対象）</legend>", "元に戻せる有効化がないため、いまはロールバックできません。")

	f.preview = &op25bv1.PreviewResponse{Undoes: &op25bv1.Activation{Phase: "drain"}}
	page = pageOf(t, f, "/programme", "en")
	wantTexts(t, page, "Show what a rollback would change")
	lacksTexts(t, page, "No rollback is possible")

	// Before the first phase begins, the groups are those of the next change.
	next := &op25bv1.PhaseTurn{Changes: []*op25bv1.PhaseChange{{To: "watch", Groups: []string{"isdn"}, ByDefault: true}}}
	for _, p := range f.phases.Phases {
		p.Everywhere, p.InForce = false, nil
	}
	f.phases.NextTurn = next
	page = pageOf(t, f, "/programme", "en")
	wantTexts(t, page, box("groups", "isdn"))
	lacksTexts(t, page, box("groups", "adsl"))

	// There is no choice with a single switch. Many names are typed.
	f.list.Switches = f.list.Switches[:1]
	lacksTexts(t, pageOf(t, f, "/programme", "en"), `name="switches"`)
	for i := range 30 {
		f.list.Switches = append(f.list.Switches, &op25bv1.SwitchStatus{Switch: fmt.Sprintf("edge-%02d", i)})
		next.Changes[0].Groups = append(next.Changes[0].Groups, fmt.Sprintf("group-%02d", i))
	}
	page = pageOf(t, f, "/programme", "en")
	wantTexts(t, page, `<label for="s-drain">Switches, with commas (empty: all)</label> <input id="s-drain" name="switches" list="switches" maxlength="4096">`,
		`<datalist id="switches"><option value="edge-00">`, `<label for="g-back">Line groups, with commas (empty: all)</label>`, `<datalist id="groups"><option value="group-00">`)
	lacksTexts(t, page, "checkbox")
	if strings.Count(page, `value="edge-07"`) != 1 {
		t.Error("the proposals are not shared by the forms")
	}
}

// TestPreviewSaysWhatItDoes verifies that the button of a preview names the change, its line groups and the number of switches, and that the
// preview warns of switches that do not get the change at once.
func TestPreviewSaysWhatItDoes(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC)
	f := threePhases(now)
	f.list.Switches[0].Owner, f.list.Switches[1].Owner, f.list.Switches[2].Owner = "noc-1", "noc-1", "noc-2"
	f.list.Switches[2].Reason, f.list.Switches[2].Detail = op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE, "connection refused"
	change := &op25bv1.PhaseChange{From: "drain", To: "all-destinations", EveryLine: true, Switches: []string{"edge-east", "edge-south", "edge-west"}}
	f.preview = &op25bv1.PreviewResponse{Revision: 3, Switches: 3, Phase: "all-destinations", Time: timestamppb.New(now), Changes: []*op25bv1.PhaseChange{change}}
	base := serve(t, siteOf(t, f))
	b := newBrowser(t, base)
	_, page := b.get("/programme")
	form := url.Values{"csrf": {csrf(page)}, "phase": {"all-destinations"}, "groups": {"adsl", "mobile"}, "switches": {"edge-east edge-west", "edge-south"}}
	preview := func(lang string, want ...string) string {
		t.Helper()
		res, page := b.post("/preview", form, "Accept-Language", lang)
		if res.StatusCode != http.StatusOK {
			t.Errorf("preview: %d", res.StatusCode)
		}
		wantTexts(t, page, want...)
		return page
	}
	preview("en", "<button>Activate all-destinations for adsl, mobile on 3 switches</button>", `<input type="hidden" name="groups" value="adsl, mobile">`,
		`<input type="hidden" name="switches" value="edge-east, edge-west, edge-south">`, "<p>1 of these 3 switches cannot be changed now.",
		`<li><a href="/switch/edge-south">edge-south</a>: disconnected, the switch is unreachable</li>`, "<li>every line on edge-east, edge-south, edge-west: phase drain → all-destinations</li>")
	if got := strings.Join(f.previewing.Groups, "|") + " " + strings.Join(f.previewing.Switches, "|"); got != "adsl|mobile edge-east|edge-west|edge-south" {
		t.Errorf("the API was asked for %s", got)
	}
	form.Del("groups")
	preview("ja", "<button>3台のスイッチでall-destinationsを有効化する</button>", "対象の3台中1台のスイッチは、いまは変更できません。", "edge-south</a>：切断、スイッチに到達できません</li>")

	// With nothing ticked, the button says that the change is for everything. The preview says what a reader should know before it.
	form.Del("switches")
	preview("en", "<button>Activate all-destinations for every line on all 3 switches</button> <a href=\"/programme\">Cancel</a>",
		"<p>This is 16 days before the date of the phase, 2026-12-15.</p>\n<p>It concerns 11 lines.</p>\n<p>Under all-destinations, mail is stopped as its rules say.</p>\n<p>What the phase stops ends at once, also on connections that are open already.</p>\n<p>To undo it, use Roll back",
		"The change is stored and waits for them: they get it once a controller reaches them.")
	preview("ja", "<button>全3台のスイッチのすべての回線でall-destinationsを有効化する</button> <a href=\"/programme\">やめる</a>",
		"<p>フェーズの開始日（2026-12-15）より16日早い有効化です。</p>\n<p>対象は11回線です。</p>", "すでに開いている接続も含めてただちに止まります。", "「前のフェーズに戻す（ロールバック）」を使います。", "変更は保存されて待機し")
	change.EveryLine = false
	f.phases.Phases[2].SynOnly = true
	lacksTexts(t, preview("en", "To undo it"), "It concerns", "ends at once")
	change.EveryLine, f.phases.Phases[2].SynOnly = true, false
	form.Set("switches", "edge-east edge-west edge-south")

	// A switch without an owner, alone.
	change.Switches, f.list.Switches[0].Owner = []string{"edge-east"}, ""
	preview("en", "<button>Activate all-destinations on 1 switch</button>", "<p>This switch cannot be changed now.", "edge-east</a>: converged, no controller owns it</li>")
	// All switches can be changed.
	change.Switches = []string{"edge-west"}
	lacksTexts(t, preview("en"), "cannot be changed now")
	// A rollback names what it undoes.
	form.Set("phase", "")
	f.preview.Undoes = &op25bv1.Activation{Phase: "all-destinations", Author: "<local>", Revision: 3, Reason: "as announced"}
	preview("en", "<button>Undo the activation of all-destinations on 1 switch</button>", "<li>This undoes the activation of phase all-destinations by &lt;local&gt;, change 3 of ",
		"<p>To undo it, activate all-destinations again on the page Programme.</p>")
	lacksTexts(t, preview("ja", "<button>1台のスイッチでall-destinationsの有効化を元に戻す</button>", "&lt;local&gt;によるフェーズall-destinationsの有効化（変更3、",
		"<p>元に戻すには、「計画」のページでall-destinationsをもう一度有効化します。</p>"), "ロールバック）」を使います", "This undoes")
	// A rollback to a phase that only counts says that no mail is stopped any more.
	rules, from, to := f.rules, change.From, change.To
	f.rules, change.From, change.To = []*op25bv1.PhaseRule{{Name: "smtp-all", Action: "monitor"}}, "all-destinations", "watch"
	preview("en", "<p>Under watch, no mail is stopped; at most it is counted.</p>\n<p>It concerns 3 lines.</p>")
	preview("ja", "<p>watchではメールを止めません（数えるだけです）。</p>\n<p>対象は3回線です。</p>", "フェーズ all-destinations → watch</li>")
	// A phase that limits does more than count.
	f.rules[0].Action = "limit"
	preview("en", "<p>Under watch, no mail is stopped, but its rules limit how many connections pass at a time.</p>")
	preview("ja", "<p>watchではメールを止めませんが、規則に従って短時間に接続できる回数を制限します。</p>")
	f.rules, change.From, change.To = rules, from, to

	// The list is bounded.
	change.Switches = nil
	for i := range 25 {
		name := fmt.Sprintf("edge-%02d", i)
		f.list.Switches = append(f.list.Switches, &op25bv1.SwitchStatus{Switch: name, State: op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, Reason: op25bv1.SwitchReason_SWITCH_REASON_NOT_CONFIRMED, Owner: "noc-1"})
		change.Switches = append(change.Switches, name)
	}
	page = preview("en", "25 of these 25 switches cannot be changed now.", "edge-19</a>: unknown, its controller has not confirmed its state recently</li>", "<p>and 5 more</p>")
	lacksTexts(t, page, "edge-20</a>")
}
