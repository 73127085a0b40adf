package page

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Policy is the Content-Security-Policy (CSP level 3). Everything must come from this site, and pages contain no inline script or style.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxForm is the size of the largest form, in bytes.
const maxForm = 64 << 10

// Secured adds the headers of Headers. It also refuses requests from other sites' pages if the requests could change something.
func Secured(known func(host string) bool, unknownHost string, next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return Headers(known, unknownHost, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := origin.Check(r); err != nil {
			http.Error(w, "The request comes from a page of another site.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// Headers adds the security headers to every response. It refuses requests for hosts that are not known, with the text unknownHost, and limits
// the size of a request's body.
func Headers(known func(host string) bool, unknownHost string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if !known(r.Host) {
			http.Error(w, unknownHost, http.StatusMisdirectedRequest)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// Hosts returns a function that reports whether a Host header names this site. It accepts IP addresses, localhost and the given names. IP
// addresses are safe, because DNS cannot redirect them.
func Hosts(names []string) func(string) bool {
	known := map[string]bool{"localhost": true}
	for _, n := range names {
		known[strings.ToLower(n)] = true
	}
	return func(host string) bool {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
			return true
		}
		return known[strings.ToLower(host)]
	}
}
