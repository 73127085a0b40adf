package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"op25b/e2e/budget"
	"op25b/internal/auth"
)

// A process is a controller that runs as a separate process.
type process struct {
	*daemon
	addr string
	over bool
}

// commandIn returns the path of the op25b command in a new directory, that directory, and an environment in which
// the directory is HOME.
func commandIn(t testing.TB) (command, dir string, env []string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	command = filepath.Join(dir, "op25b")
	if err := os.Symlink(exe, command); err != nil {
		t.Fatal(err)
	}
	return command, dir, append(os.Environ(), "HOME="+dir)
}

// serveProcess starts a controller. At the end of the test, the controller must exit with status 0 on SIGTERM.
func serveProcess(t testing.TB, args ...string) *process {
	t.Helper()
	command, dir, env := commandIn(t)
	d, said, err := launch(command, dir, env, append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data")}, args...))
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := said["listen"].(string)
	s := &process{daemon: d, addr: addr}
	t.Cleanup(func() { s.finish(t) })
	return s
}

// finish ends the process with SIGTERM, unless it has already ended, and returns its log.
func (s *process) finish(t testing.TB) string {
	t.Helper()
	if !s.over {
		s.over = true
		if err := s.end(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	return s.log.String()
}

// peak returns the peak memory of the process, in MiB.
func (s *process) peak(t testing.TB) int {
	t.Helper()
	mib, err := budget.Resident(s.cmd.Process.Pid)
	if err != nil {
		t.Fatalf("the controller has ended: %v", err)
	}
	return mib
}

// accessOf writes an access file with a token for a viewer and a token for an operator. It returns the path of the
// file, and the tokens by role.
func accessOf(t testing.TB) (path string, tokens map[string]string) {
	t.Helper()
	var b strings.Builder
	tokens = make(map[string]string)
	b.WriteString("apiVersion: op25b/v1\nkind: Access\ntokens:\n")
	for _, role := range []auth.Role{auth.Viewer, auth.Operator} {
		secret, entry, err := auth.NewToken(string(role), role, "")
		if err != nil {
			t.Fatal(err)
		}
		tokens[string(role)] = secret
		fmt.Fprintf(&b, "  - {name: %s, role: %s, sha256: %s}\n", role, role, entry.SHA256)
	}
	path = filepath.Join(t.TempDir(), "access.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, tokens
}

// clientsOf returns one client for HTTP/1.1 and one for HTTP/2.
func clientsOf(t testing.TB) map[string]*http.Client {
	t.Helper()
	clients := make(map[string]*http.Client)
	for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
		var p http.Protocols
		p.SetHTTP1(version == "HTTP/1.1")
		p.SetHTTP2(version == "HTTP/2")
		p.SetUnencryptedHTTP2(version == "HTTP/2")
		transport := &http.Transport{Protocols: &p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
		t.Cleanup(transport.CloseIdleConnections)
		clients[version] = &http.Client{Transport: transport}
	}
	return clients
}

// fetchMetrics returns the text of /metrics for an authorised caller.
func fetchMetrics(t testing.TB, base string, header map[string]string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: %s %s %v", resp.Status, text, err)
	}
	return string(text)
}
