package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/auth"
	"op25b/internal/client"
	"op25b/internal/web"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
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
			"<h1>Revision 3</h1>", "<dd>trial 3</dd>", "<dd>local</dd>", "<dd>spinnet-2006</dd>", `<a href="/changes/2">Revision 2</a>`, "This revision puts phases in force or back, as listed below. It changes no document.", "activations.json",
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

// TestLastVerification verifies that the page shows the last verification to everyone, without verifying the chain again, and that it claims
// nothing about records that were added since then or about a chain that is no longer the same.
func TestLastVerification(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC)
	hash := func(digit string) string { return strings.Repeat(digit, 64) }
	f := &auditAPI{head: &op25bv1.AuditHead{Seq: 120, Hash: hash("a")}}
	base := serve(t, auditSite(t, f, func() time.Time { return now }))
	b := newBrowser(t, base)
	_, page := b.get("/changes")
	wantTexts(t, page, `<p id="verified">The chain has not been verified from this page since the controller started.</p>`)
	wantTexts(t, page, "The head is the number and the hash of the newest record. Keep it elsewhere")
	_, page = b.get("/changes", "Accept-Language", "ja")
	wantTexts(t, page, "末尾とは、最新の記録の番号とハッシュです。")
	lacksTexts(t, page, "先頭")
	form := url.Values{"csrf": {csrf(page)}}
	shown := func(lang, want string) {
		t.Helper()
		_, page := newBrowser(t, base).get("/changes", "Accept-Language", lang)
		wantTexts(t, page, want)
	}
	f.result = &op25bv1.VerifyResponse{Intact: true, Head: f.head, Checkpoint: &op25bv1.AuditCheckpoint{Seq: 100}}
	b.post("/verify", form)
	shown("en", `<p id="verified">At 2026-11-29 21:20:00 &#43;0900, local verified the chain: records 101 to 120 were intact. No record was added since then.</p>`)
	shown("ja", "2026-11-29 21:20:00 &#43;0900にlocalが検証し、101番から120番までの記録は改変されていませんでした。 その後に追加された記録はありません。")
	f.head = &op25bv1.AuditHead{Seq: 121, Hash: hash("b")}
	shown("en", "Record 121 was added since then and is not verified.</p>")
	f.head = &op25bv1.AuditHead{Seq: 125, Hash: hash("c")}
	shown("en", "Records 121 to 125 were added since then and are not verified.</p>")
	for _, other := range []*op25bv1.AuditHead{{Seq: 119, Hash: hash("d")}, {Seq: 120, Hash: hash("e")}} {
		f.head = other
		shown("en", `<p id="verified" class="problem">At 2026-11-29 21:20:00 &#43;0900, local verified the chain: records 101 to 120 were intact. The chain no longer has record 120 as it was then.`)
	}
	if f.verified != 1 {
		t.Errorf("the chain was verified %d times, want once", f.verified)
	}
	// That the chain lacks a head which somebody entered does not mean that it was changed, if the records fit each other. But whoever comes
	// next must see it, because the chain can have been rewritten.
	f.result = &op25bv1.VerifyResponse{Intact: true, Head: &op25bv1.AuditHead{Seq: 120, Hash: hash("a")}, Checkpoint: &op25bv1.AuditCheckpoint{Seq: 100}}
	f.lacks = &op25bv1.VerifyResponse{BrokenAt: 107, Broken: "replaced"}
	for _, x := range []struct{ known, lang, want string }{
		{"107", "en", `<p class="problem" role="alert">The head that was entered is not that of record 107. The records themselves fit each other. Either the head was entered wrongly (it must be NUMBER HASH or NUMBER:HASH, as it was shown), or the chain was rewritten as a whole after the head was noted.</p>`},
		{"107", "ja", "入力された末尾は、107番の記録のものと一致しません。"},
		{"130", "en", "There is no record 130: the chain ends at record 120."},
		{"130", "ja", "130番の記録はありません。監査記録は120番で終わっています。"},
		{"99", "en", "Record 99 cannot be compared: the records up to number 100 are in an archive."},
		{"99", "ja", "99番の記録は照合できません。100番までの記録はアーカイブにあります。"},
	} {
		if x.known == "99" {
			f.lacks = nil // as the API answers, because it has nothing to compare
		}
		form.Set("known", x.known+" "+hash("f"))
		_, page = b.post("/verify", form, "Accept-Language", x.lang)
		wantTexts(t, page, x.want)
		lacksTexts(t, page, "The chain was changed", "改変されています", "contains the head", "を含みます", `class="notice good"`)
		shown("en", "were intact.")
		if x.known == "99" {
			continue
		}
		shown("en", `<p class="notice" id="odd-head">At 2026-11-29 21:20:00 &#43;0900, local entered the head of record `+x.known+", and this chain does not have it.")
		shown("ja", "localが入力した"+x.known+"番の記録の末尾は、この監査記録と一致しませんでした。")
	}
	form.Set("known", "120 "+hash("a"))
	_, page = b.post("/verify", form)
	wantTexts(t, page, "contains the head")
	lacksTexts(t, page, "odd-head")
	// A chain whose records do not fit each other was changed, whatever head was entered.
	f.result = &op25bv1.VerifyResponse{BrokenAt: 7, Broken: "removed"}
	_, page = b.post("/verify", form)
	wantTexts(t, page, `The chain was changed. The first wrong record is number 7: <span lang="en">removed</span>`)
	form.Del("known")
	now = now.Add(time.Minute)
	b.post("/verify", form)
	shown("en", `<p id="verified" class="problem">At 2026-11-29 21:21:00 &#43;0900, local verified the chain: it was changed. The first wrong record is number 7: <span lang="en">removed</span></p>`)
}

// An auditAPI is an API with an audit chain that a test makes up.
type auditAPI struct {
	op25bv1connect.UnimplementedAuditServiceHandler
	fakeAPI
	head     *op25bv1.AuditHead
	result   *op25bv1.VerifyResponse
	lacks    *op25bv1.VerifyResponse // the answer to a request with a head; nil means result
	verified int                     // the number of verifications
}

func (f *auditAPI) ListRecords(context.Context, *connect.Request[op25bv1.ListRecordsRequest]) (*connect.Response[op25bv1.ListRecordsResponse], error) {
	return connect.NewResponse(&op25bv1.ListRecordsResponse{Head: f.head, UtcOffset: "+09:00"}), nil
}

func (f *auditAPI) Verify(_ context.Context, q *connect.Request[op25bv1.VerifyRequest]) (*connect.Response[op25bv1.VerifyResponse], error) {
	f.verified++
	if len(q.Msg.Known) > 0 && f.lacks != nil {
		return connect.NewResponse(f.lacks), nil
	}
	return connect.NewResponse(f.result), nil
}

func (f *auditAPI) History(context.Context, *connect.Request[op25bv1.HistoryRequest]) (*connect.Response[op25bv1.HistoryResponse], error) {
	return connect.NewResponse(&op25bv1.HistoryResponse{UtcOffset: "+09:00"}), nil
}

func auditSite(t *testing.T, f *auditAPI, now func() time.Time) *web.Site {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(op25bv1connect.NewAuditServiceHandler(f))
	mux.Handle(op25bv1connect.NewIntentServiceHandler(f))
	site, err := web.New(web.Config{
		API: mux, Now: now, Identify: func(*http.Request) (auth.Caller, error) { return auth.Caller{Who: "local", Role: auth.Viewer}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return site
}

// TestVerifyChain verifies that a person can have the audit chain verified, alone and with a head that was kept.
func TestVerifyChain(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/changes")
	head := regexp.MustCompile(`<code>(\d+) ([0-9a-f]{64})</code>`).FindStringSubmatch(page)
	if head == nil {
		t.Fatalf("no head:\n%s", page)
	}
	form := url.Values{"csrf": {csrf(page)}}
	for known, want := range map[string]string{
		"":                              "The chain is intact up to record " + head[1] + ": " + head[2] + ". Without a head that was kept elsewhere, it cannot be noticed that a chain was rewritten as a whole.",
		head[1] + " " + head[2]:         "contains the head " + head[1] + " " + head[2],
		head[1] + " 0000" + head[2][4:]: "The head that was entered is not that of record " + head[1] + ". The records themselves fit each other.",
		head[1] + ":" + head[2]:         "contains the head " + head[1] + ":" + head[2],
		"99 " + head[2]:                 "There is no record 99: the chain ends at record " + head[1] + ".",
	} {
		form.Set("known", known)
		if res, page := b.post("/verify", form); res.StatusCode != http.StatusOK || !strings.Contains(page, want) || !strings.Contains(page, `<a href="/changes">Load again</a>`) {
			t.Errorf("head %q: %d, no %s:\n%s", known, res.StatusCode, want, page)
		}
	}
	for _, known := range []string{"nonsense", "12", "0 " + head[2], "x " + head[2], "1 abc"} {
		form.Set("known", known)
		if res, page := b.post("/verify", form); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "A head is a number, a space or a colon, and a hash of 64 hexadecimal digits.") {
			t.Errorf("head %q: %d\n%s", known, res.StatusCode, page)
		}
	}
}
