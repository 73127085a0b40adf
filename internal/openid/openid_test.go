package openid_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"op25b/internal/auth"
	"op25b/internal/openid"
	"op25b/internal/openid/openidtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const redirect = "https://noc.isp.example" + auth.CallbackPath

// alice are the claims of a person in two groups, one of which is not in the access file.
func alice() map[string]any {
	return map[string]any{"preferred_username": "alice@isp.example", "groups": []string{"noc-operators", "chess"}}
}

// party returns a relying party of a provider. change may change the access file and the configuration.
func party(t *testing.T, p *openidtest.Provider, change func(*auth.OIDC, *openid.Config)) *openid.Party {
	t.Helper()
	grants, err := auth.Parse("access.yaml", []byte(p.Access("noc-operators", "operator", "noc", "viewer")))
	if err != nil {
		t.Fatal(err)
	}
	cfg := openid.Config{Access: func() *auth.Grants { return grants }}
	if change != nil {
		change(&grants.OIDC, &cfg)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	return openid.New(ctx, cfg)
}

// started starts a provider with a person and a registered page.
func started(t *testing.T) *openidtest.Provider {
	t.Helper()
	p := openidtest.Start(t, true, map[string]map[string]any{"alice": alice(), "bob": {"preferred_username": "bob"}})
	p.Register(redirect)
	return p
}

// begin begins a sign-in and signs a person in at the provider.
func begin(t *testing.T, party *openid.Party, p *openidtest.Provider, name string) (answer url.Values, sealed string) {
	t.Helper()
	to, sealed, err := party.Begin(t.Context(), redirect, "/programme?x=1")
	if err != nil {
		t.Fatal(err)
	}
	return p.SignIn(t, to, name).Query(), sealed
}

// TestSignIn signs a person in with a real provider over TLS. The request has all that protects the answer.
func TestSignIn(t *testing.T) {
	p := started(t)
	party := party(t, p, nil)
	if n := p.Seen(openidtest.Discovery); n != 0 {
		t.Errorf("the provider was asked %d times before anybody signs in", n)
	}
	to, sealed, err := party.Begin(t.Context(), redirect, "/programme?x=1")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != openidtest.ClientID || q.Get("redirect_uri") != redirect || q.Get("scope") != "openid profile email" ||
		q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 26 || len(q.Get("nonce")) < 26 || q.Get("state") == q.Get("nonce") {
		t.Errorf("the request is %v", q)
	}
	for _, secret := range []string{q.Get("state"), q.Get("nonce")} {
		if strings.Contains(sealed, secret) {
			t.Errorf("the sealed sign-in can be read: %s", sealed)
		}
	}
	who, next, err := party.Finish(t.Context(), p.SignIn(t, to, "alice").Query(), sealed)
	if err != nil || who.Name != "alice@isp.example" || strings.Join(who.Groups, " ") != "noc-operators" || next != "/programme?x=1" {
		t.Fatalf("%+v, %q, %v", who, next, err)
	}
	for next, want := range map[string]string{"/?q=" + strings.Repeat("&", 200): "/?q=" + strings.Repeat("&", 200), "/?q=" + strings.Repeat("&", 600): "/", "/" + strings.Repeat("x", 5000): "/"} {
		to, sealed, err := party.Begin(t.Context(), redirect, next)
		if err != nil || len(sealed) > 3500 {
			t.Fatalf("a path of %d bytes: %d bytes, %v", len(next), len(sealed), err)
		}
		if _, got, err := party.Finish(t.Context(), p.SignIn(t, to, "alice").Query(), sealed); err != nil || got != want {
			t.Errorf("a path of %d bytes leads to %q, %v", len(next), got, err)
		}
	}
	if _, _, err := party.Begin(t.Context(), "https://"+strings.Repeat("x", 4000)+auth.CallbackPath, "/"); !errors.Is(err, openid.ErrStart) {
		t.Errorf("a long address of the page: %v", err)
	}
	answer, sealed := begin(t, party, p, "bob")
	if who, _, err := party.Finish(t.Context(), answer, sealed); err != nil || who.Name != "bob" || len(who.Groups) != 0 {
		t.Errorf("a person without groups: %+v, %v", who, err)
	}
	if discovered, keys := p.Seen(openidtest.Discovery), p.Seen(openidtest.Keys); discovered != 1 || keys != 1 {
		t.Errorf("the configuration was read %d times and the keys %d times, want once", discovered, keys)
	}
}

// TestCodeNeedsVerifier verifies that a stolen code is of no use, because it belongs to the verifier of another sign-in (RFC 7636).
func TestCodeNeedsVerifier(t *testing.T) {
	p := started(t)
	first, second := party(t, p, nil), party(t, p, nil)
	answer, _ := begin(t, first, p, "alice")
	to, sealed, err := second.Begin(t.Context(), redirect, "/")
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(to)
	answer.Set("state", u.Query().Get("state")) // the thief's own sign-in, with a stolen code
	if _, _, err := second.Finish(t.Context(), answer, sealed); !errors.Is(err, openid.ErrAnswer) || !strings.Contains(err.Error(), "does not accept the code: invalid_grant") {
		t.Errorf("a stolen code: %v", err)
	}
}

// TestForeignAnswers verifies that an answer is accepted only once, only from the browser that began the sign-in, and only for the time limit.
func TestForeignAnswers(t *testing.T) {
	p := started(t)
	now := time.Now()
	party := party(t, p, func(_ *auth.OIDC, c *openid.Config) { c.Now = func() time.Time { return now } })
	answer, sealed := begin(t, party, p, "alice")
	_, others := begin(t, party, p, "bob")
	finish := func(change func(url.Values), sealed string) error {
		t.Helper()
		q := url.Values{}
		for key, values := range answer {
			q[key] = values
		}
		if change != nil {
			change(q)
		}
		who, next, err := party.Finish(t.Context(), q, sealed)
		if err != nil && (who.Name != "" || next != "") {
			t.Errorf("a refused answer has the person %+v", who)
		}
		return err
	}
	damaged := []byte(sealed)
	damaged[len(damaged)/2] ^= 1
	for _, c := range []struct {
		name string
		err  error
		kind error
		want string
	}{
		{"another state", finish(func(q url.Values) { q.Set("state", "x") }, sealed), openid.ErrStart, "the state is another one"},
		{"no state", finish(func(q url.Values) { q.Del("state") }, sealed), openid.ErrStart, "the state is another one"},
		{"another browser", finish(nil, others), openid.ErrStart, "the state is another one"},
		{"no browser", finish(nil, ""), openid.ErrStart, "the browser sent no sign-in that it began"},
		{"a damaged sign-in", finish(nil, string(damaged)), openid.ErrStart, "begun at another controller"},
		{"a long sign-in", finish(nil, strings.Repeat("x", 5000)), openid.ErrStart, "the browser sent no sign-in that it began"},
		{"another issuer", finish(func(q url.Values) { q.Set("iss", "https://evil.example") }, sealed), openid.ErrAnswer, `it comes from the issuer "https://evil.example"`},
		{"no code", finish(func(q url.Values) { q.Del("code") }, sealed), openid.ErrAnswer, "it has a code of 0 bytes; must be 1 to 4096"},
		{"a long code", finish(func(q url.Values) { q.Set("code", strings.Repeat("x", 5000)) }, sealed), openid.ErrAnswer, "it has a code of 5000 bytes"},
		{"an invented code", finish(func(q url.Values) { q.Set("code", "x") }, sealed), openid.ErrAnswer, "it does not accept the code"},
	} {
		if !errors.Is(c.err, c.kind) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, c.err, c.want)
		}
	}
	for code, want := range map[string]string{"access_denied": "access_denied", "<script>": "unknown", strings.Repeat("x", 65): "unknown", "": "unknown"} {
		var refused *openid.RefusedError
		err := finish(func(q url.Values) { q.Set("error", code); q.Set("error_description", "secret") }, sealed)
		if !errors.As(err, &refused) || refused.Code != want || err.Error() != "the OpenID Provider refused the sign-in: "+want {
			t.Errorf("error %q: %v", code, err)
		}
	}
	began := now
	now = began.Add(openid.Lasts + time.Second)
	if err := finish(nil, sealed); !errors.Is(err, openid.ErrStart) || !strings.Contains(err.Error(), "it was begun 10m1s ago, and the limit is 10m0s") {
		t.Errorf("too late: %v", err)
	}
	now = began
	if err := finish(nil, sealed); err != nil {
		t.Fatalf("the right answer: %v", err)
	}
	if err := finish(nil, sealed); !errors.Is(err, openid.ErrAnswer) || !strings.Contains(err.Error(), "it does not accept the code: invalid_grant") {
		t.Errorf("a replayed code: %v", err)
	}
	if _, _, err := openid.New(t.Context(), openid.Config{Access: func() *auth.Grants { return &auth.Grants{} }}).Begin(t.Context(), redirect, "/"); !errors.Is(err, openid.ErrNoProvider) {
		t.Errorf("without a provider: %v", err)
	}
}

// TestForgedTokens verifies that each check of an ID token (OpenID Connect Core section 3.1.3.7) is made, with tokens that are right except for one
// thing.
func TestForgedTokens(t *testing.T) {
	p := started(t)
	party := party(t, p, nil)
	key, id := p.Key()
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: &key.(*rsa.PrivateKey).PublicKey, KeyID: id})
	if err != nil {
		t.Fatal(err)
	}
	signed := func(change func(map[string]any)) func(map[string]any) string {
		return func(c map[string]any) string {
			change(c)
			return openidtest.Sign(t, c, jose.RS256, key, id)
		}
	}
	unsigned := func(c map[string]any) string {
		payload, err := json.Marshal(c)
		if err != nil {
			t.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
	}
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprint("group-", i)
	}
	for _, c := range []struct {
		name  string
		forge func(map[string]any) string
		want  string // empty if the token is valid
	}{
		{"unchanged", signed(func(map[string]any) {}), ""},
		{"a foreign key of the same id", func(c map[string]any) string { return openidtest.Sign(t, c, jose.RS256, foreign, id) }, "failed to verify"},
		{"an unknown key", func(c map[string]any) string { return openidtest.Sign(t, c, jose.RS256, foreign, "other") }, "failed to verify"},
		{"alg none", unsigned, "malformed jwt"},
		{"HS256 with the public key", func(c map[string]any) string { return openidtest.Sign(t, c, jose.HS256, public, id) }, "malformed jwt"},
		{"HS256 with the secret", func(c map[string]any) string {
			return openidtest.Sign(t, c, jose.HS256, []byte(openidtest.Secret+strings.Repeat(" ", 32)), id)
		}, "malformed jwt"},
		{"another audience", signed(func(c map[string]any) { c["aud"] = "another" }), "expected audience"},
		{"another issuer", signed(func(c map[string]any) { c["iss"] = "https://evil.example" }), "different provider"},
		{"issued to another client", signed(func(c map[string]any) { c["azp"] = "another" }), "its ID token was issued to another client"},
		{"two audiences", signed(func(c map[string]any) { c["aud"] = []string{"another", openidtest.ClientID}; delete(c, "azp") }), "its ID token was issued to another client"},
		{"two audiences, issued to this client", signed(func(c map[string]any) {
			c["aud"] = []string{"another", openidtest.ClientID}
			c["azp"] = openidtest.ClientID
		}), ""},
		{"expired", signed(func(c map[string]any) { c["exp"] = time.Now().Add(-time.Second).Unix() }), "token is expired"},
		{"not valid yet", signed(func(c map[string]any) { c["nbf"] = time.Now().Add(time.Hour).Unix() }), "not before"},
		{"another nonce", signed(func(c map[string]any) { c["nonce"] = "x" }), "its nonce is that of another sign-in"},
		{"no nonce", signed(func(c map[string]any) { delete(c, "nonce") }), "its nonce is that of another sign-in"},
		{"no name", signed(func(c map[string]any) { delete(c, "preferred_username") }), `its ID token has no claim "preferred_username" with the person's name; nameClaim names another one`},
		{"a name that is no text", signed(func(c map[string]any) { c["preferred_username"] = 7 }), `its claim "preferred_username" is not text`},
		{"an empty name", signed(func(c map[string]any) { c["preferred_username"] = "" }), "the name has 0 bytes; must be 1 to 240"},
		{"a long name", signed(func(c map[string]any) { c["preferred_username"] = strings.Repeat("x", 241) }), "the name has 241 bytes; must be 1 to 240"},
		{"a name with a line break", signed(func(c map[string]any) { c["preferred_username"] = "a\nb" }), `the name "a\nb" has characters that cannot be printed`},
		{"a name that is written backwards", signed(func(c map[string]any) { c["preferred_username"] = "\u202ebob" }), "has characters that cannot be printed"},
		{"too many groups", signed(func(c map[string]any) { c["groups"] = many }), `its claim "groups" has 1001 groups; must be at most 1000`},
		{"a long group", signed(func(c map[string]any) { c["groups"] = []string{strings.Repeat("x", 257)} }), `its claim "groups" has a group of 257 bytes; must be at most 256`},
		{"groups that are no list", signed(func(c map[string]any) { c["groups"] = map[string]any{"a": 1} }), `its claim "groups" is not a list of texts`},
		{"one group as text", signed(func(c map[string]any) { c["groups"] = "noc-operators" }), ""},
		{"a large token", signed(func(c map[string]any) { c["x"] = strings.Repeat("x", 100_000) }), "its ID token has"},
		{"no token", func(map[string]any) string { return "" }, "malformed jwt"},
	} {
		p.Forge(c.forge)
		answer, sealed := begin(t, party, p, "alice")
		who, _, err := party.Finish(t.Context(), answer, sealed)
		switch {
		case c.want == "" && (err != nil || who.Name != "alice@isp.example" || len(who.Groups) != 1):
			t.Errorf("%s: %+v, %v", c.name, who, err)
		case c.want != "" && (!errors.Is(err, openid.ErrAnswer) || !strings.Contains(err.Error(), c.want) || who.Name != ""):
			t.Errorf("%s: %+v, %v, want %q", c.name, who, err, c.want)
		}
	}
}

// TestMailAsName verifies that a mail address is a person's name only if the provider has verified the address.
func TestMailAsName(t *testing.T) {
	p := started(t)
	party := party(t, p, func(o *auth.OIDC, _ *openid.Config) { o.NameClaim = "email" })
	for _, verified := range []any{true, "true", nil, false, "false", 1} {
		claims := map[string]any{"email": "alice@isp.example", "email_verified": verified}
		if verified == nil {
			delete(claims, "email_verified") // many providers do not send it
		}
		p.SetClaims("alice", claims)
		answer, sealed := begin(t, party, p, "alice")
		_, _, err := party.Finish(t.Context(), answer, sealed)
		if want := verified == true || verified == "true" || verified == nil; want != (err == nil) || !want && !strings.Contains(err.Error(), "it has not verified the mail address") {
			t.Errorf("verified %v: %v", verified, err)
		}
	}
}

// TestBrokenProvider verifies that a provider that is down, hangs, sends too much, redirects, or sends another configuration delays a sign-in only
// for the time limit, and that the next sign-in works when the provider does again.
func TestBrokenProvider(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 64<<10)
		for n := 0; n < 1<<30; n += len(chunk) {
			if _, err := w.Write(chunk); err != nil || r.Context().Err() != nil {
				return
			}
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http notices that a client has gone only after it has read the body
		<-r.Context().Done()
	}
	drip := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	fails := func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("secret ", 10000), http.StatusBadGateway)
	}
	moved := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
	}
	config := func(change func(map[string]any)) func(*openidtest.Provider) http.HandlerFunc {
		return func(p *openidtest.Provider) http.HandlerFunc {
			doc := map[string]any{
				"issuer": p.Issuer, "authorization_endpoint": p.Issuer + openidtest.Authorize, "token_endpoint": p.Issuer + openidtest.Token, "jwks_uri": p.Issuer + openidtest.Keys,
			}
			change(doc)
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(doc)
			}
		}
	}
	const soon = 300 * time.Millisecond // for a provider that never answers; with any other, a busy machine must not end the request
	plain := func(h http.HandlerFunc) func(*openidtest.Provider) http.HandlerFunc {
		return func(*openidtest.Provider) http.HandlerFunc { return h }
	}
	for _, c := range []struct {
		name, path string
		with       func(*openidtest.Provider) http.HandlerFunc
		want       string
		within     time.Duration
	}{
		{"discovery hangs", openidtest.Discovery, plain(hang), "issuer", soon},
		{"discovery drips", openidtest.Discovery, plain(drip), "issuer", soon},
		{"discovery sends 1 GB", openidtest.Discovery, plain(endless), "the response is too large: it has more than 262144 bytes", openid.Within},
		{"discovery fails", openidtest.Discovery, plain(fails), "502 Bad Gateway", openid.Within},
		{"discovery redirects", openidtest.Discovery, plain(moved), "it redirects to http://127.0.0.1:1/, and redirects are not followed", openid.Within},
		{"another issuer", openidtest.Discovery, config(func(d map[string]any) { d["issuer"] = "https://evil.example" }), "did not match the issuer", openid.Within},
		{"a plain token endpoint", openidtest.Discovery, config(func(d map[string]any) { d["token_endpoint"] = "http://127.0.0.1/token" }), `token_endpoint "http://127.0.0.1/token": must be https`, openid.Within},
		{"a plain authorization endpoint", openidtest.Discovery, config(func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" }), `authorization_endpoint "javascript:alert(1)": must be a URL`, openid.Within},
		{"no keys", openidtest.Discovery, config(func(d map[string]any) { delete(d, "jwks_uri") }), `jwks_uri "": must be a URL`, openid.Within},
		{"the token endpoint hangs", openidtest.Token, plain(hang), "no token from", soon},
		{"the token endpoint sends 1 GB", openidtest.Token, plain(endless), "no token from", openid.Within},
		{"the token endpoint redirects", openidtest.Token, plain(moved), "redirects are not followed", openid.Within},
		{"the token endpoint fails", openidtest.Token, plain(fails), "no token from", openid.Within},
		{"the keys hang", openidtest.Keys, plain(hang), "no keys", soon},
		{"the keys are 1 GB", openidtest.Keys, plain(endless), "no keys", openid.Within},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := started(t)
			party := party(t, p, func(_ *auth.OIDC, cfg *openid.Config) { cfg.Within = c.within })
			p.Replace(c.path, c.with(p))
			var err error
			if c.path == openidtest.Discovery {
				_, _, err = party.Begin(t.Context(), redirect, "/")
			} else {
				answer, sealed := begin(t, party, p, "alice")
				_, _, err = party.Finish(t.Context(), answer, sealed)
			}
			if !errors.Is(err, openid.ErrUnreachable) || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 600 {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	t.Run("down, and up again", func(t *testing.T) {
		t.Parallel()
		p := started(t)
		other := started(t)
		var mu sync.Mutex
		grants := map[bool]*auth.Grants{}
		for up, from := range map[bool]*openidtest.Provider{false: {Issuer: "https://127.0.0.1:1", SecretFile: p.SecretFile}, true: other} {
			g, err := auth.Parse("access.yaml", []byte(from.Access("noc", "viewer")))
			if err != nil {
				t.Fatal(err)
			}
			grants[up] = g
		}
		up := false
		party := openid.New(t.Context(), openid.Config{Access: func() *auth.Grants {
			mu.Lock()
			defer mu.Unlock()
			return grants[up]
		}})
		for range 2 { // the second time, the failure is known
			if _, _, err := party.Begin(t.Context(), redirect, "/"); !errors.Is(err, openid.ErrUnreachable) || !strings.Contains(err.Error(), "issuer https://127.0.0.1:1: ") {
				t.Errorf("down: %v", err)
			}
		}
		mu.Lock()
		up = true
		mu.Unlock()
		if _, _, err := party.Begin(t.Context(), redirect, "/"); err != nil {
			t.Errorf("after the access file has another provider: %v", err)
		}
	})
}

// TestCrowd verifies that many people at once cause one request for the configuration, even if it fails.
func TestCrowd(t *testing.T) {
	p := started(t)
	p.Replace(openidtest.Discovery, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	party := party(t, p, nil)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, _, err := party.Begin(t.Context(), redirect, "/"); !errors.Is(err, openid.ErrUnreachable) {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	if n := p.Seen(openidtest.Discovery); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// TestSecret verifies that the client's secret is read for each sign-in, and that its file is checked.
func TestSecret(t *testing.T) {
	p := started(t)
	party := party(t, p, nil)
	finish := func() error {
		answer, sealed := begin(t, party, p, "alice")
		_, _, err := party.Finish(t.Context(), answer, sealed)
		return err
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(p.SecretFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"", "is empty; must be 1 to 4096 bytes"}, {" \n", "is empty"}, {strings.Repeat("x", 5000), "has more than 4096 bytes"}, {"wrong", "it does not accept the code: invalid_client"},
	} {
		write(c.text)
		if err := finish(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("secret of %d bytes: %v, want %q", len(c.text), err, c.want)
		}
	}
	write(openidtest.Secret)
	if err := finish(); err != nil {
		t.Errorf("the right secret: %v", err)
	}
	if err := os.Remove(p.SecretFile); err != nil {
		t.Fatal(err)
	}
	if err := finish(); !errors.Is(err, openid.ErrUnreachable) || !strings.Contains(err.Error(), "clientSecretFile: open") {
		t.Errorf("no file: %v", err)
	}
}
