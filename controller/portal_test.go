package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"op25b/examples"
	"op25b/internal/client"
	"op25b/internal/portal"
	"op25b/internal/portal/content"
	"op25b/internal/portal/portaltest"
	"op25b/internal/portal/published"
)

// TestExportWithoutController verifies that an export takes the publication from the state file while no controller answers, and that the error
// names the controller if there is no publication at all.
func TestExportWithoutController(t *testing.T) {
	now := time.Date(2006, 12, 1, 0, 0, 0, 0, time.UTC)
	api := portaltest.Start(t)
	api.SetTime(now)
	api.Publish(portaltest.Publication(t, examples.SpinNet2006(), examples.Providers(), now))
	dir := t.TempDir()
	state := filepath.Join(dir, "portal.state")
	export := func(ctx context.Context, state, folder string) ([]observer.LoggedEntry, error) {
		t.Helper()
		c, err := content.Load(examples.Portal())
		if err != nil {
			t.Fatal(err)
		}
		f, err := published.Open(t.Context(), published.Config{Watch: api.Client().Portal.WatchPublication, File: state})
		if err != nil {
			t.Fatal(err)
		}
		core, said := observer.New(zap.WarnLevel)
		o := portalOptions{client: client.Config{Server: api.Addr()}, export: filepath.Join(dir, folder)}
		err = exportPortal(ctx, o, portal.Config{Content: c}, f, zap.New(core))
		return said.All(), err
	}
	if said, err := export(t.Context(), state, "first"); err != nil || len(said) > 0 {
		t.Fatalf("%v, %v", err, said)
	}
	api.Stop()
	over, stop := context.WithCancel(t.Context())
	stop()
	said, err := export(over, state, "second")
	if err != nil || len(said) != 1 || said[0].Message != "no controller answered: the files have the publication of the state file" {
		t.Errorf("with a state file: %v, %v", err, said)
	}
	if _, err := os.Stat(filepath.Join(dir, "second", "ja", "index.html")); err != nil {
		t.Error(err)
	}
	_, err = export(over, "", "third")
	if want := "--export: controller " + api.Addr() + " sent no publication within 20s, and --state has none"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("without one: %v, want %s", err, want)
	}
}
