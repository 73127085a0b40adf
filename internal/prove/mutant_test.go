package prove

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
	"op25b/internal/reconcile"
)

// remotesOf returns the prefixes of a class in a compiled state, in order.
func remotesOf(c *compile.Compiled, name string) (number pipeline.Class, all []netip.Prefix) {
	for n, r := range c.Remotes {
		if r.Name == name {
			number = n
		}
	}
	for p, class := range c.State.Remotes {
		if class == number {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return number, all
}

// service returns the number of a service.
func service(c *compile.Compiled, name string) pipeline.Service {
	for n, s := range c.Services {
		if s.Name == name {
			return n
		}
	}
	return 0
}

// names of the worked example.
const (
	relays   = "own-relay"
	carriers = "mobile-carrier"
	phase1   = "mobile-carriers"
	phaseAll = "all-destinations"
)

// mutants are faults of the compiler and of the order of updates, each with what the counterexample must say.
var mutants = []struct {
	name  string
	fault func(*testing.T, *compile.Compiled)
	order Order
	says  []string // parts of the text
	most  int      // the largest number of entries in the counterexample
}{
	{
		name: "relay forgotten",
		fault: func(_ *testing.T, c *compile.Compiled) {
			_, prefixes := remotesOf(c, relays)
			c.State.Remotes = maps.Clone(c.State.Remotes)
			for _, p := range prefixes {
				delete(c.State.Remotes, p)
			}
		},
		says: []string{"the documents demand: permit by rule relay", "no entry for it in:", "remote_v4"},
		most: 6,
	},
	{
		name: "class swapped",
		fault: func(_ *testing.T, c *compile.Compiled) {
			c.State.Remotes = maps.Clone(c.State.Remotes)
			relay, ours := remotesOf(c, relays)
			carrier, theirs := remotesOf(c, carriers)
			for _, p := range ours {
				c.State.Remotes[p] = carrier
			}
			for _, p := range theirs {
				c.State.Remotes[p] = relay
			}
		},
		says: []string{"the documents demand: permit by rule relay", "set_remote_class class_id="},
		most: 6,
	},
	{
		name: "prefix too wide",
		fault: func(_ *testing.T, c *compile.Compiled) {
			number, prefixes := remotesOf(c, relays)
			c.State.Remotes = maps.Clone(c.State.Remotes)
			for _, p := range prefixes {
				if p.Addr().Is4() {
					delete(c.State.Remotes, p)
					c.State.Remotes[netip.PrefixFrom(p.Addr(), p.Bits()-4).Masked()] = number
				}
			}
		},
		says: []string{"the switch would do:  permit by rule relay", "remote_v4 prefix="},
		most: 6,
	},
	{
		name: "service caught 587",
		fault: func(_ *testing.T, c *compile.Compiled) {
			c.State.Services = maps.Clone(c.State.Services)
			for k, v := range c.State.Services {
				if k.DstPort.Exact && k.DstPort.Port == 587 || k.SrcPort.Exact && k.SrcPort.Port == 587 {
					v.Service = service(c, "smtp")
					c.State.Services[k] = v
				}
			}
		},
		says: []string{":587", "the documents demand: permit by rule submission", "service role="},
		most: 6,
	},
	{
		name: "group missing",
		fault: func(t *testing.T, c *compile.Compiled) {
			c.State.Lines = maps.Clone(c.State.Lines)
			group := pipeline.LineGroup(0)
			for k, l := range c.State.Lines {
				if group == 0 || l.Group == group {
					group = l.Group
					delete(c.State.Lines, k)
				}
			}
		},
		says: []string{"counted for line", "no entry for it in:", "line"},
		most: 6,
	},
	{
		name: "exemption forgotten",
		fault: func(_ *testing.T, c *compile.Compiled) {
			c.State.Subscribers = nil
		},
		says: []string{"the documents demand: permit by rule exempt", "subscriber_v"},
		most: 6,
	},
	{
		name: "exemption on every line",
		fault: func(_ *testing.T, c *compile.Compiled) {
			c.State.Subscribers = maps.Clone(c.State.Subscribers)
			for p, s := range c.State.Subscribers {
				s.Line = 0
				c.State.Subscribers[p] = s
			}
		},
		says: []string{"the switch would do:  permit by rule exempt", "line_index=0"},
		most: 6,
	},
	{
		name: "rule with the wrong action",
		fault: func(_ *testing.T, c *compile.Compiled) {
			c.State.Verdicts = maps.Clone(c.State.Verdicts)
			for k, v := range c.State.Verdicts {
				if c.Rules[v.Rule].Name == policy.RuleSubmission {
					v.Action = pipeline.Drop
					c.State.Verdicts[k] = v
				}
			}
		},
		says: []string{"the documents demand: permit by rule submission", "the switch would do:  drop by rule submission", "=> drop rule="},
		most: 4,
	},
	{
		name: "network port forgotten",
		fault: func(_ *testing.T, c *compile.Compiled) {
			c.State.Ports = nil
		},
		says: []string{"in at port", "no entry for it in: port_role"},
		most: 7,
	},
	{
		name: "drain where there is none",
		fault: func(_ *testing.T, c *compile.Compiled) {
			c.State.SynOnly = true
		},
		says: []string{"ACK ", "the switch would do:"},
		most: 6,
	},
	{
		name: "station behind the wrong port",
		fault: func(_ *testing.T, c *compile.Compiled) {
			c.State.Bridge = maps.Clone(c.State.Bridge)
			for mac, at := range c.State.Bridge {
				if at.Role == pipeline.Network {
					at.Port++
					c.State.Bridge[mac] = at
				}
			}
		},
		says: []string{"to port", "bridge dst_addr="},
		most: 8,
	},
	{
		name: "order of batches reversed",
		order: func(have []pipeline.Entry, want *pipeline.State, contract *pipeline.Contract, opts reconcile.Options) (*reconcile.Plan, error) {
			plan, err := reconcile.Make(have, want, contract, opts)
			if err == nil {
				slices.Reverse(plan.Steps)
			}
			return plan, err
		},
		says: []string{"before and after the change:", "after step 1 of 2, put epoch 2 in force"},
		most: 6,
	},
}

// TestMutants verifies that each fault is found, with a smallest set of entries and a text that names what is wrong. (I16)
func TestMutants(t *testing.T) {
	b := policytest.Example(t)
	good := change(t, b, phaseAll)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			p := prover(t, m.order)
			ch := *good
			bad := *good.New
			ch.New = &bad
			if m.fault != nil {
				m.fault(t, &bad)
			}
			if m.order != nil { // from one phase to another
				ch.Old, ch.OldBundle = compiled(t, b, policy.Everywhere(phase1), october), b
			}
			r, err := p.Prove(t.Context(), &ch)
			if err != nil {
				t.Fatal(err)
			}
			if r.Err() == nil || len(r.Counterexamples) == 0 {
				t.Fatalf("the fault is not found with %d packets", r.Packets)
			}
			found := false
			for _, c := range r.Counterexamples {
				text := c.String()
				t.Log(text)
				all := len(c.Entries) <= m.most
				for _, part := range m.says {
					all = all && strings.Contains(text, part)
				}
				found = found || all
			}
			if !found {
				t.Errorf("no counterexample says %q with at most %d entries", m.says, m.most)
			}
		})
	}
}
