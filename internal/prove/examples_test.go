package prove

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/compile/compiletest"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// exampleBundles returns the documents of every example.
func exampleBundles(t *testing.T) map[string]*policy.Bundle {
	t.Helper()
	servers := slices.DeleteFunc(examples.SpinNet2022(), func(f strict.File) bool { return strings.HasSuffix(f.Name, "/inventory.yaml") })
	inventory, err := os.ReadFile("../../examples/spinnet-2022-servers/inventory.yaml")
	if err != nil {
		t.Fatal(err)
	}
	servers = append(servers, strict.File{Name: "spinnet-2022-servers/inventory.yaml", Data: inventory})
	all := make(map[string]*policy.Bundle)
	for name, files := range map[string][]strict.File{
		"spinnet-2006": examples.SpinNet2006(), "spinnet-2022": examples.SpinNet2022(), "libmo-mobile": examples.LibmoMobile(), "spinnet-2022-servers": servers,
	} {
		if all[name], err = policy.Load(files); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestExamplesAreProved verifies that the documents of every example are proved on each switch: each phase from an empty switch, and from the phase
// before. The packets must hit every entry, but for those that no packet can hit. In examples/spinnet-2022, services other than 25 are closed too, also
// while an empty switch is loaded.
func TestExamplesAreProved(t *testing.T) {
	for name, b := range exampleBundles(t) {
		p := prover(t, nil)
		for _, sw := range b.Inventory.Switches {
			var before *Change
			for i := range b.Policy.Phases {
				ph := &b.Policy.Phases[i]
				now := b.Policy.Begins(ph).Add(time.Hour)
				is, err := compiletest.Compile(b, nil, sw.Name, policy.Everywhere(ph.Name), now)
				if err != nil {
					t.Fatal(err)
				}
				for _, was := range []*Change{nil, before} {
					ch := &Change{Switch: sw.Name, New: is, Bundle: b, Now: now}
					if was != nil {
						ch.Old, ch.OldBundle = was.New, b
					}
					covered(t, p, ch, fmt.Sprintf("%s, phase %s of %s, from another phase: %v", sw.Name, ph.Name, name, was != nil))
				}
				before = &Change{Switch: sw.Name, New: is, Bundle: b, Now: now}
			}
		}
	}
}

// covered proves a change, and verifies that the packets hit each entry that a packet can hit.
func covered(t *testing.T, p *Prover, ch *Change, what string) {
	t.Helper()
	r, err := p.Prove(t.Context(), ch)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	hit, entries := r.Hit()
	if hit+len(r.Unhit) != entries || r.UnhitCount != len(r.Unhit) || r.Limited {
		t.Errorf("%s: %d of %d entries hit, %d listed as not hit, limited: %v", what, hit, entries, len(r.Unhit), r.Limited)
	}
	for _, u := range r.Unhit {
		if !u.Never {
			t.Errorf("%s: %s: %s", what, u.Entry, u.Why)
		} else {
			t.Logf("%s: no packet can hit %s: %s", what, u.Entry, u.Why)
		}
	}
}

// TestAccessFormsAreCovered verifies that the packets hit all entries of a switch on which the same customers come in untagged, behind one tag, behind two
// tags and in PPPoE sessions, with checked sources, rates and nested exemptions.
func TestAccessFormsAreCovered(t *testing.T) {
	forms := map[string]func(i int) string{
		"untagged":     func(int) string { return "" },
		"one tag":      func(i int) string { return fmt.Sprintf(", vlan: %d", 100+i) },
		"two tags":     func(i int) string { return fmt.Sprintf(", vlan: 100, innerVLAN: %d", 100+i) },
		"PPPoE":        func(i int) string { return fmt.Sprintf(", pppoe: %d", 7+i) },
		"PPPoE in tag": func(i int) string { return fmt.Sprintf(", vlan: 100, pppoe: %d", 7+i) },
	}
	for name, at := range forms {
		var inv strings.Builder
		inv.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n  - name: edge\n    deviceID: 1\n    p4runtime: h:1\n    gnmi: h:2\n    rejectFrom: [198.51.100.1, \"2001:db8:ff::1\"]\n    ports:\n" +
			"      - {port: 500, name: core, role: network, macs: [\"02:ff:00:00:00:01\"]}\n")
		for i := range 3 {
			fmt.Fprintf(&inv, "      - {port: %d, name: a%d, role: access}\n", 1+i, 1+i)
		}
		inv.WriteString("    lines:\n")
		for i, group := range []string{"adsl", "ftth", "ftth"} {
			fmt.Fprintf(&inv, "      - {name: line-%d, port: a%d, group: %s, macs: [\"02:00:00:00:00:%02x\"], prefixes: [192.0.2.%d/29, \"2001:db8:%d::/64\"]%s}\n",
				i, 1+i, group, 1+i, 8*i, 1+i, at(i))
		}
		b, err := policy.Load([]strict.File{
			{Name: "i.yaml", Data: []byte(inv.String())},
			{Name: "p.yaml", Data: []byte(`apiVersion: op25b/v1
kind: Policy
name: forms
lineGroups: [{name: adsl, addressing: static, sourceCheck: drop}, {name: ftth, addressing: static}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]
remotes:
  - {name: relay, relay: true, prefixes: [198.51.100.0/28, "2001:db8:25::/64"]}
  - {name: wide, prefixes: [203.0.113.0/24]}
  - {name: inside, within: [wide], prefixes: [203.0.113.0/25, 203.0.113.192/26]}
phases:
  - {name: all, effective: 2006-10-01, rules: [{name: few, groups: [ftth], service: smtp, remote: inside, action: reject}, {name: smtp-wide, service: smtp, remote: wide, action: monitor}, {name: smtp-all, service: smtp, action: drop}]}
`)},
			{Name: "e.yaml", Data: []byte("apiVersion: op25b/v1\nkind: Exemptions\nexemptions:\n  - {line: line-1, owner: noc, reason: server, expires: 2007-03-31}\n" +
				"  - {prefix: 192.0.2.0/24, owner: noc, reason: test, expires: 2007-03-31}\n  - {prefix: 192.0.2.0/26, owner: noc, reason: test, expires: 2007-04-30}\n" +
				"  - {prefix: 192.0.2.128/25, owner: noc, reason: test, expires: 2007-04-30}\n")},
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		covered(t, prover(t, nil), change(t, b, "all"), name)
	}
}

// TestReasons verifies why no packet hits an entry: the reasons for which none can are told from a packet that was not made.
func TestReasons(t *testing.T) {
	b := exampleBundles(t)["spinnet-2022"]
	c, err := compiletest.Compile(b, nil, "edge-1", policy.Everywhere("plain-ends-first"), b.Policy.Begins(&b.Policy.Phases[5]).Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := entriesOf(&c.State)
	if err != nil {
		t.Fatal(err)
	}
	because := newReasons(c, 1)
	count := map[string]int{}
	for i := range entries {
		if _, rule := entries[i].Epoch(); rule {
			why, never := because.of(&entries[i], 0)
			if never == (why == "no frame that the proof makes meets it") {
				t.Errorf("%v: %q, never %v", entries[i], why, never)
			}
			count[why]++
		}
	}
	for _, why := range []string{"rules with a higher priority decide everything that it matches", `no line of the switch is in group "isdn"`, "no frame that the proof makes meets it"} {
		if count[why] == 0 {
			t.Errorf("no rule because %q: %v", why, count)
		}
	}
	// Without exempt addresses, no packet meets the rule for them.
	c.State.Subscribers, c.Exempt = nil, nil
	because = newReasons(c, 1)
	n := 0
	for i := range entries {
		if class, named := entries[i].Names(pipeline.BySubscriber); named && class == 1 {
			n++
			if why, never := because.of(&entries[i], 0); !never || why != "the switch has no exempt address for it" {
				t.Errorf("%v: %q, never %v", entries[i], why, never)
			}
		}
	}
	if n == 0 {
		t.Error("no rule is for exempt subscribers")
	}
}
