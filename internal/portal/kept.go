package portal

import (
	"sync"
	"time"

	"op25b/internal/page"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/published"
)

// On a day on which mail stops, many visitors ask the same few questions. An answer page is the same for all of them, so it is rendered and
// compressed once for each state of the publication.

const (
	// keptFor is the longest time for which a page is kept. The answer in it may depend on addresses from the DNS.
	keptFor = 5 * time.Second
	// maxPages is the limit on the number of kept pages. A page takes about 20 kB.
	maxPages = 1000
)

// A pageKey has everything on which an answer page depends, beside the publication and the time.
type pageKey struct {
	path, lang string
	question   answer.Question
	current    bool
	isOwn      bool
	own        ownFacts // if isOwn
}

// A keptPage is a page with the time until which it is valid, by the clock of the controller.
type keptPage struct {
	body  *page.Body
	until time.Time
}

// keptPages has the pages of one state of the publication.
type keptPages struct {
	mu    sync.Mutex // guards the fields below
	view  *published.View
	pages map[pageKey]keptPage
}

// find returns a page that is valid at a time.
func (k *keptPages) find(view *published.View, key pageKey, now time.Time) *page.Body {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, known := k.pages[key]; known && k.view == view && now.Before(p.until) {
		return p.body
	}
	return nil
}

// put keeps a page. When there are too many, or when they are of another state, the other pages are dropped.
func (k *keptPages) put(view *published.View, key pageKey, p keptPage) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.view != view || len(k.pages) >= maxPages {
		k.view, k.pages = view, map[pageKey]keptPage{}
	}
	k.pages[key] = p
}

// kept returns a page that was made before, or makes it. Only pages with the status 200 are kept.
func (v *visit) kept(key pageKey, show func() (reply, error)) (reply, error) {
	key.path, key.lang, key.current = v.Path, v.Lang, v.Current
	if body := v.site.kept.find(v.view, key, v.Now); body != nil {
		return reply{page: body}, nil
	}
	out, err := show()
	if err != nil || out.code != 0 || out.name == "" {
		return out, err
	}
	data, err := v.site.rendered(out.name, out.data)
	if err != nil {
		return reply{}, err
	}
	p := keptPage{page.NewBody(data), v.Now.Add(keptFor)}
	if event, ok := v.view.Publication.Policy().NextEvent(v.Now); ok && event.Before(p.until) {
		p.until = event
	}
	v.site.kept.put(v.view, key, p)
	return reply{page: p.body}, nil
}
