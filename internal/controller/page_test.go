package controller

import (
	"net"
	"strconv"
	"testing"

	"op25b/internal/api"
)

// A listenerAt is a listener with a given address.
type listenerAt struct {
	net.Listener
	addr net.TCPAddr
}

func (l listenerAt) Addr() net.Addr { return &l.addr }

// TestPageURL verifies the address that controllers publish for the links between their pages.
func TestPageURL(t *testing.T) {
	for _, c := range []struct {
		listen    string
		tls       bool
		hosts     []string
		advertise string
		want      string
	}{
		{listen: "127.0.0.1:2580", want: "http://127.0.0.1:2580"},
		{listen: "192.0.2.10:2580", tls: true, want: "https://192.0.2.10:2580"},
		{listen: "[2001:db8::1]:2580", tls: true, want: "https://[2001:db8::1]:2580"},
		{listen: "192.0.2.10:2580", tls: true, hosts: []string{"noc-1.isp.example", "noc.isp.example"}, want: "https://noc-1.isp.example:2580"},
		{listen: "[::]:2580", tls: true, advertise: "192.0.2.10:2525", want: "https://192.0.2.10:2580"},
		{listen: "0.0.0.0:2580", tls: true, want: ""},
	} {
		host, port, err := net.SplitHostPort(c.listen)
		n, err2 := strconv.Atoi(port)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		x := &Controller{cfg: Config{WebHosts: c.hosts, Advertise: c.advertise}, web: listenerAt{addr: net.TCPAddr{IP: net.ParseIP(host), Port: n}}}
		if c.tls {
			x.cfg.Web = api.Listening{Cert: "cert.pem", Key: "key.pem"}
		}
		if got := x.pageURL(); got != c.want {
			t.Errorf("%+v: %q, want %q", c, got, c.want)
		}
	}
	if got := (&Controller{}).pageURL(); got != "" {
		t.Errorf("without a page: %q", got)
	}
}
