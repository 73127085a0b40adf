package policy

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"op25b/internal/strict"
)

// testExemptions are exemptions in the order of CompareExemptions, with texts that need quotes in a document.
func testExemptions() []Exemption {
	until := Date{2007, 3, 31}
	return []Exemption{
		{Line: "fixed", Owner: "noc: @ISP", Reason: "メールサーバー \"own\"", Ticket: "0x17", Expires: until, Review: Date{2006, 12, 31}},
		{Line: "home", Owner: "true", Reason: "- a\nb", Expires: until},
		{Prefix: netip.MustParsePrefix("192.0.2.128/25"), Owner: "noc", Reason: "laboratory", Expires: until},
		{Prefix: netip.MustParsePrefix("192.0.2.128/28"), Owner: "noc", Reason: "laboratory", Expires: until},
		{Prefix: netip.MustParsePrefix("2001:db8:f::/48"), Owner: "noc", Reason: "laboratory", Expires: until},
	}
}

// TestExemptionsAreWrittenAsRead verifies that Load reads what EncodeExemptions writes, and orders the exemptions.
func TestExemptionsAreWrittenAsRead(t *testing.T) {
	want := testExemptions()
	mixed := slices.Clone(want)
	slices.Reverse(mixed)
	for name, list := range map[string][]Exemption{"in order": want, "mixed": mixed} {
		doc := strict.File{Name: "exempt.yaml", Data: EncodeExemptions(list)}
		b, err := Load([]strict.File{file(t, "testdata/policy.yaml"), file(t, "testdata/inventory.yaml"), doc})
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, doc.Data)
		}
		if !slices.Equal(b.Policy.Exemptions, want) || b.ExemptionsFile != doc.Name {
			t.Errorf("%s: got %+v in %q\n%s", name, b.Policy.Exemptions, b.ExemptionsFile, doc.Data)
		}
	}
	if none := EncodeExemptions(nil); !bytes.HasSuffix(none, []byte("\nexemptions: []\n")) {
		t.Errorf("no exemptions are written as %q", none)
	}
}

// TestExemptionsAreKept verifies that a policy has the given exemptions if the files have no document of kind Exemptions, even an empty one, and that
// the message about one of them says that it is stored.
func TestExemptionsAreKept(t *testing.T) {
	files := []strict.File{file(t, "testdata/policy.yaml"), file(t, "testdata/inventory.yaml")}
	kept := testExemptions()
	b, err := LoadContext(t.Context(), files, kept)
	if err != nil || !slices.Equal(b.Policy.Exemptions, kept) || b.ExemptionsFile != "" {
		t.Fatalf("got %v, %v", b, err)
	}
	b, err = LoadContext(t.Context(), append(files, strict.File{Name: "none.yaml", Data: EncodeExemptions(nil)}), kept)
	if err != nil || len(b.Policy.Exemptions) != 0 {
		t.Errorf("an empty document: %v, %v", b, err)
	}
	kept[1].Line = "gone"
	_, err = LoadContext(t.Context(), files, kept)
	want := `stored exemptions: exemptions[1].line: exemption of unknown line "gone"; lines of the inventory: home, fixed; ` +
		"the exemption is stored already: end it first, or give a document of kind Exemptions without it"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestExemptionTexts verifies that a text at its limit is accepted.
func TestExemptionTexts(t *testing.T) {
	e := testExemptions()[:1]
	e[0].Owner, e[0].Reason, e[0].Ticket = strings.Repeat("o", MaxOwner), strings.Repeat("r", MaxExemptionReason), strings.Repeat("t", MaxTicket)
	if _, err := LoadContext(t.Context(), []strict.File{file(t, "testdata/policy.yaml"), file(t, "testdata/inventory.yaml")}, e); err != nil {
		t.Error(err)
	}
}
