package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"op25b/internal/tlsfiles/tlstest"
)

func TestListen(t *testing.T) {
	d := tlstest.New(t).Dir(t, "localhost")
	for _, c := range []struct {
		name string
		o    Listening
		want string // a text in the error; empty if Listen must succeed
	}{
		{"loopback", Listening{Addr: "127.0.0.1:0"}, ""},
		{"another loopback", Listening{Addr: "127.0.0.53:0"}, ""},
		{"localhost", Listening{Addr: "localhost:0"}, ""},
		{"TLS on loopback", Listening{Addr: "127.0.0.1:0", Cert: d.Cert, Key: d.Key}, ""},
		{"TLS everywhere", Listening{Addr: ":0", Cert: d.Cert, Key: d.Key, ClientCA: d.CA, RequireClientCert: true}, ""},
		{"insecure", Listening{Addr: "0.0.0.0:0", Insecure: true}, ""},
		{"insecure on loopback", Listening{Addr: "127.0.0.1:0", Insecure: true}, ""},
		{"plaintext everywhere", Listening{Addr: ":2525"}, ":2525 can be reached from other hosts, and without TLS tokens and intent can be read on the network: " +
			"give a certificate and its key, listen on 127.0.0.1, or add --insecure"},
		{"plaintext on an address", Listening{Addr: "192.0.2.1:2525"}, "192.0.2.1:2525 can be reached from other hosts"},
		{"plaintext on all of IPv6", Listening{Addr: "[::]:2525"}, "[::]:2525 can be reached from other hosts"},
		{"a name", Listening{Addr: "noc.example:2525"}, "noc.example:2525 can be reached from other hosts"},
		{"no port", Listening{Addr: "127.0.0.1"}, `address "127.0.0.1": must be host:port, such as 127.0.0.1:2525`},
		{"both", Listening{Addr: ":0", Cert: d.Cert, Key: d.Key, Insecure: true}, "a certificate and --insecure: give only one of them"},
		{"authority alone", Listening{Addr: "127.0.0.1:0", ClientCA: d.CA}, "client certificates require TLS: give the server's certificate and key, too"},
		{"required without authority", Listening{Addr: "127.0.0.1:0", Cert: d.Cert, Key: d.Key, RequireClientCert: true}, "client certificates are required, but no CA for them is given"},
		{"no key", Listening{Addr: "127.0.0.1:0", Cert: d.Cert}, "its key is not given"},
		{"no file", Listening{Addr: "127.0.0.1:0", Cert: "/nowhere.pem", Key: d.Key}, "/nowhere.pem"},
	} {
		l, err := Listen(c.o)
		if err == nil {
			_ = l.Close()
		}
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.Is(err, ErrListen) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A call that is in progress when the controller stops is still answered.
func TestServeEnds(t *testing.T) {
	l, err := Listen(Listening{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	began, end := make(chan struct{}), make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(began)
			<-end
			writeText(w, http.StatusOK, "done")
		}), nil)
	}()
	answered := make(chan string, 1)
	go func() {
		_, body := get(t, "http://"+l.Addr().String())
		answered <- body
	}()
	<-began
	cancel()
	close(end)
	if got := <-answered; got != "done\n" {
		t.Errorf("the call was answered by %q", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
