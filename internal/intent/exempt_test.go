package intent

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"op25b/examples"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

func exemptOf(line, prefix string, day int) policy.Exemption {
	e := policy.Exemption{Line: line, Owner: "noc", Reason: "test", Expires: policy.Date{Year: 2007, Month: 3, Day: day}}
	if prefix != "" {
		e.Prefix = netip.MustParsePrefix(prefix)
	}
	return e
}

// exempt makes a change of one exemption.
func exempt(t testing.TB, b *Book, verb string, e policy.Exemption) *Intent {
	t.Helper()
	x := Exempting{Verb: verb, Exemption: e}
	p := must(b.ProposeExemption(within(t), x))(t)
	return must(b.PutExemption(within(t), p, x, by))(t)
}

// exemptIn returns the exemptions of one content.
func exemptIn(in *Intent) (all []string) {
	for i := range in.Bundle.Policy.Exemptions {
		all = append(all, in.Bundle.Policy.Exemptions[i].Subject())
	}
	return all
}

// TestExemptingIsReadAsStored changes single exemptions at random. Another controller's Book, which reads the changes one by one, and one that reads
// the store anew must have the same exemptions and compile the same states. Parts without exemptions are not stored.
func TestExemptingIsReadAsStored(t *testing.T) {
	s := open(t)
	ours, theirs := book(s), book(s)
	apply(t, ours, exempting(3))
	must(theirs.Current(within(t)))(t)
	rnd := rand.New(rand.NewPCG(25, 14))
	has := map[int]bool{}
	for i := range 80 {
		n := rnd.IntN(12)
		e := exemptOf("", fmt.Sprintf("192.0.2.%d/32", 100+n), 1+rnd.IntN(28))
		verb := ExemptionAdd
		if has[n] {
			verb = ExemptionEnd
		}
		has[n] = !has[n]
		in := exempt(t, ours, verb, e)
		if i%5 == 4 {
			continue // the other Book misses some
		}
		before := must(theirs.Current(within(t)))(t)
		for name, other := range map[string]*Intent{"anew": must(book(s).Current(within(t)))(t), "one by one": before} {
			if other.Number != in.Number || !slices.Equal(other.Bundle.Policy.Exemptions, in.Bundle.Policy.Exemptions) {
				t.Fatalf("%s: revision %d has %v, want %v", name, other.Number, exemptIn(other), exemptIn(in))
			}
			got, want := must(other.Compile("edge-1", august))(t), must(in.Compile("edge-1", august))(t)
			if !reflect.DeepEqual(got.State.Subscribers, want.State.Subscribers) {
				t.Fatalf("%s: %v, want %v", name, got.State.Subscribers, want.State.Subscribers)
			}
		}
		// A revision may have the documents of an earlier one, of which the Book has the parsed documents too.
		if _, known := before.ExemptionsSince(must(theirs.At(within(t), in.Number-1))(t)); !known {
			t.Fatalf("the differences of revision %d are not known, so every switch would be read", in.Number)
		}
		docs := must(s.Revisions().At(within(t), in.Number))(t).Documents
		for path, text := range docs {
			if strings.HasPrefix(path, exemptionsFolder) && len(text) == 0 {
				t.Fatalf("%s is stored, and is empty", path)
			}
		}
	}
	in := must(ours.Current(within(t)))(t)
	restored := must(ours.Restore(within(t), 1, in.Number, by))(t)
	if got := exemptIn(restored); len(got) != 4 {
		t.Errorf("restored: %v", got)
	}
	if list, err := ours.History(within(t), 0, 100); err != nil || len(list) != int(restored.Number) {
		t.Errorf("%d revisions, %v", len(list), err)
	}
}

// TestExemptingInARollout verifies that a change of an exemption goes through while a rollout brings next documents to the switches: in both
// documents, or in the one that has the line. It outlasts the advance and the end of the rollout, and the way back.
func TestExemptingInARollout(t *testing.T) {
	for _, adopted := range []bool{true, false} {
		s := open(t)
		b := book(s)
		apply(t, b, examples.LibmoMobile())
		var files []strict.File
		for _, f := range examples.LibmoMobile() {
			f.Data = bytes.ReplaceAll(f.Data, []byte("name: sim-vending,"), []byte("name: sim-kiosk,"))
			f.Data = bytes.ReplaceAll(f.Data, []byte("- name: sim-vending"), []byte("- name: sim-kiosk"))
			files = append(files, f)
		}
		in := must(b.Stage(within(t), must(b.Propose(within(t), files))(t), by))(t)
		if _, there := in.Next().Bundle.Inventory.Switch("edge-east"); !there || strings.Contains(fmt.Sprint(in.Next().Files), "sim-vending,") {
			t.Fatal("the example has another line")
		}
		expect := func(what string, in *Intent, without, with []string) {
			t.Helper()
			for name, of := range map[string]*Intent{"the same": in, "read anew": must(book(s).Current(within(t)))(t)} {
				all := of.Contents()
				if got := exemptIn(all[0]); of.Number != in.Number || !slices.Equal(got, without) {
					t.Errorf("%s, %s: %v, want %v", what, name, got, without)
				}
				if len(all) == 2 && !slices.Equal(exemptIn(all[1]), with) {
					t.Errorf("%s, %s: next %v, want %v", what, name, exemptIn(all[1]), with)
				}
			}
		}
		const alarm, vending, kiosk, lab = "line sim-alarm", "line sim-vending", "line sim-kiosk", "prefix 198.18.0.0/24"
		expect("a prefix", exempt(t, b, ExemptionAdd, exemptOf("", "198.18.0.0/24", 31)), []string{alarm, lab}, []string{alarm, lab})
		expect("the old line", exempt(t, b, ExemptionAdd, exemptOf("sim-vending", "", 31)), []string{alarm, vending, lab}, []string{alarm, lab})
		in = exempt(t, b, ExemptionAdd, exemptOf("sim-kiosk", "", 31))
		expect("the new line", in, []string{alarm, vending, lab}, []string{alarm, kiosk, lab})
		in = must(b.Advance(within(t), in.Number, in.Split().Base, []string{"edge-east"}, by))(t)
		expect("advance", in, []string{alarm, vending, lab}, []string{alarm, kiosk, lab})
		expect("ended in both", exempt(t, b, ExemptionEnd, exemptOf("", "198.18.0.0/24", 1)), []string{alarm, vending}, []string{alarm, kiosk})
		in = exempt(t, b, ExemptionRenew, exemptOf("sim-kiosk", "", 30))
		expect("renewed in one", in, []string{alarm, vending}, []string{alarm, kiosk})
		if adopted {
			expect("adopted", must(b.Adopt(within(t), in.Number, in.Split().Base, by))(t), []string{alarm, kiosk}, nil)
		} else {
			expect("dropped", must(b.Drop(within(t), in.Number, in.Split().Base, by))(t), []string{alarm, vending}, nil)
		}
		_, err := b.ProposeExemption(within(t), Exempting{Verb: ExemptionEnd, Exemption: exemptOf("sim-none", "", 1)})
		if !errors.Is(err, ErrNotExempt) {
			t.Errorf("an unknown line: %v", err)
		}
	}
}
