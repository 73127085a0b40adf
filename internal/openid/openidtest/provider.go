// Package openidtest starts an OpenID Provider for tests: the provider of github.com/zitadel/oidc, over real HTTP, with a form for name and
// password. A test can change the claims of people, replace ID tokens, and replace whole responses.
package openidtest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The client that is registered at the provider, and the password of everybody.
const (
	ClientID = "op25b"
	Secret   = "a secret of the page"
	Password = "a password"
)

// Paths of the provider.
const (
	Discovery = "/.well-known/openid-configuration"
	Authorize = "/authorize"
	Token     = "/oauth/token"
	Keys      = "/keys"
	login     = "/login/username" // given by package storage
)

// A Provider is a running OpenID Provider.
type Provider struct {
	// Issuer is the issuer identifier. CA is a file with the certificate of an https issuer.
	Issuer, CA string
	// SecretFile is a file with Secret.
	SecretFile string

	t       testing.TB
	store   *store
	own     http.Handler
	clients map[string]*storage.Client

	mu       sync.Mutex // guards the fields below
	forge    func(claims map[string]any) string
	replaced map[string]http.HandlerFunc
	seen     map[string]int
}

// Start starts a provider until the test ends. people are the claims of each person by name. The issuer's host is "127.0.0.1" with https, or
// "localhost" with http, which a browser on 127.0.0.1 regards as another site.
func Start(t testing.TB, secure bool, people map[string]map[string]any) *Provider {
	t.Helper()
	p := &Provider{
		t: t, clients: make(map[string]*storage.Client), replaced: make(map[string]http.HandlerFunc), seen: make(map[string]int),
		SecretFile: filepath.Join(t.TempDir(), "secret"),
	}
	if err := os.WriteFile(p.SecretFile, []byte(Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.store = &store{people: maps.Clone(people)}
	p.store.Storage = storage.NewStorageWithClients(p.store, p.clients)
	server := httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // clients that do not trust the certificate
	if secure {
		server.StartTLS()
		p.Issuer = server.URL
		p.CA = filepath.Join(t.TempDir(), "ca.pem")
		cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(p.CA, cert, 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		server.Start()
		_, port, err := net.SplitHostPort(server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		p.Issuer = "http://localhost:" + port
	}
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // of handlers that hang
	handler, err := p.handler()
	if err != nil {
		t.Fatal(err)
	}
	p.own = handler
	return p
}

// handler returns the provider's own handler.
func (p *Provider) handler() (http.Handler, error) {
	config := &op.Config{CryptoKey: sha256.Sum256([]byte(p.Issuer)), CodeMethodS256: true, AuthMethodPost: true}
	provider, err := op.NewProvider(config, p.store, op.StaticIssuer(p.Issuer), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	back := op.AuthCallbackURL(provider)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+login, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!DOCTYPE html><title>Login</title><link rel="icon" href="data:,"><form method="post" action="%s"><input type="hidden" name="id" value="%s">
<label>Name <input id="username" name="username"></label><label>Password <input id="password" name="password" type="password"></label><button id="login">Login</button></form>`,
			login, html.EscapeString(r.FormValue("authRequestID")))
	})
	mux.HandleFunc("POST "+login, op.NewIssuerInterceptor(provider.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.PostFormValue("id")
		if err := p.store.CheckUsernamePassword(r.PostFormValue("username"), r.PostFormValue("password"), id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, back(r.Context(), id), http.StatusFound)
	}))
	mux.Handle("/", provider)
	return mux, nil
}

// serve serves a request, unless the test has replaced its path.
func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen[r.URL.Path]++
	replaced, forge := p.replaced[r.URL.Path], p.forge
	p.mu.Unlock()
	switch {
	case replaced != nil:
		replaced(w, r)
	case r.URL.Path == Token && forge != nil:
		p.forged(w, r, forge)
	default:
		p.own.ServeHTTP(w, r)
	}
}

// forged replaces the ID token in a response.
func (p *Provider) forged(w http.ResponseWriter, r *http.Request, forge func(map[string]any) string) {
	rec := httptest.NewRecorder()
	p.own.ServeHTTP(rec, r)
	answer := make(map[string]any)
	if rec.Code != http.StatusOK || json.Unmarshal(rec.Body.Bytes(), &answer) != nil {
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
		return
	}
	raw, _ := answer["id_token"].(string)
	parts := strings.Split(raw, ".")
	claims := make(map[string]any)
	if payload, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)]); err != nil || json.Unmarshal(payload, &claims) != nil {
		p.t.Errorf("the provider's ID token %q cannot be read", raw)
	}
	answer["id_token"] = forge(claims)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// Register registers the page with the URL to which the provider may send people back.
func (p *Provider) Register(redirect string) {
	p.clients[ClientID] = storage.WebClient(ClientID, Secret, redirect)
}

// SetClaims changes the claims of a person.
func (p *Provider) SetClaims(name string, claims map[string]any) {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	p.store.people[name] = claims
}

// Forge replaces each ID token by the result of a function of its claims; nil ends this.
func (p *Provider) Forge(forge func(claims map[string]any) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forge = forge
}

// Replace replaces the responses of a path; nil ends this.
func (p *Provider) Replace(path string, h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replaced[path] = h
}

// Seen returns the number of requests for a path.
func (p *Provider) Seen(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[path]
}

// Key returns the provider's signing key and its id.
func (p *Provider) Key() (key any, id string) {
	k, err := p.store.SigningKey(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	return k.Key(), k.ID()
}

// Sign signs claims as an ID token.
func Sign(t testing.TB, claims map[string]any, alg jose.SignatureAlgorithm, key any, id string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A store is the storage of the provider. Its people have the claims that the test gives them.
type store struct {
	*storage.Storage

	mu     sync.Mutex // guards people
	people map[string]map[string]any
}

// SetUserinfoFromRequest adds the claims of a person to an ID token.
func (s *store) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, _ []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	info.Subject = r.GetSubject()
	for name, value := range s.people[r.GetSubject()] {
		info.AppendClaims(name, value)
	}
	return nil
}

// GetUserByID returns a person.
func (s *store) GetUserByID(name string) *storage.User {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.people[name]; !known {
		return nil
	}
	return &storage.User{ID: name, Username: name, Password: Password}
}

// GetUserByUsername returns a person.
func (s *store) GetUserByUsername(name string) *storage.User { return s.GetUserByID(name) }

// ExampleClientID is required by package storage.
func (s *store) ExampleClientID() string { return "service" }

var (
	_ op.Storage                   = (*store)(nil)
	_ op.CanSetUserinfoFromRequest = (*store)(nil)
	_ storage.UserStore            = (*store)(nil)
)
