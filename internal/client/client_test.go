package client

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A controller answers according to its fields.
type controller struct {
	op25bv1connect.UnimplementedIntentServiceHandler
	token    string // token in the last request
	fail     error
	silent   bool // whether the controller sends no answer until the caller hangs up
	between  chan struct{}
	outcomes []error // errors for the next calls of Outcome; the last one is used repeatedly
}

func (c *controller) Current(ctx context.Context, r *connect.Request[op25bv1.CurrentRequest]) (*connect.Response[op25bv1.CurrentResponse], error) {
	c.token = r.Header().Get("Authorization")
	if c.silent {
		<-ctx.Done()
	}
	return connect.NewResponse(&op25bv1.CurrentResponse{Revision: &op25bv1.Revision{Number: 7}}), c.fail
}

func (c *controller) Apply(ctx context.Context, _ *connect.Request[op25bv1.ApplyRequest], s *connect.ServerStream[op25bv1.Progress]) error {
	if c.silent {
		<-ctx.Done()
	}
	if err := s.Send(&op25bv1.Progress{Event: &op25bv1.Progress_Stored{Stored: &op25bv1.Revision{Number: 8}}}); err != nil {
		return err
	}
	if c.between != nil {
		<-c.between
	}
	if c.fail != nil {
		return c.fail
	}
	return s.Send(&op25bv1.Progress{Event: &op25bv1.Progress_Done{Done: &op25bv1.Done{Revision: 8}}})
}

func serve(t *testing.T, c *controller, files *tlstest.Dir) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(op25bv1connect.NewIntentServiceHandler(c))
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if files != nil {
		secure, err := tlsfiles.Server(tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key}, true)
		if err != nil {
			t.Fatal(err)
		}
		s.TLS, s.EnableHTTP2 = secure, true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func dial(t *testing.T, c Config) *Client {
	t.Helper()
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAsk(t *testing.T) {
	files := tlstest.New(t).Dir(t, "127.0.0.1")
	for name, secured := range map[string]bool{"plain text": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			c := &controller{}
			config := Config{TokenFile: write(t, "secret\n")}
			if secured {
				config.Server = serve(t, c, &files)
				config.TLS = tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key}
			} else {
				config.Server = serve(t, c, nil)
			}
			client := dial(t, config)
			r, err := Ask(t.Context(), time.Minute, client.Intent.Current, &op25bv1.CurrentRequest{})
			if err != nil || r.Revision.Number != 7 {
				t.Errorf("got %v, %v", r, err)
			}
			if c.token != "Bearer secret" {
				t.Errorf("the token came as %q", c.token)
			}
			var got []*op25bv1.Progress
			err = Follow(t.Context(), 0, client.Intent.Apply, &op25bv1.ApplyRequest{}, func(p *op25bv1.Progress) error {
				got = append(got, p)
				return nil
			})
			if err != nil || len(got) != 2 || got[1].GetDone().GetRevision() != 8 {
				t.Errorf("got %v, %v", got, err)
			}
			stop := errors.New("enough")
			if err := Follow(t.Context(), 0, client.Intent.Apply, &op25bv1.ApplyRequest{}, func(*op25bv1.Progress) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("error is %v, want the receiver's", err)
			}
		})
	}
}

// A request without an answer fails with ErrSlow. After a stream's first message, Follow has no time
// limit.
func TestSlow(t *testing.T) {
	c := &controller{silent: true}
	client := dial(t, Config{Server: serve(t, c, nil)})
	_, err := Ask(t.Context(), time.Millisecond, client.Intent.Current, &op25bv1.CurrentRequest{})
	if !errors.Is(err, ErrSlow) || !strings.Contains(err.Error(), "within 1ms; --timeout sets the limit") {
		t.Errorf("error is %v, want ErrSlow", err)
	}
	each := func(*op25bv1.Progress) error { return nil }
	if err := Await(t.Context(), time.Millisecond, time.Minute, client.Intent.Apply, &op25bv1.ApplyRequest{}, each); !errors.Is(err, ErrSlow) {
		t.Errorf("error is %v, want ErrSlow", err)
	}
	if err := Follow(t.Context(), time.Millisecond, client.Intent.Apply, &op25bv1.ApplyRequest{}, each); !errors.Is(err, ErrSlow) {
		t.Errorf("error is %v, want ErrSlow", err)
	}

	c = &controller{between: make(chan struct{})}
	client = dial(t, Config{Server: serve(t, c, nil)})
	const short = 200 * time.Millisecond
	err = Follow(t.Context(), short, client.Intent.Apply, &op25bv1.ApplyRequest{}, func(p *op25bv1.Progress) error {
		if p.GetStored() != nil {
			time.AfterFunc(2*short, func() { close(c.between) })
		}
		return nil
	})
	if err != nil {
		t.Errorf("a stream that had begun was given up: %v", err)
	}

	c = &controller{between: make(chan struct{})} // the controller sends one message and then none
	defer close(c.between)
	client = dial(t, Config{Server: serve(t, c, nil)})
	stored := false
	err = Await(t.Context(), time.Minute, short, client.Intent.Apply, &op25bv1.ApplyRequest{}, func(p *op25bv1.Progress) error {
		stored = p.GetStored() != nil
		return nil
	})
	if !errors.Is(err, ErrSlow) || !stored {
		t.Errorf("error is %v, want ErrSlow after the first message", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Ask(ctx, time.Minute, client.Intent.Current, &op25bv1.CurrentRequest{}); !errors.Is(err, context.Canceled) || errors.Is(err, ErrSlow) {
		t.Errorf("error is %v, want Canceled", err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Server: "nowhere"}, `server "nowhere": not a host with a port; must be host:port or a URL`},
		{Config{Server: ":2525"}, `server ":2525": not a host with a port`},
		{Config{Server: "ftp://noc:1"}, "scheme ftp is neither http nor https"},
		{Config{Server: "http://"}, "no host"},
		{Config{Server: "http://a:1/path"}, "more than scheme, host and port"},
		{Config{Server: "http://me:secret@a:1"}, "more than scheme, host and port"},
		{Config{Server: "http://[a"}, "not a URL"},
		{Config{Server: "http://127.0.0.1:1", TLS: tlsfiles.Files{CA: "ca.pem"}}, "http cannot use the TLS files that are given"},
		{Config{Server: "127.0.0.1:1", TLS: tlsfiles.Files{CA: "no-such.pem"}}, "TLS files: authority no-such.pem: no such file or directory"},
		{Config{Server: "127.0.0.1:1", TokenFile: "no-such"}, "token file no-such: no such file or directory"},
		{Config{Server: "127.0.0.1:1", TokenFile: write(t, "\n")}, "empty; must be one token on one line"},
		{Config{Server: "127.0.0.1:1", TokenFile: write(t, "two words")}, "not one token"},
		{Config{Server: "http://noc.isp.example:2525", TokenFile: write(t, "secret")}, "not sent to noc.isp.example in plain text; use https://noc.isp.example:2525"},
	} {
		_, err := New(c.config)
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want ErrConfig with %s", err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "two words") || strings.Contains(err.Error(), "\nsecret")) {
			t.Errorf("the token is in the error: %v", err)
		}
	}
}

// host:port means http for loopback addresses and https for every other host.
func TestScheme(t *testing.T) {
	for server, want := range map[string]string{
		"127.0.0.1:1": "http://127.0.0.1:1", "localhost:1": "http://localhost:1", "[::1]:1": "http://[::1]:1",
		"noc:1": "https://noc:1", "192.0.2.1:1": "https://192.0.2.1:1", "http://noc:1/": "http://noc:1",
	} {
		u, err := Config{}.url(server)
		if err != nil || u.String() != want {
			t.Errorf("%s is %v, %v; want %s", server, u, err, want)
		}
	}
	u, err := Config{TLS: tlsfiles.Files{CA: "x"}}.url("127.0.0.1:1")
	if err != nil || u.Scheme != "https" {
		t.Errorf("with an authority it is %v, %v; want https", u, err)
	}
}

func TestUnreachable(t *testing.T) {
	files := tlstest.New(t).Dir(t, "127.0.0.1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	plain, secured := serve(t, &controller{}, nil), serve(t, &controller{}, &files)
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Server: nobody}, "no controller answers at http://" + nobody + ": connection refused; start one with op25b serve, or give its address with --server or OP25B_SERVER"},
		{Config{Server: "https://" + plain}, "it serves plain text, use http://"},
		{Config{Server: "https://" + secured}, "give the CA of the controller's certificate with --ca"},
		{Config{Server: secured, TLS: tlsfiles.Files{CA: files.CA}}, "it may require a client certificate"},
		{Config{Server: "http://" + secured}, "the server is not a controller, or it requires https://: 400 Bad Request"},
	} {
		_, err := Ask(t.Context(), time.Minute, dial(t, c.config).Intent.Current, &op25bv1.CurrentRequest{})
		if f := Explain(err); f.Code != "unavailable" && f.Code != "internal" || !strings.Contains(f.Message, c.want) {
			t.Errorf("%+v: %s: %s; want %s", c.config, f.Code, f.Message, c.want)
		}
	}
}

// The token is not sent to the target of a redirect.
func TestRedirect(t *testing.T) {
	other := &controller{}
	to := serve(t, other, nil)
	s := httptest.NewServer(http.RedirectHandler("http://"+to+op25bv1connect.IntentServiceCurrentProcedure, http.StatusTemporaryRedirect))
	defer s.Close()
	client := dial(t, Config{Server: s.URL, TokenFile: write(t, "secret")})
	if _, err := Ask(t.Context(), time.Minute, client.Intent.Current, &op25bv1.CurrentRequest{}); err == nil || other.token != "" {
		t.Errorf("followed: %v, the other got %q", err, other.token)
	}
}

// Explain returns all details of a controller's error.
func TestExplain(t *testing.T) {
	c := &controller{fail: connect.NewError(connect.CodeAborted, errors.New("another revision came between"))}
	for _, m := range []any{
		&op25bv1.Faults{Faults: []*op25bv1.Fault{
			{File: "policy.yaml", Line: 3, Column: 1, Path: "remotez", What: `unknown key "remotez"`, Way: "known are remotes"},
			{File: "policy.yaml", Path: "a.b", What: "w"},
			{Path: "phase", What: `unknown phase "x"`},
			{What: "bare"},
		}},
		&op25bv1.Stale{Base: 6, Current: 7},
		&op25bv1.Denied{Who: "noc-web", Role: "viewer", Needed: "operator"},
	} {
		var detail *connect.ErrorDetail
		var err error
		switch m := m.(type) {
		case *op25bv1.Faults:
			detail, err = connect.NewErrorDetail(m)
		case *op25bv1.Stale:
			detail, err = connect.NewErrorDetail(m)
		case *op25bv1.Denied:
			detail, err = connect.NewErrorDetail(m)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.fail.(*connect.Error).AddDetail(detail)
	}
	client := dial(t, Config{Server: serve(t, c, nil)})
	_, err := Ask(t.Context(), time.Minute, client.Intent.Current, &op25bv1.CurrentRequest{})
	f := Explain(err)
	if f.Code != "aborted" || f.Message != "another revision came between" || *f.Base != 6 || *f.Current != 7 || f.Who != "noc-web" || f.Role != "viewer" || f.Needed != "operator" {
		t.Errorf("got %+v", f)
	}
	var lines []string
	for _, fault := range f.Faults {
		lines = append(lines, fault.String())
	}
	want := []string{`policy.yaml:3:1: unknown key "remotez"; known are remotes`, "policy.yaml: a.b: w", `phase: unknown phase "x"`, "bare"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("faults are\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}

	// A stream may also fail after its first message.
	err = Follow(t.Context(), time.Minute, client.Intent.Apply, &op25bv1.ApplyRequest{}, func(*op25bv1.Progress) error { return nil })
	if f := Explain(err); f.Code != "aborted" {
		t.Errorf("the stream's error is %+v", f)
	}

	_, err = Ask(t.Context(), time.Minute, client.Audit.Verify, &op25bv1.VerifyRequest{})
	if f := Explain(err); f.Code != "unimplemented" || !strings.Contains(f.Message, "the server is not a controller of this version: 404 Not Found") {
		t.Errorf("got %+v for a service that is not there", f)
	}
	c.fail = connect.NewError(connect.CodeUnauthenticated, errors.New("no credentials"))
	_, err = Ask(t.Context(), time.Minute, client.Intent.Current, &op25bv1.CurrentRequest{})
	if f := Explain(err); f.Message != "no credentials; give credentials with --token-file, or with --cert and --key" {
		t.Errorf("got %+v", f)
	}
	if f := Explain(errors.New("x")); f.Message != "x" || f.Code != "" {
		t.Errorf("got %+v for an error from here", f)
	}
}

// watched ends each stream after one message. It ends the first two streams as if their connection were
// too old.
type watched struct {
	op25bv1connect.UnimplementedFleetServiceHandler
	calls int
}

func (w *watched) WatchSwitches(_ context.Context, _ *connect.Request[op25bv1.WatchSwitchesRequest], s *connect.ServerStream[op25bv1.WatchSwitchesResponse]) error {
	w.calls++
	if err := s.Send(&op25bv1.WatchSwitchesResponse{Revision: uint64(w.calls)}); err != nil {
		return err
	}
	e := connect.NewError(connect.CodeUnavailable, errors.New("come again"))
	if w.calls < 3 {
		d, err := connect.NewErrorDetail(&errdetails.RetryInfo{})
		if err != nil {
			return err
		}
		e.AddDetail(d)
	}
	return e
}

// A watch continues if the controller requests that the caller repeat the call. It ends after any other
// error.
func TestWatchComesAgain(t *testing.T) {
	mux := http.NewServeMux()
	w := &watched{}
	mux.Handle(op25bv1connect.NewFleetServiceHandler(w))
	server := httptest.NewServer(mux)
	defer server.Close()
	c, err := New(Config{Server: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []uint64
	err = Watch(t.Context(), time.Minute, c.Fleet.WatchSwitches, &op25bv1.WatchSwitchesRequest{}, func(r *op25bv1.WatchSwitchesResponse) error {
		got = append(got, r.Revision)
		return nil
	})
	if connect.CodeOf(err) != connect.CodeUnavailable || len(got) != 3 {
		t.Errorf("%v, %v", got, err)
	}
}
