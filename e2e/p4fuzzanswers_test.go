package e2e

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"op25b/e2e/p4fuzz"
)

// embeddedChooses lists the embedded switch's answers to mutations for which the specification allows several answers.
var embeddedChooses = p4fuzz.Answers{
	p4fuzz.UnknownTable:     codes.InvalidArgument,
	p4fuzz.WideField:        codes.InvalidArgument,
	p4fuzz.EmptyField:       codes.InvalidArgument,
	p4fuzz.NegativePriority: codes.InvalidArgument,
	p4fuzz.WideParam:        codes.InvalidArgument,
	p4fuzz.EmptyParam:       codes.InvalidArgument,
	p4fuzz.Restricted:       codes.InvalidArgument,
	p4fuzz.FullTable:        codes.ResourceExhausted,
	p4fuzz.KeylessOther:     codes.InvalidArgument,
	p4fuzz.PeakBelow:        codes.InvalidArgument,
	p4fuzz.NegativeCount:    codes.InvalidArgument,
	p4fuzz.GroupEmptyPort:   codes.OutOfRange,
	p4fuzz.GroupBackup:      codes.Unimplemented,
	p4fuzz.Rollback:         codes.Unimplemented,
	p4fuzz.DataplaneAtomic:  codes.Unimplemented,
	p4fuzz.UnknownAtomic:    codes.Unimplemented,
}

// bmv2Differs lists the answers of bmv2 that differ from the embedded switch's.
var bmv2Differs = p4fuzz.Answers{
	p4fuzz.NoEntity:         codes.Unknown,
	p4fuzz.IsConst:          codes.OK,
	p4fuzz.EmptyField:       codes.OK,
	p4fuzz.NegativePriority: codes.Unknown,
	p4fuzz.BelowPriority:    codes.OK,
	p4fuzz.KeepAction:       codes.InvalidArgument,
	p4fuzz.EmptyParam:       codes.OK,
	p4fuzz.Restricted:       codes.OK,
	p4fuzz.FullTable:        codes.Unknown,
	p4fuzz.KeylessInsert:    codes.Unknown,
	p4fuzz.KeylessOther:     codes.NotFound,
	p4fuzz.WholeRange:       codes.OK,
	p4fuzz.DefaultIdle:      codes.OK,
	p4fuzz.ConstInsert:      codes.Unknown,
	p4fuzz.ConstEntry:       codes.NotFound,
	p4fuzz.MinusOneBurst:    codes.OK,
	p4fuzz.HugeBurst:        codes.Unimplemented,
	p4fuzz.PeakBelow:        codes.Unknown,
	p4fuzz.ExcessBurst:      codes.OK,
	p4fuzz.NegativeCount:    codes.OK,
	p4fuzz.CounterDelete:    codes.OK,
	p4fuzz.DirectMissing:    codes.InvalidArgument,
	p4fuzz.GroupInstance:    codes.OK,
	p4fuzz.GroupPort:        codes.OK,
	p4fuzz.GroupPortNought:  codes.InvalidArgument,
	p4fuzz.GroupEmptyPort:   codes.InvalidArgument,
	p4fuzz.GroupBackup:      codes.OK,
	p4fuzz.ForeignDevice:    codes.PermissionDenied,
	p4fuzz.UnknownRole:      codes.OK,
	p4fuzz.Anonymous:        codes.OK,
}

// bmv2Habits are bmv2's deviations from the specification in how it stores accepted writes. bmv2Avoids are the mutations from which bmv2
// does not recover, as TestBMv2Meters shows.
var (
	bmv2Habits = p4fuzz.Habits{KeepsMeter: true, FloatRates: true, NoExcess: true, KeepsPorts: true, NoGroupData: true, NoIsConst: true}
	bmv2Avoids = []p4fuzz.Mutation{p4fuzz.PeakBelow, p4fuzz.BareMeter}
)

func embeddedAnswers() p4fuzz.Answers {
	a := p4fuzz.Answers{}
	for _, r := range p4fuzz.Rules {
		a[r.Mutation] = r.Allowed[0]
	}
	maps.Copy(a, embeddedChooses)
	return a
}

func bmv2Answers() p4fuzz.Answers {
	a := embeddedAnswers()
	maps.Copy(a, bmv2Differs)
	return a
}

// TestEmbeddedSwitchFollowsTheSpecification verifies that the specification allows the embedded switch's answer to every mutation.
func TestEmbeddedSwitchFollowsTheSpecification(t *testing.T) {
	embedded := embeddedAnswers()
	for _, r := range p4fuzz.Rules {
		if !slices.Contains(r.Allowed, embedded[r.Mutation]) {
			t.Errorf("%q: the embedded switch answers %v, the specification allows %v", r.Mutation, embedded[r.Mutation], r.Allowed)
		}
		if _, chosen := embeddedChooses[r.Mutation]; chosen != (len(r.Allowed) > 1) {
			t.Errorf("%q: the specification allows %v, in embeddedChooses: %v", r.Mutation, r.Allowed, chosen)
		}
	}
	for m, c := range bmv2Differs {
		if was, ok := embedded[m]; !ok || was == c {
			t.Errorf("%q: bmv2 differs by %v, the embedded switch answers %v", m, c, was)
		}
	}
}

// TestTargetsPage verifies that the table in docs/targets.md agrees with the tests.
func TestTargetsPage(t *testing.T) {
	page, err := os.ReadFile("../docs/targets.md")
	if err != nil {
		t.Fatal(err)
	}
	embedded, bmv2 := embeddedAnswers(), bmv2Answers()
	var want []string
	for _, r := range p4fuzz.Rules {
		var allowed []string
		for _, c := range r.Allowed {
			allowed = append(allowed, codeText(c))
		}
		other := codeText(bmv2[r.Mutation])
		if _, differs := bmv2Differs[r.Mutation]; differs {
			other = "**" + other + "**"
		}
		want = append(want, "| "+strings.Join([]string{string(r.Mutation), r.Section, strings.Join(allowed, ", "), codeText(embedded[r.Mutation]), other}, " | ")+" |")
	}
	var got []string
	for _, line := range strings.Split(string(page), "\n") {
		if m, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |"); strings.HasPrefix(line, "| ") {
			if _, ok := p4fuzz.RuleOf(p4fuzz.Mutation(m)); ok {
				got = append(got, line)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/targets.md differs from what the tests have (-tests +page):\n%s", diff)
	}
}

// codeText returns the name of a code as the specification writes it.
func codeText(c codes.Code) string {
	if c == codes.OK {
		return "OK"
	}
	return strings.ToUpper(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(c.String(), "${1}_$2"))
}
