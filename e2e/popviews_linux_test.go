package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// leases returns the lines that have a lease, in order.
func (p *popPlant) leases() []string {
	p.t.Helper()
	var list struct {
		Leases []struct{ Line string }
	}
	if err := json.Unmarshal([]byte(p.control.run(p.t, "lease", "list", "-o", "json")), &list); err != nil {
		p.t.Fatal(err)
	}
	lines := []string{}
	for _, l := range list.Leases {
		lines = append(lines, l.Line)
	}
	return lines
}

// has verifies which lines have a lease.
func (p *popPlant) has(what string, lines ...string) {
	p.t.Helper()
	if got := p.leases(); !slices.Equal(got, lines) {
		p.t.Errorf("%s: the lines %v have a lease, want %v", what, got, lines)
	}
}

// grants returns how many reports of a source had an outcome.
func (p *popPlant) grants(source, outcome string) string {
	p.t.Helper()
	res, err := p.https.Get("https://" + p.control.up.Listen + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	series := fmt.Sprintf("op25b_lease_grants_total{outcome=%q,source=%q} ", outcome, source)
	_, rest, found := strings.Cut(string(text), series)
	if !found {
		p.t.Fatalf("/metrics has no series %s", series)
	}
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// counted waits until reports of a source had an outcome in the given number.
func (p *popPlant) counted(source, outcome string, n int) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%d reports by %s with the outcome %s", n, source, outcome), func() bool { return p.grants(source, outcome) == fmt.Sprint(n) })
}

// open verifies for which customers port 587 of the own servers is open, over IPv4 and IPv6. The line with a session has IPv4 only.
func (p *popPlant) open(what string, customers ...int) {
	p.t.Helper()
	for i, c := range popCustomers {
		for _, v6 := range []bool{false, true} {
			want := error(nil)
			if !slices.Contains(customers, i) || i == mobile && v6 {
				want = errRejected
			}
			if err := p.connects(i, v6); !errors.Is(err, want) {
				p.t.Errorf("%s: port 587 from %s (IPv6: %t): %v, want %v", what, c.name, v6, err, cmp.Or(want, errors.New("success")))
			}
		}
	}
}

// opens waits until port 587 is open for exactly these customers.
func (p *popPlant) opens(what string, customers ...int) {
	p.t.Helper()
	eventually(p.t, what+": port 587 opens", func() bool {
		return !slices.ContainsFunc(customers, func(i int) bool { return p.connects(i, false) != nil })
	})
	p.open(what, customers...)
}
