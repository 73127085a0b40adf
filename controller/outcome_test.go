package main

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"op25b/proto/op25b/v1/op25bv1connect"
)

// A lossy is a proxy in front of a controller that loses the answer to the first Apply.
type lossy struct {
	*httputil.ReverseProxy
	t    *testing.T
	once sync.Once
	lose func(*http.Request) // lose handles the first Apply; the caller gets no answer
	gone bool                // if set, all later requests also get no answer
}

// newLossy returns a proxy that adds no headers to requests, so that the controller treats its callers as local.
func newLossy(t *testing.T, server string) *lossy {
	to := &url.URL{Scheme: "http", Host: server}
	return &lossy{t: t, ReverseProxy: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
	}}
}

func (l *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lost := l.gone
	if r.URL.Path == op25bv1connect.IntentServiceApplyProcedure {
		l.once.Do(func() { lost = true; l.lose(r) })
	}
	if lost {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	l.ReverseProxy.ServeHTTP(w, r)
}

// send forwards a request to the controller, reads the first bytes of the answer, and drops the rest.
func (l *lossy) send(server string, r *http.Request) (status int, begin string) {
	l.t.Helper()
	q := r.Clone(r.Context())
	q.RequestURI, q.URL.Scheme, q.URL.Host = "", "http", server
	q.Header.Del("Accept-Encoding")
	q.Header.Set("Connect-Accept-Encoding", "identity") // the answer must not be compressed, because the test reads it
	resp, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		l.t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	first := make([]byte, 512)
	n, err := resp.Body.Read(first)
	if err != nil && err != io.EOF {
		l.t.Error(err)
	}
	return resp.StatusCode, string(first[:n])
}

// TestI11LostAnswer loses the answer to a change on the network, with its controller, or because the request never arrives. The command
// must report the true outcome.
func TestI11LostAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts controllers")
	}
	exe, err := exec.LookPath("op25b")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		// lose handles the first Apply without returning the answer. It may replace the controller.
		lose    func(t *testing.T, l *lossy, serve *served, r *http.Request)
		timeout string
		gone    bool
		fails   bool
		want    string // a text that the output must contain
		stored  bool
	}{
		{
			name:   "cut",
			lose:   func(_ *testing.T, l *lossy, s *served, r *http.Request) { l.send(s.addr, r) },
			want:   "revision 1 is stored, by local",
			stored: true,
		},
		{
			name: "killed",
			lose: func(t *testing.T, l *lossy, s *served, r *http.Request) {
				if _, begin := l.send(s.addr, r); !strings.Contains(begin, "local") { // the answer contains "local", the author of the revision
					t.Errorf("the first message is %q, want the stored revision", begin)
				}
				s.kill(t)
				s.start(t)
			},
			want:   "revision 1 is stored, by local",
			stored: true,
		},
		{
			name: "never arrived",
			lose: func(t *testing.T, _ *lossy, _ *served, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					t.Error(err)
				}
			},
			fails: true,
			want:  "op25b: not stored, nothing was changed: ",
		},
		{
			name:    "nobody left to ask",
			lose:    func(_ *testing.T, l *lossy, s *served, r *http.Request) { l.send(s.addr, r); l.gone = true },
			timeout: "2s",
			fails:   true,
			want:    "op25b: it is not known whether the change was stored: ",
			stored:  true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &served{exe: exe, dir: t.TempDir(), addr: "127.0.0.1:0"}
			s.start(t)
			l := newLossy(t, s.addr)
			l.lose = func(r *http.Request) { c.lose(t, l, s, r) }
			proxy := httptest.NewServer(l)
			defer proxy.Close()
			args := []string{"apply", "-f", "../examples/spinnet-2006", "--reason", "first", "--yes", "--no-wait", "--server", proxy.URL}
			if c.timeout != "" {
				args = append(args, "--timeout", c.timeout)
			}
			said, err := exec.Command(exe, args...).CombinedOutput()
			if !bytes.Contains(said, []byte(c.want)) || (err != nil) != c.fails {
				t.Errorf("it ended with %v and said\n%s\nwant %q", err, said, c.want)
			}
			history, err := exec.Command(exe, "history", "--server", s.addr).CombinedOutput()
			if err != nil || bytes.Contains(history, []byte("first")) != c.stored {
				t.Errorf("stored is to be %v; the history is %v\n%s", c.stored, err, history)
			}
		})
	}
}

// A request whose change was reported as not stored is refused when it arrives later.
func TestI11LateRequest(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a controller")
	}
	exe, err := exec.LookPath("op25b")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{exe: exe, dir: t.TempDir(), addr: "127.0.0.1:0"}
	s.start(t)
	l := newLossy(t, s.addr)
	var late *http.Request
	var body []byte
	l.lose = func(r *http.Request) {
		late = r.Clone(t.Context())
		if body, err = io.ReadAll(r.Body); err != nil {
			t.Error(err)
		}
	}
	proxy := httptest.NewServer(l)
	defer proxy.Close()
	said, err := exec.Command(exe, "apply", "-f", "../examples/spinnet-2006", "--reason", "late", "--yes", "--no-wait", "--server", proxy.URL).CombinedOutput()
	if err == nil || !bytes.Contains(said, []byte("not stored, nothing was changed")) {
		t.Fatalf("%v\n%s", err, said)
	}
	late.Body = io.NopCloser(bytes.NewReader(body))
	if status, answer := l.send(s.addr, late); status != http.StatusOK || !strings.Contains(answer, "the request was abandoned") {
		t.Errorf("the late request was answered %d %q", status, answer)
	}
	history, err := exec.Command(exe, "history", "--server", s.addr).CombinedOutput()
	if err != nil || !bytes.Contains(history, []byte("There is no revision.")) {
		t.Errorf("%v\n%s", err, history)
	}
}

// A served is a controller process that can be killed and restarted with the same store and address.
type served struct {
	exe, dir, addr string
	store          []string // the flags that name the store; if empty, the store is in a data directory
	daemon         *daemon
}

func (s *served) start(t *testing.T) {
	t.Helper()
	where := s.store
	if where == nil {
		where = []string{"--data-dir", filepath.Join(s.dir, "store")}
	}
	d, said, err := launch(s.exe, s.dir, append(os.Environ(), "HOME="+s.dir),
		append([]string{"serve", "--name", "noc-1", "--listen", s.addr}, where...))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := net.SplitHostPort(said["listen"].(string)); err != nil {
		t.Fatal(err)
	}
	s.daemon, s.addr = d, said["listen"].(string)
	t.Cleanup(func() { _ = d.end(syscall.SIGKILL) })
}

func (s *served) kill(t *testing.T) {
	t.Helper()
	if err := s.daemon.end(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}
