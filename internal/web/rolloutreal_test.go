package web_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"op25b/examples"
	"op25b/internal/auth"
	"op25b/internal/client"
	"op25b/internal/controller"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestRolloutOfAController starts a rollout on a real controller from the page, and steers it. A viewer sees it, is offered no command, and can give
// none. No form has an effect without its csrf value, and each command is in the audit chain with the person.
func TestRolloutOfAController(t *testing.T) {
	files := examples.LibmoMobile()
	base, apiAddr, tokens := withTokensAndAPI(t, func(c *controller.Config) { c.First = files })
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(tokens[auth.Operator]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	api, err := client.New(client.Config{Server: apiAddr, TokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	const rings = "apiVersion: op25b/v1\nkind: Rings\nrings:\n  - {name: first, switches: [edge-east], soak: 30m}\n  - {name: others, rest: true, soak: 2h}\n"
	viewer, operator := signedIn(t, base, tokens[auth.Viewer]), signedIn(t, base, tokens[auth.Operator])
	_, page := viewer.get("/rollout")
	lacksTexts(t, page, "/rollout/start")
	start := url.Values{"csrf": {csrf(page)}, "phase": {"all-destinations"}, "rings": {strings.ReplaceAll(rings, "edge-east", "edge-eats")}}
	for _, reason := range []string{"", "because"} { // the question, and the start
		if reason != "" {
			start.Set("reason", reason)
		}
		if res, page := viewer.post("/rollout/start", start); res.StatusCode != http.StatusForbidden {
			t.Errorf("a start by a viewer: %d\n%s", res.StatusCode, page)
		}
	}
	if res, _ := viewer.get("/rollout/start"); res.StatusCode != http.StatusForbidden {
		t.Errorf("the form of a start for a viewer: %d", res.StatusCode)
	}
	start.Del("reason")
	_, page = operator.get("/rollout/start")
	start.Set("csrf", csrf(page))
	if res, page := operator.post("/rollout/start", start); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "did you mean &#34;edge-east&#34;?") {
		t.Errorf("a mistake in the rings: %d\n%s", res.StatusCode, page)
	}
	start.Set("rings", rings)
	if res, page := operator.post("/rollout/start", start); res.StatusCode != http.StatusOK || !strings.Contains(page, "in 2 rings to 3 switches</button>") {
		t.Errorf("the question before a start: %d\n%s", res.StatusCode, page)
	}
	if _, err := api.Rollout.Show(t.Context(), connect.NewRequest(&op25bv1.ShowRolloutRequest{})); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a question started a rollout: %v", err)
	}
	start.Set("reason", "OP25B-41")
	if res, page := operator.post("/rollout/start", start); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("start: %d\n%s", res.StatusCode, page)
	}
	// The page is drawn when the watch of the store reports the rollout, which may be after the answer to the start.
	for late := time.Now().Add(time.Minute); ; {
		if _, page = viewer.get("/rollout"); strings.Contains(page, "<strong>measuring</strong>") || time.Now().After(late) {
			break
		}
	}
	wantTexts(t, page, "<strong>measuring</strong>", "operator-1: OP25B-41", `<span aria-hidden="true">○</span> first`)
	lacksTexts(t, page, `id="rollout-verbs"`, "/rollout/pause", "/rollout/abort")
	_, page = operator.get("/rollout")
	wantTexts(t, page, `href="/rollout/pause"`, `href="/rollout/abort"`)
	_, mine := viewer.get("/check")
	for _, verb := range []string{"pause", "resume", "abort"} {
		if res, page := viewer.get("/rollout/" + verb); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "requires the role operator") {
			t.Errorf("the question before %s by a viewer: %d\n%s", verb, res.StatusCode, page)
		}
		if res, _ := viewer.post("/rollout/"+verb, url.Values{"csrf": {csrf(mine)}, "reason": {"because"}, "since": {"1"}}); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s by a viewer: %d", verb, res.StatusCode)
		}
	}
	for _, f := range postForms(t, operator, "/rollout/pause", "/rollout/abort") {
		if !strings.HasPrefix(f.action, "/rollout/") {
			continue
		}
		f.fields.Set("reason", "because")
		for _, value := range []string{"", csrf(mine)} {
			f.fields.Set("csrf", value)
			if res, _ := operator.post(f.action, f.fields); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s with the csrf value %q: %d", f.action, value, res.StatusCode)
			}
		}
		if res, _ := operator.post(f.action, f.fields, "Origin", "https://evil.example"); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site: %d", f.action, res.StatusCode)
		}
	}
	for _, step := range []struct{ verb, want string }{{"pause", "paused"}, {"resume", "measuring"}, {"abort", "going-back"}} {
		var form *postForm
		for _, f := range postForms(t, operator, "/rollout/"+step.verb) {
			if f.action == "/rollout/"+step.verb {
				form = &f
			}
		}
		if form == nil {
			t.Fatalf("there is no form for %s", step.verb)
		}
		form.fields.Set("reason", "to "+step.verb)
		if res, page := operator.post(form.action, form.fields); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %d\n%s", step.verb, res.StatusCode, page)
		}
		if res, page := operator.post(form.action, form.fields); res.StatusCode != http.StatusConflict { // the same form again: the state has changed
			t.Errorf("%s twice: %d\n%s", step.verb, res.StatusCode, page)
		}
		shown, err := api.Rollout.Show(t.Context(), connect.NewRequest(&op25bv1.ShowRolloutRequest{}))
		if err != nil || shown.Msg.Rollout.Note != "to "+step.verb || strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(shown.Msg.Rollout.State.String(), "ROLLOUT_STATE_")), "_", "-") != step.want {
			t.Errorf("after %s: %v, %v", step.verb, shown.Msg, err)
		}
	}
	_, page = operator.get("/changes")
	wantTexts(t, page, "rollout paused", "rollout going-back", "to pause", "to abort", "operator-1")
}
