package api

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	op25bv1 "op25b/proto/op25b/v1"
)

// told receives all messages of a stream.
func told[T any](t testing.TB, stream grpc.ServerStreamingClient[T], err error) []*T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var all []*T
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("after %v: %v", all, err)
		}
		all = append(all, m)
	}
}

// refusal returns the error of a stream that is expected to fail.
func refusal[T any](stream grpc.ServerStreamingClient[T], err error) error {
	for err == nil {
		_, err = stream.Recv()
	}
	return err
}

// An operator plans, applies, activates and restores. Every change creates a revision and an audit record, and nothing else
// creates an audit record.
func TestIntent(t *testing.T) {
	w := newWorld(t, nil)
	c := op25bv1.NewIntentServiceClient(w.dial())
	ctx := within(t)
	if _, err := c.Current(ctx, &op25bv1.CurrentRequest{}); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "there is no intent yet") {
		t.Errorf("before the first revision: %v", err)
	}
	files := spinnet(t)
	planned, err := c.Plan(ctx, &op25bv1.PlanRequest{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	if p := planned.Plan; p.Base != 0 || !p.Changes || len(p.Switches) != 1 || p.Switches[0].Standing != "unreachable" || len(p.Files) != 0 {
		t.Errorf("%v", p)
	}
	stream, err := c.Apply(ctx, &op25bv1.ApplyRequest{Files: files, Reason: "begin", NoWait: true})
	events := told(t, stream, err)
	if len(events) != 1 || events[0].GetStored().GetNumber() != 1 || events[0].GetStored().Author != LocalCaller || events[0].GetStored().Policy != "spinnet-2006" {
		t.Errorf("%v", events)
	}

	// A saved plan contains its files and its base. It cannot be applied after another revision has become current.
	later := replaced(t, files, "effective: 2006-06-01", "effective: 2006-05-19")
	planned, err = c.Plan(ctx, &op25bv1.PlanRequest{Files: later, Base: 1})
	if err != nil {
		t.Fatal(err)
	}
	if p := planned.Plan; p.Base != 1 || len(p.Documents) != 1 || !strings.Contains(p.Documents[0].Unified, "\n+    effective: 2006-05-19\n") {
		t.Errorf("%v", p)
	}
	saved := planned.Plan
	saved.Files = later
	stream, err = c.Apply(ctx, &op25bv1.ApplyRequest{Plan: saved, Reason: "sooner"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if second, err := stream.Recv(); err != nil || second.GetSwitch().GetState() != unknownState {
		t.Fatalf("%v, %v", second, err)
	}
	w.switches.tell(&op25bv1.SwitchStatus{
		Switch: "edge-1", State: converged, Converged: true, Revision: 2, Wanted: 2, RevisionId: first.GetStored().GetId(),
	})
	events = append([]*op25bv1.Progress{first}, told(t, stream, nil)...)
	if len(events) != 3 || events[0].GetStored().GetNumber() != 2 || events[1].GetSwitch().GetSwitch() != "edge-1" || events[2].GetDone().GetConverged() != 1 {
		t.Errorf("%v", events)
	}
	stream, err = c.Apply(ctx, &op25bv1.ApplyRequest{Plan: saved, Reason: "again"})
	err = refusal(stream, err)
	if status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "revision 1") || !strings.Contains(err.Error(), "2") {
		t.Errorf("a stale plan: %v", err)
	}
	if d := detail[*op25bv1.Stale](err); !proto.Equal(d, &op25bv1.Stale{Base: 1, Current: 2}) {
		t.Errorf("a stale plan: %v", d)
	}
	stream, err = c.Apply(ctx, &op25bv1.ApplyRequest{Files: later, Base: 2, Reason: "nothing"})
	if err := refusal(stream, err); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "nothing to change") {
		t.Errorf("the same again: %v", err)
	}

	restored, err := c.Restore(ctx, &op25bv1.RestoreRequest{Revision: 1, Base: 2, Reason: "too soon", NoWait: true})
	if events := told(t, restored, err); events[0].GetStored().GetNumber() != 3 {
		t.Errorf("%v", events)
	}
	shown, err := c.Show(ctx, &op25bv1.ShowRequest{Revision: 3})
	if err != nil {
		t.Fatal(err)
	}
	if shown.Revision.Number != 3 || len(shown.Files) != 3 || !slices.EqualFunc(shown.Files[:2], files[:2], func(a, b *op25bv1.File) bool { return proto.Equal(a, b) }) ||
		shown.Files[2].Name != "exemptions.yaml" || !strings.Contains(string(shown.Files[2].Data), "{line: business-fixed, owner: noc@isp.example") {
		t.Errorf("%v", shown.Revision)
	}
	history, err := c.History(ctx, &op25bv1.HistoryRequest{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if r := history.Revisions; len(r) != 2 || r[0].Number != 3 || r[1].Number != 2 || r[1].Reason != "sooner" {
		t.Errorf("%v", r)
	}
	diff, err := c.Diff(ctx, &op25bv1.DiffRequest{From: 2, To: 3})
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Documents; len(d) != 1 || d[0].Path != "files/examples/spinnet-2006/policy.yaml" || !strings.Contains(d[0].Unified, "\n+    effective: 2006-06-01\n") {
		t.Errorf("%v", d)
	}
	want := []string{
		"local admin apply policy spinnet-2006 on 1 switch", "local admin apply policy spinnet-2006 on 1 switch", "local admin refused apply",
		"local admin restore revision 1",
	}
	if got := w.chain(); !slices.Equal(got, want) {
		t.Errorf("the chain is %q, want %q", got, want)
	}
	records, err := op25bv1.NewAuditServiceClient(w.dial()).ListRecords(ctx, &op25bv1.ListRecordsRequest{From: 2, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r := records.Records; len(r) != 1 || r[0].Reason != "sooner" || !strings.Contains(r[0].Detail, "\n-    effective: 2006-06-01\n+    effective: 2006-05-19\n") {
		t.Errorf("%v", r)
	}
}

// detail returns the first detail of type M in an error.
func detail[M proto.Message](err error) M {
	var none M
	for _, d := range status.Convert(err).Details() {
		if m, ok := d.(M); ok {
			return m
		}
	}
	return none
}

// Phases are activated on the requested switches and line groups, and can be rolled back.
func TestPhases(t *testing.T) {
	w := newWorld(t, nil)
	c := op25bv1.NewPhaseServiceClient(w.dial())
	ctx := within(t)
	if _, err := c.ListPhases(ctx, &op25bv1.ListPhasesRequest{}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("without intent: %v", err)
	}
	w.put(spinnet(t))
	stream, err := c.Activate(ctx, &op25bv1.ActivateRequest{Phase: "mobile-carriers", Groups: []string{"adsl"}, Base: 1, Reason: "pilot", NoWait: true})
	if events := told(t, stream, err); events[0].GetStored().GetNumber() != 2 {
		t.Errorf("%v", events)
	}
	listed, err := c.ListPhases(ctx, &op25bv1.ListPhasesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if listed.Revision != 2 || len(listed.Phases) != 3 || listed.Next.AsTime().Format("2006-01-02T15") != "2006-05-31T15" {
		t.Errorf("%v", listed)
	}
	before, carriers := listed.Phases[0], listed.Phases[1]
	if before.Name != "before" || before.Effective != "2006-05-18" || before.Everywhere || len(before.InForce) != 1 || !before.InForce[0].ByDefault ||
		slices.Contains(before.InForce[0].Groups, "adsl") || len(before.InForce[0].Groups) != 4 {
		t.Errorf("%v", before)
	}
	if len(carriers.InForce) != 1 || !slices.Equal(carriers.InForce[0].Groups, []string{"adsl"}) || carriers.InForce[0].ByDefault {
		t.Errorf("%v", carriers)
	}
	shown, err := c.ShowPhase(ctx, &op25bv1.ShowPhaseRequest{Phase: "mobile-carriers"})
	if err != nil {
		t.Fatal(err)
	}
	want := &op25bv1.PhaseRule{Name: "smtp-carrier", Service: "smtp", Ports: []uint32{25}, Remote: "mobile-carrier", Action: "drop"}
	if len(shown.Rules) != 2 || !proto.Equal(shown.Rules[0], want) || shown.Phase.Name != "mobile-carriers" {
		t.Errorf("%v", shown)
	}
	w.now = w.now.AddDate(0, 0, 1)
	stream, err = c.Rollback(ctx, &op25bv1.RollbackRequest{Groups: []string{"adsl"}, Base: 2, Reason: "calls", NoWait: true})
	if events := told(t, stream, err); events[0].GetStored().GetNumber() != 3 {
		t.Errorf("%v", events)
	}
	if listed, err = c.ListPhases(ctx, &op25bv1.ListPhasesRequest{}); err != nil || !listed.Phases[0].Everywhere || listed.Phases[1].InForce != nil {
		t.Errorf("%v, %v", listed, err)
	}
	shownIntent, err := op25bv1.NewIntentServiceClient(w.dial()).Show(ctx, &op25bv1.ShowRequest{})
	if err != nil || len(shownIntent.Activations) != 2 || shownIntent.Activations[0].Reason != "pilot" || shownIntent.Activations[1].Undoes != 2 {
		t.Errorf("%v, %v", shownIntent.GetActivations(), err)
	}
	if got, want := w.chain(), []string{"test  apply policy spinnet-2006 on 1 switch", "local admin activate phase mobile-carriers", "local admin rollback revision 2, phase mobile-carriers"}; !slices.Equal(got, want) {
		t.Errorf("the chain is %q, want %q", got, want)
	}
}

// I11: the history lists the dates that have come into force, each before the revision that was current at that time.
func TestHistoryOfDates(t *testing.T) {
	w := newWorld(t, nil)
	ctx := within(t)
	first := w.put(spinnet(t))
	if err := w.book.WriteDates(ctx, first, w.now, "noc-1"); err != nil {
		t.Fatal(err)
	}
	w.now = time.Date(2006, 6, 2, 0, 0, 0, 0, time.UTC)
	if err := w.book.WriteDates(ctx, first, w.now, "noc-1"); err != nil {
		t.Fatal(err)
	}
	second := w.put(replaced(t, spinnet(t), "ticket: OP25B-17", "ticket: OP25B-18"))
	if err := w.book.WriteDates(ctx, second, time.Date(2007, 4, 1, 0, 0, 0, 0, time.UTC), "noc-1"); err != nil {
		t.Fatal(err)
	}
	c := op25bv1.NewIntentServiceClient(w.dial())
	list := func(q *op25bv1.HistoryRequest) (all []string) {
		t.Helper()
		r, err := c.History(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Entries {
			if d := e.GetDate(); d != nil {
				all = append(all, fmt.Sprint(d.Kind, d.Phase, len(d.Turns), len(d.Exemptions)))
			} else {
				all = append(all, fmt.Sprint(e.GetRevision().GetNumber()))
			}
		}
		return all
	}
	want := []string{"EXEMPTIONS 0 1", "PHASE all-destinations 1 0", "2", "PHASE mobile-carriers 1 0", "1"}
	if got := list(&op25bv1.HistoryRequest{}); len(got) != len(want) || !slices.EqualFunc(got, want, func(a, b string) bool { return strings.ReplaceAll(a, " ", "") == strings.ReplaceAll(b, " ", "") }) {
		t.Errorf("the history is %q, want %q", got, want)
	}
	if got := list(&op25bv1.HistoryRequest{Before: 2}); len(got) != 2 || got[1] != "1" {
		t.Errorf("before revision 2 it is %q", got)
	}
}
