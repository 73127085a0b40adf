package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"op25b/internal/demo"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
)

// TestDemoPages plays the demo on free ports, and verifies that it prints the addresses of both pages before the first phase and the others
// after the last one, and that both pages show the last phase.
func TestDemoPages(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	free := func(*policy.Switch) *demoAddrs {
		return &demoAddrs{api: "127.0.0.1:0", page: "127.0.0.1:0", portal: "127.0.0.1:0", sw: softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0"}}
	}
	go func() {
		ended <- runDemo(ctx, jsonOutput, free, "spinnet-2006", demo.Plain, io.Discard, writer)
		writer.Close()
	}()
	lines := bufio.NewScanner(reader)
	match := func(pattern string) []string {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the demo ended: %v", <-ended)
		}
		m := regexp.MustCompile("^" + pattern + "$").FindStringSubmatch(lines.Text())
		if m == nil {
			t.Fatalf("the demo printed %q, want %s", lines.Text(), pattern)
		}
		return m
	}
	const addr = `(127\.0\.0\.1:[1-9][0-9]*)`
	pages := match(`NOC's page http://` + addr + `/, customers' page http://` + addr + `/: both show the demo as it runs\.`)
	match(`The last phase stays in force\. API ` + addr + `, its clock in 2006; P4Runtime ` + addr + `, device 1; gNMI ` + addr + `\. Interrupt to end\.`)

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	browser := &http.Client{Jar: jar, Transport: transport}
	// page requests a page, or sends a form and follows the redirect to the page.
	page := func(address, from string, form url.Values) string {
		t.Helper()
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept-Language", "en")
		if from != "" {
			r.Header.Set("X-Forwarded-For", from)
		}
		res, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v\n%s", address, res.Status, err, body)
		}
		return string(body)
	}
	for address, text := range map[string]string{
		"http://" + pages[1] + "/programme": "all-destinations",
		"http://" + pages[2] + "/programme": "Mail that does not pass our mail server is blocked",
	} {
		if body := page(address, "", nil); !strings.Contains(body, text) {
			t.Errorf("%s lacks %q:\n%s", address, text, body)
		}
	}
	own := url.Values{"line": {".own"}, "use": {"server"}}
	for from, text := range map[string]string{"": "ADSL", "192.0.2.13": "B FLET&#39;S", "192.0.2.14": "Mobile SIM"} {
		if body := page("http://"+pages[2]+"/affected", from, own); !strings.Contains(body, text) {
			t.Errorf("the answer for %q lacks %q:\n%s", from, text, body)
		}
	}
	interrupt()
	if lines.Scan() {
		t.Errorf("the demo printed more: %q", lines.Text())
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
