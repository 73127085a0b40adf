package p4source

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	p4configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"

	"op25b/p4src"
)

func counter(id uint32, name string, size int64, annotations ...string) *p4configv1.Counter {
	return &p4configv1.Counter{
		Preamble: &p4configv1.Preamble{Id: id, Name: name, Annotations: annotations},
		Spec:     &p4configv1.CounterSpec{Unit: p4configv1.CounterSpec_BOTH},
		Size:     size,
	}
}

func TestFindACL(t *testing.T) {
	for _, a := range []string{
		`@openconfig_acl("set=op25b,rule_bits=8")`,
		`@openconfig_acl ( " rule_bits = 8 , set = op25b " )`,
	} {
		all, err := Find(&p4configv1.P4Info{Counters: []*p4configv1.Counter{
			counter(1, "c.other", 10, `@brief("x")`, `@openconfig_acls("set=x")`),
			counter(302, "c.rules", 131072, `@brief("y")`, a),
		}})
		got, want := all.ACL, ACLLayout{CounterID: 302, CounterName: "c.rules", Set: "op25b", RuleBits: 8, Size: 131072}
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
	if got, err := Find(&p4configv1.P4Info{}); err != nil || got != (Layout{}) {
		t.Errorf("no counter: %+v, %v", got, err)
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
		_, err := Find(&p4configv1.P4Info{Counters: []*p4configv1.Counter{counter(1, "c.rules", size, annotation)}})
		if !errors.Is(err, ErrAnnotation) || !strings.HasPrefix(err.Error(), `bad annotation: counter "c.rules": `+annotation+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", annotation, err, want)
		}
	}
	good := `@openconfig_acl("set=a,rule_bits=8")`
	packets := counter(1, "c.rules", 1024, good)
	packets.Spec.Unit = p4configv1.CounterSpec_PACKETS
	direct := &p4configv1.DirectCounter{Preamble: &p4configv1.Preamble{Name: "c.direct", Annotations: []string{good}}}
	for want, info := range map[string]*p4configv1.P4Info{
		"it counts PACKETS; it must count packets and bytes":                            {Counters: []*p4configv1.Counter{packets}},
		`counter "c.rules" carries one already`:                                         {Counters: []*p4configv1.Counter{counter(1, "c.rules", 1024, good), counter(2, "c.more", 1024, good)}},
		`direct counter "c.direct": ` + good + `: only an indexed counter can carry it`: {DirectCounters: []*p4configv1.DirectCounter{direct}},
	} {
		if _, err := Find(info); !errors.Is(err, ErrAnnotation) || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// verdict returns a P4Info with a table that has counters of legs.
func verdict(annotation string, change func(*p4configv1.P4Info)) *p4configv1.P4Info {
	param := func(name string, bits int32) *p4configv1.Action_Param {
		return &p4configv1.Action_Param{Id: 2, Name: name, Bitwidth: bits}
	}
	info := &p4configv1.P4Info{
		PkgInfo: &p4configv1.PkgInfo{Name: "a.p4", Version: "1.2.3"},
		Tables: []*p4configv1.Table{{
			Preamble: &p4configv1.Preamble{Id: 7, Name: "c.verdict"}, Size: 1024,
			MatchFields: []*p4configv1.MatchField{
				{Id: 1, Name: "epoch", Bitwidth: 8, Match: &p4configv1.MatchField_MatchType_{MatchType: p4configv1.MatchField_EXACT}},
				{Id: 3, Name: "leg", Bitwidth: 3, Match: &p4configv1.MatchField_MatchType_{MatchType: p4configv1.MatchField_TERNARY}},
				{Id: 4, Name: "wide", Bitwidth: 9, Match: &p4configv1.MatchField_MatchType_{MatchType: p4configv1.MatchField_EXACT}},
			},
			ActionRefs: []*p4configv1.ActionRef{{Id: 21}, {Id: 22}, {Id: 23}},
		}},
		Actions: []*p4configv1.Action{
			{Preamble: &p4configv1.Preamble{Id: 21, Name: "c.permit"}, Params: []*p4configv1.Action_Param{param("rule", 8)}},
			{Preamble: &p4configv1.Preamble{Id: 22, Name: "NoAction"}},
			{Preamble: &p4configv1.Preamble{Id: 23, Name: "c.wide"}, Params: []*p4configv1.Action_Param{param("rule", 33)}},
			{Preamble: &p4configv1.Preamble{Id: 24, Name: "c.other"}, Params: []*p4configv1.Action_Param{param("rule", 8)}},
		},
		DirectCounters: []*p4configv1.DirectCounter{{
			Preamble: &p4configv1.Preamble{Id: 5, Name: "c.counts", Annotations: []string{annotation}},
			Spec:     &p4configv1.CounterSpec{Unit: p4configv1.CounterSpec_BOTH}, DirectTableId: 7,
		}},
	}
	if change != nil {
		change(info)
	}
	return info
}

const goodLegs = `@op25b_legs("epoch=epoch,leg=leg,rule=rule")`

func TestFindLegsAndLines(t *testing.T) {
	info := verdict(goodLegs, nil)
	info.Counters = []*p4configv1.Counter{counter(9, "c.lines", 4096, `@op25b_lines("outcome_bits=2")`)}
	got, err := Find(info)
	if err != nil {
		t.Fatal(err)
	}
	want := Layout{
		Program: "a.p4 1.2.3",
		Lines:   &LineLayout{CounterID: 9, CounterName: "c.lines", OutcomeBits: 2, Size: 4096},
		Legs: &LegLayout{
			TableID: 7, TableName: "c.verdict", CounterName: "c.counts", Size: 1024,
			Epoch: Field{1, "epoch"}, Leg: Field{3, "leg"}, Rule: map[uint32]Param{21: {"c.permit", 2, "rule"}},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want - got +:\n%s", d)
	}
	if n := got.Lines.Lines(); n != 1024 {
		t.Errorf("%d lines, want 1024", n)
	}
	for own, want := range map[string]string{"": "a.p4 1.2.3", "x 1": "x 1, a.p4 1.2.3"} {
		if v := got.Version(own); v != want {
			t.Errorf("version %q, want %q", v, want)
		}
	}
	if v := (&Layout{}).Version("x 1"); v != "x 1" {
		t.Errorf("version %q without a program", v)
	}
}

// TestFindInTheProgram verifies that op25b.p4 marks all four counters.
func TestFindInTheProgram(t *testing.T) {
	got, err := Find(p4src.P4Info())
	if err != nil {
		t.Fatal(err)
	}
	if got.ACL == nil || got.Lines == nil || got.Lines.Size != 65536 || got.Legs == nil || len(got.Legs.Rule) != 5 || got.Probes == nil {
		t.Errorf("got %+v; want the four counters, with the five actions of verdict", got)
	}
}

func TestBadLegsAndLines(t *testing.T) {
	lines := func(size int64, annotation string) *p4configv1.P4Info {
		return &p4configv1.P4Info{Counters: []*p4configv1.Counter{counter(9, "c.lines", size, annotation)}}
	}
	packets := lines(8, `@op25b_lines("outcome_bits=2")`)
	packets.Counters[0].Spec.Unit = p4configv1.CounterSpec_PACKETS
	for want, info := range map[string]*p4configv1.P4Info{
		`counter "c.lines": @op25b_lines: it must read @op25b_lines("outcome_bits=N")`:                                                                       lines(8, `@op25b_lines`),
		`counter "c.lines": @op25b_lines("outcome_bits=1"): outcome_bits "1": it must be a number from 2 to 8`:                                               lines(8, `@op25b_lines("outcome_bits=1")`),
		`counter "c.lines": @op25b_lines("outcome_bits=2"): 1048577 cells; at most 1048576 are read`:                                                         lines(1<<20+1, `@op25b_lines("outcome_bits=2")`),
		`counter "c.lines": @op25b_lines("outcome_bits=2"): it counts PACKETS; it must count packets and bytes`:                                              packets,
		`counter "c.lines": ` + goodLegs + `: only a direct counter can carry it`:                                                                            lines(8, goodLegs),
		`direct counter "c.counts": @op25b_lines("outcome_bits=2"): only an indexed counter can carry it`:                                                    verdict(`@op25b_lines("outcome_bits=2")`, nil),
		`direct counter "c.counts": @op25b_legs("leg=leg,rule=rule"): setting "epoch" is missing`:                                                            verdict(`@op25b_legs("leg=leg,rule=rule")`, nil),
		`direct counter "c.counts": @op25b_legs("epoch=e,leg=leg,rule=rule"): epoch "e": table "c.verdict" has no such match field; it has epoch, leg, wide`: verdict(`@op25b_legs("epoch=e,leg=leg,rule=rule")`, nil),
		`epoch "wide": it has 9 bits and match type EXACT; it must have at most 8 bits and match type [EXACT]`:                                               verdict(`@op25b_legs("epoch=wide,leg=leg,rule=rule")`, nil),
		`epoch "leg": it has 3 bits and match type TERNARY; it must have at most 8 bits and match type [EXACT]`:                                              verdict(`@op25b_legs("epoch=leg,leg=leg,rule=rule")`, nil),
		`rule "r": no action of table "c.verdict" has such a parameter of at most 32 bits`:                                                                   verdict(`@op25b_legs("epoch=epoch,leg=leg,rule=r")`, nil),
		`@op25b_probes("epoch_bits=3,rule_bits=8"): 1023 cells; 8 epochs of 4 legs need 8192`:                                                                lines(1023, `@op25b_probes("epoch_bits=3,rule_bits=8")`),
		`@op25b_probes("epoch_bits=9,rule_bits=8"): epoch_bits "9": it must be a number from 1 to 8`:                                                         lines(8, `@op25b_probes("epoch_bits=9,rule_bits=8")`),
		`@op25b_probes("epoch_bits=3,rule_bits=0"): rule_bits "0": it must be a number from 1 to 8`:                                                          lines(8, `@op25b_probes("epoch_bits=3,rule_bits=0")`),
		`its table 0x8 is not in the P4Info`: verdict(goodLegs, func(i *p4configv1.P4Info) { i.DirectCounters[0].DirectTableId = 8 }),
	} {
		got, err := Find(info)
		if !errors.Is(err, ErrAnnotation) || !strings.Contains(err.Error(), want) || got != (Layout{}) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
