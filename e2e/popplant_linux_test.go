package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/internal/auth"
	"op25b/internal/softswitch"
	"op25b/internal/strict"
	"op25b/internal/tlsfiles/tlstest"
)

// The customers of the test. Their number is the index plus 1.
var popCustomers = []mailCustomer{
	{"adsl-home", "adsl", "PPPoE"},
	{"isdn-dialup", "isdn", "802.1Q"},
	{"mobile-sim", "mobile", "plain"}, // its addresses are those of its RADIUS session
	{"premium-home", "hikari-premium", "QinQ"},
	{"business-fixed", "bflets", "plain"}, // exempt
}

const adsl, isdn, mobile, premium, business = 0, 1, 2, 3, 4

// abroad is a customer on another provider's line. A switch in front of the mail servers is between them, and no line is theirs.
const abroad = 5

// A popPlant is Postfix, Dovecot, a switch with lines, a switch in front of the mail servers, and a controller with everything that reports logins.
type popPlant struct {
	t        *testing.T
	leaseFor time.Duration
	servers  *ownServers
	gate     *reportGate
	lines    []*accessLine // by customer; the last is abroad
	control  *realController
	issuer   *tlstest.Authority // of the controller's certificate
	https    *http.Client       // trusts the controller's certificate
	token    string
}

const (
	radiusSecret = "a secret of 16 characters or more"
	webhookKey   = "the key of weakforced's webhook"
)

// newPOPPlant starts everything, in the phase in which 587 of the own servers opens by a lease. leaseFor is how long one login opens it. clock is the
// clock of the embedded switch in front of the mail servers.
func newPOPPlant(t *testing.T, leaseFor time.Duration, clock func() time.Time, start func(all []*accessLine) softswitch.Addrs) *popPlant {
	t.Helper()
	p, trusted := &popPlant{t: t, leaseFor: leaseFor, issuer: tlstest.New(t)}, x509.NewCertPool()
	files := p.issuer.Dir(t, "127.0.0.1")
	trusted.AppendCertsFromPEM(p.issuer.CAPem)
	p.https = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	token, entry, err := auth.NewToken("pop-1", auth.Lease, "")
	if err != nil {
		t.Fatal(err)
	}
	p.token = token
	p.servers = openOwnServers(t, dovecotReports(t, token, p.readableCA()))
	p.gate = openReportGate(t, p.servers)
	for i, c := range append(slices.Clone(popCustomers), mailCustomer{"abroad", "", "plain"}) {
		at := slices.IndexFunc(accessForms(), func(f accessForm) bool { return f.name == c.form })
		a := &accessLine{accessForm: accessForms()[at], number: i + 1, routed: true, dynamic: i == mobile}
		if err := errors.Join(a.connect(t), p.servers.behind(a)); err != nil {
			t.Fatalf("%s (%s): %v", c.name, c.form, err)
		}
		p.lines = append(p.lines, a)
	}
	documents := popDocuments(t, p.lines[:abroad], start(p.lines[:abroad]), leaseFor)
	inventory := &documents[len(documents)-1]
	inventory.Data = append(inventory.Data, inFrontOfServers(p.lines[abroad], startEmbeddedAs(t, 2, p.lines[abroad:], clock))...)
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

// popDocuments returns the policy of 2022, with a lease of the given length, its exemptions, and last an inventory of the customers' lines.
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
	return []strict.File{file, realMailExemptions(t), {Name: "inventory.yaml", Data: []byte(inventory)}}
}

// inFrontOfServers returns the switch between other providers and the mail servers, as an item of an inventory's switches.
func inFrontOfServers(a *accessLine, addrs softswitch.Addrs) string {
	return fmt.Sprintf(`  - name: servers
    deviceID: 2
    p4runtime: %s
    gnmi: %s
    rejectFrom: [198.51.100.2, "2001:db8:ff::2"]
    addressLeases: true
    ports:
      - {port: %d, name: internet, role: access}
      - {port: %d, name: mail, role: network, macs: [%q]}
`, addrs.P4Runtime, addrs.GNMI, a.accessPort(), a.networkPort(), a.server.mac())
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
