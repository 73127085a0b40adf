package web

import (
	"fmt"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// staysOpen describes what passes in a phase without one of its rules. It returns nil for a controller that does not report it.
func (b base) staysOpen(o *op25bv1.StaysOpen) []string {
	if o == nil {
		return nil
	}
	var all []string
	limited := false
	for _, s := range o.Servers {
		name := s.Name
		if s.Title != "" {
			name = b.T("in brackets", s.Name, s.Title)
		}
		if !s.Limited {
			all = append(all, b.T("open servers", name))
			continue
		}
		limited = true
		services := strings.Join(s.Services, b.T("comma"))
		if services == "" {
			services = b.T("no open service")
		}
		all = append(all, b.T("open services", services, name))
	}
	ports := make([]string, len(o.Ports))
	for i, port := range o.Ports {
		ports[i] = fmt.Sprint(port)
	}
	if limited {
		all = append(all, b.T("open ports of others", strings.Join(ports, b.T("comma"))))
	} else {
		all = append(all, b.T("open ports", strings.Join(ports, b.T("comma"))))
	}
	switch n := o.ExemptLines; {
	case n == 1:
		all = append(all, b.T("open line"))
	case n > 1:
		all = append(all, b.T("open lines", prose.Number(n)))
	case o.ExemptPrefixes == 0:
		all = append(all, b.T("open for none"))
	}
	switch n := o.ExemptPrefixes; {
	case n == 1:
		all = append(all, b.T("open prefix"))
	case n > 1:
		all = append(all, b.T("open prefixes", prose.Number(n)))
	}
	return all
}
