// Package openid signs people in by an OpenID Provider, such as Keycloak or Entra ID (OpenID Connect Core 1.0, authorization code flow with
// PKCE).
//
// The package sends a browser to the provider, and verifies the answer. It has no sessions and no roles: package web keeps the sessions, and
// package auth maps the person's groups to a role at each call. The configuration is read for each sign-in. The provider is asked only when
// somebody signs in, so that a controller starts without it.
package openid

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"op25b/internal/auth"
)

const (
	// refresh is the time after which the provider's configuration is read again.
	refresh = time.Hour
	// again is the time in which a failed read of the provider's configuration is not repeated, so that strangers cannot make this process
	// send many requests.
	again = 3 * time.Second
	// maxExchanges is the limit on the answers that are verified at the same time.
	maxExchanges = 16
)

// A Config configures a Party.
type Config struct {
	// Access returns the current access file.
	Access func() *auth.Grants
	// Now returns the time by which ID tokens expire; nil means time.Now.
	Now func() time.Time
	// Within is the time limit of a request to the provider; 0 means the constant Within.
	Within time.Duration
}

// A Party is the relying party: the page at which people sign in. It is safe for concurrent use.
type Party struct {
	cfg       Config
	life      context.Context
	sealer    sealer
	exchanges chan struct{} // contains a token for each answer that is being verified
	turn      chan struct{} // contains a token while the provider's configuration is read

	mu   sync.Mutex // guards last
	last *provider
}

// A provider is the configuration of an OpenID Provider, or the error with which it could not be read.
type provider struct {
	of       auth.OIDC
	read     time.Time
	client   *http.Client
	release  func() // releases client
	oidc     *oidc.Provider
	endpoint oauth2.Endpoint
	err      error
}

// New returns a Party. Its requests end when ctx ends.
func New(ctx context.Context, cfg Config) *Party {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Within == 0 {
		cfg.Within = Within
	}
	return &Party{cfg: cfg, life: ctx, sealer: newSealer(), exchanges: make(chan struct{}, maxExchanges), turn: make(chan struct{}, 1)}
}

// Offer returns the provider's name for people. ok is false if there is no provider.
func (p *Party) Offer() (title string, ok bool) {
	o := &p.cfg.Access().OIDC
	return o.Title(), o.Used()
}

// Begin begins a sign-in. redirect is the URL of auth.CallbackPath as the browser sees it, unless the access file has one. next is the path to
// return to. Begin returns the URL to which the browser is sent, and the sealed sign-in, which the browser must keep until it comes back. It
// returns ErrNoProvider or ErrUnreachable.
func (p *Party) Begin(ctx context.Context, redirect, next string) (to, sealed string, err error) {
	o := p.cfg.Access().OIDC
	pr, err := p.provider(ctx, &o)
	if err != nil {
		return "", "", err
	}
	if o.Redirect != "" {
		redirect = o.Redirect
	}
	begun := pending{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Redirect: redirect, Provider: hashOf(&o), Next: next, Begun: p.cfg.Now(),
	}
	if sealed, err = p.sealer.seal(begun); err != nil {
		return "", "", err
	}
	to = pr.oauth(begun.Redirect, "").AuthCodeURL(begun.State, oidc.Nonce(begun.Nonce), oauth2.S256ChallengeOption(begun.Verifier))
	return to, sealed, nil
}

func (pr *provider) oauth(redirect, secret string) *oauth2.Config {
	scopes := []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail}
	for _, s := range pr.of.Scopes {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return &oauth2.Config{ClientID: pr.of.ClientID, ClientSecret: secret, Endpoint: pr.endpoint, RedirectURL: redirect, Scopes: scopes}
}

// provider returns the configuration of the current provider. It reads the configuration if it is not known yet or is old.
func (p *Party) provider(ctx context.Context, o *auth.OIDC) (*provider, error) {
	if !o.Used() {
		return nil, ErrNoProvider
	}
	if pr := p.known(o); pr != nil {
		return pr, pr.err
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
	}
	if pr := p.known(o); pr != nil { // another sign-in has read it in the meantime
		return pr, pr.err
	}
	pr := discover(p.life, o, p.cfg.Within)
	pr.read = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last != nil {
		p.last.release()
	}
	p.last = pr
	return pr, pr.err
}

// known returns the provider if its configuration has been read recently.
func (p *Party) known(o *auth.OIDC) *provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil || !same(&p.last.of, o) {
		return nil
	}
	lasts := refresh
	if p.last.err != nil {
		lasts = again
	}
	if time.Since(p.last.read) > lasts {
		return nil
	}
	return p.last
}

// same reports whether two configurations lead to the same provider with the same requests. Groups do not matter.
func same(a, b *auth.OIDC) bool {
	return a.Provider() == b.Provider() && a.CA == b.CA && slices.Equal(a.Scopes, b.Scopes)
}

// discover reads the configuration of a provider (OpenID Connect Discovery 1.0).
func discover(life context.Context, o *auth.OIDC, within time.Duration) *provider {
	pr := &provider{of: *o, release: func() {}}
	fail := func(err error) *provider {
		pr.err = fmt.Errorf("%w: issuer %s: %w", ErrUnreachable, o.Issuer, short(err))
		return pr
	}
	var err error
	if pr.client, pr.release, err = newClient(life, o.Issuer, o.CA, within); err != nil {
		pr.release = func() {}
		return fail(err)
	}
	// A person who gives up does not end the request, because others may wait for it. The client has a time limit.
	ctx := oidc.ClientContext(life, pr.client)
	if pr.oidc, err = oidc.NewProvider(ctx, o.Issuer); err != nil {
		return fail(err)
	}
	var more struct {
		Keys    string   `json:"jwks_uri"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := pr.oidc.Claims(&more); err != nil {
		return fail(err)
	}
	pr.endpoint = pr.oidc.Endpoint()
	for name, text := range map[string]string{"authorization_endpoint": pr.endpoint.AuthURL, "token_endpoint": pr.endpoint.TokenURL, "jwks_uri": more.Keys} {
		if err := endpointOf(o.Issuer, text); err != nil {
			return fail(fmt.Errorf("%s %q: %w", name, brief(text), err))
		}
	}
	// Without a list, client_secret_basic is supported (OpenID Connect Discovery section 3). The choice avoids a second request with the same code.
	pr.endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if o.ClientSecretFile == "" || len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		pr.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return pr
}

// endpointOf returns an error if an endpoint of a provider is not secured like its issuer.
func endpointOf(issuer, text string) error {
	from, err := url.Parse(issuer)
	if err != nil {
		return err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("must be a URL")
	case u.Scheme != "https" && (u.Scheme != "http" || from.Scheme != "http" || u.Hostname() != from.Hostname()):
		return errors.New("must be https")
	}
	return nil
}

// short returns an error whose text is not longer than brief allows, because the errors of package oidc contain response bodies.
func short(err error) error {
	if text := err.Error(); len(text) > len(brief(text)) {
		return &shortError{brief(text), err}
	}
	return err
}

// A shortError is an error with a shortened text.
type shortError struct {
	text string
	err  error
}

func (e *shortError) Error() string { return e.text }

// Unwrap returns the error with its whole text.
func (e *shortError) Unwrap() error { return e.err }

var _ error = (*shortError)(nil)
