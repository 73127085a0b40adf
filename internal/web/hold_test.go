package web_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestHold verifies the questions before a hold and its end, the calls of the API, and that the switch's page says what its controller has not
// confirmed.
func TestHold(t *testing.T) {
	f := rolling()
	f.rollouts.now.Rollout.Rings[1].Switches[0] = "edge-1"
	f.list = probed().list
	f.counters = curvedAPI().counters
	b := newBrowser(t, serve(t, siteOf(t, f)))
	_, page := b.get("/switch/edge-1")
	wantTexts(t, page, `<a class="button" href="/switch/edge-1/hold">Hold for maintenance</a>`)
	_, page = b.get("/switch/edge-1/hold")
	wantTexts(t, page, "Nothing is written to the switch until it is released.", "Changes wait for the 8,000 lines of the switch", "Rollout 7 is held while it waits for this switch, which is in its ring pilots.",
		"<button>Hold edge-1 for maintenance</button>", `<a href="/switch/edge-1/release">`, " required ")
	form := url.Values{"csrf": {csrf(page)}, "reason": {" "}}
	if res, page := b.post("/switch/edge-1/hold", form); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "Give a reason.") {
		t.Errorf("without a reason: %d\n%s", res.StatusCode, page)
	}
	form.Set("reason", "new line card")
	if res, _ := b.post("/switch/edge-1/hold", form); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/switch/edge-1?asked=hold" {
		t.Errorf("hold: %d %v", res.StatusCode, res.Header)
	}
	_, page = b.get("/switch/edge-1?asked=hold")
	wantTexts(t, page, "The hold is stored. The controller of the switch has not confirmed it yet", `href="/switch/edge-1/release">Release</a>`)

	f.hold()
	_, page = b.get("/switch/edge-1?asked=hold")
	lacksTexts(t, page, "not confirmed it yet", "Hold for maintenance", "Ask the switch")
	wantTexts(t, page, `href="/switch/edge-1/release">Release</a>`, "There was no round of probes")
	_, page = b.get("/switch/edge-1?asked=release")
	wantTexts(t, page, "The hold has ended. The controller of the switch has not taken the switch up again yet.")
	_, page = b.get("/switch/edge-1/release")
	wantTexts(t, page, "Held by alice@isp.example since 2006-12-02 20:00:00 &#43;0900: new line card, OP25B-51", "brings it to revision 7. It was last brought to revision 6.", "(may be empty)")
	form.Set("reason", "")
	if res, _ := b.post("/switch/edge-1/release", form); res.StatusCode != http.StatusSeeOther {
		t.Errorf("release: %d", res.StatusCode)
	}
	if want := []string{"hold edge-1: new line card", "release edge-1: "}; !slices.Equal(f.held, want) {
		t.Errorf("the API got %q, want %q", f.held, want)
	}
	f.refused = connect.NewError(connect.CodeFailedPrecondition, errors.New("switch edge-1 is not held"))
	if res, page := b.post("/switch/edge-1/release", form); res.StatusCode != http.StatusConflict || !strings.Contains(page, "switch edge-1 is not held") {
		t.Errorf("a release that is refused: %d\n%s", res.StatusCode, page)
	}
	for _, path := range []string{"/switch/edge-1/prove", "/switch/edge-1/erase"} {
		if res, _ := b.get(path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if res, _ := b.post("/switch/edge-1/erase", form); res.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown verb: %d", res.StatusCode)
	}
}

// TestProbesOfASwitch verifies the last round of probes: how many packets, a packet that deviates with its entries, and why there was no answer.
func TestProbesOfASwitch(t *testing.T) {
	f := probed()
	const button = `<form method="post" action="/switch/edge-1/prove">`
	page := pageOf(t, f, "/switch/edge-1", "en")
	wantTexts(t, page, `<dd class="good"><strong>The switch would treat all of 412 packets as the documents demand.</strong></dd>`, "<dt>Last round</dt><dd>2006-12-02 20:58:00 &#43;0900</dd>",
		button, "Ask the switch about 10,000 packets now")
	f.list.Switches[0].Owner = "noc-2" // only the owner can ask it
	lacksTexts(t, pageOf(t, f, "/switch/edge-1", "en"), button)
	f.list.Switches[0].Probes.Failure = "the program is <older>"
	wantTexts(t, pageOf(t, f, "/switch/edge-1", "en"), `<dd class="unknown"><strong>The switch gave no answer`, "the program is &lt;older&gt;")
	f.list.Switches[0].Probes.Failure = ""
	f.deviate()
	page = pageOf(t, f, "/switch/edge-1", "en")
	wantTexts(t, page, `<dd class="bad"><strong>The switch would not treat 1 of 412 packets as the documents demand.</strong>`, "although it should have the entries\n    remote_v4 203.0.113.0/24", "Treat its tables as broken")
	if n := strings.Count(page, "although it should have the entries"); n != 1 {
		t.Errorf("the packet is shown %d times", n)
	}
	lacksTexts(t, page, button)
	// The failure outlives the state, for example after the switch was disconnected.
	s := f.list.Switches[0]
	s.State, s.Reason, s.Detail = op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE, "refused"
	s.Failure = &op25bv1.SwitchFailure{Reason: op25bv1.SwitchReason_SWITCH_REASON_DEVIATES, Detail: aDeviation}
	wantTexts(t, pageOf(t, f, "/switch/edge-1", "ja"), "照会した412件中1件が文書のとおりに扱われません。", "remote_v4 203.0.113.0/24", "refused")
}

// TestProveFromThePage verifies the result of a proof on a switch: the summary, the packets that deviate, the coverage of the tables, and the entries
// that no packet meets.
func TestProveFromThePage(t *testing.T) {
	f := probed()
	b := newBrowser(t, serve(t, siteOf(t, f)))
	_, page := b.get("/switch/edge-1")
	form := url.Values{"csrf": {csrf(page)}}
	res, page := b.post("/switch/edge-1/prove", form)
	if res.StatusCode != http.StatusOK {
		t.Errorf("%d", res.StatusCode)
	}
	wantTexts(t, page, "Of 10,000 packets, the switch would not treat 1 as the documents demand (revision 7, before).", "remote_v4 203.0.113.0/24", "op25b prove edge-1 --packets N",
		`<th scope="row">subscriber_v4</th><td class="n">65,536</td><td class="n">9,120</td><td class="n">13.9 %</td><td>yes</td>`, "longer prefixes cover all of it", "and 2 more")
	f.proof.Deviating, f.proof.Deviations, f.proof.All = 0, nil, true
	if _, page = b.post("/switch/edge-1/prove", form); !strings.Contains(page, "The switch would treat all of 10,000 packets as the documents demand") || strings.Contains(page, "--packets N") {
		t.Errorf("a switch as demanded:\n%s", page)
	}
	f.proof = nil
	if res, page := b.post("/switch/edge-1/prove", form); res.StatusCode != http.StatusConflict || !strings.Contains(page, "not in the wanted state") {
		t.Errorf("refused: %d\n%s", res.StatusCode, page)
	}
}
