package web_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestCheckTrace verifies that the tables that matched come first, and that all steps are folded.
func TestCheckTrace(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	_, page := b.get("/check")
	_, page = b.post("/check", url.Values{"csrf": {csrf(page)}, "line": {"adsl-home"}, "to": {"203.0.113.25"}, "port": {"25"}, "at": {"2006-12-01"}})
	_, engineer := customersPart(t, page)
	parts := strings.Split(engineer, "<summary>")
	if len(parts) != 3 || !strings.Contains(parts[0], "trace of the SYN, from the line: ") || !strings.Contains(parts[1], "trace of the SYN-ACK, to the line: ") {
		t.Fatalf("%d parts:\n%s", len(parts), engineer)
	}
	_, hits, _ := strings.Cut(parts[0], "trace of the SYN")
	if !strings.Contains(hits, ": hit") || strings.Contains(hits, ": miss") || strings.Contains(hits, "state ") {
		t.Errorf("before the fold:\n%s", hits)
	}
	if !strings.Contains(parts[1], "state ") || !strings.Contains(parts[1], "All ") && !strings.Contains(parts[1], " steps") {
		t.Errorf("folded:\n%s", parts[1])
	}
}
