package controller

import (
	"net"
	"net/netip"
)

// pageURL returns the URL that the pages of other controllers use to link to this controller's page. It is empty if the page is not served,
// or if no host is known under which others can reach it. The host is the first of the page's host names, or that of the listener, or that of
// the advertised address of the API.
func (c *Controller) pageURL() string {
	if c.web == nil {
		return ""
	}
	scheme := "http://"
	if c.cfg.Web.Cert != "" {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(c.WebAddr().String())
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = ""
	}
	if len(c.cfg.WebHosts) > 0 {
		host = c.cfg.WebHosts[0]
	}
	if host == "" && c.cfg.Advertise != "" {
		host, _, _ = net.SplitHostPort(c.cfg.Advertise)
	}
	if host == "" {
		return ""
	}
	return scheme + net.JoinHostPort(host, port)
}
