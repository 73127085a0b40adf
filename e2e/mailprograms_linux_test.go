package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// errRejected means that a connection failed at once with the error that Linux derives from the switch's ICMP message.
var errRejected = errors.New("rejected")

// A mailService is a way to use the own mail servers.
type mailService struct {
	port uint16
	name string
	// use uses the service from a subscriber. A mail that it sends has the given subject.
	use func(ctx context.Context, j *journey, s *ownServers, to netip.AddrPort, subject string) error
	// plain reports whether the service's port begins in plain text, and sends whether use sends a mail.
	plain, sends bool
}

var mailServices = []mailService{
	{port: 25, name: "SMTP", plain: true, sends: true, use: swaks()},
	{port: 110, name: "POP3", plain: true, use: overTCP(readPOP3)},
	{port: 143, name: "IMAP", plain: true, use: overTCP(readIMAP)},
	{port: 587, name: "submission with STARTTLS and AUTH", sends: true, use: swaks(withAuth("--tls")...)},
	{port: 465, name: "submission over TLS with AUTH", sends: true, use: swaks(withAuth("--tls-on-connect")...)},
	{port: 995, name: "POP3 over TLS", use: overTLS(readPOP3)},
	{port: 993, name: "IMAP over TLS", use: overTLS(readIMAP)},
}

func withAuth(tls string) []string {
	return []string{tls, "--auth", "PLAIN", "--auth-user", mailUser, "--auth-password", mailPassword}
}

// swaks returns a function that sends a mail with swaks. The error contains the server's last answer.
func swaks(options ...string) func(context.Context, *journey, *ownServers, netip.AddrPort, string) error {
	return func(ctx context.Context, j *journey, s *ownServers, to netip.AddrPort, subject string) error {
		args := append([]string{
			"--server", to.Addr().String(), "--port", fmt.Sprint(to.Port()), "--ehlo", "client.example", "--timeout", "10s",
			"--from", mailUser + "@" + mailDomain, "--to", mailUser + "@" + mailDomain, "--header", "Subject: " + subject,
			"--tls-verify", "--tls-ca-path", s.ca,
		}, options...)
		var said bytes.Buffer
		cmd := exec.CommandContext(ctx, "swaks", args...)
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := j.subscriber.do(cmd.Start); err != nil {
			return err
		}
		if err := cmd.Wait(); err != nil {
			return j.failure(said.String(), err)
		}
		return nil
	}
}

// A mailDialogue reads mail over a connection.
type mailDialogue func(conn io.ReadWriter, user, password string) error

func overTCP(dialogue mailDialogue) func(context.Context, *journey, *ownServers, netip.AddrPort, string) error {
	return func(ctx context.Context, j *journey, _ *ownServers, to netip.AddrPort, _ string) error {
		conn, took, err := j.subscriber.connect(ctx, to)
		if errno := syscall.Errno(0); errors.As(err, &errno) && took < silence {
			return j.failure(errno.Error(), err)
		}
		if err != nil {
			return fmt.Errorf("after %v: %w", took, err)
		}
		defer conn.Close()
		return dialogue(conn, mailUser, mailPassword)
	}
}

// overTLS makes the connection with openssl, which verifies the server's certificate.
func overTLS(dialogue mailDialogue) func(context.Context, *journey, *ownServers, netip.AddrPort, string) error {
	return func(ctx context.Context, j *journey, s *ownServers, to netip.AddrPort, _ string) error {
		cmd := exec.CommandContext(ctx, "openssl", "s_client", "-quiet", "-connect", to.String(), "-CAfile", s.ca, "-verify_return_error",
			"-verify_hostname", "mail."+mailDomain)
		var said bytes.Buffer
		cmd.Stderr = &said
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := j.subscriber.do(cmd.Start); err != nil {
			return err
		}
		err = dialogue(struct {
			io.Reader
			io.Writer
		}{out, in}, mailUser, mailPassword)
		_ = in.Close()
		ended := cmd.Wait() // openssl fails if the server closes the connection first, which is no fault after the dialogue
		if err != nil {
			return j.failure(said.String(), errors.Join(err, ended))
		}
		return nil
	}
}

// failure returns errRejected if what a program said means that the switch rejected its connection, and otherwise the program's error. Over
// IPv4, an unanswered ARP request causes the same error after 3 s, so one service of each server must also be measured: see overTCP.
func (j *journey) failure(said string, err error) error {
	errno := unix.EHOSTUNREACH
	if j.v6 {
		errno = unix.EACCES
	}
	words := strings.ToLower(said)
	if strings.Contains(words, strings.ToLower(errno.Error())) || strings.Contains(words, fmt.Sprintf("connect:errno=%d\n", errno)) {
		return errRejected
	}
	return fmt.Errorf("%w: %s", err, said)
}

// readPOP3 logs in to a mailbox over POP3 (RFC 1939).
func readPOP3(conn io.ReadWriter, user, password string) error {
	r := bufio.NewReader(conn)
	for _, line := range []string{"", "USER " + user, "PASS " + password, "STAT", "QUIT"} {
		if err := ask(conn, r, line, "+OK"); err != nil {
			return err
		}
	}
	return nil
}

// readIMAP logs in to a mailbox over IMAP (RFC 3501).
func readIMAP(conn io.ReadWriter, user, password string) error {
	r := bufio.NewReader(conn)
	for _, step := range []struct{ line, answer string }{
		{"", "* OK"}, {"a LOGIN " + user + " " + password, "a OK"}, {"b SELECT INBOX", "b OK"}, {"c LOGOUT", "c OK"},
	} {
		if err := ask(conn, r, step.line, step.answer); err != nil {
			return err
		}
	}
	return nil
}

// ask sends a line, unless it is empty, and reads the server's answer. Untagged answers of IMAP are skipped, unless the wanted answer is one.
func ask(w io.Writer, r *bufio.Reader, line, want string) error {
	if line != "" {
		if _, err := io.WriteString(w, line+"\r\n"); err != nil {
			return err
		}
	}
	verb, _, _ := strings.Cut(strings.TrimLeft(line, "abc "), " ")
	for {
		answer, err := r.ReadString('\n')
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", verb, err)
		case strings.HasPrefix(answer, want):
			return nil
		case !strings.HasPrefix(answer, "* "):
			return fmt.Errorf("%s: the server answered %q, want %q", verb, strings.TrimSpace(answer), want)
		}
	}
}
