package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"

	"op25b/internal/lease/login"
)

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
	return readPOP3(conn, mailUser, password)
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
	res, err := p.https.Do(r)
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
