package api

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// An exempter changes exemptions in a test without waiting for switches.
type exempter struct {
	t testing.TB
	c op25bv1.ExemptionServiceClient
}

func (x exempter) told(stream grpc.ServerStreamingClient[op25bv1.Progress], err error) *op25bv1.Progress {
	x.t.Helper()
	return told(x.t, stream, err)[0]
}

func (x exempter) add(e *op25bv1.Exemption) *op25bv1.Progress {
	x.t.Helper()
	return x.told(x.c.Add(within(x.t), &op25bv1.AddExemptionRequest{Exemption: e, NoWait: true}))
}

// refused returns the error of a change.
func (x exempter) refused(code codes.Code, want string) func(grpc.ServerStreamingClient[op25bv1.Progress], error) {
	return func(stream grpc.ServerStreamingClient[op25bv1.Progress], err error) {
		x.t.Helper()
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), want) {
			x.t.Errorf("got %v, want %v with %q", err, code, want)
		}
	}
}

// TestExemptions adds, renews, ends and lists exemptions. Each change is a revision with an audit record, and nothing else changes. The same change
// again changes nothing.
func TestExemptions(t *testing.T) {
	w := newWorld(t, nil)
	c := op25bv1.NewExemptionServiceClient(w.dial())
	x := exempter{t, c}
	shop := &op25bv1.Exemption{Prefix: "192.0.2.128/28", Owner: "noc", Reason: "laboratory", Ticket: "T-1", Expires: "2006-12-31"}
	x.refused(codes.FailedPrecondition, "no intent")(c.Add(within(t), &op25bv1.AddExemptionRequest{Exemption: shop}))
	w.put(spinnet(t))
	before, err := w.book.Current(within(t))
	if err != nil {
		t.Fatal(err)
	}

	if p := x.add(shop); p.GetStored().GetNumber() != 2 || p.Unchanged {
		t.Errorf("added: %v", p)
	}
	if p := x.add(shop); p.GetStored().GetNumber() != 2 || !p.Unchanged {
		t.Errorf("added again: %v", p)
	}
	other := &op25bv1.Exemption{Prefix: "192.0.2.128/28", Owner: "abuse", Reason: "laboratory", Expires: "2006-11-30"}
	x.refused(codes.AlreadyExists, "prefix 192.0.2.128/28 is exempt until 2006-12-31, owner noc; move the day with op25b exempt renew")(c.Add(within(t), &op25bv1.AddExemptionRequest{Exemption: other}))
	renew := &op25bv1.RenewExemptionRequest{Prefix: "192.0.2.128/28", Expires: "2007-06-30", Review: "2007-03-01", Reason: "asked again", Ticket: "T-2", NoWait: true}
	if p := x.told(c.Renew(within(t), renew)); p.GetStored().GetNumber() != 3 {
		t.Errorf("renewed: %v", p)
	}
	if p := x.told(c.Renew(within(t), renew)); !p.Unchanged {
		t.Errorf("renewed again: %v", p)
	}
	same := &op25bv1.AddExemptionRequest{
		Exemption: &op25bv1.Exemption{Prefix: "2001:db8:f::1", Owner: "noc", Reason: "server", Expires: "2006-05-21"}, NoWait: true, RequestId: "request-0123456789",
	}
	for range 2 { // as if the first answer was lost
		if p := x.told(c.Add(within(t), same)); p.GetStored().GetNumber() != 4 || p.Unchanged {
			t.Errorf("added: %v", p)
		}
	}
	expect := func(what string, q *op25bv1.ListExemptionsRequest, total uint32, want ...string) {
		t.Helper()
		r, err := c.List(within(t), q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range r.Exemptions {
			got = append(got, strings.TrimSpace(e.Line+" "+e.Prefix+" "+e.Expires+" "+e.Owner+" "+e.Switch))
		}
		if !slices.Equal(got, want) || r.Total != total {
			t.Errorf("%s: %d exemptions %q, want %d and %q", what, r.Total, got, total, want)
		}
	}
	server, fixed, lab := "2001:db8:f::1/128 2006-05-21 noc", "business-fixed  2007-03-31 noc@isp.example edge-1", "192.0.2.128/28 2007-06-30 noc"
	expect("all", &op25bv1.ListExemptionsRequest{}, 3, server, fixed, lab)
	expect("a part", &op25bv1.ListExemptionsRequest{Skip: 1, Limit: 1}, 3, fixed)
	expect("expiring", &op25bv1.ListExemptionsRequest{Expiring: durationpb.New(14 * 24 * time.Hour)}, 1, server)
	fleet, err := op25bv1.NewFleetServiceClient(w.dial()).ListSwitches(within(t), &op25bv1.ListSwitchesRequest{})
	if want := "1 exemption ends within 14 days: op25b exempt list --expiring 14d"; err != nil || !slices.Contains(fleet.Notices, want) {
		t.Errorf("the status has the notices %q, %v, want %q", fleet.GetNotices(), err, want)
	}
	if _, metrics := get(t, "http://"+w.addr+"/metrics"); !strings.Contains(metrics, "\nop25b_exemptions 3\n") || !strings.Contains(metrics, "\nop25b_exemptions_ending 1\n") {
		t.Error("the metrics have other numbers of exemptions")
	}
	expect("a line", &op25bv1.ListExemptionsRequest{Line: "business-fixed"}, 1, fixed)
	expect("an address", &op25bv1.ListExemptionsRequest{Prefix: "192.0.2.130"}, 1, lab)

	w.now = w.now.AddDate(0, 0, 3)
	expect("ended ones are not expiring", &op25bv1.ListExemptionsRequest{Expiring: durationpb.New(14 * 24 * time.Hour)}, 0)
	if p := x.add(&op25bv1.Exemption{Prefix: "2001:db8:f::1", Owner: "sales", Reason: "again", Expires: "2006-12-31"}); p.GetStored().GetNumber() != 5 {
		t.Errorf("in place of one that ended: %v", p)
	}
	end := &op25bv1.EndExemptionRequest{Prefix: "192.0.2.128/28", Reason: "closed", Ticket: "T-3", NoWait: true}
	if p := x.told(c.End(within(t), end)); p.GetStored().GetNumber() != 6 {
		t.Errorf("ended: %v", p)
	}
	x.refused(codes.NotFound, "prefix 192.0.2.128/28 has none, so there is nothing to end")(c.End(within(t), end))
	expect("after all", &op25bv1.ListExemptionsRequest{}, 2, "2001:db8:f::1/128 2006-12-31 sales", fixed)

	records, err := w.store.Audit().Records(within(t), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	var verbs []string
	for _, r := range records {
		if strings.HasPrefix(r.Verb, "exempt") {
			verbs = append(verbs, r.Verb+", "+r.Object+", "+r.Reason+", "+r.Detail)
		}
	}
	want := []string{
		`exempt add, prefix 192.0.2.128/28, laboratory, {"prefix":"192.0.2.128/28","owner":"noc","reason":"laboratory","ticket":"T-1","expires":"2006-12-31"}`,
		`exempt renew, prefix 192.0.2.128/28, asked again, {"prefix":"192.0.2.128/28","owner":"noc","reason":"laboratory","ticket":"T-2","expires":"2007-06-30","review":"2007-03-01"}`,
		`exempt add, prefix 2001:db8:f::1/128, server, {"prefix":"2001:db8:f::1/128","owner":"noc","reason":"server","expires":"2006-05-21"}`,
		`exempt add, prefix 2001:db8:f::1/128, again, {"prefix":"2001:db8:f::1/128","owner":"sales","reason":"again","expires":"2006-12-31"}`,
		`exempt end, prefix 192.0.2.128/28, closed, {"prefix":"192.0.2.128/28","ticket":"T-3"}`,
	}
	if diff := cmp.Diff(want, verbs); diff != "" {
		t.Errorf("audit, -want +got:\n%s", diff)
	}
	after, err := intent.NewBook(w.store, func() time.Time { return w.now }).Current(within(t)) // reads the store anew
	if err != nil {
		t.Fatal(err)
	}
	if n := len(after.Bundle.Policy.Exemptions); n != 2 || !slices.EqualFunc(before.Files, after.Files, func(a, b strict.File) bool { return a.Name == b.Name && bytes.Equal(a.Data, b.Data) }) {
		t.Errorf("%d exemptions in %d files", n, len(after.Files))
	}
	old, err := w.book.At(within(t), 4)
	if err != nil || len(old.Bundle.Policy.Exemptions) != 3 {
		t.Errorf("revision 4: %v, %v", old, err)
	}
}

// TestExemptionFaults verifies the messages about exemptions that are not valid.
func TestExemptionFaults(t *testing.T) {
	w := newWorld(t, nil)
	w.put(spinnet(t))
	c := op25bv1.NewExemptionServiceClient(w.dial())
	x := exempter{t, c}
	for _, f := range []struct {
		e    *op25bv1.Exemption
		want string
	}{
		{&op25bv1.Exemption{Reason: "r"}, "line: the request names neither a line nor a prefix; give one of them"},
		{&op25bv1.Exemption{Line: "a", Prefix: "b"}, `prefix: the request names both line "a" and prefix "b"; give one of them`},
		{&op25bv1.Exemption{Prefix: "192.0.2.0-9"}, `prefix: "192.0.2.0-9" is not a prefix; must be a prefix such as`},
		{&op25bv1.Exemption{Line: "mobile-sim"}, "reason: a change requires a reason"},
		{&op25bv1.Exemption{Line: "business-fixd", Owner: "noc", Reason: "r", Expires: "2006-12-31"}, `line: exemption of unknown line "business-fixd"; did you mean "business-fixed"?`},
		{&op25bv1.Exemption{Line: "adsl-home", Owner: "noc", Reason: "r", Expires: "2006-12-31"}, `line: exemption of line "adsl-home", whose addresses are dynamic`},
		{&op25bv1.Exemption{Prefix: "192.0.2.129/28", Owner: "noc", Reason: "r", Expires: "2006-12-31"}, "prefix: prefix 192.0.2.129/28 has bits set behind its length"},
		{&op25bv1.Exemption{Prefix: "192.0.2.9", Reason: "r", Expires: "2006-12-31"}, "owner: no owner; give who answers for the exemption"},
		{&op25bv1.Exemption{Prefix: "192.0.2.9", Owner: "noc", Reason: "r"}, "expires: no last day; give the last day, such as 2027-03-31"},
		{&op25bv1.Exemption{Prefix: "192.0.2.9", Owner: "noc", Reason: "r", Expires: "31.12.2006"}, `expires: "31.12.2006" is not a date; must be year-month-day`},
		{&op25bv1.Exemption{Prefix: "192.0.2.9", Owner: "noc", Reason: "r", Expires: "2006-05-19"}, "expires: the last day of the exemption of prefix 192.0.2.9/32 is 2006-05-19, which has passed"},
		{&op25bv1.Exemption{Prefix: "192.0.2.9", Owner: "noc", Reason: strings.Repeat("r", 257), Expires: "2006-12-31"}, "reason: the reason of the exemption of prefix 192.0.2.9/32 has 257 bytes; it must have at most 256"},
	} {
		x.refused(codes.InvalidArgument, f.want)(c.Add(within(t), &op25bv1.AddExemptionRequest{Exemption: f.e}))
	}
	x.refused(codes.NotFound, "line mobile-sim has none, so there is nothing to end")(c.End(within(t), &op25bv1.EndExemptionRequest{Line: "mobile-sim", Reason: "r"}))
	x.refused(codes.NotFound, "line mobile-sim has none; add it with op25b exempt add")(c.Renew(within(t), &op25bv1.RenewExemptionRequest{Line: "mobile-sim", Expires: "2006-12-31", Reason: "r"}))
	x.refused(codes.InvalidArgument, "ticket: the ticket of the exemption of line \"business-fixed\" has 65 bytes")(c.End(within(t), &op25bv1.EndExemptionRequest{Line: "business-fixed", Reason: "r", Ticket: strings.Repeat("t", 65)}))
	if in, err := w.book.Current(within(t)); err != nil || in.Number != 1 {
		t.Errorf("revision %v, %v: something was stored", in, err)
	}
}

// TestPlanSaysWhatBecomesOfExemptions verifies that a plan says that files without exemptions keep them, and that it counts the removal of all as a
// mass change if the document of kind Exemptions is empty.
func TestPlanSaysWhatBecomesOfExemptions(t *testing.T) {
	w := newWorld(t, func(d *Deps) { d.MassChange = 5 })
	files := spinnet(t)
	for _, f := range files {
		if strings.Contains(string(f.Data), "kind: Exemptions") {
			f.Data = append(f.Data, "\n  - {prefix: 192.0.2.64/28, owner: noc, reason: laboratory, expires: 2007-03-31}\n  - {prefix: 192.0.2.80/28, owner: noc, reason: laboratory, expires: 2007-03-31}\n"...)
		}
	}
	w.put(files)
	c := op25bv1.NewIntentServiceClient(w.dial())
	without := slices.DeleteFunc(slices.Clone(files), func(f *op25bv1.File) bool { return strings.Contains(string(f.Data), "kind: Exemptions") })
	kept, err := c.Plan(within(t), &op25bv1.PlanRequest{Files: without})
	if err != nil {
		t.Fatal(err)
	}
	if want := "no file has a document of kind Exemptions, so the intent keeps its 3 exemptions"; !slices.Contains(kept.Plan.Notes, want) || len(kept.Plan.Documents) != 0 {
		t.Errorf("the notes are %q and the documents change by %v, want %q and none", kept.Plan.Notes, kept.Plan.Documents, want)
	}
	none := append(without, &op25bv1.File{Name: "exempt.yaml", Data: policy.EncodeExemptions(nil)})
	removed, err := c.Plan(within(t), &op25bv1.PlanRequest{Files: none})
	if err != nil {
		t.Fatal(err)
	}
	if len(removed.Plan.Removals) == 0 || slices.ContainsFunc(removed.Plan.Notes, func(s string) bool { return strings.Contains(s, "keeps") }) {
		t.Errorf("the removals are %v, the notes %q", removed.Plan.Removals, removed.Plan.Notes)
	}
}
