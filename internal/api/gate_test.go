package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/auth"
	"op25b/internal/plan"
)

// gateOf returns the gate of an API with an access file, the path of the file, and tokens by role.
func gateOf(t *testing.T) (w *world, g *Gate, file string, tokens map[string]string) {
	t.Helper()
	tokens = make(map[string]string)
	file = accessFile(t, tokens, "")
	access, err := auth.Open(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, func(d *Deps) {
		d.Auth.Access = access
		g = GateOf(New(Deps{
			Store: d.Store, Book: d.Book, Switches: d.Switches, Plan: (*plan.Planner)(nil), Auth: d.Auth, Now: d.Now, Logger: d.Logger,
		}))
	})
	return w, g, file, tokens
}

func gnmiRequest(t *testing.T, call string, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(within(t), http.MethodPost, "http://127.0.0.1"+gnmiService+call, http.NoBody)
	r.RemoteAddr = "192.0.2.9:4711"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// TestGate verifies that a Gate authenticates callers as the API does. It accepts a token in either form, and refuses the same callers.
// Each refusal is counted, and a refusal of Set is also recorded.
func TestGate(t *testing.T) {
	w, g, _, tokens := gateOf(t)
	viewer := tokens["viewer"]
	for name, header := range map[string][]string{
		"token":    {"Authorization", "Bearer " + viewer},
		"password": {"Username", "anyone", "Password", viewer},
		"both":     {"Authorization", "Bearer " + viewer, "Username", "anyone", "Password", "wrong"},
	} {
		ctx, err := g.Admit(gnmiRequest(t, "Get", header...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		id, authorization := g.Caller(ctx)
		if id.Who != "viewer-bot" || id.By != auth.ByToken || authorization != "Bearer "+viewer {
			t.Errorf("%s: %+v with %q", name, id, authorization)
		}
	}
	for name, c := range map[string]struct {
		call   string
		header []string
		code   codes.Code
		text   string
	}{
		"nothing":      {"Subscribe", nil, codes.Unauthenticated, "a bearer token or a client certificate is required; /gnmi.gNMI/Subscribe requires the role viewer"},
		"bad password": {"Get", []string{"Password", "wrong"}, codes.Unauthenticated, "the bearer token is not in the access file"},
		"a stranger":   {"Set", nil, codes.Unauthenticated, "required"},
		"other call":   {"Get/../x", nil, codes.Unimplemented, "this port serves only gnmi.gNMI"},
		"web page":     {"Get", []string{"Sec-Fetch-Site", "cross-site", "Password", viewer}, codes.PermissionDenied, "cross-origin"},
	} {
		ctx, err := g.Admit(gnmiRequest(t, c.call, c.header...))
		if ctx != nil || status.Code(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.code, c.text)
		}
	}
	refused := g.door.doorLog.calls
	for labels, want := range map[[2]string]float64{
		{gnmiService + "Subscribe", "unknown"}: 1, {gnmiService + "Get", "unknown"}: 1, {gnmiService + "Set", "unknown"}: 1,
		{"other", "path"}: 1, {gnmiService + "Get", "origin"}: 1,
	} {
		if got := testutil.ToFloat64(refused.WithLabelValues(labels[0], labels[1])); got != want {
			t.Errorf("%v refusals of %v, want %v", got, labels, want)
		}
	}
	records, err := w.store.Audit().Records(within(t), 0, 10)
	if err != nil || len(records) != 1 || records[0].Verb != "refused gnmi set" || records[0].Who != "unknown from 192.0.2.9" {
		t.Errorf("the records are %+v, %v", records, err)
	}
}

// TestGateOnThisHost verifies that without an access file, only programs on this host are admitted.
func TestGateOnThisHost(t *testing.T) {
	var g *Gate
	newWorld(t, func(d *Deps) { g = GateOf(New(Deps{Store: d.Store, Book: d.Book, Switches: d.Switches, Now: d.Now})) })
	r := gnmiRequest(t, "Get")
	if _, err := g.Admit(r); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "without an access file only programs on the controller's host are admitted") {
		t.Errorf("another host: %v", err)
	}
	r.RemoteAddr = "127.0.0.1:4711"
	ctx, err := g.Admit(r)
	if err != nil {
		t.Fatal(err)
	}
	if id, authorization := g.Caller(ctx); id.Who != LocalCaller || authorization != "" {
		t.Errorf("this host: %+v with %q", id, authorization)
	}
}

// TestGateStream verifies that a stream ends when its caller loses the token. A panic is an error, and each call is counted.
func TestGateStream(t *testing.T) {
	_, g, file, tokens := gateOf(t)
	ctx, err := g.Admit(gnmiRequest(t, "Subscribe", "Password", tokens["viewer"]))
	if err != nil {
		t.Fatal(err)
	}
	procedure := gnmiService + "Subscribe"
	err = g.Stream(ctx, procedure, func(ctx context.Context) error {
		if err := os.WriteFile(file, []byte("apiVersion: op25b/v1\nkind: Access\ncertificates:\n  - {commonName: a, role: viewer}\n"), 0o600); err != nil {
			return err
		}
		<-ctx.Done()
		return errors.New("ended")
	})
	if status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "the bearer token is not in the access file") {
		t.Errorf("the stream ended with %v", err)
	}
	err = g.Call(ctx, gnmiService+"Get", func(context.Context) error { panic("a bug") })
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "/gnmi.gNMI/Get failed because of a bug in op25b") {
		t.Errorf("a panic: %v", err)
	}
	for labels, want := range map[[2]string]float64{{procedure, "unauthenticated"}: 1, {gnmiService + "Get", "internal"}: 1} {
		if got := testutil.ToFloat64(g.door.onlooker.calls.WithLabelValues(labels[0], labels[1])); got != want {
			t.Errorf("%v calls of %v, want %v", got, labels, want)
		}
	}
}
