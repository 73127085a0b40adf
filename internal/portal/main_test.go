package portal_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"op25b/examples"
	"op25b/internal/page/pagetest"
	"op25b/internal/policy"
	"op25b/internal/portal"
	"op25b/internal/portal/content"
	"op25b/internal/portal/portaltest"
	"op25b/internal/portal/published"
	op25bv1 "op25b/proto/op25b/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pagetest.Tests{M: m}) }

// day returns the beginning of a day in Japan.
func day(text string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, text, time.FixedZone("", 9*3600))
	if err != nil {
		panic(err)
	}
	return t
}

// A rig is a portal over real HTTP, with a fake controller.
type rig struct {
	t          testing.TB
	controller *portaltest.Controller
	published  *published.Follower
	base       string
	log        *syncBuffer
	stop       func()
}

// start starts a portal with the example of 2006 at a day. change, if not nil, changes the configuration.
func start(t testing.TB, at string, change func(*portal.Config, *op25bv1.Publication), acts ...policy.Activation) *rig {
	t.Helper()
	r := &rig{t: t, controller: portaltest.Start(t), log: &syncBuffer{}}
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	log := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(r.log), zapcore.DebugLevel))
	client := r.controller.Client()
	p := portaltest.Publication(t, examples.SpinNet2006(), examples.Providers(), day(at), acts...)
	cfg := portal.Config{AskOwnLine: client.Portal.AskOwnLine, Content: shipped(t), Logger: log}
	if change != nil {
		change(&cfg, p)
	}
	r.controller.SetTime(day(at))
	r.controller.Publish(p)
	var err error
	if r.published, err = published.Open(t.Context(), published.Config{Watch: client.Portal.WatchPublication, MinPause: time.Millisecond, Logger: log}); err != nil {
		t.Fatal(err)
	}
	cfg.Published = r.published
	site, err := portal.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.base = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.published.Run(ctx) })
	running.Go(func() {
		if err := portal.Serve(ctx, listener, site, log); err != nil {
			t.Error(err)
		}
	})
	r.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(r.stop)
	r.await(func(v *published.View) bool { return v.Connected && v.Publication != nil })
	return r
}

// shipped returns the example's content.
func shipped(t testing.TB) *content.Content {
	t.Helper()
	c, err := content.Load(examples.Portal())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// await waits until the view of the publication fulfils a condition.
func (r *rig) await(what func(*published.View) bool) {
	r.t.Helper()
	for {
		changed := r.published.Changed()
		if what(r.published.View()) {
			return
		}
		select {
		case <-changed:
		case <-r.t.Context().Done():
			r.t.Fatal("the publication did not change")
		}
	}
}

// A browser is an HTTP client with cookies. It does not follow redirects.
type browser struct {
	*http.Client
	t    testing.TB
	base string
	lang string
}

func (r *rig) browser(lang string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	transport := &http.Transport{}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &browser{&http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, r.t, r.base, lang}
}

func (b *browser) do(method, path string, form url.Values, headers ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept-Language", b.lang)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := b.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(body)
}

func (b *browser) get(path string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	return b.do(http.MethodGet, path, nil, headers...)
}

func (b *browser) post(path string, form url.Values, headers ...string) (*http.Response, string) {
	b.t.Helper()
	return b.do(http.MethodPost, path, form, headers...)
}

// ask sends the form and follows the redirect to the answer.
func (b *browser) ask(form url.Values, headers ...string) (path, page string) {
	b.t.Helper()
	res, page := b.post("/affected", form, headers...)
	if res.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("%v: status %d\n%s", form, res.StatusCode, page)
	}
	path = res.Header.Get("Location")
	res, page = b.get(path, headers...)
	if res.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: status %d\n%s", path, res.StatusCode, page)
	}
	return path, page
}

// A syncBuffer collects a log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// want reports the texts that a page lacks.
func want(t testing.TB, what, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("%s lacks %q:\n%s", what, text, page)
		}
	}
}

// A recorder records a response.
type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(code int)        { w.code = code }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }

// serve requests a page from a handler.
func serve(t testing.TB, h http.Handler, path string) *recorder {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host, r.RemoteAddr = "localhost", "198.51.100.7:1234"
	w := &recorder{header: make(http.Header)}
	h.ServeHTTP(w, r)
	return w
}

// aloneInShort skips a test of a single goroutine under -short, with which the race detector runs. It would take minutes and find nothing there.
func aloneInShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped under -short: it has one goroutine")
	}
}
