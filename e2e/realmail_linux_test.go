package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"op25b/internal/policy"
	"op25b/internal/softswitch"
	"op25b/internal/strict"
)

// A mailCustomer is a line of the programme of 2022: its name, its line group in examples/spinnet-2022, and its access form.
type mailCustomer struct{ name, group, form string }

var mailCustomers = []mailCustomer{
	{"isdn-dialup", "isdn", "PPPoE"},
	{"mobile-sim", "mobile", "plain"},
	{"adsl-home", "adsl", "802.1Q"},
	{"premium-home", "hikari-premium", "QinQ"},
	{"bflets-softwire", "bflets", "DS-Lite"}, // its IPv4; native IPv6 beside a softwire is the form plain
	{"business-fixed", "bflets", "plain"},    // the line with the exemption
}

// passes reports whether the programme of 2022 lets a customer reach a port of the own servers in a phase. It is written down from the
// comments of examples/spinnet-2022/policy.yaml, and shares no code with the policy.
func (c mailCustomer) passes(phase string, port uint16) bool {
	switch {
	case port == 587 && (phase == "submission-opens" || phase == "all-destinations"):
		return c.name == "business-fixed" // it opens by a lease, and these servers report no logins; an exempt line needs none
	case port != 25 && port != 110 && port != 143:
		return true // only plain mail ends, and whether 587 is encrypted is for the server to see
	case port == 25 && c.name == "business-fixed":
		return true // its exemption is for port 25 to any server
	case phase == "plain-ends-first":
		return c.group != "isdn" && c.group != "mobile"
	case phase == "tls-only":
		return false
	}
	return true // all phases before only count mail to the own servers
}

// outside returns whether the programme lets a customer send mail to port 25 of mx4, a mobile carrier, and of mx6, another provider.
func (c mailCustomer) outside(phase string, v6 bool) bool {
	switch {
	case c.name == "business-fixed" || phase == "before":
		return true
	case phase == "mobile-carriers" || phase == "submission-opens":
		return v6
	}
	return false
}

// realMailPhases returns the phases that are tried. The short form leaves out those in which nothing changes for mail to the own servers.
func realMailPhases() []string {
	if longform.On() {
		return []string{"before", "mobile-carriers", "submission-opens", "all-destinations", "plain-counted", "plain-ends-first", "tls-only"}
	}
	return []string{"plain-counted", "plain-ends-first", "tls-only"}
}

// TestRealMail activates the phases of examples/spinnet-2022 with op25b serve, and uses the own servers, which are Debian's Postfix and
// Dovecot, with swaks, openssl and the kernel's TCP in each phase, from lines of each group. Mail must be delivered, mailboxes must be
// read, or connections must be rejected, as the phase says.
func TestRealMail(t *testing.T) {
	reason := realMailReason()
	if reason != "" {
		wants(t, cmp.Or(*targetFlag, "embedded"), reason)
	}
	servers := openOwnServers(t, "")
	var all []*accessLine
	for i, c := range mailCustomers {
		at := slices.IndexFunc(accessForms(), func(f accessForm) bool { return f.name == c.form })
		a := &accessLine{accessForm: accessForms()[at], number: i + 1, routed: true}
		if err := errors.Join(a.connect(t), servers.behind(a)); err != nil {
			t.Fatalf("%s (%s): %v", c.name, c.form, err)
		}
		all = append(all, a)
	}
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		addrs := startEmbeddedOn(t, all, time.Now)
		realMail(t, servers, all, serveRealMail(t, realMailDocuments(t, all, addrs)))
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		wants(t, "bmv2", reason)
		addrs := softswitch.Addrs{P4Runtime: startBMv2(t, path, 1, bmv2Interfaces(all), nil), GNMI: freeAddr(t)}
		b, err := policy.Load(realMailDocuments(t, all, addrs))
		if err != nil {
			t.Fatal(err)
		}
		addrs.GNMI = startAgent(t, addrs.P4Runtime, &b.Inventory.Switches[0], nil)
		realMail(t, servers, all, serveRealMail(t, realMailDocuments(t, all, addrs)))
	})
}

// realMailPolicy returns the policy of 2022.
func realMailPolicy(t *testing.T) strict.File {
	t.Helper()
	text, err := os.ReadFile("../examples/spinnet-2022/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return strict.File{Name: "policy.yaml", Data: text}
}

// realMailExemptions returns the exemptions of 2022. The exemption, which ends in 2023, lasts longer, because the controller's clock is today's.
func realMailExemptions(t *testing.T) strict.File {
	t.Helper()
	text, err := os.ReadFile("../examples/spinnet-2022/exemptions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const ends = "expires: 2023-03-31"
	if n := strings.Count(string(text), ends); n != 1 {
		t.Fatalf("the exemptions have %q %d times, want once", ends, n)
	}
	return strict.File{Name: "exemptions.yaml", Data: []byte(strings.Replace(string(text), ends, "expires: 2099-03-31", 1))}
}

// realMailDocuments returns the policy and the exemptions of 2022 and an inventory of the customers' lines.
func realMailDocuments(t *testing.T, all []*accessLine, addrs softswitch.Addrs) []strict.File {
	t.Helper()
	return []strict.File{realMailPolicy(t), realMailExemptions(t), {Name: "inventory.yaml", Data: []byte(realMailInventory(addrs, "", all, func(a *accessLine) string {
		c := mailCustomers[a.number-1]
		return fmt.Sprintf("name: %s, group: %s, addressing: static", c.name, c.group)
	}))}}
}

// realMailInventory returns an inventory with one switch. more has further keys of the switch, and keys returns the keys of a line that do not
// depend on its access.
func realMailInventory(addrs softswitch.Addrs, more string, all []*accessLine, keys func(a *accessLine) string) string {
	return fmt.Sprintf(`apiVersion: op25b/v1
kind: Inventory
switches:
  - name: edge
    deviceID: 1
    p4runtime: %s
    gnmi: %s
    rejectFrom: [198.51.100.1, "2001:db8:ff::1"]
%s`, addrs.P4Runtime, addrs.GNMI, more) + inventoryOf(all, keys)
}

// A realController is op25b serve as a process.
type realController struct {
	binary string
	client []string // the flags with which commands reach the controller
	cmd    *exec.Cmd
	up     struct{ Listen, Radius, Leases string } // the addresses in the controller's log
}

// serveRealMail starts a controller with documents, and waits until the switch has converged. It ends with the test.
func serveRealMail(t *testing.T, files []strict.File, options ...string) *realController {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, said := &realController{binary: buildBinary(t)}, newJournal()
	c.cmd = exec.Command(c.binary, append([]string{
		"serve", "--name", "noc-1", "--data-dir", filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0",
		"-f", dir, "--apply-if-empty", "--log-format", "json",
	}, options...)...)
	c.cmd.Stderr = said
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		_ = c.cmd.Wait()
		if t.Failed() {
			t.Logf("op25b serve said:\n%s", said.tail(30))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := said.await(ctx, 0, "controller up"); err != nil {
		t.Fatalf("%v\n%s", err, said.tail(5))
	}
	for line := range strings.SplitSeq(said.tail(journalLines), "\n") {
		if strings.Contains(line, `"controller up"`) {
			if err := json.Unmarshal([]byte(line), &c.up); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.client = []string{"--server", c.up.Listen}
	return c
}

// run runs a command of op25b, which must succeed, and returns its output.
func (c *realController) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.binary, append(args, c.client...)...)
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("op25b %s: %v\n%s%s", strings.Join(args, " "), err, out, failed.String())
	}
	return string(out)
}

func realMail(t *testing.T, servers *ownServers, all []*accessLine, c *realController) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c.run(t, "status", "--wait")
	began := time.Now()
	var journeys []*journey
	for _, a := range all {
		for _, v6 := range []bool{false, true} {
			if v6 && a.ipv6 || !v6 && a.ipv4 {
				journeys = append(journeys, &journey{accessLine: a, v6: v6})
			}
		}
	}
	var mu sync.Mutex // guards the variables below
	sent := map[string]bool{}
	worked, rejected := 0, 0
	for _, phase := range realMailPhases() {
		c.run(t, "phase", "activate", phase, "--reason", "the test", "--yes")
		inTurn(journeys, func(j *journey) {
			customer := mailCustomers[j.number-1]
			for _, service := range mailServices {
				want := error(nil)
				if !customer.passes(phase, service.port) {
					want = errRejected
				}
				subject := fmt.Sprintf("%s, %s: %s over %v", t.Name(), phase, customer.name, netip.AddrPortFrom(j.relay(), service.port))
				within, cancel := context.WithTimeout(ctx, mailPatience)
				err := service.use(within, j, servers, netip.AddrPortFrom(j.relay(), service.port), subject)
				cancel()
				if !errors.Is(err, want) {
					t.Errorf("%s: %s, %v: %s (port %d): %v; want %v", phase, customer.name, j, service.name, service.port, err, cmp.Or(want, errors.New("success")))
				}
				mu.Lock()
				if want == nil {
					worked++
				} else {
					rejected++
				}
				if service.sends && want == nil {
					sent[subject] = true
				}
				mu.Unlock()
			}
			j.otherProviders(ctx, t, phase, servers)
		})
	}
	// Everything that a server accepted is in the mailbox in the end, and nothing else.
	var got map[string]bool
	eventually(t, "a mailbox with all mail", func() bool {
		var err error
		if got, err = servers.received(); err != nil {
			t.Fatal(err)
		}
		for subject := range sent {
			if !got[subject] {
				return false
			}
		}
		return true
	})
	for subject := range got {
		if strings.HasPrefix(subject, t.Name()) && !sent[subject] {
			t.Errorf("mail was delivered that should have been stopped: %s", subject)
		}
	}
	serverRefuses(ctx, t, servers, journeys[0])
	_, target, _ := strings.Cut(t.Name(), "/")
	fmt.Printf("real mail: %s: %d uses of the own servers worked and %d were rejected, as %d phases say; %d mails delivered; %v\n",
		target, worked, rejected, len(realMailPhases()), len(sent), time.Since(began).Round(time.Second))
}

// inTurn calls f with each journey, and with those of one line one after the other. A switch answers few rejected connections of a line in a
// second, so with two address families at once the first two SYNs of a connection could both go unanswered.
func inTurn(journeys []*journey, f func(j *journey)) {
	ofLine := map[*accessLine][]*journey{}
	for _, j := range journeys {
		ofLine[j.accessLine] = append(ofLine[j.accessLine], j)
	}
	var wait sync.WaitGroup
	for _, journeys := range ofLine {
		wait.Go(func() {
			for _, j := range journeys {
				f(j)
			}
		})
	}
	wait.Wait()
}

// otherProviders verifies that submission to another provider passes in every phase, and that port 25 follows the phase.
func (j *journey) otherProviders(ctx context.Context, t *testing.T, phase string, servers *ownServers) {
	customer := mailCustomers[j.number-1]
	for _, service := range mailServices {
		to := netip.AddrPortFrom(j.mx(), service.port)
		if service.port == 25 && !customer.outside(phase, j.v6) {
			j.dropped(ctx, t)
			continue
		}
		if !service.sends {
			continue
		}
		within, cancel := context.WithTimeout(ctx, mailPatience)
		if err := service.use(within, j, servers, to, "to another provider"); err != nil {
			t.Errorf("%s: %s, %v: %s to %v: %v; want success", phase, customer.name, j, service.name, to, err)
		}
		cancel()
	}
}

// serverRefuses verifies what a switch cannot see and the server must refuse, when the last phase is in force: mail to 587 without TLS and
// without AUTH, mail to 465 without AUTH, and a wrong password.
func serverRefuses(ctx context.Context, t *testing.T, servers *ownServers, j *journey) {
	for _, test := range []struct {
		port    uint16
		options []string
		answer  string
	}{
		{587, nil, "530 5.7.0 Must issue a STARTTLS command first"},
		{587, []string{"--tls"}, "554 5.7.1"},
		{465, []string{"--tls-on-connect"}, "554 5.7.1"},
		{465, []string{"--tls-on-connect", "--auth", "PLAIN", "--auth-user", mailUser, "--auth-password", "wrong"}, "535 5.7.8"},
	} {
		within, cancel := context.WithTimeout(ctx, mailPatience)
		err := swaks(test.options...)(within, j, servers, netip.AddrPortFrom(j.relay(), test.port), "refused by the server")
		cancel()
		if err == nil || !strings.Contains(err.Error(), test.answer) {
			t.Errorf("port %d, swaks %v: %v; want the answer %s", test.port, test.options, err, test.answer)
		}
	}
}
