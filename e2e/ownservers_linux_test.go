package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"op25b/internal/tlsfiles/tlstest"
)

// The account of the own mail servers. Its mailbox receives the mail to every address of the domain.
const (
	mailUser, mailPassword = "customer", "a-secret"
	mailDomain             = "isp.example"
)

// ownServers are Postfix and Dovecot, as an ISP runs them for its customers, in a network namespace. They have the addresses relay4 and
// relay6, and also mx4 and mx6, the addresses of another provider. Their files are in a directory of their own.
type ownServers struct {
	*namespace
	dir string
	ca  string // the file with the CA certificate of the servers' certificate
}

// The programs run with every process outside a chroot. smtpd on 25 relays the mail of the customers' addresses, and accepts mail to the
// own domain from everybody. 587 requires STARTTLS and AUTH, and 465 requires AUTH inside TLS.
const postfixMain = `
compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file = DIR/postfix.log
maillog_file_prefixes = DIR
myhostname = mail.isp.example
mydestination =
alias_maps =
inet_interfaces = all
inet_protocols = all
mynetworks = 100.64.0.0/10, [2001:db8:1::]/48
virtual_mailbox_domains = isp.example
virtual_mailbox_base = DIR/mail
virtual_mailbox_maps = static:customer/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_peername_lookup = no
smtpd_tls_cert_file = CERT
smtpd_tls_key_file = KEY
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:12345
smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
`

const postfixMaster = `
25       inet       n - n - - smtpd
587      inet       n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_auth_only=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
465      inet       n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
cleanup  unix       n - n - 0 cleanup
qmgr     unix       n - n 300 1 qmgr
rewrite  unix       - - n - - trivial-rewrite
bounce   unix       - - n - 0 bounce
defer    unix       - - n - 0 bounce
trace    unix       - - n - 0 bounce
error    unix       - - n - - error
virtual  unix       - n n - - virtual
tlsmgr   unix       - - n 1000? 1 tlsmgr
anvil    unix       - - n - 1 anvil
proxymap unix       - - n - - proxymap
postlog  unix-dgram n - n - 1 postlogd
`

const dovecotConf = `
base_dir = DIR/dovecot
state_dir = DIR/dovecot-state
log_path = /dev/stderr
protocols = pop3 imap
listen = *, ::
ssl = yes
ssl_cert = <CERT
ssl_key = <KEY
disable_plaintext_auth = no
mail_location = maildir:DIR/mail/customer
first_valid_gid = 1
auth_mechanisms = plain login
passdb {
  driver = static
  args = password=PASSWORD
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=DIR/mail/customer
}
service auth {
  inet_listener {
    address = 127.0.0.1
    port = 12345
  }
}
`

// mailPorts are the ports of the own servers.
var mailPorts = []uint16{25, 110, 143, 465, 587, 993, 995}

// realMailReason returns the reason why the real mail servers and clients cannot run on this machine, or "" if they can.
func realMailReason() string {
	if reason := namespaceReason(); reason != "" {
		return reason
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return fmt.Sprintf("TUN devices cannot be made here (%v)", err)
	}
	const install = "install postfix dovecot-pop3d dovecot-imapd swaks libnet-ssleay-perl libio-socket-inet6-perl openssl"
	for _, program := range []string{"postfix", "postconf", "dovecot", "swaks", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Sprintf("%v: %s", err, install)
		}
	}
	if err := exec.Command("perl", "-MNet::SSLeay", "-MIO::Socket::INET6", "-e", "1").Run(); err != nil {
		return fmt.Sprintf("swaks lacks TLS or IPv6 (perl: %v): %s", err, install)
	}
	return ""
}

// openOwnServers starts the servers and waits until all ports accept connections. They end with the test. more is added to Dovecot's
// configuration.
func openOwnServers(t *testing.T, more string) *ownServers {
	t.Helper()
	s := &ownServers{namespace: newNamespace(t)}
	for _, addr := range []netip.Addr{relay4, relay6, mx4, mx6} {
		if err := s.address("lo", netip.PrefixFrom(addr, addr.BitLen())); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "op25b-mail-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
	})
	files := tlstest.New(t).Dir(t, "mail."+mailDomain)
	s.ca = files.CA
	fill := strings.NewReplacer("DIR", s.dir, "CERT", files.Cert, "KEY", files.Key, "PASSWORD", mailPassword)
	for _, dir := range []string{"", "conf", "queue", "data", "mail", "dovecot-state"} {
		path := filepath.Join(s.dir, dir)
		if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"conf/main.cf": postfixMain, "conf/master.cf": postfixMaster, "dovecot.conf": dovecotConf + more} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(fill.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for dir, owner := range map[string]string{"data": "postfix", "mail": "65534:65534"} {
		s.prepare(t, "chown", owner, filepath.Join(s.dir, dir))
	}
	conf := filepath.Join(s.dir, "conf")
	s.prepare(t, "postfix", "-c", conf, "check") // makes the directories of the queue
	daemons := strings.TrimSpace(s.prepare(t, "postconf", "-c", conf, "-h", "daemon_directory"))
	s.daemon(t, filepath.Join(s.dir, "postfix.log"), exec.Command(filepath.Join(daemons, "master"), "-c", conf, "-d"))
	s.daemon(t, "", exec.Command("dovecot", "-c", filepath.Join(s.dir, "dovecot.conf"), "-F"))
	for _, addr := range []netip.Addr{relay4, relay6} {
		for _, port := range mailPorts {
			eventually(t, fmt.Sprintf("a connection to %v, port %d, of the own servers", addr, port), func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), silence)
				defer cancel()
				conn, _, err := s.connect(ctx, netip.AddrPortFrom(addr, port))
				if err != nil {
					return false
				}
				return conn.Close() == nil
			})
		}
	}
	return s
}

// prepare runs a program to its end and returns its output.
func (s *ownServers) prepare(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// daemon starts a program in the namespace. It and its children end with the test. If the test fails, its log is shown: the file, or what
// it printed.
func (s *ownServers) daemon(t *testing.T, file string, cmd *exec.Cmd) {
	t.Helper()
	said := newJournal()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // a child may keep the output open
	if err := s.do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // the daemon ends its children
		_ = cmd.Wait()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if t.Failed() {
			text, _ := os.ReadFile(file)
			t.Logf("%s said:\n%s%s", filepath.Base(cmd.Path), said.tail(100), text[max(0, len(text)-20000):])
		}
	})
}

// behind connects the servers to an access line's end on the network side, which becomes the line's router.
func (s *ownServers) behind(a *accessLine) error {
	e := a.server
	if err := e.do(func() error {
		return errors.Join(os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0), setIPv6("all", "forwarding", "1"))
	}); err != nil {
		return err
	}
	router, device := "servers", fmt.Sprint("line-", a.number)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = router
	if err := e.links.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: device, PeerNamespace: netlink.NsFd(s.handle)}); err != nil {
		return err
	}
	own4, own6 := netip.AddrFrom4([4]byte{10, 26, byte(a.number), 1}), addr6("2001:db8:3::", byte(a.number), 1)
	for _, side := range []struct {
		*namespace
		device     string
		own4, own6 netip.Addr
	}{{e.namespace, router, own4, own6}, {s.namespace, device, own4.Next(), own6.Next()}} {
		err := errors.Join(side.up(side.device), side.do(func() error { return offloadOff(side.device) }),
			side.address(side.device, netip.PrefixFrom(side.own4, 24), netip.PrefixFrom(side.own6, 64)))
		if err != nil {
			return err
		}
	}
	for _, addr := range []netip.Addr{relay4, mx4} {
		if err := e.route(router, netip.PrefixFrom(addr, 32), own4.Next(), nil); err != nil {
			return err
		}
	}
	for _, addr := range []netip.Addr{relay6, mx6} {
		if err := e.route(router, netip.PrefixFrom(addr, 128), own6.Next(), nil); err != nil {
			return err
		}
	}
	line4, line6 := netip.PrefixFrom(e.inner4(), 24).Masked(), netip.PrefixFrom(e.inner6(), 64).Masked()
	return errors.Join(s.route(device, line4, own4, nil), s.route(device, line6, own6, nil))
}

// received returns the subjects of all mail in the account's mailbox.
func (s *ownServers) received() (map[string]bool, error) {
	all := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(s.dir, "mail"), func(path string, d fs.DirEntry, err error) error {
		box := filepath.Base(filepath.Dir(path))
		if err != nil || d.IsDir() || box != "new" && box != "cur" {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // Dovecot has moved it from new to cur, and the next call finds it
		}
		for line := range strings.Lines(string(text)) {
			if subject, ok := strings.CutPrefix(line, "Subject: "); ok {
				all[strings.TrimSpace(subject)] = true
			}
		}
		return err
	})
	return all, err
}
