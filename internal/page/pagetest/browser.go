// Package pagetest tests pages in a real browser, and their texts.
package pagetest

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Tests are the tests of a package that share one browser, because the start of a browser takes about as long as ten pages. TestMain runs them in
// place of its testing.M.
type Tests struct {
	M interface{ Run() int }
}

// shared is the browser that the tests of a package share.
var shared struct {
	mu   sync.Mutex      // guards the fields below
	on   bool            // the package shares a browser
	ctx  context.Context // of the browser; nil until a test needs it
	stop func()
}

// Run runs the tests, and then stops their browser.
func (p Tests) Run() int {
	shared.mu.Lock()
	shared.on = true
	shared.mu.Unlock()
	code := p.M.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.ctx != nil {
		shared.stop()
	}
	return code
}

// start starts a browser that lives until stop is called.
func start(path string) (ctx context.Context, stop func(), err error) {
	alloc, kill := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)...)
	ctx, end := chromedp.NewContext(alloc)
	stop = func() { end(); kill() }
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		stop()
		return nil, nil, err
	}
	return ctx, stop, nil
}

// running returns the browser of the package's tests, or one for this test alone if they do not share one.
func running(t *testing.T, path string) context.Context {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.ctx != nil {
		return shared.ctx
	}
	ctx, stop, err := start(path)
	switch {
	case err != nil:
		t.Fatal(err)
	case shared.on:
		shared.ctx, shared.stop = ctx, stop
	default:
		t.Cleanup(stop)
	}
	return ctx
}

// Chromium opens a tab in a headless browser, or skips the test if there is none. The tab shares no cookies with those of other tests. The returned
// function returns the errors on the tab's console so far, which include violations of the Content-Security-Policy.
func Chromium(t *testing.T) (context.Context, func() []string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		fmt.Println("SKIPPED: no chromium: apt-get install chromium fonts-noto-cjk")
		t.Skip("no chromium")
	}
	ctx, end := chromedp.NewContext(running(t, path), chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	var mu sync.Mutex
	var faults []string
	var reading sync.WaitGroup
	reading.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == "error" || m.Type == chromedp.ConsoleException {
				mu.Lock()
				faults = append(faults, m.Text)
				mu.Unlock()
			}
		}
	})
	t.Cleanup(func() { end(); reading.Wait() })
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return faults
	}
}

// Evaluate runs a script in the page and returns its value.
func Evaluate[T any](t *testing.T, ctx context.Context, script string, opts ...chromedp.EvaluateOption) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, opts...))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
