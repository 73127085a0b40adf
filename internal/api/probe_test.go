package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// A joint calls its function once for concurrent callers, and cancels the call after all callers
// have disconnected.
func TestJoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, gone := 0, 0
		go1 := make(chan struct{})
		j := &joint[int]{ask: func(ctx context.Context) int {
			asked++
			n := asked
			select {
			case <-go1:
			case <-ctx.Done():
				gone++
			}
			return n
		}}
		answers := make(chan int, 3)
		for range 3 {
			go func() {
				n, err := j.answer(t.Context())
				if err != nil {
					t.Error(err)
				}
				answers <- n
			}()
		}
		synctest.Wait()
		go1 <- struct{}{}
		for range 3 {
			if n := <-answers; n != 1 {
				t.Errorf("answer %d", n)
			}
		}
		left, leave := context.WithCancelCause(t.Context())
		go func() {
			synctest.Wait()
			leave(errors.New("left"))
		}()
		if _, err := j.answer(left); err == nil || err.Error() != "left" {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		if asked != 2 || gone != 1 || j.now != nil {
			t.Errorf("asked %d times, %d for nobody", asked, gone)
		}
	})
}

// I12: requests without credentials have a separate limit.
func TestProbesAreBounded(t *testing.T) {
	var deps Deps
	newWorld(t, func(d *Deps) { deps = *d })
	deps.Metrics = nil
	d := New(deps).(*door)
	d.probes = make(chan struct{}, 1)
	d.probes <- struct{}{} // one request is already in progress
	addr := serve(t, Listening{Addr: "127.0.0.1:0"}, d)
	if code, body := get(t, "http://"+addr+"/readyz"); code != http.StatusTooManyRequests || !strings.Contains(body, "1 requests without credentials are in progress") {
		t.Errorf("%d %s", code, body)
	}
	if code, _, body := post(t, "http://"+addr+listPath, "{}"); code != http.StatusOK {
		t.Errorf("a known caller: %d %s", code, body)
	}
	<-d.probes
	if code, body := get(t, "http://"+addr+"/readyz"); code != http.StatusOK || body != "ready\n" {
		t.Errorf("%d %s", code, body)
	}
}
