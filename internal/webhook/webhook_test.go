package webhook

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// TestSign compares the signature with the result of another implementation: printf '1148083200.{}' | openssl dgst -sha256 -hmac key.
func TestSign(t *testing.T) {
	const want = "sha256=38bf2814410c45226212710f27eb567efeb39804cf4945e44e96163516f83331"
	if got := Sign([]byte("key"), "1148083200", []byte("{}")); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := Verify([]byte("key"), "1148083200", want, []byte("{}")); err != nil {
		t.Error(err)
	}
	for _, c := range [][4]string{
		{"yek", "1148083200", want, "{}"},
		{"key", "1148083201", want, "{}"},
		{"key", "1148083200", want[:len(want)-1], "{}"},
		{"key", "1148083200", "", "{}"},
		{"key", "1148083200", want, "{} "},
	} {
		if err := Verify([]byte(c[0]), c[1], c[2], []byte(c[3])); !errors.Is(err, ErrSignature) {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// TestTimestamp verifies which timestamps are accepted.
func TestTimestamp(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, offset := range []time.Duration{-MaxAge, 0, MaxAhead} {
		at, err := Timestamp(strconv.FormatInt(now.Add(offset).Unix(), 10), now)
		if err != nil || !at.Equal(now.Add(offset)) {
			t.Errorf("%v: %v, %v", offset, at, err)
		}
	}
	for _, text := range []string{
		"", "now", "-1", "9999999999999", strconv.FormatInt(now.Add(-MaxAge-time.Second).Unix(), 10), strconv.FormatInt(now.Add(MaxAhead+time.Second).Unix(), 10),
	} {
		if _, err := Timestamp(text, now); !errors.Is(err, ErrTimestamp) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// slow is a body that never ends, until its connection is closed.
type slow struct{}

func (slow) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

// TestDoor verifies that known callers enter up to the bound, that a caller who leaves makes room, and that refusals of one kind are logged once a minute.
func TestDoor(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	d := NewDoor(Config{
		Report: "a report", Flag: "--clients", Paths: []string{"/a", "/b"}, MaxBody: 4, MaxWaiting: 2, Metric: "requests_total", Help: "Requests.",
		Answer: func(w http.ResponseWriter, code int, why string) { http.Error(w, why, code) }, Logger: zap.New(core),
	})
	enter := func(client string, served bool) (func(), string) {
		w := httptest.NewRecorder()
		leave := d.Enter(w, httptest.NewRequest(http.MethodPost, "/a", nil), client, served)
		return leave, strings.TrimSpace(w.Body.String())
	}
	if leave, text := enter("", true); leave != nil || text != "the caller is unknown: it needs the token or the certificate of a client in the file of --clients" {
		t.Errorf("a stranger: %s", text)
	}
	if leave, text := enter("one", false); leave != nil || text != "no such page: report to /a or /b" {
		t.Errorf("another page: %s", text)
	}
	first, _ := enter("one", true)
	second, _ := enter("one", true)
	if first == nil || second == nil {
		t.Fatal("known callers do not enter")
	}
	for range 2 {
		if leave, text := enter("one", true); leave != nil || text != "too many reports are in progress" {
			t.Errorf("a third request: %s", text)
		}
	}
	first()
	if third, text := enter("one", true); third == nil {
		t.Errorf("after one has left: %s", text)
	}
	for body, want := range map[io.Reader]string{
		strings.NewReader("1234"): "", strings.NewReader("12345"): "the report has more than 4 bytes", slow{}: "the report did not arrive within 5s",
	} {
		w := httptest.NewRecorder()
		if _, ok := d.Body(w, httptest.NewRequest(http.MethodPost, "/a", body), "one"); ok != (want == "") || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("want %q, got %s", want, w.Body)
		}
	}
	if n := logs.FilterMessage("a report was refused").Len(); n != 3 { // of a stranger, a malformed one and a busy one
		t.Errorf("%d refusals are logged: %v", n, logs.All())
	}
}
