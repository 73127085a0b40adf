package portal_test

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"op25b/examples"
	"op25b/internal/api"
	"op25b/internal/auth"
	"op25b/internal/check/mailbox"
	"op25b/internal/client"
	"op25b/internal/clock"
	"op25b/internal/controller"
	"op25b/internal/portal"
	"op25b/internal/portal/published"
	"op25b/internal/store"
)

// TestRealController verifies the portal with a controller that has the example of 2006 and a token of the role portal. The switch cannot be
// reached, so nothing is in force.
func TestRealController(t *testing.T) {
	providers, err := mailbox.Load(examples.Providers())
	if err != nil {
		t.Fatal(err)
	}
	secret, token, err := auth.NewToken("portal", auth.Portal, "")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	accessFile, tokenFile := filepath.Join(dir, "access.yaml"), filepath.Join(dir, "token")
	access := "apiVersion: op25b/v1\nkind: Access\ntokens:\n  - {name: portal, role: portal, sha256: " + token.SHA256 + "}\n"
	for name, text := range map[string]string{accessFile: access, tokenFile: secret} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roles, err := auth.Open(accessFile, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	unused, err := net.Listen("tcp", "127.0.0.1:0") // nothing answers at this address: a demo on this machine has that of the example
	if err != nil {
		t.Fatal(err)
	}
	defer unused.Close()
	documents := examples.SpinNet2006()
	for i := range documents {
		documents[i].Data = bytes.ReplaceAll(documents[i].Data, []byte("127.0.0.1:9559"), []byte(unused.Addr().String()))
	}
	c, err := controller.Open(t.Context(), controller.Config{
		Providers: providers, Name: "noc", Store: store.Config{Dir: filepath.Join(dir, "data")}, Clock: clock.System(), Listening: api.Listening{Addr: "127.0.0.1:0"},
		MaxDocuments: api.MaxFiles, First: documents, Auth: api.Auth{Access: roles},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	calls, err := client.New(client.Config{Server: c.Addr().String(), TokenFile: tokenFile})
	if err != nil {
		t.Fatal(err)
	}
	follower, err := published.Open(t.Context(), published.Config{Watch: calls.Portal.WatchPublication})
	if err != nil {
		t.Fatal(err)
	}
	cfg := portal.Config{Published: follower, AskOwnLine: calls.Portal.AskOwnLine, Content: shipped(t)}
	behindProxy(&cfg, nil)
	site, err := portal.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { follower.Run(ctx) })
	running.Go(func() { _ = portal.Serve(ctx, listener, site, nil) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		calls.Close()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	for changed := follower.Changed(); follower.View().Publication == nil; changed = follower.Changed() {
		<-changed
	}

	r := &rig{t: t, base: "http://" + listener.Addr().String()}
	b := r.browser("en")
	own := url.Values{"line": {".own"}, "use": {"provider"}, "provider": {"gmail"}}
	path, page := b.ask(own, forwarded, "192.0.2.11")
	want(t, "an affected line", page, "You are probably affected", "its switch has not confirmed it yet", "smtp.gmail.com", "The line that you are using now (FLET&#39;S ADSL)")
	_, page = b.get(strings.Replace(path, "/mine/", "/a/", 1))
	want(t, "the kind of line", page, "You are probably affected", "not yet confirmed everywhere")
	_, page = b.ask(own, forwarded, "198.18.0.1")
	want(t, "a stranger", page, "You are not connected through a line of ours")
	_, page = b.post("/test", url.Values{"line": {".own"}, "server": {"203.0.113.129"}}, forwarded, "192.0.2.11")
	want(t, "a server", page, "blocked", "since 1 October 2006", "Ports 465 and 587")
	_, document := b.get("/policy.json")
	for _, secret := range []string{"business-fixed", "adsl-home", "edge-1", "OP25B-17", "noc@isp.example", "192.0.2.13", unused.Addr().String()} {
		if strings.Contains(document, secret) {
			t.Errorf("the policy for programs has %s", secret)
		}
	}
}
