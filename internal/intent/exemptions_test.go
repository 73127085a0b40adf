package intent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"op25b/examples"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// exempting returns the documents of the example with a document of kind Exemptions that exempts business-fixed and n prefixes.
func exempting(n int) []strict.File {
	list := []policy.Exemption{{Line: "business-fixed", Owner: "noc", Reason: "own server", Expires: policy.Date{Year: 2007, Month: 3, Day: 31}}}
	for i := range n {
		e := list[0]
		e.Line, e.Prefix = "", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		list = append(list, e)
	}
	return append(withoutExemptions(), strict.File{Name: "own/exempt.yaml", Data: policy.EncodeExemptions(list)})
}

// withoutExemptions returns the documents of the example without its document of kind Exemptions.
func withoutExemptions() []strict.File {
	return slices.DeleteFunc(examples.SpinNet2006(), func(f strict.File) bool { return strings.Contains(string(f.Data), "kind: Exemptions") })
}

// TestExemptionsStay verifies that documents without one of kind Exemptions keep the current exemptions, that such a document replaces them, and that
// all of this is so for a controller that reads the store anew.
func TestExemptionsStay(t *testing.T) {
	s := open(t)
	b := book(s)
	expect := func(what string, in *Intent, want int) {
		t.Helper()
		for _, of := range []*Intent{in, must(book(s).Current(within(t)))(t)} {
			if n := len(of.Bundle.Policy.Exemptions); n != want || of.Number != in.Number {
				t.Errorf("%s: %d exemptions in revision %d, want %d", what, n, of.Number, want)
			}
			if !slices.IsSortedFunc(of.Bundle.Policy.Exemptions, policy.CompareExemptions) {
				t.Errorf("%s: the exemptions are not in order", what)
			}
			docs := of.Documents()
			again, err := policy.Load(docs)
			if err != nil || !slices.Equal(again.Policy.Exemptions, of.Bundle.Policy.Exemptions) {
				t.Errorf("%s: the documents of revision %d have other exemptions: %v", what, in.Number, err)
			}
			for _, f := range of.Files {
				if strings.Contains(string(f.Data), "kind: Exemptions") {
					t.Errorf("%s: %s is stored as a file", what, f.Name)
				}
			}
		}
	}
	expect("first", apply(t, b, exempting(300)), 301)
	p := must(b.Propose(within(t), withoutExemptions()))(t)
	if !p.Kept || len(p.Given) != 2 {
		t.Errorf("kept is %v with %d files", p.Kept, len(p.Given))
	}
	if _, err := b.Put(within(t), p, by); err == nil {
		t.Error("the same documents were stored again")
	}
	other := withoutExemptions()
	for i := range other {
		other[i].Data = []byte(strings.ReplaceAll(string(other[i].Data), "name: spinnet-2006", "name: other"))
	}
	expect("without exemptions", apply(t, b, other), 301)
	expect("one fewer", apply(t, b, exempting(299)), 300)
	none := append(withoutExemptions(), strict.File{Name: "none.yaml", Data: policy.EncodeExemptions(nil)})
	expect("an empty document", apply(t, b, none), 0)
	expect("restored", must(b.Restore(within(t), 1, 4, by))(t), 301)
	diffs := must(b.Diff(within(t), 4, 5))(t)
	if len(diffs) != 1 || diffs[0].Path != "exemptions" || strings.Count(diffs[0].Unified, "\n+{") != 301 {
		t.Errorf("the difference is %.2000v", diffs)
	}
}

// TestExemptionsBesideAFileOfTheirName verifies that Documents leaves an operator's file alone that is called as the exemptions' would be.
func TestExemptionsBesideAFileOfTheirName(t *testing.T) {
	files := exempting(0)
	for i := range files {
		if strings.Contains(string(files[i].Data), "kind: Policy") {
			files[i].Name = ExemptionsName
		}
	}
	in := apply(t, book(open(t)), files)
	if again, err := policy.Load(in.Documents()); err != nil || len(again.Policy.Exemptions) != 1 {
		t.Errorf("got %v, %v", again, err)
	}
}

// TestExemptionsBroken verifies that a policy that cannot be used does not take the exemptions with it, and that exemptions which cannot be read are
// not replaced by none.
func TestExemptionsBroken(t *testing.T) {
	s := open(t)
	apply(t, book(s), exempting(2))
	spoil := func(base uint64, path, text string) {
		t.Helper()
		c := store.Change{Base: base, Author: "another hand", Reason: "spoilt", Documents: map[string][]byte{path: []byte(text)}, KeepOthers: true}
		if _, err := s.Revisions().Put(within(t), c); err != nil {
			t.Fatal(err)
		}
	}
	spoil(1, "files/examples/spinnet-2006/policy.yaml", "kind: [Policy")
	b := book(s)
	if in := must(b.Current(within(t)))(t); in.Broken() == nil || len(in.Documents()) != 3 {
		t.Errorf("revision 2 has %d files and is broken by %v", len(in.Documents()), in.Broken())
	}
	if in := apply(t, b, withoutExemptions()); len(in.Bundle.Policy.Exemptions) != 3 {
		t.Errorf("%d exemptions were kept, want 3", len(in.Bundle.Policy.Exemptions))
	}
	e := must(b.Current(within(t)))(t).Bundle.Policy.Exemptions[0]
	spoil(3, exemptionPart(&e), "{\"line\":\n")
	b = book(s)
	_, err := b.Propose(within(t), withoutExemptions())
	want := fmt.Sprintf("the stored exemptions cannot be kept: the documents cannot be used: %s:1: unexpected end of JSON input; give a document of kind Exemptions", exemptionPart(&e))
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if in := apply(t, b, exempting(1)); len(in.Bundle.Policy.Exemptions) != 2 {
		t.Errorf("%d exemptions, want 2", len(in.Bundle.Policy.Exemptions))
	}
}
