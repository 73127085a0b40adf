package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"op25b/internal/policy"
	"op25b/internal/portal"
	"op25b/internal/portal/published"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestPages verifies that every page is served in both languages with the security headers, and without a script.
func TestPages(t *testing.T) {
	r := start(t, "2006-07-01", nil)
	for path, texts := range map[string][2]string{
		"/":          {"Does port 25 blocking affect you?", "影響"},
		"/test":      {"Check my connection", "接続の確認"},
		"/programme": {"1 October 2006", "2006年10月1日"},
	} {
		for i, lang := range []string{"en", "ja"} {
			res, page := r.browser(lang).get(path)
			want(t, path+" in "+lang, page, texts[i], `<html lang="`+lang+`"`, "<h1>")
			csp := res.Header.Get("Content-Security-Policy")
			if res.StatusCode != http.StatusOK || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %d, headers %v", path, res.StatusCode, res.Header)
			}
			if len(res.Cookies()) != 0 {
				t.Errorf("%s sets the cookies %v", path, res.Cookies())
			}
			for _, bad := range []string{"<script", " style=", " onclick=", "ZgotmplZ", "%!", "[start", "<no value>"} {
				if strings.Contains(page, bad) {
					t.Errorf("%s has %s", path, bad)
				}
			}
		}
	}
	b := r.browser("en")
	for path, code := range map[string]int{"/nowhere": 404, "/a/12345678": 404, "/a/x": 404, "/find?code=12345678": 404, "/assets/portal.css": 200, "/assets/..%2fportal.go": 404} {
		if res, page := b.get(path); res.StatusCode != code {
			t.Errorf("%s: %d, want %d\n%s", path, res.StatusCode, code, page)
		}
	}
	for _, path := range []string{"/", "/a/12345678", "/programme", "/find"} {
		if res, _ := b.post(path, nil); res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, res.StatusCode)
		}
	}
	if res, page := b.get("/", "Host", "evil.example"); res.StatusCode != http.StatusMisdirectedRequest || !strings.Contains(page, "--host") {
		t.Errorf("another host: %d, %s", res.StatusCode, page)
	}
}

// TestLanguage verifies that ?lang= chooses the language, keeps it in the only cookie, and that the cookie holds nothing else.
func TestLanguage(t *testing.T) {
	r := start(t, "2006-07-01", nil)
	b := r.browser("en")
	res, page := b.get("/programme?lang=ja")
	want(t, "?lang=ja", page, `<html lang="ja"`, `href="/programme?lang=en"`)
	if c := res.Cookies(); len(c) != 1 || c[0].Name != "op25b-language" || c[0].Value != "ja" || !c[0].HttpOnly {
		t.Errorf("cookies: %v", c)
	}
	_, page = b.get("/")
	want(t, "with the cookie", page, `<html lang="ja"`)
	res, page = b.get("/?lang=<script>")
	want(t, "another language", page, `<html lang="ja"`)
	if len(res.Cookies()) != 0 {
		t.Errorf("cookies: %v", res.Cookies())
	}
}

// TestAnswers asks for each use under each phase, as a visitor does, and reads the answer.
func TestAnswers(t *testing.T) {
	aloneInShort(t)
	for _, tc := range []struct {
		at   string
		form url.Values
		want []string
	}{
		{"2006-05-20", url.Values{"line": {"adsl"}, "use": {"webmail"}}, []string{"影響はありません", "設定の変更は必要ありません", "メールソフトは、これに含まれません"}},
		{"2006-05-20", url.Values{"line": {"adsl"}, "use": {"provider"}, "provider": {"biglobe"}}, []string{"2006年10月1日から影響があります", "mail.biglobe.ne.jp", "465", "SSL/TLS", "Thunderbird"}},
		{"2006-12-01", url.Values{"line": {"adsl"}, "use": {"provider"}, "provider": {"fastmail"}}, []string{"2026年11月29日に提供元のページと照合しました", "すでに465番なら、変更は必要ありません。"}},
		{"2006-07-01", url.Values{"line": {"adsl"}, "use": {"server"}}, []string{"2006年6月1日から、一部の相手への送信に影響があります", "送信できません", "当社のメールサーバー"}},
		{"2006-12-01", url.Values{"line": {"adsl"}, "use": {"provider"}, "mail": {"taro@gmail.com"}}, []string{"影響があります", "smtp.gmail.com", "587", "STARTTLS", "2006年10月1日から（規制方針）", "実施されていることを確認しました", "ブラウザーまたは提供元の公式アプリでご利用の場合、影響はありません", "次のどちらか一方だけを設定してください", "おすすめの設定", "または（メールソフトで465番を選べない場合だけ）", "ご使用ください。</p>", "<li>SMTP認証を有効にします。ユーザー名とパスワードを入力します。認証方式にOAuth2がある", "ポート番号を587にし", "2026年11月29日に提供元の技術資料と照合しました", `href="https://support.google.com/mail/answer/7126229"`}},
		{"2006-12-01", url.Values{"line": {"mobile"}, "use": {"provider"}, "mail": {"＠ｇｍａｉｌ．ｃｏｍ"}}, nil}, // no local part
		{"2006-12-01", url.Values{"line": {"mobile"}, "use": {"provider"}, "mail": {"company.invalid"}}, []string{"影響があります", "そのメール担当者）にご確認のうえ", "提供元または会社のメール担当者が案内するサーバー"}},
		{"2006-12-01", url.Values{"line": {"bflets"}, "use": {"own:own"}}, []string{"影響はありません", "これまでどおり接続できます", "<dd class=\"host\">smtp.isp.example</dd>", "<dd>465</dd>", "<dd>587</dd>"}},
		{"2006-12-01", url.Values{"line": {"adsl"}, "use": {"server"}}, []string{"影響があります", "中継できるか"}},
		{"2006-05-20", url.Values{"line": {"adsl"}, "use": {"server"}}, []string{"2006年6月1日から影響があります", "お願い：2006年6月1日より前に、SMTP認証に対応した"}},
		{"2006-12-01", url.Values{"line": {"adsl"}, "use": {"provider"}, "provider": {"au"}}, []string{"影響があります", "お願い：公式アプリまたはブラウザーをご利用ください"}},
	} {
		r := start(t, tc.at, nil)
		b := r.browser("ja")
		if tc.want == nil {
			if res, page := b.post("/affected", tc.form); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, "形式が正しくありません") {
				t.Errorf("%v: %d", tc.form, res.StatusCode)
			}
			continue
		}
		path, page := b.ask(tc.form)
		want(t, tc.at+" "+tc.form.Encode(), page, tc.want...)
		if settings, compared := strings.Contains(page, "設定する内容"), strings.Contains(page, "照合していません"); compared && !settings {
			t.Errorf("%s says that settings were not compared, but has none", path)
		}
		if strings.Contains(page, "github.com") || strings.Contains(page, "developers.google.com") {
			t.Errorf("%s sends a customer to a page for developers", path)
		}
		if strings.Contains(path+page, "taro") || strings.Contains(path, "gmail") {
			t.Errorf("%s: the answer has the mail address", path)
		}
		// The number of the answer leads to it, as the support desk reads it out.
		_, code, _ := strings.Cut(path, "/a/")
		if res, _ := b.get("/find?code=" + url.QueryEscape(code[:4]+"-"+code[4:])); res.Header.Get("Location") != path {
			t.Errorf("the number of %s leads to %q", path, res.Header.Get("Location"))
		}
	}
}

// TestForm verifies that an incomplete form is shown again with what is missing and with the other fields.
func TestForm(t *testing.T) {
	r := start(t, "2006-12-01", nil)
	b := r.browser("en")
	for name, tc := range map[string]struct {
		form url.Values
		want string
	}{
		"nothing":          {url.Values{}, "Please choose how you send mail."},
		"no line":          {url.Values{"use": {"webmail"}}, "Please choose your line."},
		"no use":           {url.Values{"line": {"adsl"}}, "Please choose how you send mail."},
		"unknown line":     {url.Values{"line": {"fibre"}, "use": {"webmail"}}, "Please choose your line."},
		"unknown provider": {url.Values{"line": {"adsl"}, "use": {"provider"}, "provider": {"nobody"}}, "Please choose how you send mail."},
		"no provider":      {url.Values{"line": {"adsl"}, "use": {"provider"}, "mail": {" "}, "provider": {""}}, "Please enter your mail address or the part after the @, or choose the provider from the list."},
		"wrong mail":       {url.Values{"line": {"adsl"}, "use": {"provider"}, "mail": {"a b"}}, "This is not a mail address or a domain."},
		"long mail":        {url.Values{"line": {"adsl"}, "use": {"provider"}, "mail": {strings.Repeat("a", 400) + "@example.jp"}}, "This is not a mail address or a domain."},
	} {
		res, page := b.post("/affected", tc.form)
		if res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d", name, res.StatusCode)
		}
		want(t, name, page, tc.want, `role="alert"`)
	}
	_, form := b.get("/")
	want(t, "the form", form, `<optgroup label="Mobile carriers and webmail"><option value="au">`, `<optgroup label="Internet providers, rental servers, mail for companies"><option value="mopera-u">`)
	path, page := b.ask(url.Values{"line": {"adsl"}, "use": {"provider"}, "provider": {"gmail"}})
	want(t, "a picked provider without an address", page, "A mail program, printer or scanner, with a mail address of Gmail")
	if typed, _ := b.ask(url.Values{"line": {"adsl"}, "use": {"provider"}, "mail": {"gmail.com"}, "provider": {"biglobe"}}); typed != path {
		t.Errorf("an address and another provider lead to %s, want the address to count: %s", typed, path)
	}
	_, page = b.ask(url.Values{"line": {"adsl"}, "use": {"provider"}, "provider": {".none"}})
	want(t, "a provider that is not in the list", page, "What to do: ask your provider")
	_, page = b.post("/affected", url.Values{"line": {"mobile"}, "use": {"provider"}, "mail": {`"><script>alert(1)</script>`}})
	want(t, "the fields", page, `value="mobile" required checked`, `value="provider" required checked`)
	if strings.Contains(page, "<script") {
		t.Error("the field is not escaped")
	}
}

// TestWithoutController verifies that the portal keeps answering when the controller is gone, says so, and does not claim that anything is in
// force.
func TestWithoutController(t *testing.T) {
	r := start(t, "2006-12-01", nil)
	b := r.browser("en")
	path, page := b.ask(url.Values{"line": {"adsl"}, "use": {"provider"}, "provider": {"gmail"}})
	want(t, "with the controller", page, "Since 1 October 2006, by our policy", "You are affected since 1 October 2006", "have confirmed that this is in force")
	r.controller.Stop()
	r.await(func(v *published.View) bool { return !v.Connected })
	_, page = b.get(path)
	want(t, "without the controller", page, "Our management system cannot be reached at present", "You are probably affected since 1 October 2006", "although it may still work in places", "Since 1 October 2006, by our policy", "It cannot be confirmed at present", "smtp.gmail.com")
	if strings.Contains(page, "have confirmed") || strings.Contains(page, "You are affected") {
		t.Error("without the controller, the page claims that the phase is in force")
	}
	_, page = b.get("/")
	want(t, "the form", page, "Please choose your type of line")
	if strings.Contains(page, `value=".own"`) {
		t.Error("the form offers the own line")
	}
	_, page = b.ask(url.Values{"line": {".own"}, "use": {"server"}})
	want(t, "own line", page, "We cannot identify your line at present", "My own mail server on this line", ">FLET&#39;S ADSL</a>")
}

// TestNotConfirmed verifies that a page says "in force" only if every switch confirmed it.
func TestNotConfirmed(t *testing.T) {
	r := start(t, "2006-12-01", func(_ *portal.Config, p *op25bv1.Publication) {
		for _, s := range p.States {
			if s.LineGroup == "adsl" {
				s.Switches, s.Confirmed = 5, 3
			}
		}
	})
	b := r.browser("en")
	_, page := b.ask(url.Values{"line": {"adsl"}, "use": {"provider"}, "provider": {"gmail"}})
	want(t, "partly confirmed", page, "You are probably affected since 1 October 2006", "although it may still work in places", "not yet confirmed everywhere")
	_, page = b.ask(url.Values{"line": {"mobile"}, "use": {"provider"}, "provider": {"gmail"}})
	want(t, "confirmed", page, "You are affected since 1 October 2006", "All our switches for such lines have confirmed")
	_, page = b.get("/programme")
	want(t, "programme", page, "not yet confirmed everywhere")
	// Where nothing is stopped, nothing has to be confirmed.
	_, unaffected := b.ask(url.Values{"line": {"adsl"}, "use": {"webmail"}})
	_, open := b.post("/test", url.Values{"line": {"adsl"}, "server": {"198.51.100.25"}})
	for _, page := range []string{unaffected, open} {
		if strings.Contains(page, "confirmed everywhere") {
			t.Errorf("it seems as if an open port were not confirmed:\n%s", page)
		}
	}
}

// TestScheduleByDay verifies that the schedule has one step a day, that the phase in force begins on the day that an answer gives, and that kinds
// of line are apart where what is confirmed of them differs.
func TestScheduleByDay(t *testing.T) {
	morning := day("2006-11-30").Add(6 * time.Hour)
	r := start(t, "2006-12-01", func(_ *portal.Config, p *op25bv1.Publication) {
		for _, s := range p.States {
			if s.LineGroup == "adsl" {
				s.Switches, s.Confirmed = 5, 3
			}
		}
	}, policy.Activation{ID: 8, Phase: "before", At: morning}, policy.Activation{ID: 9, Phase: "all-destinations", At: morning.Add(time.Second)})
	b := r.browser("en")
	_, page := b.get("/programme")
	want(t, "schedule", page, "from 18 May 2006", "from 1 June 2006", "from 30 November 2006", "Planned for 1 October 2006",
		"FLET&#39;S ADSL: This should be in force, but is not yet confirmed everywhere.", "Mobile SIM, other lines: All our switches for such lines have confirmed")
	if n := strings.Count(page, "</time>"); n != 4 || strings.Contains(page, "from 1 October 2006") { // the fourth is in the foot
		t.Errorf("the schedule has %d steps, want 3:\n%s", n-1, page)
	}
	_, page = b.ask(url.Values{"line": {"mobile"}, "use": {"server"}})
	want(t, "answer", page, "You are affected since 30 November 2006", "All our switches for such lines have confirmed")
	_, calendar := b.get("/programme.en.ics")
	if n := strings.Count(calendar, "BEGIN:VEVENT"); n != 3 {
		t.Errorf("the calendar has %d events, want 3:\n%s", n, calendar)
	}
}

// TestNothingPublished verifies the pages of a portal that has never reached a controller.
func TestNothingPublished(t *testing.T) {
	follower, err := published.Open(t.Context(), published.Config{})
	if err != nil {
		t.Fatal(err)
	}
	site, err := portal.New(portal.Config{Published: follower, Content: shipped(t)})
	if err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]int{"/": 200, "/test": 200, "/programme": 503, "/a/12345678": 503} {
		w := serve(t, site, path)
		if w.code != code {
			t.Errorf("%s: %d, want %d", path, w.code, code)
		}
		if path != "/test" {
			want(t, path, w.body.String(), "There is no information yet")
		}
	}
	if _, err := portal.New(portal.Config{}); err == nil || err.Error() != "invalid configuration of the portal: no publication or no content" {
		t.Errorf("without a publication: %v", err)
	}
}
