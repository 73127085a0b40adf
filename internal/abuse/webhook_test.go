package abuse

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"op25b/internal/webhook"
)

const hookKey = "a key of the abuse desk"

func hookKeyFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook.key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newHook(t *testing.T, url string) *Webhook {
	t.Helper()
	w, err := NewWebhook(WebhookConfig{URL: url, KeyFile: hookKeyFile(t, hookKey+"\n"), Controller: "noc-1"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestNewWebhookErrors(t *testing.T) {
	key := hookKeyFile(t, hookKey)
	for _, c := range []struct {
		url, key string
		want     []string
	}{
		{"http://abuse.isp.example/", key, []string{`"http://abuse.isp.example/"`, "must be https"}},
		{"abuse.isp.example", key, []string{`"abuse.isp.example"`, "must be like https://"}},
		{"https://me:secret@abuse.isp.example", key, []string{"without a user"}},
		{"ftp://127.0.0.1/", key, []string{"must be https"}},
		{"https://abuse.isp.example", key + ".none", []string{"no such file"}},
		{"https://abuse.isp.example", hookKeyFile(t, "short\n"), []string{"has 5 bytes", "must have 16 to 4096"}},
	} {
		_, err := NewWebhook(WebhookConfig{URL: c.url, KeyFile: c.key})
		wantError(t, err, ErrWebhook, c.want...)
	}
	for _, url := range []string{"https://abuse.isp.example/op25b", "http://127.0.0.1:8080", "http://localhost/"} {
		if _, err := NewWebhook(WebhookConfig{URL: url, KeyFile: key}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestWebhookReportsBots verifies that a line that becomes bot-like is reported once, even if the receiver fails at first. The receiver can
// verify the signature of the message. The message contains the pseudonym, but no name.
func TestWebhookReportsBots(t *testing.T) {
	type request struct {
		header http.Header
		body   []byte
	}
	came, failures := make(chan request, 16), 2
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if failures > 0 {
			failures--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		came <- request{r.Header, body}
	}))
	defer receiver.Close()
	w := newHook(t, receiver.URL)
	var pauses []time.Duration
	w.after = func(d time.Duration) <-chan time.Time {
		pauses = append(pauses, d)
		now := make(chan time.Time, 1)
		now <- time.Now()
		return now
	}
	b := newBench(t, Config{Webhook: w, Metrics: NewMetrics(prometheus.NewRegistry())})
	ctx, cancel := context.WithCancel(within(t))
	ended := make(chan struct{})
	go func() { defer close(ended); w.run(ctx, b.cfg.Metrics, zap.NewNop()) }()
	defer func() { cancel(); <-ended }()
	b.tries("adsl-bot", many(60)...)
	b.tries("adsl-home", provider, provider)
	b.tick()
	b.tick()
	var got request
	select {
	case got = <-came:
	case <-ctx.Done():
		t.Fatal("no message came")
	}
	if want := webhook.Sign([]byte(hookKey), got.header.Get(webhook.TimestampHeader), got.body); got.header.Get(webhook.SignatureHeader) != want {
		t.Errorf("signature %q, want %q", got.header.Get(webhook.SignatureHeader), want)
	}
	var m Message
	if err := json.Unmarshal(got.body, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Lines) != 1 || m.Lines[0].ID != b.id("adsl-bot").String() || m.Lines[0].Class != "bot-like" || m.Lines[0].Attempts != 60 || m.Controller != "noc-1" || m.Version != 1 {
		t.Errorf("%s", got.body)
	}
	if strings.Contains(string(got.body), "adsl") || strings.Contains(string(got.body), "203.0") {
		t.Errorf("a name or an address is in the message: %s", got.body)
	}
	if len(pauses) != 2 || pauses[0] != minRetry || pauses[1] != 2*minRetry {
		t.Errorf("pauses %v, want 1s and 2s", pauses)
	}
	if n := testutil.ToFloat64(b.cfg.Metrics.sent.WithLabelValues("failed")); n != 2 {
		t.Errorf("%v failed attempts counted, want 2", n)
	}
	select {
	case again := <-came:
		t.Errorf("a second message: %s", again.body)
	default:
	}
}

// TestWebhookGivesUp verifies that there are no further attempts after a receiver has refused a message, and that a receiver that never
// answers is given up.
func TestWebhookGivesUp(t *testing.T) {
	for _, c := range []struct {
		code, attempts int
	}{{http.StatusUnauthorized, 1}, {http.StatusFound, maxAttempts}, {http.StatusTooManyRequests, maxAttempts}} {
		attempts := 0
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			attempts++
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.code)
		}))
		w := newHook(t, receiver.URL)
		w.after = func(time.Duration) <-chan time.Time {
			now := make(chan time.Time, 1)
			now <- time.Now()
			return now
		}
		err := w.deliver(within(t), []byte("{}"), nil)
		if !errors.Is(err, ErrWebhook) || attempts != c.attempts {
			t.Errorf("%d: %v after %d attempts, want %d", c.code, err, attempts, c.attempts)
		}
		w.client.CloseIdleConnections()
		receiver.Close()
	}
}

// TestWebhookQueueIsBounded verifies that a full queue keeps the newest messages.
func TestWebhookQueueIsBounded(t *testing.T) {
	w := newHook(t, "https://abuse.isp.example")
	dropped := 0
	for i := range maxMessages + 3 {
		dropped += w.offer(begins.Add(time.Duration(i)*time.Minute), make([]Offender, 1))
	}
	var first Message
	if err := json.Unmarshal(w.next(), &first); err != nil || dropped != 3 || !first.Time.Equal(begins.Add(3*time.Minute)) {
		t.Errorf("%d dropped, the first is of %v, %v", dropped, first.Time, err)
	}
	if w.offer(begins, make([]Offender, 2*maxNews+1)); len(w.queue) != maxMessages {
		t.Errorf("%d messages, want %d", len(w.queue), maxMessages)
	}
}
