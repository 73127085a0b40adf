package mailbox

import (
	"context"
	"net"
	"strings"
)

// An MXResolver finds the mail exchangers of a domain. *net.Resolver implements it.
type MXResolver interface {
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
}

// maxMX is the limit on the number of a domain's mail exchangers that are checked.
const maxMX = 3

// Find returns the provider of a mail address or of the domain of one, or nil if it is not in the directory. Mail exchangers are looked up
// only if the directory does not have the domain; mx may be nil. Find returns ErrAddress if the address is invalid.
func Find(ctx context.Context, d *Directory, mx MXResolver, address string) (*Provider, error) {
	if !strings.ContainsAny(address, "@"+fullWidthAt) {
		address = "x@" + address
	}
	domain, err := domainOf(address)
	if err != nil {
		return nil, err
	}
	p, _ := d.provider(domain, func() []string { return exchangers(ctx, mx, domain) })
	return p, nil
}

// provider returns the provider of a domain, which may be found by its mail exchangers, and the entry of the directory that has it.
func (d *Directory) provider(domain string, exchangers func() []string) (p *Provider, under string) {
	if p, under = find(d.byDomain, domain); p != nil {
		return p, under
	}
	for _, host := range exchangers() {
		if p, under = find(d.byMX, host); p != nil {
			return p, under
		}
	}
	return nil, ""
}

// exchangers returns the mail exchangers of a domain. It returns nil if they cannot be found.
func exchangers(ctx context.Context, mx MXResolver, domain string) []string {
	if mx == nil {
		return nil
	}
	found, err := mx.LookupMX(ctx, domain)
	if err != nil {
		return nil // the provider then stays unknown
	}
	var hosts []string
	for _, mx := range found {
		if host, fault := domainName(mx.Host); fault == "" && len(hosts) < maxMX {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// find returns the provider for a name, or for the longest parent domain that has an entry. under is the name of the entry.
func find(by map[string]*Provider, name string) (p *Provider, under string) {
	for ok := true; ok; _, name, ok = strings.Cut(name, ".") {
		if p := by[name]; p != nil {
			return p, name
		}
	}
	return nil, ""
}
