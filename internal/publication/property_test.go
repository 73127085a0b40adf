package publication_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"op25b/internal/check"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
	"op25b/internal/publication"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestSameVerdict verifies that the published documents never answer otherwise than the real ones. The verdict on a line without exemption
// is the verdict on the published line that stands for it, at any time, for each remote class and each mail port. It also verifies that
// nothing private is in the encoded publication.
// The published policy is the real one without exemptions, whatever its titles are.
func TestSameVerdict(t *testing.T) {
	asked, merged, apart, unlike := 0, 0, 0, 0
	property := func(t *rapid.T) {
		b, acts := drawIntent(t)
		if err := policy.Validate(t.Context(), b.Policy, b.Inventory); err != nil {
			t.Fatalf("the generator made invalid documents: %v", err)
		}
		d := &drawer{T: t, policy: b.Policy}
		now := d.moment().AddDate(0, rapid.SampledFrom([]int{0, 6}).Draw(t, "months later"), 0)
		at := d.moment().Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "hours")) * time.Hour)
		docs, err := publication.Make(publication.Source{Bundle: b, Activations: acts, Revision: 5, Stored: now}, now)
		if err != nil {
			t.Fatal(err)
		}
		m := docs.Publish(now, nil)
		nothingPrivate(t, m)
		public := published(t, m)
		want := *b.Policy
		want.Exemptions, want.LineGroups = nil, slices.Clone(b.Policy.LineGroups)
		for i := range want.LineGroups {
			want.LineGroups[i].WatchInfected = false
		}
		if diff := cmp.Diff(&want, public.Policy, policytest.CompareAddresses, cmpopts.IgnoreUnexported(policy.Policy{})); diff != "" {
			t.Fatalf("the published policy, -real +published:\n%s", diff)
		}
		if again, err := publication.Make(publication.Source{Bundle: b, Activations: acts, Revision: 5, Stored: now}, now); err != nil || !proto.Equal(m, again.Publish(now, nil)) {
			t.Fatalf("a second publication differs: %v", err)
		}
		later := now.AddDate(0, 0, rapid.IntRange(0, 3).Draw(t, "days later")) // a portal keeps a publication for some time
		opts := check.Options{Now: func() time.Time { return later }}
		ours := check.New(check.Source{Bundle: b, Activations: acts}, opts)
		theirs := check.New(check.Source{Bundle: public, Activations: activations(m)}, opts)
		if len(public.Inventory.Switches) < len(b.Inventory.Switches) {
			merged++
		}
		if len(public.Inventory.Switches) > 1 {
			apart++
		}
		if d.odds(3, "unlisted lines") { // not always, because another inventory needs other pipelines
			unlisted(t, b, acts, m, opts, at, theirs)
		}
		for _, sw := range b.Inventory.Switches {
			for _, l := range sw.Lines {
				_, line, ok := docs.Line(l.Name)
				if !ok {
					t.Fatalf("no published line stands for %s", l.Name)
				}
				phaseOf(t, docs, ours, l.Name, later)
				for range 2 {
					q := check.Question{To: rapid.SampledFrom(servers(b.Policy)).Draw(t, "server").String(), Port: rapid.SampledFrom([]uint16{25, 25, 465, 587}).Draw(t, "port"), At: at}
					if rapid.IntRange(0, 7).Draw(t, "name a phase") == 0 {
						q.Phase = b.Policy.Phases[0].Name
					}
					q.Line = l.Name
					want, wantErr := ours.Ask(t.Context(), q)
					q.Line = line
					got, gotErr := theirs.Ask(t.Context(), q)
					if exempt(b.Policy, &l, at) {
						if !docs.Touched(l.Name, netip.Addr{}) {
							t.Fatalf("line %s has an exemption, and counts as one that has none", l.Name)
						}
						if wantErr == nil && gotErr == nil && answer(t, want) != answer(t, got) {
							unlike++
						}
						continue
					}
					if wantErr != nil || gotErr != nil {
						if kindOf(wantErr) != kindOf(gotErr) {
							t.Fatalf("%s on %s: %v\n%s: %v", l.Name, sw.Name, wantErr, line, gotErr)
						}
						continue
					}
					asked++
					if diff := cmp.Diff(answer(t, want), answer(t, got)); diff != "" {
						t.Fatalf("%s on %s and %s, -real +published:\n%s\n%s", l.Name, sw.Name, line, diff, m.Files[1].Data)
					}
				}
			}
		}
	}
	rapid.Check(t, property)
	asked, merged, apart, unlike = 0, 0, 0, 0
	if policytest.Seeded(t, 6, property); asked == 0 || merged == 0 || apart == 0 || unlike == 0 {
		t.Errorf("%d verdicts compared, %d publications with fewer areas than switches, %d with several, %d exemptions made a difference: want all", asked, merged, apart, unlike)
	}
}

// unlisted compares the answers for lines that the inventory does not list: for unnamed lines, and for lines of each group of which no switch has
// lines. The answers for the areas are those for the switches, with such a line added to each of them.
func unlisted(t *rapid.T, b *policy.Bundle, acts []policy.Activation, m *op25bv1.Publication, opts check.Options, at time.Time, theirs *check.Checker) {
	t.Helper()
	q := check.Question{To: rapid.SampledFrom(servers(b.Policy)).Draw(t, "server").String(), Port: 25, At: at}
	has := map[string]bool{}
	for _, sw := range b.Inventory.Switches {
		for _, l := range sw.Lines {
			has[l.Group] = true
		}
	}
	absent := slices.DeleteFunc(append([]string{""}, policy.Names(b.Policy.LineGroups)...), func(g string) bool { return has[g] })
	group := rapid.SampledFrom(absent).Draw(t, "group of unlisted lines")
	c := *b
	c.Inventory = &policy.Inventory{Switches: slices.Clone(b.Inventory.Switches)}
	for i := range c.Inventory.Switches {
		sw := &c.Inventory.Switches[i]
		if group != "" {
			sw.Lines = append(slices.Clone(sw.Lines), policy.Line{
				Name: fmt.Sprint("added-", i), Port: sw.Ports[0].Name, VLAN: 99, Group: group,
				Prefixes: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 78, byte(i), 0}), 24), netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x78, 15: byte(i)}), 128)},
			})
		}
	}
	ours := check.New(check.Source{Bundle: &c, Activations: acts}, opts)
	want, got := map[string]bool{}, map[string]bool{}
	add := func(c *check.Checker, q check.Question, to map[string]bool) {
		a, err := c.Ask(t.Context(), q)
		if err != nil {
			to[fmt.Sprint(kindOf(err))] = true
			return
		}
		to[answer(t, a)] = true
	}
	for i, sw := range c.Inventory.Switches {
		if q.Line, q.Switch = fmt.Sprint("added-", i), ""; group == "" {
			q.Line, q.Switch = "", sw.Name
		}
		add(ours, q, want)
	}
	for _, s := range m.States {
		if s.LineGroup == group {
			q.Line, q.Switch = s.Line, s.Area
			add(theirs, q, got)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("lines of group %q, -switches +areas:\n%s", group, diff)
	}
}

// phaseOf compares the phase of a line, and the time from which it is in force, with those of an answer for the present time.
func phaseOf(t *rapid.T, docs *publication.Documents, c *check.Checker, line string, now time.Time) {
	t.Helper()
	phase, since, ok := docs.Phase(line, now)
	a, err := c.Ask(t.Context(), check.Question{Line: line, To: "8.8.8.8", Port: 25})
	if errors.Is(err, check.ErrFamily) {
		a, err = c.Ask(t.Context(), check.Question{Line: line, To: "2600::8", Port: 25})
	}
	switch {
	case ok != (err == nil):
		t.Fatalf("%s at %v: phase %q, but %v", line, now, phase, err)
	case ok && (a.Phase.Name != phase || !a.Phase.Since.Equal(since)):
		t.Fatalf("%s at %v: %s since %v, want %+v", line, now, phase, since, a.Phase)
	}
}

// servers returns an address in each remote class, and of each family one in no class.
func servers(p *policy.Policy) []netip.Addr {
	all := []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2600::8")}
	for _, r := range p.RemotesWithNAT64() {
		for _, prefix := range r.Prefixes {
			all = append(all, prefix.Addr())
		}
	}
	return all
}

// exempt reports whether an exemption of the policy could be about a line.
func exempt(p *policy.Policy, l *policy.Line, at time.Time) bool {
	return slices.ContainsFunc(p.Exemptions, func(e policy.Exemption) bool {
		overlaps := slices.ContainsFunc(l.Prefixes, func(x netip.Prefix) bool { return e.Prefix.IsValid() && e.Prefix.Overlaps(x) })
		return (e.Line == l.Name || overlaps) && !p.Ended(&e, at)
	})
}

// answer returns the parts of an answer that the publication has to give.
func answer(t *rapid.T, a *check.Answer) string {
	t.Helper()
	b := *a
	b.Line, b.Switch, b.Notes, b.Results = "", "", nil, slices.Clone(a.Results)
	for i := range b.Results {
		r := &b.Results[i]
		r.From, r.Exemption, r.Trace = netip.Addr{}, nil, nil
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func kindOf(err error) error {
	for _, kind := range []error{check.ErrQuestion, check.ErrFamily, check.ErrNoPhase, policy.ErrInvalid} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return err
}

// activations converts the activations of a publication.
func activations(m *op25bv1.Publication) []policy.Activation {
	var all []policy.Activation
	for _, a := range m.Activations {
		all = append(all, policy.Activation{
			ID: a.Revision, Phase: a.Phase, Undoes: a.Undoes, Groups: a.Groups, Switches: a.Switches, At: a.Time.AsTime(), UntilNextDate: a.UntilNextDate,
		})
	}
	return all
}

// nothingPrivate searches the encoded publication for names, texts and addresses that must not be in it.
func nothingPrivate(t *rapid.T, m *op25bv1.Publication) {
	t.Helper()
	encoded, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{secret, secretV4, secretV6, "02:77", "xemption", "expires", "owner", "ticket", "tls:"} {
		if at := bytes.Index(bytes.ToLower(encoded), []byte(strings.ToLower(private))); at >= 0 {
			t.Fatalf("%q is published: %q", private, encoded[max(0, at-60):min(len(encoded), at+60)])
		}
	}
	for _, n := range m.Activations {
		if n.Author != "" || n.Reason != "" {
			t.Fatalf("%v", n)
		}
	}
}
