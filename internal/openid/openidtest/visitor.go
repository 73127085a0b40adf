package openidtest

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// SignIn signs a person in at the provider, as a browser does: it opens the URL to which the page has sent the browser, and posts the form. It
// returns the URL to which the provider sends the browser back.
func (p *Provider) SignIn(t testing.TB, to, name string) *url.URL {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	do := func(r *http.Request, err error) *url.URL {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		at, err := res.Location()
		if err != nil {
			body, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
			t.Fatalf("%s %s: %s %s", r.Method, r.URL, res.Status, body)
		}
		return at
	}
	get := func(at string) *url.URL {
		t.Helper()
		return do(http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil))
	}
	form := get(to)
	values := url.Values{"id": {form.Query().Get("authRequestID")}, "username": {name}, "password": {Password}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+login, strings.NewReader(values.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return get(do(r, err).String())
}

// Access returns an access file with the provider. groups are the pairs of a group and a role.
func (p *Provider) Access(groups ...string) string {
	var b strings.Builder
	b.WriteString("apiVersion: op25b/v1\nkind: Access\noidc:\n")
	fmt.Fprintf(&b, "  name: ISP login\n  issuer: %s\n  clientID: %s\n  clientSecretFile: %s\n", p.Issuer, ClientID, p.SecretFile)
	if p.CA != "" {
		fmt.Fprintf(&b, "  ca: %s\n", p.CA)
	}
	b.WriteString("  groups:\n")
	for i := 0; i+1 < len(groups); i += 2 {
		fmt.Fprintf(&b, "    - {group: %s, role: %s}\n", groups[i], groups[i+1])
	}
	return b.String()
}
