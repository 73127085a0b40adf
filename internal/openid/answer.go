package openid

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"op25b/internal/auth"
	"op25b/internal/readfile"
)

// Limits on an answer.
const (
	// maxCode is the limit on an authorization code, in bytes.
	maxCode = 4 << 10
	// maxToken is the limit on an ID token, in bytes. 1,000 groups with names of 50 bytes fit.
	maxToken = 96 << 10
	// maxGroups is the limit on the groups of a person, and maxGroup is the limit on the name of a group, in bytes.
	maxGroups, maxGroup = 1000, 256
	// maxSecret is the limit on the file with the client's secret, in bytes.
	maxSecret = 4 << 10
)

// Finish verifies the answer with which the provider sent the browser back. query is the query of the request, and sealed is the sign-in that
// the browser has kept. Finish returns the person, with those groups that are in the access file, and the path to return to. It returns ErrStart,
// ErrAnswer, ErrUnreachable, ErrBusy, ErrNoProvider, or a *RefusedError.
func (p *Party) Finish(ctx context.Context, query url.Values, sealed string) (who auth.Person, next string, err error) {
	begun, err := p.sealer.open(sealed, p.cfg.Now())
	if err != nil {
		return who, "", err
	}
	o := p.cfg.Access().OIDC
	switch {
	case subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(begun.State)) != 1:
		return who, "", fmt.Errorf("%w: the state is another one", ErrStart)
	case !bytes.Equal(begun.Provider, hashOf(&o)):
		return who, "", fmt.Errorf("%w: the OpenID Provider in the access file has changed", ErrStart)
	case query.Has("iss") && query.Get("iss") != o.Issuer: // RFC 9207
		return who, "", fmt.Errorf("%w: it comes from the issuer %q", ErrAnswer, brief(query.Get("iss")))
	case query.Has("error"):
		return who, "", &RefusedError{errorCode(query.Get("error"))}
	}
	code := query.Get("code")
	if code == "" || len(code) > maxCode {
		return who, "", fmt.Errorf("%w: it has a code of %d bytes; must be 1 to %d", ErrAnswer, len(code), maxCode)
	}
	select {
	case p.exchanges <- struct{}{}:
		defer func() { <-p.exchanges }()
	default:
		return who, "", ErrBusy
	}
	pr, err := p.provider(ctx, &o)
	if err != nil {
		return who, "", err
	}
	who, err = p.exchange(ctx, pr, code, begun)
	if err != nil {
		return auth.Person{}, "", err
	}
	who.Provider = o.Provider()
	who.Groups = slices.DeleteFunc(who.Groups, func(group string) bool { // keeps a session small
		return !slices.ContainsFunc(o.Groups, func(g auth.Group) bool { return g.Group == group })
	})
	return who, begun.Next, nil
}

// exchange exchanges the code for an ID token, and verifies the token (OpenID Connect Core section 3.1.3).
func (p *Party) exchange(ctx context.Context, pr *provider, code string, begun pending) (auth.Person, error) {
	secret, err := readSecret(pr.of.ClientSecretFile)
	if err != nil {
		return auth.Person{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, pr.client), 2*p.cfg.Within) // one request for the token and one for the keys
	defer cancel()
	token, err := pr.oauth(begun.Redirect, secret).Exchange(ctx, code, oauth2.VerifierOption(begun.Verifier))
	if err != nil {
		var answered *oauth2.RetrieveError
		if errors.As(err, &answered) && answered.ErrorCode != "" {
			return auth.Person{}, fmt.Errorf("%w: it does not accept the code: %s", ErrAnswer, errorCode(answered.ErrorCode))
		}
		return auth.Person{}, fmt.Errorf("%w: no token from %s: %w", ErrUnreachable, pr.endpoint.TokenURL, short(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok || len(raw) > maxToken {
		return auth.Person{}, fmt.Errorf("%w: its ID token has %d bytes; must be 1 to %d", ErrAnswer, len(raw), maxToken)
	}
	id, err := pr.oidc.Verifier(&oidc.Config{ClientID: pr.of.ClientID, Now: p.cfg.Now}).Verify(ctx, raw)
	if err != nil {
		if ctx.Err() != nil || strings.Contains(err.Error(), "fetching keys") {
			return auth.Person{}, fmt.Errorf("%w: no keys: %w", ErrUnreachable, short(err))
		}
		return auth.Person{}, fmt.Errorf("%w: %w", ErrAnswer, short(err))
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(begun.Nonce)) != 1 {
		return auth.Person{}, fmt.Errorf("%w: its nonce is that of another sign-in", ErrAnswer)
	}
	return personOf(&pr.of, id)
}

// personOf reads the claims of a verified ID token.
func personOf(o *auth.OIDC, id *oidc.IDToken) (who auth.Person, err error) {
	claims := make(map[string]json.RawMessage)
	if err := id.Claims(&claims); err != nil {
		return who, fmt.Errorf("%w: its claims: %w", ErrAnswer, short(err))
	}
	var azp string
	if raw, has := claims["azp"]; has || len(id.Audience) > 1 { // the token may be for another client that shares the audience
		if json.Unmarshal(raw, &azp) != nil || azp != o.ClientID {
			return who, fmt.Errorf("%w: its ID token was issued to another client", ErrAnswer)
		}
	}
	nameClaim, groupsClaim := o.Claims()
	if who.Name, err = nameOf(claims, nameClaim); err != nil {
		return who, err
	}
	who.Groups, err = groupsOf(claims, groupsClaim)
	return who, err
}

func nameOf(claims map[string]json.RawMessage, claim string) (name string, err error) {
	raw, has := claims[claim]
	if !has {
		return "", fmt.Errorf("%w: its ID token has no claim %q with the person's name; nameClaim names another one", ErrAnswer, claim)
	}
	if json.Unmarshal(raw, &name) != nil {
		return "", fmt.Errorf("%w: its claim %q is not text", ErrAnswer, claim)
	}
	if err := auth.PersonName(name); err != nil {
		return "", fmt.Errorf("%w: its claim %q: %w", ErrAnswer, claim, err)
	}
	if verified, has := claims["email_verified"]; claim == "email" && has && string(verified) != "true" && string(verified) != `"true"` {
		return "", fmt.Errorf("%w: it has not verified the mail address, which is the person's name here", ErrAnswer)
	}
	return name, nil
}

// groupsOf returns the groups in a claim, which is a list of texts or a single text. A missing claim means that the person has no group.
func groupsOf(claims map[string]json.RawMessage, claim string) (groups []string, err error) {
	raw, has := claims[claim]
	if !has {
		return nil, nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		groups = []string{one}
	} else if json.Unmarshal(raw, &groups) != nil {
		return nil, fmt.Errorf("%w: its claim %q is not a list of texts", ErrAnswer, claim)
	}
	if len(groups) > maxGroups {
		return nil, fmt.Errorf("%w: its claim %q has %d groups; must be at most %d", ErrAnswer, claim, len(groups), maxGroups)
	}
	for _, g := range groups {
		if len(g) > maxGroup {
			return nil, fmt.Errorf("%w: its claim %q has a group of %d bytes; must be at most %d", ErrAnswer, claim, len(g), maxGroup)
		}
	}
	return groups, nil
}

// errorCode returns an error code of OAuth 2.0 if it has the usual form. Other texts may be anything.
func errorCode(text string) string {
	if text == "" || len(text) > 64 || strings.ContainsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' }) {
		return "unknown"
	}
	return text
}

// readSecret reads the client's secret. It is read for each sign-in, so that it can be replaced.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := readfile.Bounded(path, maxSecret)
	if err != nil {
		return "", fmt.Errorf("clientSecretFile: %w", err)
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", fmt.Errorf("clientSecretFile %s is empty; must be 1 to %d bytes", path, maxSecret)
	}
	return secret, nil
}
