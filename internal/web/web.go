// Package web serves the NOC's page, which shows what the switches do and what needs attention.
//
// The page is a client of the API in the same process, and uses the credentials of the person who views it. The API's roles, limits and
// audit records therefore apply. The HTML is rendered on the server. A small script replaces the parts that have changed, and the page also
// works without the script.
//
// The package makes no decision about a switch, and its only state is the sign-ins, the last verification of the audit chain, and the
// last head that the chain did not have.
package web

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"op25b/internal/auth"
	"op25b/internal/openid"
	"op25b/internal/page"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// ErrConfig is returned by New for an invalid Config.
var ErrConfig = errors.New("invalid configuration of the page")

// A Config configures a Site.
type Config struct {
	// API is the handler of the API.
	API http.Handler
	// Identify returns the caller of a request, or an error that wraps auth.ErrUnknown.
	Identify func(*http.Request) (auth.Caller, error)
	// Watch returns a context for the site's own API calls, which have the role viewer and belong to no person. The site uses it to watch
	// the switches.
	Watch func(context.Context) context.Context
	// OpenID signs people in by the OpenID Provider in the access file. It may be nil. As returns a context for the API calls of a person who
	// has signed in; it is required with OpenID.
	OpenID *openid.Party
	As     func(context.Context, auth.Person) context.Context
	// Hosts are the host names under which the page may be requested, in addition to the addresses of this host. The list is needed because
	// a page from another site could otherwise reach this page by a name that resolves to its address.
	Hosts []string
	// Name is the name of this controller.
	Name string
	// Now returns the current time; nil means time.Now.
	Now func() time.Time
	// Logger may be nil.
	Logger *zap.Logger
}

// A Site is the NOC's page.
type Site struct {
	cfg       Config
	templates *template.Template
	assets    *page.Assets
	sessions  *sessions
	verified  verified
	live      *live
	failures  rate.Sometimes // limits the log lines about failed sign-ins, which strangers can cause
	handler   http.Handler
}

var _ http.Handler = (*Site)(nil)

// New returns a site. It returns ErrConfig if API or Identify is missing, or As with OpenID.
func New(cfg Config) (*Site, error) {
	if cfg.API == nil || cfg.Identify == nil || cfg.OpenID != nil && cfg.As == nil {
		return nil, fmt.Errorf("%w: no API", ErrConfig)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Watch == nil {
		cfg.Watch = func(ctx context.Context) context.Context { return ctx }
	}
	s := &Site{cfg: cfg, assets: page.NewAssets(assetFiles), sessions: newSessions(cfg.Now), failures: rate.Sometimes{First: 10, Interval: 10 * time.Second}}
	var err error
	if s.templates, err = template.New("").ParseFS(templateFiles, "templates/*.html"); err != nil {
		return nil, err
	}
	s.live = newLive(s)
	mux := http.NewServeMux()
	mux.Handle("GET /assets/{file}", s.assets)
	mux.HandleFunc("GET /signin", s.signInPage)
	mux.HandleFunc("POST /signin", s.signIn)
	mux.HandleFunc("GET /signin/oidc", s.beginOpenID)
	mux.HandleFunc("GET "+auth.CallbackPath, s.finishOpenID)
	mux.HandleFunc("POST /signout", s.signOut)
	mux.HandleFunc("POST /language", page.SetLanguage)
	for pattern, show := range map[string]func(*visit) error{
		"GET /switch/{switch}":         s.switchPage,
		"GET /exemptions":              s.exemptions,
		"GET /programme":               s.programme,
		"POST /preview":                s.preview,
		"POST /change":                 s.change,
		"GET /changes":                 s.changes,
		"GET /changes/{revision}":      s.revision,
		"GET /switch/{switch}/{verb}":  s.askSwitch,
		"POST /switch/{switch}/{verb}": s.doSwitch,
		"GET /rollout/start":           s.askStart,
		"POST /rollout/start":          s.start,
		"GET /rollout/{verb}":          s.askSteer,
		"POST /rollout/{verb}":         s.steer,
		"POST /verify":                 s.verify,
		"GET /check":                   s.checkPage,
		"POST /check":                  s.checkPage,
	} {
		mux.Handle(pattern, s.page(show))
	}
	mux.Handle("GET /{$}", s.visited(s.overview))
	mux.Handle("GET /rollout", s.visited(s.rolloutPage))
	mux.Handle("/", s.page(func(v *visit) error { return errNoPage }))
	all := http.NewServeMux()
	all.HandleFunc("GET /events", s.events)
	all.Handle("/", page.Compressed(mux))
	s.handler = page.Secured(page.Hosts(cfg.Hosts), "This address is not one of the page's: name it with op25b serve --web-host.", all)
	return s, nil
}

// ServeHTTP serves a page.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Run watches the switches for open pages until ctx ends.
func (s *Site) Run(ctx context.Context) { s.live.run(ctx) }
