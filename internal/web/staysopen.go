package web

import (
	"fmt"
	"strings"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// openData is something that passes in a phase whatever its rules say. Link leads to the details; it is empty if there are none.
type openData struct{ Text, Link string }

// staysOpen describes what passes in a phase whatever its rules say. It returns nil for a controller that does not report it.
func (b base) staysOpen(o *op25bv1.StaysOpen) []openData {
	if o == nil {
		return nil
	}
	var all []openData
	add := func(text string) { all = append(all, openData{Text: text}) }
	exempt := func(text string) { all = append(all, openData{text, "/exemptions"}) }
	limited := false
	for _, s := range o.Servers {
		name := s.Name
		if s.Title != "" {
			name = b.T("in brackets", s.Name, s.Title)
		}
		if !s.Limited {
			add(b.T("open servers", name))
			continue
		}
		limited = true
		services := strings.Join(s.Services, b.T("comma"))
		if services == "" {
			services = b.T("no open service")
		}
		add(b.T("open services", services, name))
	}
	ports := make([]string, len(o.Ports))
	for i, port := range o.Ports {
		ports[i] = fmt.Sprint(port)
	}
	if limited {
		add(b.T("open ports of others", strings.Join(ports, b.T("comma"))))
	} else {
		add(b.T("open ports", strings.Join(ports, b.T("comma"))))
	}
	switch n := o.ExemptLines; {
	case n == 1:
		exempt(b.T("open line"))
	case n > 1:
		exempt(b.T("open lines", prose.Number(n)))
	case o.ExemptPrefixes == 0:
		add(b.T("open for none"))
	}
	switch n := o.ExemptPrefixes; {
	case n == 1:
		exempt(b.T("open prefix"))
	case n > 1:
		exempt(b.T("open prefixes", prose.Number(n)))
	}
	return all
}
