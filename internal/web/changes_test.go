package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

// revisions stores revisions up to the given number, each by an activation.
func revisions(t *testing.T, addr string, from, to uint64) {
	t.Helper()
	api, err := client.New(client.Config{Server: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	for n := from; n < to; n++ {
		stream, err := api.Phase.Activate(t.Context(), connect.NewRequest(&op25bv1.ActivateRequest{
			Phase: []string{"before", "mobile-carriers"}[n%2], Groups: []string{"adsl", "isdn"}, Base: n, Reason: fmt.Sprintf("trial %d", n+1), NoWait: true, UntilNextDate: n == to-1,
		}))
		if err != nil {
			t.Fatal(err)
		}
		for stream.Receive() {
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// link returns the target of the link with a text.
func link(page, text string) string {
	for _, m := range regexp.MustCompile(`<a href="([^"]+)">([^<]+)</a>`).FindAllStringSubmatch(page, -1) {
		if m[2] == text {
			return strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	return ""
}

// rows returns the numbers in the first column of a table.
func rows(page, section string) (all []string) {
	_, rest, _ := strings.Cut(page, `<h2 id="`+section+`">`)
	body, _, _ := strings.Cut(rest, "</section>")
	for _, m := range regexp.MustCompile(`<th scope="row">(?:<a href="/changes/\d+">)?(\d+)`).FindAllStringSubmatch(body, -1) {
		all = append(all, m[1])
	}
	return all
}

// TestChangesInPages verifies that the history and the audit chain are shown in pages, the newest first, that together show everything, and that the
// filter of the audit chain stays on the next pages.
func TestChangesInPages(t *testing.T) {
	base, addr := siteAndAPI(t, nil)
	revisions(t, addr, 1, 60)
	b := newBrowser(t, base)
	for _, list := range []struct {
		section, older, first string
		last                  int
	}{{"h-history", "Older revisions", "/changes", 60}, {"h-audit", "Older records", "/changes", 60}, {"h-audit", "Older records", "/changes?verb=ACT&who=loc", 59}} {
		var got []string
		path := list.first
		for pages := 0; path != "" && pages < 5; pages++ {
			res, page := b.get(path)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%s: %d\n%s", path, res.StatusCode, page)
			}
			some := rows(page, list.section)
			if len(some) > 25 {
				t.Errorf("%s: %d rows", path, len(some))
			}
			got = append(got, some...)
			path, _, _ = strings.Cut(link(page, list.older), "#")
		}
		var want []string
		for n := 60; n > 60-list.last; n-- {
			want = append(want, fmt.Sprint(n))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s from %s: %v", list.section, list.first, got)
		}
	}
	if _, page := b.get("/changes?who=nobody"); !strings.Contains(page, "No record matches.") || link(page, "Newest records") == "" {
		t.Errorf("a filter without a match:\n%s", page)
	}
	for path, want := range map[string]string{"/changes?before=x": "before &#34;x&#34;: must be a number", "/changes?record=-1": "record &#34;-1&#34;: must be a number"} {
		if res, page := b.get(path); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, want) {
			t.Errorf("%s: %d\n%s", path, res.StatusCode, page)
		}
	}
	if res, page := b.get("/changes?who=" + strings.Repeat("x", 129)); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "must be at most 128") {
		t.Errorf("a long filter: %d\n%s", res.StatusCode, page)
	}
}

// TestRevision verifies the page of a revision: who, when, why, what changed, and the activations.
func TestRevision(t *testing.T) {
	base, addr := siteAndAPI(t, nil)
	revisions(t, addr, 1, 3)
	b := newBrowser(t, base)
	for path, want := range map[string][]string{
		"/changes/1": {
			"<h1>Revision 1</h1>", `<a href="/changes/2">Revision 2</a>`, `<h3>examples/spinnet-2006/policy.yaml <span class="what">added</span></h3>`, "<h3>examples/spinnet-2006/inventory.yaml",
			`<span class="added">&#43;kind: Policy`, "Documents that the controller creates", "numbers.json", "No phase has been activated.",
		},
		"/changes/3": {
			"<h1>Revision 3</h1>", "<dd>trial 3</dd>", "<dd>local</dd>", "<dd>spinnet-2006</dd>", `<a href="/changes/2">Revision 2</a>`, "No document changed.", "activations.json",
			"<td>before, until the next date</td><td>adsl, isdn</td><td>local</td><td>trial 3</td><td>this revision</td>",
			"<td>mobile-carriers</td><td>adsl, isdn</td><td>local</td><td>trial 2</td><td>an earlier revision</td>",
		},
	} {
		res, page := b.get(path)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s lacks %s:\n%s", path, text, page)
			}
		}
	}
	if _, page := b.get("/changes/3"); link(page, "Revision 4") != "" || link(page, "Revision 3") != "" {
		t.Error("the newest revision has a link to a later one")
	}
	for _, path := range []string{"/changes/4", "/changes/0", "/changes/x", "/changes/-1", "/changes/99999999999999999999"} {
		if res, page := b.get(path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d\n%s", path, res.StatusCode, page)
		}
	}
}

// TestVerifyChain verifies that an operator can have the audit chain verified, alone and with a head that was kept.
func TestVerifyChain(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/changes")
	head := regexp.MustCompile(`<code>(\d+) ([0-9a-f]{64})</code>`).FindStringSubmatch(page)
	if head == nil {
		t.Fatalf("no head:\n%s", page)
	}
	form := url.Values{"csrf": {csrf(page)}}
	for known, want := range map[string]string{
		"":                              "The chain is intact up to record " + head[1] + ": " + head[2],
		head[1] + " " + head[2]:         "contains the head " + head[1] + " " + head[2],
		head[1] + " 0000" + head[2][4:]: "The chain was changed. The first wrong record is number " + head[1],
	} {
		form.Set("known", known)
		if res, page := b.post("/verify", form); res.StatusCode != http.StatusOK || !strings.Contains(page, want) || !strings.Contains(page, `<a href="/changes">Load again</a>`) {
			t.Errorf("head %q: %d, no %s:\n%s", known, res.StatusCode, want, page)
		}
	}
	for _, known := range []string{"nonsense", "12", "x " + head[2]} {
		form.Set("known", known)
		if res, page := b.post("/verify", form); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "A head is a number, a space and a hash.") {
			t.Errorf("head %q: %d\n%s", known, res.StatusCode, page)
		}
	}
}
