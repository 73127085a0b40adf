package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteJSON writes the report as one JSON document.
func WriteJSON(w io.Writer, r *Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteTable writes the report as text. For each phase, it writes a line for each subscriber and server, and then the
// counters.
func WriteTable(w io.Writer, r *Report) error {
	b := &strings.Builder{}
	for _, p := range r.Phases {
		fmt.Fprintf(b, "%-66s  %-11s %-11s %s\n", fmt.Sprintf("phase %s, effective %s", p.Phase, p.Effective), "IPv4", "IPv6", "rule")
		for _, pair := range pairs(p.Attempts) {
			a := pair.v4
			rule := a.decided()
			if six := pair.v6.decided(); six != rule {
				rule += ", IPv6: " + six
			}
			port := fmt.Sprint(a.Port)
			if a.After != "" {
				port += " after a " + a.After
			}
			fmt.Fprintf(b, "  %-16s -> %-14s :%-29s  %-11s %-11s %s", a.From, a.To, port, a.Result, pair.v6.Result, rule)
			for _, x := range []Attempt{pair.v4, pair.v6} {
				if !x.OK() {
					fmt.Fprintf(b, "  WRONG: over %s the policy says %s by %s %s", x.Family, x.Want.Result, x.Want.Rule, x.Want.Action)
				}
				if x.Error != "" {
					fmt.Fprintf(b, " (%s)", x.Error)
				}
			}
			b.WriteByte('\n')
		}
		for _, c := range p.Counters {
			verdict := "ok"
			if !c.OK() {
				verdict = fmt.Sprintf("WRONG: %d octets counted, %d sent", c.Octets, c.SentBytes)
			}
			fmt.Fprintf(b, "  gNMI  %-14s %-28s %6d packets   sent %6d   %s\n", c.Interface, c.Rule+" "+c.Action, c.Packets, c.Sent, verdict)
		}
		b.WriteByte('\n')
	}
	attempts, attemptsOK, counters, countersOK := r.Count()
	if r.OK() {
		fmt.Fprintf(b, "every outcome is what the policy says: %d of %d; every counter is what was sent: %d of %d.\n", attemptsOK, attempts, countersOK, counters)
	} else {
		fmt.Fprintf(b, "NOT what the policy says: %d of %d outcomes and %d of %d counters are right.\n", attemptsOK, attempts, countersOK, counters)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (a Attempt) decided() string {
	if a.Rule == "" {
		return "no rule"
	}
	return a.Rule + " " + a.Action
}

// A pair contains the attempts of one mail over IPv4 and over IPv6.
type pair struct{ v4, v6 Attempt }

// pairs joins attempts that differ only in the address family. The order is that of the first attempt of each pair.
func pairs(attempts []Attempt) []pair {
	type key struct {
		from, to string
		port     uint16
		after    string
	}
	at := map[key]int{}
	var all []pair
	for _, a := range attempts {
		k := key{a.From, a.To, a.Port, a.After}
		i, ok := at[k]
		if !ok {
			i = len(all)
			at[k] = i
			all = append(all, pair{})
		}
		if a.Family == "ipv6" {
			all[i].v6 = a
		} else {
			all[i].v4 = a
		}
	}
	return all
}
