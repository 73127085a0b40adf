// Package portal serves the customers' portal: whether a customer is affected by the block on port 25, and what to set.
//
// The portal is a client of a controller's PortalService. It serves its pages from the last publication, so that they stay available while no
// controller can be reached, and says so. For the visitor's own line it asks the controller with the address of the connection; no field of a
// request can name another line.
//
// The pages are rendered on the server and need no script. The portal has no session. Its only cookie is that of the language. It neither logs
// nor stores an address.
package portal

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/zap"

	"op25b/internal/check/desk"
	"op25b/internal/lang"
	"op25b/internal/page"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/article"
	"op25b/internal/portal/content"
	"op25b/internal/portal/published"
	"op25b/internal/portal/site"
	"op25b/internal/portal/visitor"
	op25bv1 "op25b/proto/op25b/v1"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// ErrConfig is returned by New for an invalid Config.
var ErrConfig = errors.New("invalid configuration of the portal")

// An OwnLine asks a controller about the line that has an address. It is PortalService.AskOwnLine.
type OwnLine func(context.Context, *connect.Request[op25bv1.AskOwnLineRequest]) (*connect.Response[op25bv1.AskOwnLineResponse], error)

// A Config configures a Site.
type Config struct {
	// Published has the publication.
	Published *published.Follower
	// AskOwnLine asks about the visitor's line. If it is nil, visitors pick the kind of their line.
	AskOwnLine OwnLine
	// Resolver finds the addresses of servers. It may be nil.
	Resolver desk.Resolver
	// Content is what the ISP says about itself.
	Content *content.Content
	// Hosts are the host names under which the portal may be requested, beside localhost and addresses.
	Hosts []string
	// Proxies finds a visitor's address.
	Proxies visitor.Proxies
	// Limits limits the requests. The zero value means DefaultLimits.
	Limits Limits
	// Now returns the time of this host; nil means time.Now.
	Now func() time.Time
	// Metrics and Logger may be nil.
	Metrics *Metrics
	Logger  *zap.Logger
}

// Limits are the limits on the requests of an address and of all addresses. Look-ups are requests that name a server or a mail address.
type Limits struct {
	Each, All               visitor.Rate
	EachLookups, AllLookups visitor.Rate
}

// DefaultLimits are meant for a portal that a whole ISP uses at once, on the day on which mail stops. Many customers can share an IPv4 address.
var DefaultLimits = Limits{
	Each: visitor.Rate{PerSecond: 10, Burst: 60}, All: visitor.Rate{PerSecond: 4000, Burst: 4000},
	EachLookups: visitor.Rate{PerSecond: 1, Burst: 20}, AllLookups: visitor.Rate{PerSecond: 200, Burst: 400},
}

// A Site is the customers' portal.
type Site struct {
	cfg       Config
	templates *template.Template
	assets    *page.Assets
	prefix    string // the path of the portal's address, without a slash at its end
	answers   *answer.Engine
	kept      keptPages
	requests  *visitor.Limiter
	lookups   *visitor.Limiter
	handler   http.Handler

	dateless struct { // the notices that the log has reported because the policy has none of their line groups
		mu       sync.Mutex // guards the fields below
		revision uint64
		logged   map[string]bool // by ID
	}
}

var _ http.Handler = (*Site)(nil)

// New returns a site. It returns ErrConfig if Published or Content is missing.
func New(cfg Config) (*Site, error) {
	if cfg.Published == nil || cfg.Content == nil {
		return nil, fmt.Errorf("%w: no publication or no content", ErrConfig)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Limits == (Limits{}) {
		cfg.Limits = DefaultLimits
	}
	s := &Site{
		cfg: cfg, assets: page.NewAssets(assetFiles),
		requests: visitor.NewLimiter(cfg.Limits.Each, cfg.Limits.All, cfg.Now),
		lookups:  visitor.NewLimiter(cfg.Limits.EachLookups, cfg.Limits.AllLookups, cfg.Now),
	}
	var resolver *answer.Resolver
	if cfg.Resolver != nil {
		resolver = answer.NewResolver(cfg.Resolver)
	}
	s.answers = answer.NewEngine(resolver)
	u, err := url.Parse(cfg.Content.Site.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err) // package site checked it
	}
	s.prefix = strings.TrimSuffix(u.Path, "/")
	if s.templates, err = template.New("").ParseFS(templateFiles, "templates/*.html"); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for pattern, show := range map[string]func(*visit) (reply, error){
		"GET /{$}":         (*visit).start,
		"POST /affected":   (*visit).affected,
		"GET /a/{code}":    (*visit).answer,
		"GET /mine/{code}": (*visit).mine,
		"GET /find":        (*visit).find,
		"GET /test":        (*visit).test,
		"POST /test":       (*visit).tested,
		"GET /programme":   (*visit).programme,

		"GET " + pathNotices:             (*visit).notices,
		"GET " + pathNotices + "/{name}": (*visit).notice,
		"GET " + pathSettings:            (*visit).settingsPage,
		"GET " + pathQuestions:           articlePage(article.Questions),
		"GET " + pathBusiness:            articlePage(article.Business),
		"GET " + pathPublication:         articlePage(article.Publication),
		"GET " + pathPolicy:              (*visit).policyPage,
		"GET " + pathPolicyJSON:          (*visit).policyJSON,
		"GET " + site.SecurityPath:       (*visit).security,
	} {
		mux.Handle(pattern, s.page(show))
	}
	for _, l := range lang.All() {
		mux.Handle("GET "+feedPath(string(l)), s.page(feedIn(l)))
		mux.Handle("GET "+calendarPath(string(l)), s.page(calendarIn(l)))
	}
	mux.Handle("GET /", s.page(func(*visit) (reply, error) { return reply{}, errNoPage }))
	all := http.NewServeMux()
	all.Handle("GET /assets/{file}", page.Compressed(s.assets))
	all.Handle("/", s.limited(page.Compressed(mux)))
	hosts := append([]string{cfg.Content.Site.Host()}, cfg.Hosts...)
	s.handler = page.Headers(page.Hosts(hosts), "This address is not one of the portal's: name it with op25b portal --host.", s.below(all))
	return s, nil
}

// ServeHTTP serves a page.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// below serves the site below the path of its address. security.txt is at the root of the host (RFC 9116 section 3).
func (s *Site) below(all http.Handler) http.Handler {
	if s.prefix == "" {
		return all
	}
	mux := http.NewServeMux()
	mux.Handle(s.prefix+"/", http.StripPrefix(s.prefix, all))
	mux.Handle("GET "+site.SecurityPath, all)
	return mux
}

// limited refuses requests beyond the limits with a page in both languages.
func (s *Site) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr, _ := s.cfg.Proxies.Address(r)
		if refusal := s.requests.Allow(addr); refusal != nil {
			s.refuse(w, refusal)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse sends the page of a refused request.
func (s *Site) refuse(w http.ResponseWriter, x *visitor.Refusal) {
	s.cfg.Metrics.refused(x.Limit)
	seconds := int(x.After.Seconds())
	w.Header().Set("Retry-After", fmt.Sprint(seconds))
	s.render(w, http.StatusTooManyRequests, "busy.html", struct {
		Prefix, Version string
		Seconds         int
	}{s.prefix, s.assets.Version, seconds})
}
