// Package web serves the NOC's page: what the switches do, and what needs attention.
//
// The page is a client of the API in the same process, with the credentials of the person who looks at it: roles, bounds and audit records
// are those of the API. HTML is rendered here; a small script replaces what has changed, and the page works without it.
//
// The page makes no decision about a switch and holds no state but sign-ins.
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

	"op25b/internal/auth"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// ErrConfig is returned by New for a Config that cannot work.
var ErrConfig = errors.New("invalid configuration of the page")

// A Config configures a Site.
type Config struct {
	// API is the handler of the API.
	API http.Handler
	// Identify returns the caller of a request, or an error that wraps auth.ErrUnknown.
	Identify func(*http.Request) (auth.Caller, error)
	// Watch returns a context whose calls of the API have the role viewer and no person behind them. The site watches the switches with it.
	Watch func(context.Context) context.Context
	// Hosts are the host names under which the page may be requested, beside the addresses of this host. A page from another site could
	// otherwise reach it by a name that resolves to it.
	Hosts []string
	// Name is the name of this controller.
	Name string
	// Now returns the time; time.Now if nil.
	Now func() time.Time
	// Logger may be nil.
	Logger *zap.Logger
}

// A Site is the NOC's page.
type Site struct {
	cfg       Config
	templates *template.Template
	sessions  *sessions
	live      *live
	handler   http.Handler
}

var _ http.Handler = (*Site)(nil)

// New returns a site. It returns ErrConfig if the API or Identify is missing.
func New(cfg Config) (*Site, error) {
	if cfg.API == nil || cfg.Identify == nil {
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
	s := &Site{cfg: cfg, sessions: newSessions(cfg.Now)}
	var err error
	if s.templates, err = template.New("").Funcs(functions()).ParseFS(templateFiles, "templates/*.html"); err != nil {
		return nil, err
	}
	s.live = newLive(s)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{file}", s.asset)
	mux.HandleFunc("GET /signin", s.signInPage)
	mux.HandleFunc("POST /signin", s.signIn)
	mux.HandleFunc("POST /signout", s.signOut)
	mux.HandleFunc("POST /language", s.language)
	for pattern, page := range map[string]func(*visit) error{
		"GET /{$}":             s.overview,
		"GET /switch/{switch}": s.switchPage,
		"GET /programme":       s.programme,
		"POST /preview":        s.preview,
		"POST /change":         s.change,
		"GET /changes":         s.changes,
		"GET /check":           s.checkPage,
		"POST /check":          s.checkPage,
	} {
		mux.Handle(pattern, s.page(page))
	}
	mux.HandleFunc("GET /events", s.events)
	mux.Handle("/", s.page(func(v *visit) error { return errNoPage }))
	s.handler = secured(hosts(cfg.Hosts), mux)
	return s, nil
}

// ServeHTTP serves a page.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Run watches the switches for open pages until ctx ends.
func (s *Site) Run(ctx context.Context) { s.live.run(ctx) }

// asset serves an embedded file. Its address has the hash of all files, so that a browser may keep it.
func (s *Site) asset(w http.ResponseWriter, r *http.Request) {
	data, err := assetFiles.ReadFile("assets/" + r.PathValue("file"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	w.Header().Set("Content-Type", types[extension(r.PathValue("file"))])
	w.Header().Set("Cache-Control", "max-age=31536000, immutable")
	_, _ = w.Write(data)
}
