package publication_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/policy"
	"op25b/internal/publication"
	"op25b/internal/strict"
)

const areaPolicy = `apiVersion: op25b/v1
kind: Policy
name: areas
lineGroups: [{name: adsl}, {name: isdn, watchInfected: true}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]
remotes: [{name: relay, relay: true, prefixes: [198.51.100.0/28]}]
phases:
  - {name: watch, effective: 2006-01-01, rules: [{name: smtp-all, service: smtp, action: monitor}]}
  - {name: drain, effective: 2006-03-01, synOnly: true, rules: [{name: smtp-all, service: smtp, action: drop}]}
  - {name: block, effective: 2006-05-01, rules: [{name: smtp-all, service: smtp, action: drop}]}
`

// areaBundle returns documents in which each text completes a switch. The switches are named a, b, ...
func areaBundle(t testing.TB, switches ...string) *policy.Bundle {
	t.Helper()
	inv := "apiVersion: op25b/v1\nkind: Inventory\nswitches:\n"
	for i, more := range switches {
		more = strings.ReplaceAll(more, "LINE", fmt.Sprintf("line-of-%c", 'a'+i))
		inv += fmt.Sprintf("  - {name: %c, deviceID: %d, p4runtime: \"h:1\", gnmi: \"h:2\", ports: [{port: 1, name: a1, role: access}, {port: 2, name: a2, role: access}, {port: 3, name: n, role: network}], %s}\n",
			'a'+i, i+1, more)
	}
	return load(t, []strict.File{{Name: "policy.yaml", Data: []byte(areaPolicy)}, {Name: "inventory.yaml", Data: []byte(inv)}})
}

// Switches are in one area if the same verdicts apply to their lines. The lines of an area are apart if different verdicts apply to them.
func TestAreas(t *testing.T) {
	day := func(month time.Month, day int) time.Time { return time.Date(2006, month, day, 0, 0, 0, 0, time.UTC) }
	adsl, isdn := "lines: [{name: LINE, port: a1, vlan: 1, group: adsl}]", "lines: [{name: LINE, port: a1, vlan: 1, group: isdn}]"
	one := func(a policy.Activation) []policy.Activation {
		a.ID, a.At = 2, day(2, 1)
		return []policy.Activation{a}
	}
	for _, c := range []struct {
		name     string
		switches []string
		acts     []policy.Activation
		want     string // the areas of the switches, and then the line groups of each area
	}{
		{"alike", []string{adsl, adsl}, nil, "11 adsl,isdn"},
		{"other lines", []string{adsl, isdn}, nil, "11 adsl,isdn"},
		{"no lines", []string{adsl, "lines: []"}, nil, "1- adsl,isdn"},
		{"an address to reject from", []string{adsl, "rejectFrom: [10.0.0.1], " + adsl, "rejectFrom: [10.0.0.2], " + adsl}, nil, "122 adsl,isdn;adsl,isdn"},
		{"of the other family", []string{"rejectFrom: [10.0.0.1], " + adsl, "rejectFrom: [\"fd00::1\"], " + adsl}, nil, "12 adsl,isdn;adsl,isdn"},
		{"activated on one", []string{adsl, adsl, adsl}, one(policy.Activation{Phase: "block", Switches: []string{"b"}}), "121 adsl,isdn;adsl,isdn"},
		{"activated on all", []string{adsl, adsl}, one(policy.Activation{Phase: "block", Switches: []string{"b", "a"}}), "11 adsl,isdn"},
		{"without effect", []string{adsl, adsl}, one(policy.Activation{Phase: "watch", Switches: []string{"b"}}), "11 adsl,isdn"},
		{
			"undone", []string{adsl, adsl}, append(one(policy.Activation{Phase: "block", Switches: []string{"b"}}),
				policy.Activation{ID: 3, Undoes: 2, Switches: []string{"b"}, At: day(2, 3)}), "12 adsl,isdn;adsl,isdn", // the past differs
		},
		// Lines in phase block keep the lines in phase drain from draining, so the same rule has another meaning on their switch.
		{"no drain", []string{adsl, isdn}, one(policy.Activation{Phase: "block", Groups: []string{"isdn"}}), "12 adsl;isdn"},
		{"no drain of lines that no switch has", []string{adsl, adsl}, one(policy.Activation{Phase: "block", Groups: []string{"isdn"}}), "11 adsl;isdn"},
		{"families", []string{
			"lines: [{name: x, port: a1, vlan: 1, group: adsl, prefixes: [10.1.0.0/16]}, {name: y, port: a1, vlan: 2, group: adsl, prefixes: [\"fd01::/32\"]}, {name: z, port: a1, vlan: 3, group: adsl, prefixes: [\"fd02::/32\"]}]",
		}, nil, "- adsl,adsl,isdn"},
		{"replies", []string{
			"lines: [{name: x, port: a1, group: adsl}, {name: y, port: a2, group: adsl, macs: [\"02:00:00:00:00:01\"]}, {name: z, port: a2, vlan: 7, group: adsl}, {name: u, port: a1, vlan: 8, group: adsl}, {name: v, port: a2, vlan: 8, group: adsl}]",
		}, nil, "- adsl,adsl,isdn"},
	} {
		b := areaBundle(t, c.switches...)
		d, err := publication.Make(publication.Source{Bundle: b, Activations: c.acts}, day(6, 1))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i := range c.switches {
			area, _, ok := d.Line(fmt.Sprintf("line-of-%c", 'a'+i))
			if area = strings.TrimPrefix(area, "area-"); !ok {
				area = "-"
			}
			got += area
		}
		var groups []string
		for _, sw := range published(t, d.Publish(day(6, 1), nil)).Inventory.Switches {
			var lines []string
			for _, l := range sw.Lines {
				lines = append(lines, l.Group)
			}
			groups = append(groups, strings.Join(lines, ","))
		}
		if got += " " + strings.Join(groups, ";"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The first line of a group stands for the most lines. Lines that no switch has stand for none.
func TestOrder(t *testing.T) {
	b := areaBundle(t, `lines: [{name: x, port: a1, vlan: 1, group: isdn, prefixes: [10.1.0.0/16]}, {name: y, port: a1, vlan: 2, group: isdn, prefixes: ["fd01::/32"]},
		{name: z, port: a1, vlan: 3, group: isdn, prefixes: ["fd02::/32"]}, {name: v, port: a1, vlan: 4, group: adsl}]`)
	d, err := publication.Make(publication.Source{Bundle: b}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"v": "line-1", "y": "line-2", "z": "line-2", "x": "line-3"} {
		if _, line, _ := d.Line(name); line != want {
			t.Errorf("%s is %s, want %s", name, line, want)
		}
	}
}

// A state is for a published line or for the unnamed lines of an area. It counts the switches that have such lines, or all switches of the area
// if none has.
func TestStates(t *testing.T) {
	adsl := "lines: [{name: LINE, port: a1, vlan: 1, group: adsl}]"
	b := areaBundle(t, adsl, adsl, "lines: []", "rejectFrom: [10.0.0.1], lines: []")
	at := time.Date(2006, 4, 1, 0, 0, 0, 0, time.UTC)
	d, err := publication.Make(publication.Source{Bundle: b, Activations: []policy.Activation{{ID: 2, Phase: "block", Groups: []string{"isdn"}, At: at.AddDate(0, 0, -1)}}}, at)
	if err != nil {
		t.Fatal(err)
	}
	const wanted = "drain; block: isdn"
	var got []string
	for _, s := range d.Publish(at, map[string]string{"a": wanted, "b": "drain", "c": wanted, "d": wanted}).States {
		got = append(got, fmt.Sprintf("%s %s %s %s %d/%d", s.Area, s.LineGroup, s.Line, s.Phase, s.Confirmed, s.Switches))
	}
	want := []string{
		"area-1 adsl line-1 drain 1/2", "area-1   drain 2/3", // the unnamed lines
		"area-2   drain 1/1",
		"area-3 isdn line-2 block 2/3", // of another area, because the other lines of area-1 drain
		"area-4 isdn line-3 block 1/1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, s := range d.Publish(at.AddDate(-1, 0, 0), map[string]string{"a": ""}).States {
		if s.LineGroup == "adsl" && (s.Phase != "" || s.Confirmed != 0) {
			t.Errorf("before the first phase: %v", s)
		}
	}
}

// A published line has no address of a server, of NAT64 or of a real line. If no address is left, there is no publication.
func TestAddresses(t *testing.T) {
	b := areaBundle(t, `rejectFrom: [10.0.0.1, "fd00::1"], lines: [{name: x, port: a1, vlan: 1, group: adsl, prefixes: [192.0.2.3/32, "3fff:0:0:2::/64"]}]`)
	relay := &b.Policy.Remotes[0]
	relay.Prefixes = append(relay.Prefixes, netip.MustParsePrefix("192.0.2.0/31"), netip.MustParsePrefix("192.0.2.64/26"))
	b.Policy.NAT64 = []policy.NAT64{{Prefix: netip.MustParsePrefix("3fff::/64")}, {Prefix: netip.MustParsePrefix("3fff:0:0:1::/96")}}
	d, err := publication.Make(publication.Source{Bundle: b}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	sw := published(t, d.Publish(time.Time{}, nil)).Inventory.Switches[0]
	if got, want := fmt.Sprint(sw.RejectFrom, sw.Lines[0].Prefixes), "[192.0.2.2 3fff:0:0:3::1] [192.0.2.4/32 3fff:0:0:4::1/128]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, all := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15"} {
		if _, err := publication.Make(publication.Source{Bundle: b}, time.Time{}); err != nil {
			t.Errorf("before %s is taken: %v", all, err)
		}
		relay.Prefixes = append(relay.Prefixes, netip.MustParsePrefix(all))
	}
	_, err = publication.Make(publication.Source{Bundle: b}, time.Time{})
	if !errors.Is(err, publication.ErrNoAddress) || err.Error() != "no documentation address is left for a published line: all addresses of 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24 and 198.19.0.0/16 are in remote classes, NAT64 prefixes or lines" {
		t.Errorf("%v", err)
	}
}

// Documents whose lines differ in too many ways are not published.
func TestTooLarge(t *testing.T) {
	b := areaBundle(t, "lines: []")
	sw := b.Inventory.Switches[0]
	for i := range publication.MaxLines + 1 {
		sw.Lines = append(sw.Lines, policy.Line{Name: fmt.Sprint(i), Group: fmt.Sprint(i)})
	}
	b.Inventory.Switches[0] = sw
	_, err := publication.Make(publication.Source{Bundle: b}, time.Time{})
	if !errors.Is(err, publication.ErrTooLarge) || err.Error() != "the publication is too large: it would have 16385 lines, one for each kind of line in each of 1 areas, and the limit is 16384" {
		t.Errorf("%v", err)
	}
}
