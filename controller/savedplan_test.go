package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

func TestSavedPlan(t *testing.T) {
	p := &op25bv1.Plan{Base: 12, Policy: "p", Totals: &op25bv1.Totals{Stops: 1}}
	files := []*op25bv1.File{{Name: "policy.yaml", Data: []byte("kind: Policy\n")}}
	var saved bytes.Buffer
	if err := encodePlan(&saved, p, files); err != nil {
		t.Fatal(err)
	}
	if len(p.Files) != 0 {
		t.Error("saving a plan changed it")
	}
	got, err := decodePlan(bytes.NewReader(saved.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	p.Files = files
	if !proto.Equal(got, p) {
		t.Errorf("loaded %v, want %v", got, p)
	}

	p.Files = nil
	if err := encodePlan(&saved, p, nil); !errors.Is(err, errSaved) || err.Error() != "not a saved plan: there are no files to save with it" {
		t.Errorf("without files: %v", err)
	}
	bare, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "not a saved plan: it does not begin with \"op25b plan 1\"; `op25b plan --out FILE` writes one"},
		{"YAML", "kind: Policy\n", "it does not begin with"},
		{"damaged", magic + "\xff\xff", "not a saved plan: it is damaged: "},
		{"no files", magic + string(bare), "not a saved plan: it has no files"},
	} {
		if _, err := decodePlan(strings.NewReader(c.content)); !errors.Is(err, errSaved) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A plan that an earlier release saved can still be loaded, because its fields keep their numbers.
func TestSavedPlanOfEarlierRelease(t *testing.T) {
	want := &op25bv1.Plan{
		Base: 3, Time: &timestamppb.Timestamp{Seconds: 1146700800}, Policy: "p", Files: []*op25bv1.File{{Name: "policy.yaml", Data: []byte("kind: Policy\n")}},
		Documents: []*op25bv1.DocumentDiff{{Path: "files/policy.yaml", Added: true, Unified: "+kind: Policy\n", Truncated: true}},
		Switches: []*op25bv1.SwitchPlan{{
			Switch: "s", Address: "a:1", Standing: "read", AppliedRevision: 3, PhaseBefore: "b", PhaseAfter: "c",
			Drift:   &op25bv1.Difference{Added: 1, Foreign: 1, Truncated: true},
			Change:  &op25bv1.Difference{Changed: 1, Entries: []*op25bv1.EntryChange{{Kind: "changed", Table: "t", Old: "o", New: "n"}}},
			Updates: 2, Steps: []*op25bv1.PlanStep{{Why: "w", Updates: 2}}, Tables: []*op25bv1.TableFill{{Table: "t", Entries: 4, Size: 8}},
			Meaning: []*op25bv1.Sentence{{Kind: "phase", Severity: "stops", Text: "x"}},
		}},
		Totals: &op25bv1.Totals{Switches: 1, SwitchesChanged: 1, Updates: 2, Stops: 1}, Changes: true, Notes: []string{"n"}, UtcOffset: "+09:00",
	}
	got, err := decodePlan(strings.NewReader(savedEarlier))
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("loaded %v, %v, want %v", got, err, want)
	}
}

// savedEarlier is the saved plan that TestSavedPlanOfEarlierRelease loads, in format 1.
const savedEarlier = "op25b plan 1\n" +
	"\b\x03\x12\x06\b\x80\x88\xe5\xa2\x04\x1a\x01p\"\x1c\n\vpolicy.yaml\x12\rkind: Policy\n*'\n\x11files/policy.yaml\x10\x01\"\x0e+kind: Policy\n(\x012[\n\x01s\x12\x03a:1\x1a\x04read0\x03:\x01bB\x01cJ\x06\b\x01 \x010\x01R\x16\x10\x01*\x12\n\achanged\x12\x01t\x1a\x01o\"\x01nX\x02b\x05\n\x01w\x10\x02j\a\n\x01t\x10\x04\x18\br\x11\n\x05phase\x12\x05stops\x1a\x01x:\b\b\x01\x10\x01H\x02X\x01@\x01J\x01n\x82\x05\x06+09:00"
