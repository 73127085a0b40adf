package client

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
	op25bv1 "op25b/proto/op25b/v1"
)

// nobody returns an address on which nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Controllers are tried in turn, with and without TLS, for calls with one answer and for streams. It is reported once which of them is asked, and why
// not the ones before it.
func TestSeveralServers(t *testing.T) {
	files := tlstest.New(t).Dir(t, "127.0.0.1")
	for name, secured := range map[string]bool{"plain text": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			dead, first, last := nobody(t), &controller{}, &controller{}
			var told []string
			config := Config{OnOther: func(server string, before []error) { told = append(told, server+": "+errors.Join(before...).Error()) }}
			var there, alsoThere string
			if secured {
				there, alsoThere = serve(t, first, &files), serve(t, last, &files)
				config.TLS = tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key}
			} else {
				there, alsoThere = serve(t, first, nil), serve(t, last, nil)
			}
			config.Server = dead + ", " + there + "," + alsoThere
			c := dial(t, config)
			for range 2 {
				r, err := Ask(t.Context(), time.Minute, c.Intent.Current, &op25bv1.CurrentRequest{})
				if err != nil || r.Revision.Number != 7 {
					t.Fatal(r, err)
				}
			}
			events := 0
			if err := Follow(t.Context(), time.Minute, c.Intent.Apply, &op25bv1.ApplyRequest{}, func(*op25bv1.Progress) error { events++; return nil }); err != nil || events != 2 {
				t.Errorf("%d events, %v", events, err)
			}
			if want := there + ": " + dead + ": connection refused"; len(told) != 1 || told[0] != want {
				t.Errorf("reported %q, want %q once", told, want)
			}
			config.Server, told = there+","+dead, nil
			if _, err := Ask(t.Context(), time.Minute, dial(t, config).Intent.Current, &op25bv1.CurrentRequest{}); err != nil || told != nil {
				t.Errorf("the first answers: %v, reported %q", err, told)
			}
			config.Server = dead + "," + nobody(t)
			_, err := Ask(t.Context(), time.Minute, dial(t, config).Intent.Current, &op25bv1.CurrentRequest{})
			if unreachable := (*Unreachable)(nil); !errors.As(err, &unreachable) || !strings.Contains(err.Error(), dead) {
				t.Errorf("none answers: %v", err)
			}
		})
	}
}

// Lists of controllers with different schemes, with an empty name, or that are too long are refused.
func TestBadServers(t *testing.T) {
	for server, want := range map[string]string{
		"http://127.0.0.1:1,https://127.0.0.1:2":           "127.0.0.1:1 is called by http and 127.0.0.1:2 by https; write the same scheme before each",
		"127.0.0.1:1,":                                     `server "": not a host with a port`,
		strings.Repeat("127.0.0.1:1,", 16) + "127.0.0.1:1": "server has 17 controllers; must be at most 16",
	} {
		if _, err := New(Config{Server: server}); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", server, err, want)
		}
	}
}
