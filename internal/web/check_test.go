package web_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/chromedp/chromedp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"op25b/internal/auth"
	"op25b/internal/client"
	"op25b/internal/controller"
	"op25b/internal/page/pagetest"
	op25bv1 "op25b/proto/op25b/v1"
)

// customersPart returns the part of an answer that is for the customer, and the part for the engineer.
func customersPart(t *testing.T, page string) (customer, engineer string) {
	t.Helper()
	_, answer, found := strings.Cut(html.UnescapeString(page), `id="h-answer"`)
	if !found {
		t.Fatalf("the page has no answer:\n%s", page)
	}
	customer, engineer, found = strings.Cut(answer, "<details")
	if !found {
		t.Fatalf("the answer has no part for the engineer:\n%s", answer)
	}
	return customer, engineer
}

// TestCheck sends questions to the pipeline in the same way as the support desk.
func TestCheck(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/check")
	form := url.Values{"csrf": {csrf(page)}, "ticket": {"DESK-1"}, "line": {"adsl-home"}, "to": {"203.0.113.25"}, "port": {"25"}, "at": {"2006-12-01"}}
	_, answer := b.post("/check", form)
	customer, engineer := customersPart(t, answer)
	for _, want := range []string{"For 2006-12-01.", "Connections from this line to 203.0.113.25, port 25, are stopped.", "The policy dates this from 1 June 2006, but was stored only at ", "465 or 587"} {
		if !strings.Contains(customer, want) {
			t.Errorf("the customer's part lacks %q:\n%s", want, customer)
		}
	}
	for _, want := range []string{"<dd>1</dd>", `<a href="/switch/edge-1">`, "No switch can confirm", "smtp-carrier", "remote_v4"} {
		if !strings.Contains(engineer, want) {
			t.Errorf("the engineer's part lacks %q:\n%s", want, engineer)
		}
	}
	if strings.Contains(customer, "smtp-carrier") {
		t.Errorf("the customer's part has the rule:\n%s", customer)
	}
	form.Del("at")
	_, answer = b.post("/check", form)
	if customer, engineer := customersPart(t, answer); !strings.Contains(customer, "The switch has not confirmed this yet.") || !strings.Contains(engineer, "Not confirmed. The switch was never seen.") {
		t.Errorf("an answer for an unreachable switch:\n%s\n%s", customer, engineer)
	}
	form.Set("port", "0")
	if _, page := b.post("/check", form); !strings.Contains(page, `The port must be a number from 1 to 65535, and not “0”.`) || strings.Contains(page, "h-answer") {
		t.Errorf("a wrong port:\n%s", page)
	}
	mail := url.Values{"csrf": {csrf(page)}, "ticket": {"DESK-2"}, "line": {"adsl-home"}, "mail": {"secret@gmail.com"}, "at": {"2006-12-01"}}
	_, answer = b.post("/check", mail)
	if customer, _ := customersPart(t, answer); !strings.Contains(customer, "smtp.gmail.com") || !strings.Contains(customer, "gmail.com are affected only if the mail program sends on port 25. With port 465 or 587 it works. In a browser") || strings.Contains(customer, "secret") {
		t.Errorf("no settings:\n%s", customer)
	}
	_, changes := b.get("/changes")
	for _, want := range []string{"check line adsl-home", "DESK-1", "DESK-2"} {
		if !strings.Contains(changes, want) {
			t.Errorf("the audit chain lacks %q:\n%s", want, changes)
		}
	}
	if strings.Contains(changes, "gmail.com") || strings.Contains(changes, "203.0.113.25") {
		t.Errorf("the audit chain has an address of a question:\n%s", changes)
	}
	form.Set("csrf", "wrong")
	if res, _ := b.post("/check", form); res.StatusCode != http.StatusForbidden {
		t.Errorf("without the csrf value: %d", res.StatusCode)
	}
}

// TestCheckNeedsTicket verifies that the form requires a ticket from people who sign in, and shows the API's error if it is missing.
func TestCheckNeedsTicket(t *testing.T) {
	secret, entry, err := auth.NewToken("desk", auth.Viewer, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "access.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, "apiVersion: op25b/v1\nkind: Access\ntokens:\n  - {name: desk, role: viewer, sha256: %s}\n", entry.SHA256), 0o600); err != nil {
		t.Fatal(err)
	}
	access, err := auth.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	const required = `name="ticket" value="" maxlength="64" required`
	b := newBrowser(t, site(t, nil))
	if _, page := b.get("/check"); strings.Contains(page, required) {
		t.Errorf("on this host without an access file, a ticket is required:\n%s", page)
	}
	b = newBrowser(t, site(t, func(c *controller.Config) { c.Auth.Access = access }))
	b.post("/signin", url.Values{"token": {secret}})
	_, page := b.get("/check")
	if !strings.Contains(page, required) {
		t.Errorf("the form does not require a ticket:\n%s", page)
	}
	form := url.Values{"csrf": {csrf(page)}, "line": {"adsl-home"}, "to": {"203.0.113.25"}, "port": {"25"}}
	if _, page := b.post("/check", form); !strings.Contains(page, "a look-up of a line requires a ticket") || strings.Contains(page, "h-answer") {
		t.Errorf("without a ticket:\n%s", page)
	}
}

// TestCheckBoth verifies that a question with a server and a mail address has both answers, also if one of them has none.
func TestCheckBoth(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/check")
	form := url.Values{"csrf": {csrf(page)}, "line": {"adsl-home"}, "to": {"203.0.113.25"}, "port": {"25"}, "mail": {"a@gmail.com"}, "at": {"2006-12-01"}}
	_, page = b.post("/check", form)
	for _, want := range []string{`<h2 id="h-answer">Answer about the server</h2>`, "203.0.113.25, port 25, are stopped", `<h2 id="h-answer-1">Answer about the mailbox</h2>`, "only if the mail program sends on port 25"} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %q:\n%s", want, page)
		}
	}
	form.Set("mail", "a@@b")
	if _, page = b.post("/check", form); !strings.Contains(page, "port 25, are stopped") || strings.Count(page, `class="problem"`) != 1 || strings.Contains(page, "Answer about the mailbox") {
		t.Errorf("with an invalid mail address:\n%s", page)
	}
	form.Set("line", "nobody")
	form.Set("mail", "a@gmail.com")
	if _, page = b.post("/check", form); strings.Count(page, `class="problem"`) != 1 {
		t.Errorf("an unknown line is reported twice:\n%s", page)
	}
}

// TestCheckWithoutDNS verifies the words for a DNS that could not be asked.
func TestCheckWithoutDNS(t *testing.T) {
	e := connect.NewError(connect.CodeFailedPrecondition, errors.New("network is unreachable"))
	detail, err := connect.NewErrorDetail(&errdetails.ErrorInfo{Reason: "DNS", Domain: "op25b"})
	if err != nil {
		t.Fatal(err)
	}
	e.AddDetail(detail)
	f := &fakeAPI{refusal: e}
	b := newBrowser(t, serve(t, siteOf(t, f)))
	_, page := b.get("/check")
	form := url.Values{"csrf": {csrf(page)}, "line": {"adsl-home"}, "to": {"mx.example"}, "port": {"25"}}
	f.mailAnswer = &op25bv1.CheckMailResponse{}
	for lang, want := range map[string]string{"en": "Our DNS could not be asked about “mx.example”", "ja": "名前の代わりにアドレスを入力してください。"} {
		if _, page := b.post("/check", form, "Accept-Language", lang); !strings.Contains(page, want) || strings.Contains(page, "unreachable") {
			t.Errorf("%s lacks %q:\n%s", lang, want, page)
		}
	}
	f.refusal = nil
	f.answer = &op25bv1.CheckResponse{Outcome: "delivered", Best: "delivered", Notes: []string{`our DNS could not be asked about "mx.example": the outcome is the same for every server, and 192.88.99.254 stands for it (no route)`}}
	for lang, want := range map[string]string{"en": "the example address 192.88.99.254 stands for it", "ja": "例示用のアドレス 192.88.99.254"} {
		_, page := b.post("/check", form, "Accept-Language", lang)
		if customer, _ := customersPart(t, page); !strings.Contains(customer, want) || strings.Contains(customer, "no route") {
			t.Errorf("%s lacks %q:\n%s", lang, want, customer)
		}
	}
}

// TestCheckLease verifies the words for a connection that passes after a login.
func TestCheckLease(t *testing.T) {
	f := &fakeAPI{}
	b := newBrowser(t, serve(t, siteOf(t, f)))
	_, page := b.get("/check")
	form := url.Values{"csrf": {csrf(page)}, "line": {"adsl-home"}, "to": {"198.51.100.25"}, "port": {"587"}}
	for note, want := range map[string][2]string{
		`with lease "login" the connection passes: a POP3 or IMAP login opens it to the line for 10m, and further logins for at most 30m`: {
			"after a POP3 or IMAP login (lease login): for 10m, and with further logins for at most 30m", "ログインすると、10m の間は接続できます（一時許可 login）。",
		},
		`with lease "login" the connection passes: a POP3 or IMAP login inside TLS opens it to the address for 10m, and further logins for at most 30m`: {
			"after a POP3 or IMAP login inside TLS (lease login): for 10m", "TLSで暗号化したPOP3またはIMAPでログインすると、10m の間は接続できます（一時許可 login）。",
		},
	} {
		f.answer = &op25bv1.CheckResponse{Outcome: "rejected", Best: "rejected", Notes: []string{note}}
		for i, lang := range []string{"en", "ja"} {
			_, page := b.post("/check", form, "Accept-Language", lang)
			if customer, _ := customersPart(t, page); !strings.Contains(customer, want[i]) {
				t.Errorf("%s lacks %q:\n%s", lang, want[i], customer)
			}
		}
	}
}

// TestCheckForm verifies the choice of a switch for an address of no line, the note about it under the verdict, and the sentences about what is
// missing in a question, in both languages.
func TestCheckForm(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/check")
	if !strings.Contains(page, `name="port" value="25"`) || strings.Contains(page, `name="switch"`) {
		t.Errorf("the form for one switch:\n%s", page)
	}
	token := csrf(page)
	for _, c := range []struct {
		form   url.Values
		en, ja string
	}{
		{url.Values{"to": {"203.0.113.25"}, "port": {"25"}}, "Enter the name of the line, or its address.", "回線の名前またはアドレスを入力してください。"},
		{url.Values{"line": {"adsl-home"}, "port": {"25"}}, "Enter a server and its port, or a mail address.", "サーバーとポート、またはメールアドレスを入力してください。"},
		{url.Values{"line": {"adsl-home"}, "mail": {"a@gmail.com"}, "port": {"587"}}, "The port 587 needs a server.", "ポート587を調べるには、サーバーも入力してください。"},
		{url.Values{"line": {"adsl-home"}, "to": {"203.0.113.25"}}, "Enter the port of the server,", "サーバーのポート番号を入力してください"},
		{url.Values{"line": {"adsl-home"}, "to": {"203.0.113.25"}, "port": {"65536"}}, "The port must be a number from 1 to 65535, and not “65536”.", "入力：「65536」"},
		{url.Values{"from": {"192.0.2"}, "to": {"203.0.113.25"}, "port": {"25"}}, "must be an IPv4 or IPv6 address, and not “192.0.2”.", "入力：「192.0.2」"},
		{url.Values{"from": {"10.9.9.9"}, "to": {"203.0.113.25"}, "port": {"25"}, "at": {"2006-12-01"}}, `No line of the inventory has the address 10.9.9.9.`, "アドレス 10.9.9.9 の回線は登録されていません。"},
	} {
		c.form.Set("csrf", token)
		for lang, want := range map[string]string{"en": c.en, "ja": c.ja} {
			if _, page := b.post("/check", c.form, "Accept-Language", lang); !strings.Contains(strings.Split(page, "<details")[0], want) {
				t.Errorf("%v in %s lacks %q:\n%s", c.form, lang, want, page)
			}
		}
	}
	f := &fakeAPI{
		phases: &op25bv1.ListPhasesResponse{UtcOffset: "+09:00"},
		list:   &op25bv1.ListSwitchesResponse{Switches: []*op25bv1.SwitchStatus{{Switch: "edge-west"}, {Switch: "edge-east"}}},
	}
	if _, page := newBrowser(t, serve(t, siteOf(t, f))).get("/check"); !strings.Contains(page, `<option>edge-east</option><option>edge-west</option></select>`) {
		t.Errorf("the form for two switches:\n%s", page)
	}
}

// TestCheckInBrowser asks a question by clicks, in both languages and at all widths, and checks the page with the answer against the rules. The
// engineer's part is closed at first, and is opened by the keyboard.
func TestCheckInBrowser(t *testing.T) {
	base, addr := siteAndAPI(t, nil)
	ctx, faults := pagetest.Chromium(t)
	for _, r := range []pagetest.Reader{{Lang: "en", Width: 320}, {Lang: "ja", Dark: true, Width: 768}, {Lang: "ja", Width: 1920, NoScript: true}} {
		r.ReducedMotion = true
		pagetest.As(t, ctx, r)
		pagetest.Open(t, ctx, base+"/check")
		for id, text := range map[string]string{"ticket": "DESK-4711", "line": "adsl-bot", "to": "203.0.113.25", "at": "2006-12-01"} {
			if err := chromedp.Do(ctx, chromedp.SendKeys(chromedp.ID(id), text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS("form.ask button")), chromedp.WaitVisible(chromedp.ID("h-answer"))); err != nil {
			t.Fatal(err)
		}
		bad := pagetest.Tree(t, ctx).Faults()
		for _, rules := range []string{pagetest.Rules, pagetest.Moving} {
			bad = append(bad, pagetest.Evaluate[[]string](t, ctx, rules)...)
		}
		for _, b := range bad {
			t.Errorf("%+v: %s", r, b)
		}
		if pagetest.Evaluate[bool](t, ctx, `document.querySelector("details").open || document.querySelector("pre.words").checkVisibility()`) {
			t.Errorf("%+v: the engineer's part is open at first", r)
		}
		pagetest.Evaluate[bool](t, ctx, `document.querySelector("summary").focus(); true`)
		if err := chromedp.Do(ctx, chromedp.KeyEvent("\r")); err != nil {
			t.Fatal(err)
		}
		if !pagetest.Evaluate[bool](t, ctx, `document.querySelector("pre.words").checkVisibility()`) {
			t.Errorf("%+v: the enter key does not open the engineer's part", r)
		}
		for _, b := range pagetest.Evaluate[[]string](t, ctx, pagetest.Rules) {
			t.Errorf("%+v, opened: %s", r, b)
		}
	}
	for _, f := range faults() {
		t.Errorf("console: %s", f)
	}
	c, err := client.New(client.Config{Server: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	records, err := client.Ask(context.Background(), 0, c.Audit.ListRecords, &op25bv1.ListRecordsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, r := range records.Records {
		if r.Verb == "check" && r.Object == "line adsl-bot" && r.Reason == "DESK-4711" {
			looked++
		}
	}
	if looked != 3 {
		t.Errorf("%d look-ups are recorded, want 3", looked)
	}
}
