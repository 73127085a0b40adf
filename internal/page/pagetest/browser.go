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

// Chromium starts a headless browser, or skips the test if there is none. The returned function returns the errors on the browser's console so far, which include violations of
// the Content-Security-Policy.
func Chromium(t *testing.T) (context.Context, func() []string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		fmt.Println("SKIPPED: no chromium: apt-get install chromium fonts-noto-cjk")
		t.Skip("no chromium")
	}
	alloc, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(alloc)
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
