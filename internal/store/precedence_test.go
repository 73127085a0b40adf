package store

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestPrecedence verifies that a transaction waits for the changes in progress, but neither for long nor longer than its caller.
func TestPrecedence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p precedence
		took := func(ctx context.Context) time.Duration {
			began := time.Now()
			p.wait(ctx)
			return time.Since(began)
		}
		expect := func(what string, got, want time.Duration) {
			t.Helper()
			if got != want {
				t.Errorf("%s: waited %v, want %v", what, got, want)
			}
		}
		expect("no change", took(t.Context()), 0)
		first, second := p.begin(), p.begin()
		go func() { time.Sleep(50 * time.Millisecond); first() }()
		go func() { time.Sleep(100 * time.Millisecond); second(); second() }()
		expect("two changes", took(t.Context()), 100*time.Millisecond)
		expect("after them", took(t.Context()), 0)
		third := p.begin()
		expect("a slow change", took(t.Context()), waitForChanges)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		expect("the caller's end", took(ctx), time.Millisecond)
		third()
		expect("after the slow change", took(t.Context()), 0)
	})
}
