package portal_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"op25b/examples"
	"op25b/internal/portal"
	"op25b/internal/portal/portaltest"
	op25bv1 "op25b/proto/op25b/v1"

	"google.golang.org/protobuf/proto"
)

// names is a resolver that fails for each of its names with an error. Any other name has the address of a server in no class.
type names map[string]error

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if err := n[host]; err != nil {
		return nil, err
	}
	return []netip.Addr{netip.MustParseAddr("203.0.113.129")}, nil
}

func (names) LookupMX(context.Context, string) ([]*net.MX, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

// TestLookups verifies that a failed look-up is not reported as the visitor's mistake, and that what does not depend on it is answered.
func TestLookups(t *testing.T) {
	r := start(t, "2006-12-01", func(c *portal.Config, p *op25bv1.Publication) {
		behindProxy(c, p)
		c.Resolver = names{
			"nowhere.example": &net.DNSError{Err: "no such host", IsNotFound: true},
			"slow.example":    context.DeadlineExceeded,
			"broken.example":  &net.DNSError{Err: "server misbehaving", IsTemporary: true},
			"silent.example":  &net.DNSError{Err: "i/o timeout", IsTimeout: true},
			"refused.example": &net.DNSError{Err: "connection refused"},
		}
	})
	r.controller.OnAsk(lines)
	const cannot, wrong = "We cannot look up names at present.", "No server with this name was found."
	for name, tc := range map[string]struct {
		line, server string
		code         int
		want, not    string
	}{
		"no such name":           {"adsl", "nowhere.example", http.StatusUnprocessableEntity, wrong, cannot},
		"no such name, own line": {".own", "nowhere.example", http.StatusUnprocessableEntity, wrong, cannot},
		"no answer in time":      {"adsl", "slow.example", http.StatusOK, cannot, wrong},
		"SERVFAIL":               {"adsl", "broken.example", http.StatusOK, cannot, wrong},
		"a timeout":              {"adsl", "silent.example", http.StatusOK, cannot, wrong},
		"no DNS server":          {"adsl", "refused.example", http.StatusOK, cannot, wrong},
		"found":                  {"adsl", "smtp.example.jp", http.StatusOK, "blocked (since 1 October 2006)", cannot},
	} {
		res, page := r.browser("en").post("/test", url.Values{"line": {tc.line}, "server": {tc.server}}, forwarded, "198.18.0.11")
		if res.StatusCode != tc.code || strings.Contains(page, tc.not) {
			t.Errorf("%s: %d\n%s", name, res.StatusCode, page)
		}
		want(t, name, page, tc.want)
		if n := strings.Count(page, `</span> open</span><br><span class="hint">Ports 465 and 587`); n != 2 {
			t.Errorf("%s: %d of the ports for mail programs are open\n%s", name, n, page)
		}
		if unknown := strings.Contains(page, `</span> unknown</span><br><span class="hint">This depends on the server`); unknown != (name != "found") {
			t.Errorf("%s: port 25 is unknown: %v\n%s", name, unknown, page)
		}
	}
}

// TestOwnServersAreClosed verifies that a policy which ends plain mail to the ISP's own servers is not described as if they were always open.
func TestOwnServersAreClosed(t *testing.T) {
	r := start(t, "2022-12-01", func(c *portal.Config, p *op25bv1.Publication) {
		c.Resolver = names{}
		proto.Reset(p)
		proto.Merge(p, portaltest.Publication(t, examples.SpinNet2022(), examples.Providers(), day("2022-12-01")))
	})
	for lang, texts := range map[string]struct{ want, not []string }{
		"en": {
			[]string{"are open to every server of other providers.", "whether our mail servers relay mail of your domain.</"},
			[]string{"open to every server.", "at all times", "never blocked"},
		},
		"ja": {
			[]string{"他社のすべてのサーバーに対して開いています。", "法人のお客さま窓口にお問い合わせください。</"},
			[]string{"は、すべてのサーバーに対して", "いつでも"},
		},
	} {
		res, page := r.browser(lang).post("/test", url.Values{"line": {"adsl"}, "server": {"smtp.example.jp"}})
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", lang, res.StatusCode)
		}
		want(t, lang, page, texts.want...)
		_, policy := r.browser(lang).get("/policy")
		want(t, lang, policy, map[string]string{"en": "except where a rule below says so.", "ja": "下の規則に定める場合を除き"}[lang])
		for _, text := range texts.not {
			if strings.Contains(page+policy, text) {
				t.Errorf("%s: the page has %q:\n%s", lang, text, page)
			}
		}
	}
}

// TestHostAndPort verifies that the port of host:port is left out, and that an address is taken as it is.
func TestHostAndPort(t *testing.T) {
	r := start(t, "2006-12-01", func(c *portal.Config, _ *op25bv1.Publication) { c.Resolver = names{} })
	b := r.browser("en")
	for typed, to := range map[string]string{
		"smtp.example.jp:587": "smtp.example.jp", " smtp.example.jp ": "smtp.example.jp", "203.0.113.129:25": "203.0.113.129",
		"[2001:db8:99::25]:465": "2001:db8:99::25", "2001:db8:99::25": "2001:db8:99::25", "[2001:db8:99::25]": "[2001:db8:99::25]",
	} {
		res, page := b.post("/test", url.Values{"line": {"adsl"}, "server": {typed}})
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", typed, res.StatusCode)
		}
		want(t, typed, page, "To: "+to+"</p>")
	}
	for _, typed := range []string{"smtp.example.jp:", "smtp.example.jp:0", "smtp.example.jp:65536", "smtp.example.jp:smtp", ":587"} {
		res, page := b.post("/test", url.Values{"line": {"adsl"}, "server": {typed}})
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, "This is not the name of a server.") {
			t.Errorf("%s: %d", typed, res.StatusCode)
		}
	}
}
