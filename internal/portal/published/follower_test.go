package published_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"op25b/examples"
	"op25b/internal/portal/portaltest"
	"op25b/internal/portal/published"
	op25bv1 "op25b/proto/op25b/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2006, 7, 1, 3, 0, 0, 0, time.UTC)

// follow runs a follower of a controller until the test ends, or until stop is called.
func follow(t *testing.T, c *portaltest.Controller, file string, change func(*published.Config)) (f *published.Follower, stop func()) {
	t.Helper()
	cfg := published.Config{Watch: c.Client().Portal.WatchPublication, File: file, MinPause: time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	f, err := published.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); f.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return f, stop
}

// await waits until the view fulfils a condition.
func await(t *testing.T, f *published.Follower, what func(*published.View) bool) *published.View {
	t.Helper()
	for {
		changed := f.Changed()
		if v := f.View(); what(v) {
			return v
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("the view did not change")
		}
	}
}

func connected(v *published.View) bool { return v.Connected && v.Publication != nil }

// TestFollow follows a controller through a change, an end of the connection and a restart of both.
func TestFollow(t *testing.T) {
	c := portaltest.Start(t)
	c.SetTime(at)
	p := portaltest.Publication(t, examples.SpinNet2006(), examples.Providers(), at)
	c.Publish(p)
	file := filepath.Join(t.TempDir(), "state")
	f, stop := follow(t, c, file, nil)
	v := await(t, f, connected)
	if v.Publication.Revision != 7 || !v.Confirmed.Equal(at) || len(v.Publication.States) != 6 || len(v.Publication.Directory.Providers) == 0 {
		t.Errorf("view: %+v", v)
	}
	if now := v.At(time.Now()); now.Before(at) || now.After(at.Add(time.Hour)) {
		t.Errorf("the controller's clock shows %v", now)
	}

	first := v.Publication
	p.States[0].Confirmed = 0
	c.Publish(p)
	v = await(t, f, func(v *published.View) bool { return v.Publication != first })
	if v.Publication.States[0].Everywhere() || v.Publication.Source != first.Source || v.Publication.Directory != first.Directory {
		t.Error("a change of the states alone replaced the documents, or did not arrive")
	}

	c.Stop()
	v = await(t, f, func(v *published.View) bool { return !v.Connected })
	if v.Publication == nil || !v.Confirmed.Equal(at) {
		t.Errorf("without the controller: %+v", v)
	}
	stop()

	// A portal that starts while no controller answers serves the file.
	f, stop = follow(t, c, file, nil)
	v = f.View()
	if v.Publication == nil || v.Connected || !v.Confirmed.Equal(at) || v.Publication.ID != f.View().Publication.ID || v.Publication.States[0].Everywhere() {
		t.Errorf("after a restart without the controller: %+v", v)
	}
	if now := v.At(time.Now()); now.Before(at) || now.After(at.Add(time.Hour)) {
		t.Errorf("after a restart the controller's clock shows %v", now)
	}
	c.SetTime(at.Add(time.Hour))
	c.Again()
	if v = await(t, f, connected); !v.Confirmed.Equal(at.Add(time.Hour)) {
		t.Errorf("connected again: %+v", v)
	}
	stop()
}

// TestSilence verifies that a controller that sends nothing counts as unreachable.
func TestSilence(t *testing.T) {
	c := portaltest.Start(t)
	c.Publish(portaltest.Publication(t, examples.SpinNet2006(), examples.Providers(), at))
	f, _ := follow(t, c, "", func(cfg *published.Config) { cfg.Silence = 300 * time.Millisecond; cfg.MinPause = time.Hour })
	await(t, f, connected)
	c.SetSilent(true)
	await(t, f, func(v *published.View) bool { return !v.Connected && v.Publication != nil })
}

// TestBadPublication verifies that a publication that cannot be used does not replace one that can.
func TestBadPublication(t *testing.T) {
	c := portaltest.Start(t)
	p := portaltest.Publication(t, examples.SpinNet2006(), examples.Providers(), at)
	c.Publish(p)
	f, _ := follow(t, c, "", nil)
	first := await(t, f, connected).Publication
	p.Files[0].Data = []byte("nonsense")
	c.Publish(p)
	if v := await(t, f, func(v *published.View) bool { return !v.Connected }); v.Publication != first {
		t.Error("the publication was replaced")
	}
	for name, m := range map[string]*op25bv1.Publication{"without an id": {Files: p.Files}, "with bad files": p} {
		if _, err := published.Read(t.Context(), m, nil); !errors.Is(err, published.ErrPublication) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBriefErrors verifies that an invalid publication does not fill the log.
func TestBriefErrors(t *testing.T) {
	c := portaltest.Start(t)
	p := portaltest.Publication(t, examples.SpinNet2006(), examples.Providers(), at)
	p.Providers.Data = []byte("apiVersion: op25b/v1\nkind: Providers\nproviders:\n" + strings.Repeat("  - {nonsense: 1}\n", 500))
	c.Publish(p)
	core, logged := observer.New(zap.WarnLevel)
	_, stop := follow(t, c, "", func(cfg *published.Config) { cfg.MinPause = time.Hour; cfg.Logger = zap.New(core) })
	for logged.Len() == 0 {
		runtime.Gosched()
	}
	stop()
	if text := logged.All()[0].ContextMap()["error"].(string); !strings.HasPrefix(text, "invalid publication: ") || len(text) > 310 || !strings.HasSuffix(text, " ...") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}

// TestOneMessageForEachOutage verifies that the log has one message for an outage, whatever the number of attempts, and one for its end.
func TestOneMessageForEachOutage(t *testing.T) {
	c := portaltest.Start(t)
	registry := prometheus.NewRegistry()
	core, logged := observer.New(zap.InfoLevel)
	f, stop := follow(t, c, "", func(cfg *published.Config) {
		cfg.Logger, cfg.Metrics = zap.New(core), published.NewMetrics(registry)
	})
	failures := func() float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "op25b_portal_controller_failures_total" {
				return family.Metric[0].Counter.GetValue()
			}
		}
		return 0
	}
	attempts := func(more float64) {
		for until := failures() + more; failures() < until; {
			runtime.Gosched()
		}
	}
	attempts(3) // the controller has no publication
	c.Publish(portaltest.Publication(t, examples.SpinNet2006(), examples.Providers(), at))
	await(t, f, connected)
	c.Stop()
	attempts(3)
	c.Again()
	await(t, f, connected)
	stop()
	var got []string
	for _, e := range logged.All() {
		got = append(got, e.Message)
	}
	want := []string{
		"the controller cannot be reached; nothing has been published yet, and the pages say so", "publication received", "the controller is reached again",
		"the controller cannot be reached; the portal serves the last publication", "the controller is reached again",
	}
	if !slices.Equal(got, want) {
		t.Errorf("log: %q\nwant %q", got, want)
	}
}

// TestDamagedState verifies that every damage to the state file is found when it is read.
func TestDamagedState(t *testing.T) {
	c := portaltest.Start(t)
	c.Publish(portaltest.Publication(t, examples.SpinNet2006(), examples.Providers(), at))
	file := filepath.Join(t.TempDir(), "state")
	f, stop := follow(t, c, file, nil)
	await(t, f, connected)
	stop()
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		damage func([]byte) []byte
		want   string
	}{
		"empty":        {func([]byte) []byte { return nil }, `the first line is not "op25b portal state 1"`},
		"of another":   {func(b []byte) []byte { return append([]byte("x"), b...) }, `the first line is not`},
		"cut":          {func(b []byte) []byte { return b[:len(b)/2] }, "the digest does not match the content"},
		"a bit turned": {func(b []byte) []byte { b[len(b)-10] ^= 1; return b }, "the digest does not match the content"},
		"the digest":   {func(b []byte) []byte { b[30] ^= 1; return b }, "the digest does not match the content"},
	} {
		if err := os.WriteFile(file, tc.damage(append([]byte(nil), good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := published.Open(t.Context(), published.Config{File: file})
		if !errors.Is(err, published.ErrState) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, _ := filepath.Glob(file + ".*"); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}
