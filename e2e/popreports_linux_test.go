package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// reportPort is the port at which Dovecot reports logins, as in docs/leases.md.
const reportPort = 2526

// A reportGate passes Dovecot's connections from its namespace on to another address. Without an address, it accepts connections and never
// answers.
type reportGate struct {
	mu    sync.Mutex // guards the fields below
	to    string
	conns []net.Conn
}

// openReportGate listens in the servers' namespace until the test ends.
func openReportGate(t *testing.T, s *ownServers) *reportGate {
	t.Helper()
	l, err := s.listen(reportPort)
	if err != nil {
		t.Fatal(err)
	}
	g := &reportGate{}
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); g.pass(""); serving.Wait() })
	serving.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			g.mu.Lock()
			to := g.to
			g.conns = append(g.conns, near)
			g.mu.Unlock()
			if to == "" {
				continue
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			serving.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
			serving.Go(func() { _, _ = io.Copy(near, far); _ = near.Close() })
		}
	})
	return g
}

// pass changes the address, and closes the connections to the address before.
func (g *reportGate) pass(to string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.to, g.conns = to, nil
}

// dovecotPatience is how long Dovecot waits for the answer to a report. Its default of 2 s is hard to tell from a login on a busy machine.
const dovecotPatience = time.Minute

// dovecotReports returns the settings in docs/leases.md with which Dovecot reports logins, for this controller, and dovecotPatience.
func dovecotReports(t *testing.T, token, ca string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/leases.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```\nauth_policy_server_url")
	settings, _, ends := strings.Cut(rest, "```\n")
	if !found || !ends {
		t.Fatal("docs/leases.md has no block that begins with auth_policy_server_url")
	}
	settings = "\nauth_policy_server_url" + settings
	for _, change := range [][2]string{{"noc-1.isp.example", "127.0.0.1"}, {"op25b_...", token}, {"/etc/ssl/certs/ca-certificates.crt", ca}} {
		if n := strings.Count(settings, change[0]); n != 1 {
			t.Fatalf("the settings in docs/leases.md have %q %d times, want once:\n%s", change[0], n, settings)
		}
		settings = strings.Replace(settings, change[0], change[1], 1)
	}
	return settings + fmt.Sprintf("auth_policy_server_timeout_msecs = %d\n", dovecotPatience.Milliseconds())
}
