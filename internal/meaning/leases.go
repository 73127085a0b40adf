package meaning

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"op25b/internal/compile"
	"op25b/internal/policy"
)

// leases reports added and removed leases, and changes of what they open and for how long. The effect on mail is reported by sentences of kind
// OfVerdict. A lease that a line has when the policy changes keeps its end, so other durations stop nothing.
func (w *words) leases() {
	was, is := leasesByName(w.was), leasesByName(w.is)
	for _, name := range w.leaseNames() {
		old, before := was[name]
		now, after := is[name]
		switch {
		case !before:
			w.say(OfLease, Neutral, "lease %s added: opens %s for %v, at most %v", name, strings.Join(now.Opens, ", "), now.For, now.Cap)
			continue
		case !after:
			w.say(OfLease, Neutral, "lease %s removed", name)
			continue
		}
		var news []string
		for _, x := range []struct{ key, old, now string }{
			{"opens", strings.Join(old.Opens, ", "), strings.Join(now.Opens, ", ")},
			{"for", old.For.String(), now.For.String()},
			{"cap", old.Cap.String(), now.Cap.String()},
			{"groups", groupsText(old), groupsText(now)},
			{"tls", tlsText(old), tlsText(now)},
			{"addresses", fmt.Sprint(old.Addresses), fmt.Sprint(now.Addresses)},
			{"except", exceptText(old), exceptText(now)},
		} {
			if x.old != x.now {
				news = append(news, fmt.Sprintf("%s %s -> %s", x.key, x.old, x.now))
			}
		}
		if news != nil {
			w.say(OfLease, Neutral, "lease %s: %s", name, strings.Join(news, ", "))
		}
	}
}

func leasesByName(c *compile.Compiled) map[string]policy.Lease {
	all := make(map[string]policy.Lease, len(c.Leases))
	for _, l := range c.Leases {
		all[l.Name] = l
	}
	return all
}

func groupsText(l policy.Lease) string {
	if len(l.Groups) == 0 {
		return "every line"
	}
	return strings.Join(slices.Sorted(slices.Values(l.Groups)), ", ")
}

func tlsText(l policy.Lease) string { return string(cmp.Or(l.TLS, policy.TLSOptional)) }

func exceptText(l policy.Lease) string {
	if len(l.Except) == 0 {
		return "nothing"
	}
	texts := make([]string, len(l.Except))
	for i, p := range l.Except {
		texts[i] = p.String()
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}
