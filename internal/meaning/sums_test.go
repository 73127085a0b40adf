package meaning

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/compile/compiletest"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// TestSums verifies that up to 20 exemptions, or moved lines, have a sentence each, and that more are summed up by severity and kind of change.
func TestSums(t *testing.T) {
	exempt := func(b *policy.Bundle, from, to int, year int, owner string) {
		for i := from; i < to; i++ {
			b.Policy.Exemptions = append(b.Policy.Exemptions, policy.Exemption{
				Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, 0, byte(i)}), 32), Owner: owner, Reason: "many",
				Expires: policy.Date{Year: year, Month: time.December, Day: 31},
			})
		}
	}
	for _, c := range []struct {
		name           string
		before, change func(b *policy.Bundle)
		single         int
		want           []string
		sum            Sentence // the numbers of the first sentence
	}{
		{
			name: "added", change: func(b *policy.Bundle) { exempt(b, 0, 20, 2007, "noc"); exempt(b, 20, 25, 2008, "noc") }, single: DefaultSingle,
			want: []string{"opens exemption: 25 exemptions of prefixes added until 2007-12-31 to 2008-12-31, owner noc: " +
				"198.18.0.0/32, 198.18.0.1/32, 198.18.0.10/32, 198.18.0.11/32, 198.18.0.12/32 and 20 more"},
			sum: Sentence{Count: 25, What: "exemptions of prefixes added", Terms: " until 2007-12-31 to 2008-12-31, owner noc"},
		},
		{
			name: "removed", before: func(b *policy.Bundle) { exempt(b, 0, 21, 2007, "noc"); exempt(b, 21, 22, 2007, "abuse") },
			change: func(b *policy.Bundle) { b.Policy.Exemptions = b.Policy.Exemptions[:1] }, single: DefaultSingle,
			want: []string{"stops exemption: 22 exemptions of prefixes removed, 2 owners: " +
				"198.18.0.0/32, 198.18.0.1/32, 198.18.0.10/32, 198.18.0.11/32, 198.18.0.12/32 and 17 more"},
			sum: Sentence{Count: 22, What: "exemptions of prefixes removed", Terms: ", 2 owners"},
		},
		{
			name: "ended", before: func(b *policy.Bundle) { exempt(b, 0, 21, 2007, "noc") }, single: DefaultSingle,
			change: func(b *policy.Bundle) {
				for i := range b.Policy.Exemptions[1:] {
					b.Policy.Exemptions[1+i].Expires = policy.Date{Year: 2006, Month: time.June, Day: 30}
				}
			},
			want: []string{"stops exemption: 21 exemptions of prefixes ended 2006-06-30, owner noc: " +
				"198.18.0.0/32, 198.18.0.1/32, 198.18.0.10/32, 198.18.0.11/32, 198.18.0.12/32 and 16 more"},
			sum: Sentence{Count: 21, What: "exemptions of prefixes ended", Terms: " 2006-06-30, owner noc"},
		},
		{
			name: "changed", before: func(b *policy.Bundle) { exempt(b, 0, 21, 2007, "noc") }, single: DefaultSingle,
			change: func(b *policy.Bundle) {
				for i := range b.Policy.Exemptions[1:] {
					b.Policy.Exemptions[1+i].Reason = "fewer"
				}
			},
			want: []string{"neutral exemption: 21 exemptions of prefixes changed: " +
				"198.18.0.0/32, 198.18.0.1/32, 198.18.0.10/32, 198.18.0.11/32, 198.18.0.12/32 and 16 more"},
			sum: Sentence{Count: 21, What: "exemptions of prefixes changed"},
		},
		{
			name: "each on request", change: func(b *policy.Bundle) { exempt(b, 0, 2, 2007, "noc") }, single: 2,
			want: []string{
				"opens exemption: exemption of 198.18.0.0/32 added until 2007-12-31, owner noc",
				"opens exemption: exemption of 198.18.0.1/32 added until 2007-12-31, owner noc",
			},
		},
		{
			name: "one kind of many", single: 1,
			change: func(b *policy.Bundle) { exempt(b, 0, 1, 2007, "noc"); b.Policy.Exemptions = b.Policy.Exemptions[1:] },
			want: []string{
				"stops exemption: exemption of line business-fixed (192.0.2.13/32, 2001:db8:1::13/128) removed, owner noc@isp.example",
				"opens exemption: exemption of 198.18.0.0/32 added until 2007-12-31, owner noc",
			},
			sum: Sentence{Count: 1, What: "exemptions of lines removed", Terms: ", owner noc@isp.example"},
		},
		{
			name: "lines moved", single: 1,
			change: func(b *policy.Bundle) {
				lines := b.Inventory.Switches[0].Lines
				lines[0].VLAN, lines[1].VLAN = 3001, 3002
			},
			want: []string{"neutral line: 2 lines moved to another place: adsl-bot, adsl-home"},
			sum:  Sentence{Count: 2, What: "lines moved to another place"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			bundle := func(changes ...func(*policy.Bundle)) *policy.Bundle {
				b := policytest.Example(t)
				for _, change := range changes {
					if change != nil {
						change(b)
					}
				}
				return b
			}
			at := policytest.Moment(t, "2006-08-01T00:00:00+09:00")
			old, now := bundle(c.before), bundle(c.before, c.change)
			numbers := numbersOf(t, nil, old)
			was, err := compiletest.Compile(old, numbers, "edge-1", policy.Everywhere("mobile-carriers"), at)
			if err != nil {
				t.Fatal(err)
			}
			is, err := compiletest.Compile(now, numbersOf(t, numbers, now), "edge-1", policy.Everywhere("mobile-carriers"), at)
			if err != nil {
				t.Fatal(err)
			}
			got := Of(was, is, c.single)
			if diff := cmp.Diff(c.want, said(got)); diff != "" {
				t.Fatal(diff)
			}
			if first := got[0]; first.Count != c.sum.Count || first.What != c.sum.What || first.Terms != c.sum.Terms {
				t.Errorf("sums up %d, %q, %q, want %d, %q, %q", first.Count, first.What, first.Terms, c.sum.Count, c.sum.What, c.sum.Terms)
			}
		})
	}
}
