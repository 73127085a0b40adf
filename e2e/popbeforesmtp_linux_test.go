package e2e

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/lease/login"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
)

// openWithin limits the time from the beginning of a login until port 587 is open. The goal is 1 s. The test prints the time, and fails only far
// beyond the goal, because the machine may be busy with other work.
const openWithin = 10 * time.Second

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
		p := newPOPPlant(t, 10*time.Minute, clock.now, func(all []*accessLine) softswitch.Addrs { return startEmbeddedOn(t, all, clock.now) })
		p.play(clock.move)
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		if reason == "" && !longform.On() {
			reason = "a lease of minutes ends by the clock of bmv2, which cannot be moved: set OP25B_LONG=1"
		}
		wants(t, "bmv2", reason)
		leaseFor := 3 * time.Minute // long enough for everything before its end
		p := newPOPPlant(t, leaseFor, time.Now, func(all []*accessLine) softswitch.Addrs {
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
	p.customerAbroad()
	p.endsAlone(wait)
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
	if err := p.login(abroad, true, mailPassword); err != nil {
		p.t.Fatal(err)
	}
	after := time.Now()
	eventually(p.t, "port 587 opens after a login", func() bool { return p.connects(adsl, false) == nil && p.connects(abroad, true) == nil })
	if err := p.control.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	_ = p.control.cmd.Wait()
	// The end is in whole seconds of the switch's clock, and rounding and latency only shorten a lease: by 2 s and the time of a login here.
	const shorter = 5 * time.Second
	wait(p.leaseFor - shorter - time.Since(before))
	for customer, v6 := range map[int]bool{adsl: false, abroad: true} {
		if err := p.connects(customer, v6); err != nil {
			p.t.Errorf("port 587 is closed to customer %d %v before the end of the lease, without a controller: %v", customer, shorter, err)
		}
	}
	wait(shorter + time.Since(after))
	for customer, v6 := range map[int]bool{adsl: false, abroad: true} {
		if err := p.connects(customer, v6); !errors.Is(err, errRejected) {
			p.t.Errorf("port 587 from customer %d after the end of the lease, without a controller: %v, want %v", customer, err, errRejected)
		}
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
	p.counted("dovecot", "no-customer", 1) // its address is of no line, and is one of the shared address space
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
	p.counted("dovecot", "no-customer", 2)
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
		if took := time.Since(began); took > dovecotPatience/2 {
			p.t.Errorf("login while op25b %s: it took %v, as if it waited for the answer to its report", what, took)
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

// customerAbroad logs in from another provider's line, behind the switch in front of the mail servers. Over IPv6, the login opens port 587 for the
// address. The customer's IPv4 address is one of the shared address space, which gets no lease.
func (p *popPlant) customerAbroad() {
	p.t.Helper()
	closed := func(what string, families ...bool) {
		p.t.Helper()
		for _, v6 := range families {
			if err := p.connects(abroad, v6); !errors.Is(err, errRejected) {
				p.t.Errorf("%s: port 587 from abroad (IPv6: %t): %v, want %v", what, v6, err, errRejected)
			}
		}
	}
	others := []string{"adsl-home", "mobile-sim", "premium-home"}
	closed("before a login", false, true)
	if err := p.login(abroad, false, mailPassword); err != nil {
		p.t.Fatal(err)
	}
	p.counted("dovecot", "no-customer", 3)
	p.has("after a login from a shared address", others...)
	closed("after a login from a shared address", false, true)

	began := time.Now()
	if err := p.login(abroad, true, mailPassword); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "port 587 opens after a login from abroad", func() bool { return p.connects(abroad, true) == nil })
	took := time.Since(began)
	if took > openWithin {
		p.t.Errorf("port 587 was open %v after the login from abroad began, want at most %v", took, openWithin)
	}
	fmt.Printf("POP before SMTP: port 587 was open %v after a login on another provider's line began\n", took.Round(time.Millisecond))
	p.has("after a login from abroad", append(others, "")...) // the list does not name the address
	closed("after a login over IPv6", false)
	p.open("after a login from abroad", adsl, mobile, premium, business)

	p.control.run(p.t, "lease", "revoke", "--address", p.lines[abroad].subscriber.inner6().String())
	eventually(p.t, "port 587 closes after a revocation", func() bool { return errors.Is(p.connects(abroad, true), errRejected) })
	p.has("after a revocation", others...)
}
