package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/auth"
	"op25b/internal/lease/login"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
	"op25b/internal/strict"
	"op25b/internal/tlsfiles/tlstest"
)

// reportPort is the port at which Dovecot reports logins, as in docs/leases.md.
const reportPort = 2526

// openWithin is the longest time from the beginning of a login until port 587 is open.
const openWithin = time.Second

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

// dovecotReports returns the settings in docs/leases.md with which Dovecot reports logins, for this controller.
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
	return settings
}

// The customers of the test. Their number is the index plus 1.
var popCustomers = []mailCustomer{
	{"adsl-home", "adsl", "PPPoE"},
	{"isdn-dialup", "isdn", "802.1Q"},
	{"mobile-sim", "mobile", "plain"}, // its addresses are those of its RADIUS session
	{"premium-home", "hikari-premium", "QinQ"},
	{"business-fixed", "bflets", "plain"}, // exempt
}

const adsl, isdn, mobile, premium, business = 0, 1, 2, 3, 4

// A popPlant is Postfix, Dovecot, a switch, its lines and a controller with everything that reports logins.
type popPlant struct {
	t        *testing.T
	leaseFor time.Duration
	servers  *ownServers
	gate     *reportGate
	lines    []*accessLine
	control  *realController
	issuer   *tlstest.Authority // of the controller's certificate
	ca       *x509.CertPool
	token    string
}

const (
	radiusSecret = "a secret of 16 characters or more"
	webhookKey   = "the key of weakforced's webhook"
)

// newPOPPlant starts everything, in the phase in which 587 of the own servers opens by a lease. leaseFor is how long one login opens it.
func newPOPPlant(t *testing.T, leaseFor time.Duration, start func(all []*accessLine) softswitch.Addrs) *popPlant {
	t.Helper()
	p := &popPlant{t: t, leaseFor: leaseFor, ca: x509.NewCertPool(), issuer: tlstest.New(t)}
	files := p.issuer.Dir(t, "127.0.0.1")
	p.ca.AppendCertsFromPEM(p.issuer.CAPem)
	token, entry, err := auth.NewToken("pop-1", auth.Lease, "")
	if err != nil {
		t.Fatal(err)
	}
	p.token = token
	p.servers = openOwnServers(t, dovecotReports(t, token, p.readableCA()))
	p.gate = openReportGate(t, p.servers)
	for i, c := range popCustomers {
		at := slices.IndexFunc(accessForms(), func(f accessForm) bool { return f.name == c.form })
		a := &accessLine{accessForm: accessForms()[at], number: i + 1, routed: true, dynamic: i == mobile}
		if err := errors.Join(a.connect(t), p.servers.behind(a)); err != nil {
			t.Fatalf("%s (%s): %v", c.name, c.form, err)
		}
		p.lines = append(p.lines, a)
	}
	documents := popDocuments(t, p.lines, start(p.lines), leaseFor)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"clients.yaml": fmt.Sprintf("apiVersion: op25b/v1\nkind: LeaseClients\nclients: [{name: pop-1, sha256: %s, secretFile: webhook}]\n", entry.SHA256),
		"radius.yaml":  "apiVersion: op25b/v1\nkind: RadiusClients\nclients: [{name: bng-1, address: 127.0.0.1, secretFile: secret, interim: 10m, switches: [edge]}]\n",
		"webhook":      webhookKey, "secret": radiusSecret,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.control = serveRealMail(t, documents,
		"--tls-cert", files.Cert, "--tls-key", files.Key, "--leases", "127.0.0.1:0", "--lease-clients", filepath.Join(dir, "clients.yaml"),
		"--radius", "127.0.0.1:0", "--radius-clients", filepath.Join(dir, "radius.yaml"))
	p.control.client = append(p.control.client, "--ca", files.CA)
	p.gate.pass(p.control.up.Leases)
	p.control.run(t, "status", "--wait")
	p.control.run(t, "phase", "activate", "submission-opens", "--reason", "the test", "--yes")
	return p
}

// popDocuments returns the policy of 2022, with a lease of the given length, and an inventory of the customers' lines.
func popDocuments(t *testing.T, all []*accessLine, addrs softswitch.Addrs, leaseFor time.Duration) []strict.File {
	t.Helper()
	file := realMailPolicy(t)
	const lease = "for: 10m, cap: 30m"
	if n := strings.Count(string(file.Data), lease); n != 1 {
		t.Fatalf("the policy has %q %d times, want once", lease, n)
	}
	file.Data = []byte(strings.Replace(string(file.Data), lease, fmt.Sprintf("for: %dm, cap: 30m", leaseFor/time.Minute), 1))
	inventory := realMailInventory(addrs, "    identify: user-name\n", all, func(a *accessLine) string {
		c, more := popCustomers[a.number-1], "addressing: static"
		if a.dynamic {
			more = "identity: " + c.name
		}
		return fmt.Sprintf("name: %s, group: %s, %s", c.name, c.group, more)
	})
	return []strict.File{file, {Name: "inventory.yaml", Data: []byte(inventory)}}
}

// readableCA writes the CA certificate to a file that Dovecot's unprivileged processes can read.
func (p *popPlant) readableCA() string {
	p.t.Helper()
	file, err := os.CreateTemp("", "op25b-ca-*.pem")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = os.Remove(file.Name()) })
	_, err = file.Write(p.issuer.CAPem)
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		p.t.Fatal(err)
	}
	return file.Name()
}

// login logs in to the mailbox from a customer's line over POP3, as mail programs of 2006 do.
func (p *popPlant) login(customer int, v6 bool, password string) error {
	p.t.Helper()
	j := &journey{accessLine: p.lines[customer], v6: v6}
	return p.loginFrom(j.subscriber.namespace, j.relay(), password)
}

func (p *popPlant) loginFrom(n *namespace, server netip.Addr, password string) error {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), mailPatience)
	defer cancel()
	conn, _, err := n.connect(ctx, netip.AddrPortFrom(server, 110))
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	return readPOP3(conn, mailUser, password)
}

// leases returns the lines that have a lease, in order.
func (p *popPlant) leases() []string {
	p.t.Helper()
	var list struct {
		Leases []struct{ Line string }
	}
	if err := json.Unmarshal([]byte(p.control.run(p.t, "lease", "list", "-o", "json")), &list); err != nil {
		p.t.Fatal(err)
	}
	lines := []string{}
	for _, l := range list.Leases {
		lines = append(lines, l.Line)
	}
	return lines
}

// has verifies which lines have a lease.
func (p *popPlant) has(what string, lines ...string) {
	p.t.Helper()
	if got := p.leases(); !slices.Equal(got, lines) {
		p.t.Errorf("%s: the lines %v have a lease, want %v", what, got, lines)
	}
}

// grants returns how many reports of a source had an outcome.
func (p *popPlant) grants(source, outcome string) string {
	p.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: p.ca}}}
	res, err := client.Get("https://" + p.control.up.Listen + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	series := fmt.Sprintf("op25b_lease_grants_total{outcome=%q,source=%q} ", outcome, source)
	_, rest, found := strings.Cut(string(text), series)
	if !found {
		p.t.Fatalf("/metrics has no series %s", series)
	}
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// counted waits until reports of a source had an outcome in the given number.
func (p *popPlant) counted(source, outcome string, n int) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%d reports by %s with the outcome %s", n, source, outcome), func() bool { return p.grants(source, outcome) == fmt.Sprint(n) })
}

// post sends a report of weakforced with a signature by a key, and returns the status of the answer.
func (p *popPlant) post(body []byte, key string) int {
	p.t.Helper()
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "https://"+p.control.up.Leases+"/weakforced", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set(login.SignatureHeader, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: p.ca}}}
	res, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode
}

// account sends a RADIUS accounting request that gives an address to a line, signed with a secret, with FreeRADIUS's client.
func (p *popPlant) account(line string, addr netip.Addr, secret string) error {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), mailPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "radclient", "-r", "1", "-t", "2", p.control.up.Radius, "acct", secret)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("Acct-Status-Type = Start, Acct-Session-Id = %q, User-Name = %q, Framed-IP-Address = %v", "s-"+line, line, addr))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("radclient: %w: %s", err, out)
	}
	return nil
}

// TestPOPBeforeSMTP logs in to Debian's Dovecot, whose settings are those of docs/leases.md, and verifies who gets a lease, and who does not. On
// the switch, a lease opens port 587 of the own servers for its line, and ends without a controller.
func TestPOPBeforeSMTP(t *testing.T) {
	reason := realMailReason()
	if _, err := exec.LookPath("radclient"); err != nil && reason == "" {
		reason = fmt.Sprintf("%v: install freeradius-utils", err)
	}
	if reason != "" {
		wants(t, cmp.Or(*targetFlag, "embedded"), reason)
	}
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		clock := &movedClock{}
		p := newPOPPlant(t, 10*time.Minute, func(all []*accessLine) softswitch.Addrs { return startEmbeddedOn(t, all, clock.now) })
		p.play(clock.move)
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		if reason == "" && !longform.On() {
			reason = "a lease of minutes ends by the clock of bmv2, which cannot be moved: set OP25B_LONG=1"
		}
		wants(t, "bmv2", reason)
		leaseFor := 3 * time.Minute // long enough for everything before its end
		p := newPOPPlant(t, leaseFor, func(all []*accessLine) softswitch.Addrs {
			addrs := softswitch.Addrs{P4Runtime: startBMv2(t, path, 1, bmv2Interfaces(all), nil), GNMI: freeAddr(t)}
			b, err := policy.Load(popDocuments(t, all, addrs, leaseFor))
			if err != nil {
				t.Fatal(err)
			}
			addrs.GNMI = startAgent(t, addrs.P4Runtime, &b.Inventory.Switches[0], nil)
			return addrs
		})
		p.play(func(d time.Duration) { time.Sleep(d) }) // the switch's time passes only so
	})
}

// A movedClock is the clock of a switch, which a test moves ahead.
type movedClock struct {
	mu    sync.Mutex // guards ahead
	ahead time.Duration
}

func (c *movedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *movedClock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += by
}

// play verifies who gets a lease, and last, with the controller killed, when it ends. wait lets time pass for the switch.
func (p *popPlant) play(wait func(time.Duration)) {
	t := p.t
	p.has("before any login")
	p.open("before any login", business)
	began := time.Now()
	if err := p.login(adsl, false, mailPassword); err != nil {
		t.Fatal(err)
	}
	eventually(t, "port 587 opens after a login", func() bool { return p.connects(adsl, false) == nil })
	took := time.Since(began)
	if took > openWithin {
		t.Errorf("port 587 was open %v after the login began, want at most %v", took, openWithin)
	}
	p.has("after a login", "adsl-home")
	p.open("after a login", adsl, business)
	p.delivers(adsl)
	fmt.Printf("POP before SMTP: port 587 was open %v after the login began\n", took.Round(time.Millisecond))

	p.wrongPassword()
	p.smtpAuth()
	p.webhook()
	p.forgedSession()
	p.proxy()
	p.dovecotGoesOn()
	p.endsAlone(wait)
}

// connects connects to port 587 of the own servers from a customer's line. It returns errRejected if the switch rejects the connection.
func (p *popPlant) connects(customer int, v6 bool) error {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), silence)
	defer cancel()
	j := &journey{accessLine: p.lines[customer], v6: v6}
	conn, took, err := j.subscriber.connect(ctx, netip.AddrPortFrom(j.relay(), 587))
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return j.failure(errno.Error(), err)
	}
	if err != nil {
		return fmt.Errorf("after %v: %w", took, err)
	}
	return conn.Close()
}

// open verifies for which customers port 587 of the own servers is open, over IPv4 and IPv6. The line with a session has IPv4 only.
func (p *popPlant) open(what string, customers ...int) {
	p.t.Helper()
	for i, c := range popCustomers {
		for _, v6 := range []bool{false, true} {
			want := error(nil)
			if !slices.Contains(customers, i) || i == mobile && v6 {
				want = errRejected
			}
			if err := p.connects(i, v6); !errors.Is(err, want) {
				p.t.Errorf("%s: port 587 from %s (IPv6: %t): %v, want %v", what, c.name, v6, err, cmp.Or(want, errors.New("success")))
			}
		}
	}
}

// opens waits until port 587 is open for exactly these customers.
func (p *popPlant) opens(what string, customers ...int) {
	p.t.Helper()
	eventually(p.t, what+": port 587 opens", func() bool {
		return !slices.ContainsFunc(customers, func(i int) bool { return p.connects(i, false) != nil })
	})
	p.open(what, customers...)
}

// delivers submits a mail on port 587 with STARTTLS and AUTH, which must arrive.
func (p *popPlant) delivers(customer int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), mailPatience)
	defer cancel()
	j, subject := &journey{accessLine: p.lines[customer]}, p.t.Name()+" by a lease"
	if err := swaks(withAuth("--tls")...)(ctx, j, p.servers, netip.AddrPortFrom(j.relay(), 587), subject); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "a mail sent by a lease", func() bool {
		got, err := p.servers.received()
		if err != nil {
			p.t.Fatal(err)
		}
		return got[subject]
	})
}

// endsAlone kills the controller after a login, and verifies that the lease ends on time nevertheless.
func (p *popPlant) endsAlone(wait func(time.Duration)) {
	p.t.Helper()
	p.control.run(p.t, "lease", "revoke", "adsl-home")
	eventually(p.t, "port 587 closes after a revocation", func() bool { return errors.Is(p.connects(adsl, false), errRejected) })
	before := time.Now()
	if err := p.login(adsl, false, mailPassword); err != nil {
		p.t.Fatal(err)
	}
	after := time.Now()
	eventually(p.t, "port 587 opens after a login", func() bool { return p.connects(adsl, false) == nil })
	if err := p.control.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	_ = p.control.cmd.Wait()
	// The end is in whole seconds of the switch's clock, and rounding and latency only shorten a lease: by 2 s and the time of a login here.
	const shorter = 5 * time.Second
	wait(p.leaseFor - shorter - time.Since(before))
	if err := p.connects(adsl, false); err != nil {
		p.t.Errorf("port 587 is closed %v before the end of the lease, without a controller: %v", shorter, err)
	}
	wait(shorter + time.Since(after))
	if err := p.connects(adsl, false); !errors.Is(err, errRejected) {
		p.t.Errorf("port 587 after the end of the lease, without a controller: %v, want %v", err, errRejected)
	}
	p.open("after the end of all leases", business)
}

func (p *popPlant) wrongPassword() {
	p.t.Helper()
	if err := p.login(isdn, true, "wrong"); err == nil || !strings.Contains(err.Error(), "-ERR") {
		p.t.Errorf("login with a wrong password: %v, want -ERR", err)
	}
	p.counted("dovecot", string(login.Failed), 1)
	p.has("after a wrong password", "adsl-home")
	p.open("after a wrong password", adsl, business)
}

// smtpAuth authenticates by SMTP, on 465, which is open without a lease. Postfix asks Dovecot, and Dovecot reports that too.
func (p *popPlant) smtpAuth() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), mailPatience)
	defer cancel()
	j := &journey{accessLine: p.lines[premium]}
	if err := swaks(withAuth("--tls-on-connect")...)(ctx, j, p.servers, netip.AddrPortFrom(j.relay(), 465), "by SMTP AUTH"); err != nil {
		p.t.Fatal(err)
	}
	p.counted("dovecot", string(login.Foreign), 2) // the first was by delivers
	p.has("after SMTP AUTH", "adsl-home")
}

// webhook sends a report of weakforced with a wrong key, then with the right one, and then the same report again after its lease was revoked.
func (p *popPlant) webhook() {
	p.t.Helper()
	body := fmt.Appendf(nil, `{"login":"someone","remote":%q,"protocol":"pop3","success":true,"policy_reject":false,"tls":false,"t":%d.5}`,
		p.lines[isdn].subscriber.inner4(), time.Now().Unix())
	if status := p.post(body, "another key of weakforced's webhook"); status/100 != 4 {
		p.t.Errorf("a report with a wrong signature is answered %d, want 4xx", status)
	}
	p.has("after a webhook with a wrong signature", "adsl-home")
	if status := p.post(body, webhookKey); status != http.StatusOK {
		p.t.Errorf("a report is answered %d, want 200", status)
	}
	p.has("after a webhook", "adsl-home", "isdn-dialup")
	p.opens("after a webhook", adsl, isdn, business)
	p.control.run(p.t, "lease", "revoke", "isdn-dialup")
	if status := p.post(body, webhookKey); status/100 != 4 {
		p.t.Errorf("a replayed report is answered %d, want 4xx", status)
	}
	p.has("after a replayed webhook", "adsl-home")
	eventually(p.t, "port 587 closes after a revocation", func() bool { return errors.Is(p.connects(isdn, false), errRejected) })
	p.open("after a replayed webhook", adsl, business)
}

// forgedSession claims an address for a line with an accounting request that is not signed with the access server's secret, and then with one
// that is. Only then does a login from the address belong to the line.
func (p *popPlant) forgedSession() {
	p.t.Helper()
	addr := p.lines[mobile].subscriber.inner4()
	if err := p.account("mobile-sim", addr, "not the secret of the access server"); err == nil {
		p.t.Error("an accounting request with a wrong secret was answered")
	}
	if err := p.login(mobile, false, mailPassword); err != nil {
		p.t.Fatal(err)
	}
	p.counted("dovecot", "no-line", 1)
	p.has("after a login behind a forged session", "adsl-home")
	p.open("after a login behind a forged session", adsl, business)
	if err := p.account("mobile-sim", addr, radiusSecret); err != nil {
		p.t.Fatal(err)
	}
	if err := p.login(mobile, false, mailPassword); err != nil {
		p.t.Fatal(err)
	}
	p.counted("dovecot", "granted", 2)
	p.has("after a login behind a session", "adsl-home", "mobile-sim")
	p.opens("after a login behind a session", adsl, mobile, business)
}

// proxy logs in from an address between the lines and the servers, as a proxy does whose clients Dovecot does not know.
func (p *popPlant) proxy() {
	p.t.Helper()
	if err := p.loginFrom(p.lines[premium].server.namespace, relay4, mailPassword); err != nil {
		p.t.Fatal(err)
	}
	p.counted("dovecot", "no-line", 2)
	p.has("after a login from a proxy", "adsl-home", "mobile-sim")
	p.open("after a login from a proxy", adsl, mobile, business)
}

// dovecotGoesOn logs in while reports are not answered, answered with 500, and refused. None of it may delay a login or fail it.
func (p *popPlant) dovecotGoesOn() {
	p.t.Helper()
	broken := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) })}
	cert, err := tls.X509KeyPair(p.issuer.Issue(p.t, "127.0.0.1", time.Now().Add(time.Hour)))
	if err != nil {
		p.t.Fatal(err)
	}
	broken.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = broken.ServeTLS(l, "", "") }()
	defer func() { _ = broken.Close(); <-served }()
	for what, to := range map[string]string{"hangs": "", "answers 500": l.Addr().String(), "is not there": "127.0.0.1:1"} {
		p.gate.pass(to)
		began := time.Now()
		if err := p.login(premium, false, mailPassword); err != nil {
			p.t.Errorf("login while op25b %s: %v", what, err)
		}
		// A login that waits for an answer takes 2 s at least (Dovecot's auth_policy_server_timeout_msecs).
		if took := time.Since(began); took > 1500*time.Millisecond {
			p.t.Errorf("login while op25b %s: it took %v", what, took)
		}
	}
	p.has("after logins that were not reported", "adsl-home", "mobile-sim")
	p.open("after logins that were not reported", adsl, mobile, business)
	p.gate.pass(p.control.up.Leases)
	if err := p.login(premium, true, mailPassword); err != nil {
		p.t.Fatal(err)
	}
	p.counted("dovecot", "granted", 3)
	p.has("after op25b is back", "adsl-home", "mobile-sim", "premium-home")
	p.opens("after op25b is back", adsl, mobile, premium, business)
}
