package web_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestGzip verifies that pages and assets are compressed for clients that accept gzip, and that everything else is sent
// uncompressed.
func TestGzip(t *testing.T) {
	b := newBrowser(t, site(t, nil))
	for _, c := range []struct {
		path, accept string
		zipped       bool
	}{
		{"/", "gzip, deflate, br", true},
		{"/nowhere", "gzip", true},
		{"/assets/base.css", "br;q=1.0, GZIP;q=0.5", true},
		{"/", "gzip;q=0", false},
		{"/", "gzip; q=0.000", false},
		{"/", "br", false},
		{"/", "identity", false},
		{"/assets/icon.svg", "gzip", false}, // small
		{"/events?from=x.0", "gzip", false}, // a stream
	} {
		res, body := b.get(c.path, "Accept-Encoding", c.accept)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != c.zipped {
			t.Errorf("%s for %q: compressed is %v", c.path, c.accept, got)
			continue
		}
		if c.path != "/events?from=x.0" && res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: headers %v", c.path, res.Header)
		}
		if !c.zipped {
			continue
		}
		in, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if want := map[string]string{"/assets/base.css": ":root"}[c.path]; err != nil || !strings.Contains(string(text), want) || want == "" && !strings.Contains(string(text), "</html>") {
			t.Errorf("%s: %v\n%s", c.path, err, text)
		}
	}
	// The status of a response without a body is preserved.
	if res, _ := b.post("/language", url.Values{"language": {"ja"}, "next": {"/check"}}, "Accept-Encoding", "gzip"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/check" {
		t.Errorf("a redirect: %d %v", res.StatusCode, res.Header)
	}
}
