package portal

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// TestConnectionsAreBounded verifies that a connection beyond the limit closes the one that has waited longest, and is closed itself if all
// others are being served.
func TestConnectionsAreBounded(t *testing.T) {
	x := &connections{most: 2, waiting: map[net.Conn]time.Time{}}
	var far []net.Conn
	open := func() net.Conn {
		near, other := net.Pipe()
		far = append(far, other)
		x.changed(near, http.StateNew)
		return near
	}
	closed := func(i int) bool {
		_ = far[i].SetReadDeadline(time.Unix(1, 0)) // a closed pipe is reported first
		_, err := far[i].Read(make([]byte, 1))
		timeout, is := err.(net.Error)
		return err != nil && !(is && timeout.Timeout())
	}
	defer func() {
		for _, c := range far {
			_ = c.Close()
		}
	}()
	first, second := open(), open()
	x.waiting[first] = time.Now().Add(-time.Minute)
	third := open()
	if !closed(0) || closed(1) || closed(2) {
		t.Error("the connection that waited longest was not the one that was closed")
	}
	x.changed(first, http.StateClosed)
	x.changed(second, http.StateActive)
	x.changed(third, http.StateActive)
	open()
	if !closed(3) || closed(1) || closed(2) {
		t.Error("a connection that is being served was closed, or the new one was not")
	}
	if len(x.waiting) != 0 {
		t.Errorf("%d connections wait", len(x.waiting))
	}
}
