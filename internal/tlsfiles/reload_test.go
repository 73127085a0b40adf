package tlsfiles

import (
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"op25b/internal/tlsfiles/tlstest"
)

// serial returns the serial number of the server's certificate.
func (m meeting) serial(t *testing.T) *big.Int {
	t.Helper()
	if m.client != nil || m.server != nil {
		t.Fatalf("client %v, server %v", m.client, m.server)
	}
	return m.shown.SerialNumber
}

// When a file of either side is replaced, the next connection uses the new file.
func TestReload(t *testing.T) {
	us := tlstest.New(t)
	s, c := us.Dir(t, "switch.example"), us.Dir(t, "controller.example")
	complain := func(err error) { t.Errorf("told: %v", err) }
	server := must(t)(Server(Files{CA: s.CA, Cert: s.Cert, Key: s.Key, OnError: complain}, true))
	client := must(t)(Client(Files{CA: c.CA, Cert: c.Cert, Key: c.Key, OnError: complain}))
	first := meet(t, client, server, "switch.example").serial(t)
	if again := meet(t, client, server, "switch.example").serial(t); again.Cmp(first) != 0 {
		t.Error("another certificate without a new file")
	}
	us.Renew(t, s, "switch.example")
	if second := meet(t, client, server, "switch.example").serial(t); second.Cmp(first) == 0 {
		t.Error("the server still shows its old certificate")
	}

	// Replace the CA of the server, and then the CA of the client.
	them := tlstest.New(t)
	tlstest.Replace(t, s.CA, them.CAPem)
	if m := meet(t, client, server, "switch.example"); m.client == nil || !strings.Contains(m.client.Error(), "unknown certificate authority") {
		t.Errorf("the client's old certificate: %v", m.client)
	}
	them.Renew(t, c, "controller.example")
	meet(t, client, server, "switch.example").serial(t)
	them.Renew(t, s, "switch.example")
	if m := meet(t, client, server, "switch.example"); m.client == nil || !strings.Contains(m.client.Error(), "signed by unknown authority") {
		t.Errorf("the client's old authority: %v", m.client)
	}
	tlstest.Replace(t, c.CA, them.CAPem)
	meet(t, client, server, "switch.example").serial(t)
}

// An invalid file is reported once, and the last valid content stays in use. When the file is valid again, it is used, and
// the next fault is reported again.
func TestBrokenFileKeepsTheOldOne(t *testing.T) {
	us := tlstest.New(t)
	d := us.Dir(t, "switch.example")
	var told []string
	files := Files{Cert: d.Cert, Key: d.Key, OnError: func(err error) {
		if !errors.Is(err, ErrFiles) {
			t.Errorf("%v is not ErrFiles", err)
		}
		told = append(told, err.Error())
	}}
	server := must(t)(Server(files, false))
	client := must(t)(Client(Files{CA: d.CA}))
	first := meet(t, client, server, "switch.example").serial(t)

	expired, expiredKey := us.Issue(t, "switch.example", time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC))
	const stay = "; the ones read before stay in use"
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"no PEM", func() { tlstest.Replace(t, d.Cert, []byte("half wri")) }, "certificate " + d.Cert + `: contains no certificate; must be PEM, "-----BEGIN CERTIFICATE-----"`},
		{"expired", func() { tlstest.Replace(t, d.Key, expiredKey); tlstest.Replace(t, d.Cert, expired) }, "certificate " + d.Cert + ": expired at 2006-10-01T00:00:00Z"},
		{"gone", func() { _ = os.Remove(d.Cert) }, "certificate " + d.Cert + ": no such file or directory"},
	} {
		told = nil
		step.do()
		for range 3 {
			if again := meet(t, client, server, "switch.example").serial(t); again.Cmp(first) != 0 {
				t.Errorf("%s: another certificate", step.name)
			}
		}
		if len(told) != 1 || told[0] != "TLS files: "+step.want+stay {
			t.Errorf("%s: told %q, want once %q", step.name, told, step.want)
		}
	}

	told = nil
	us.Renew(t, d, "switch.example")
	second := meet(t, client, server, "switch.example").serial(t)
	if second.Cmp(first) == 0 || len(told) != 0 {
		t.Errorf("a good one again: told %q, or the old certificate", told)
	}
	_ = os.Remove(d.Cert)
	for range 2 {
		meet(t, client, server, "switch.example").serial(t)
	}
	if len(told) != 1 {
		t.Errorf("gone again: told %q, want once", told)
	}
}

// A file that is rewritten in place within the same clock tick in which it was read has the same time, size and inode. The
// change must be detected nevertheless.
func TestRewrittenInPlace(t *testing.T) {
	path := t.TempDir() + "/file"
	when := time.Now()
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	parsed := 0
	write("one")
	r, err := watch(nil, []file{{"file", path}}, func(c [][]byte) (string, error) { parsed++; return string(c[0]), nil })
	if err != nil {
		t.Fatal(err)
	}
	write("two")
	if got := r.current(); got != "two" {
		t.Errorf("%q, want what was written in the same tick", got)
	}

	// A file that is older than settled is not read again. A file that is read again is parsed only if its content has
	// changed.
	when = when.Add(-time.Hour)
	write("two")
	r.current()
	write("six")
	if got := r.current(); got != "two" || parsed != 2 {
		t.Errorf("%q after %d times: an old file with the same time was read again", got, parsed)
	}
}

// BenchmarkCurrent shows that a handshake costs a stat of each file, but no read.
func BenchmarkCurrent(b *testing.B) {
	d := tlstest.New(b).Dir(b, "switch.example")
	old := time.Now().Add(-time.Hour)
	for _, path := range []string{d.Cert, d.Key} {
		if err := os.Chtimes(path, old, old); err != nil {
			b.Fatal(err)
		}
	}
	own, err := Files{Cert: d.Cert, Key: d.Key}.pair()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("current", func(b *testing.B) {
		for b.Loop() {
			own.current()
		}
	})
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			_, _ = os.Stat(d.Cert)
			_, _ = os.Stat(d.Key)
		}
	})
}
