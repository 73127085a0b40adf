package p4source

import (
	"errors"
	"strings"
	"testing"

	p4configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
)

func counter(id uint32, name string, size int64, annotations ...string) *p4configv1.Counter {
	return &p4configv1.Counter{
		Preamble: &p4configv1.Preamble{Id: id, Name: name, Annotations: annotations},
		Spec:     &p4configv1.CounterSpec{Unit: p4configv1.CounterSpec_BOTH},
		Size:     size,
	}
}

func TestFindACLCounter(t *testing.T) {
	for _, a := range []string{
		`@openconfig_acl("set=op25b,rule_bits=8")`,
		`@openconfig_acl ( " rule_bits = 8 , set = op25b " )`,
	} {
		got, err := FindACLCounter(&p4configv1.P4Info{Counters: []*p4configv1.Counter{
			counter(1, "c.other", 10, `@brief("x")`, `@openconfig_acls("set=x")`),
			counter(302, "c.rules", 131072, `@brief("y")`, a),
		}})
		want := ACLLayout{CounterID: 302, CounterName: "c.rules", Set: "op25b", RuleBits: 8, Size: 131072}
		if err != nil || *got != want {
			t.Fatalf("%s: got %+v, %v, want %+v", a, got, err, want)
		}
		if got.Rules() != 256 || got.Ports() != 512 || got.Index(511, 255) != 131071 {
			t.Errorf("%d rules, %d ports, last cell %d", got.Rules(), got.Ports(), got.Index(511, 255))
		}
		if port, rule := got.Split(131071); port != 511 || rule != 255 {
			t.Errorf("last cell is port %d, rule %d", port, rule)
		}
	}
	if _, err := FindACLCounter(&p4configv1.P4Info{}); !errors.Is(err, ErrNoACLCounter) {
		t.Errorf("no counter: %v", err)
	}
}

func TestBadAnnotations(t *testing.T) {
	for annotation, want := range map[string]string{
		`@openconfig_acl`:                                       `it must read @openconfig_acl("set=NAME,rule_bits=N")`,
		`@openconfig_acl()`:                                     `it must read @openconfig_acl("set=NAME,rule_bits=N")`,
		`@openconfig_acl(set=a,rule_bits=8)`:                    `it must read @openconfig_acl("set=NAME,rule_bits=N")`,
		`@openconfig_acl("set=a,rule_bits=8"`:                   `it must read @openconfig_acl("set=NAME,rule_bits=N")`,
		`@openconfig_acl("set=a")`:                              `setting "rule_bits" is missing`,
		`@openconfig_acl("rule_bits=8")`:                        `setting "set" is missing`,
		`@openconfig_acl("set=a,rule_bits=8,")`:                 `setting "": it must be KEY=VALUE`,
		`@openconfig_acl("set=a,rule_bits=8,x=1")`:              `setting "x" is unknown; known: set, rule_bits`,
		`@openconfig_acl("set=a,set=b,rule_bits=8")`:            `setting "set" is there twice`,
		`@openconfig_acl("set=,rule_bits=8")`:                   `set "": it must be letters, digits, '_', '-' or '.', at least one`,
		`@openconfig_acl("set=a b,rule_bits=8")`:                `set "a b": it must be letters, digits, '_', '-' or '.', at least one`,
		`@openconfig_acl("set=a,rule_bits=0")`:                  `rule_bits "0": it must be a number from 1 to 16`,
		`@openconfig_acl("set=a,rule_bits=17")`:                 `rule_bits "17": it must be a number from 1 to 16`,
		`@openconfig_acl("set=a,rule_bits=0x8")`:                `rule_bits "0x8": it must be a number from 1 to 16`,
		`@openconfig_acl("set=a,rule_bits=16")`:                 `131072 cells`,
		`@openconfig_acl("set=a,rule_bits=8")@openconfig_acl()`: `it must read`,
	} {
		size := int64(131072)
		if strings.Contains(want, "cells") {
			size, want = 65535, "65535 cells; one port needs 65536"
		}
		_, err := FindACLCounter(&p4configv1.P4Info{Counters: []*p4configv1.Counter{counter(1, "c.rules", size, annotation)}})
		if !errors.Is(err, ErrAnnotation) || !strings.HasPrefix(err.Error(), `bad @openconfig_acl: counter "c.rules": `+annotation+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", annotation, err, want)
		}
	}
	good := `@openconfig_acl("set=a,rule_bits=8")`
	packets := counter(1, "c.rules", 1024, good)
	packets.Spec.Unit = p4configv1.CounterSpec_PACKETS
	direct := &p4configv1.DirectCounter{Preamble: &p4configv1.Preamble{Name: "c.direct", Annotations: []string{good}}}
	for want, info := range map[string]*p4configv1.P4Info{
		"it counts PACKETS; it must count packets and bytes": {Counters: []*p4configv1.Counter{packets}},
		`counter "c.rules" carries one already`:              {Counters: []*p4configv1.Counter{counter(1, "c.rules", 1024, good), counter(2, "c.more", 1024, good)}},
		`direct counter "c.direct"`:                          {DirectCounters: []*p4configv1.DirectCounter{direct}},
	} {
		if _, err := FindACLCounter(info); !errors.Is(err, ErrAnnotation) || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
