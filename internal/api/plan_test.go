package api

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/examples"
	"op25b/internal/bring"
	"op25b/internal/bring/bringtest"
	"op25b/internal/intent"
	"op25b/internal/meaning"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/prove"
	"op25b/internal/reconcile"
	"op25b/internal/softswitch"
	"op25b/internal/view"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// planText returns a plan's message as the command line prints it.
func planText(t testing.TB, p *plan.Plan, full, colour bool) string {
	t.Helper()
	var b bytes.Buffer
	now := func() time.Time { return p.Time }
	if err := view.Table(&b, view.Options{Colour: colour, Now: now, Location: time.UTC}).Plan(planMessage(p), full); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// startSwitch starts an embedded switch and returns its address.
func startSwitch(t testing.TB, device uint64) string {
	t.Helper()
	sw, err := softswitch.New(softswitch.Options{DeviceID: device})
	if err != nil {
		t.Fatal(err)
	}
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { services.Close(); _ = sw.Close() })
	return services.Addrs.P4Runtime
}

// bring brings a switch to an intent as its controller does, and then writes updates as another program would.
func (w *world) bring(in *intent.Intent, name string, updates ...*p4v1.Update) {
	w.t.Helper()
	compiled, err := in.Compile(name, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	sw, _ := in.Bundle.Inventory.Switch(name)
	s, err := p4rt.Dial(within(w.t), p4rt.Config{Addr: sw.P4Runtime, DeviceID: uint64(sw.DeviceID), ElectionID: p4rt.ElectionID{Low: 1}})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	if err := s.WaitPrimary(within(w.t)); err != nil {
		w.t.Fatal(err)
	}
	if _, err := bringtest.Converge(within(w.t), s, &compiled.State); err != nil {
		w.t.Fatal(err)
	}
	if len(updates) > 0 {
		if err := s.Write(within(w.t), updates); err != nil {
			w.t.Fatal(err)
		}
	}
}

// entry returns the first entry of a state that is not a default entry.
func entry(t testing.TB, state pipeline.State) pipeline.Entry {
	t.Helper()
	entries, err := state.Entries()
	if err != nil {
		t.Fatal(err)
	}
	return entries[slices.IndexFunc(entries, func(e pipeline.Entry) bool { return !e.IsDefault() })]
}

// The plan text shows the change of a real policy on three switches: one is as its controller left it, one was changed by another program, and
// one is unreachable.
func TestPlanText(t *testing.T) {
	w := newWorld(t, nil)
	w.now = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	files := edited(t, examples.LibmoMobile(), "127.0.0.1:9571", startSwitch(t, 11), "127.0.0.1:9572", startSwitch(t, 12), "127.0.0.1:9573", nobody(t),
		"nat64: [well-known]", "nat64: []")
	one := w.put(files)
	foreign := entry(t, pipeline.State{Bridge: map[pipeline.MAC]pipeline.BridgePort{{2, 9, 9, 9, 9, 9}: {Port: 7}}})
	mine := entry(t, pipeline.State{Remotes: map[netip.Prefix]pipeline.Class{netip.MustParsePrefix("2001:db8:25::/64"): 1}})
	w.bring(one, "edge-east")
	w.bring(one, "edge-west", &p4v1.Update{Type: p4v1.Update_INSERT, Entity: p4rt.Entity(foreign)}, &p4v1.Update{Type: p4v1.Update_DELETE, Entity: p4rt.Entity(mine)})
	applied := map[string]bring.Applied{"edge-east": {Revision: 1, Audited: w.now}, "edge-west": {Revision: 1, Audited: w.now}, "edge-south": {Revision: 1}}
	for _, c := range [][2]string{
		{"effective: 2026-06-01", "effective: 2026-04-20"},
		{"review: 2027-03-31", "review: 2026-04-30"},
		{"name: sim-west-3", "name: sim-west-three"},
		{"198.51.100.16/28", "198.51.100.16/29"},
	} {
		files = replaced(t, files, c[0], c[1])
	}
	docs, err := filesOf(files, MaxFiles)
	if err != nil {
		t.Fatal(err)
	}
	proposal, err := w.book.Propose(within(t), docs)
	if err != nil {
		t.Fatal(err)
	}
	planner, err := plan.New(plan.Config{At: w.book.At, Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	made, err := planner.Make(within(t), plan.Request{Base: one, Proposed: proposal.Intent, Applied: applied, Prove: true})
	if err != nil {
		t.Fatal(err)
	}
	if made.ProofErr != nil || made.Proof.Err() != nil || made.Proof.Packets == 0 {
		t.Fatalf("the proof: %+v, %v", made.Proof, made.ProofErr)
	}
	made.Proof = &prove.Result{Packets: 1200, States: 9, Tables: []prove.Table{{Name: "line", Entries: 6, Hit: 5}}} // package prove tests the figures
	for i, addr := range []string{"192.0.2.1:9559", "192.0.2.2:9559", "192.0.2.3:9559"} {
		s := made.Switches[i]
		s.Reason = strings.ReplaceAll(s.Reason, s.Address, addr)
		s.Address = addr
	}
	got := planText(t, made, false, false)
	if got != wantPlanText {
		t.Errorf("got\n%s\nwant\n%s", got, wantPlanText)
	}
	for _, line := range strings.Split(got, "\n") {
		if prose.Columns(line) > view.Width {
			t.Errorf("wider than %d columns: %s", view.Width, line)
		}
	}

	detailed := planText(t, made, true, true)
	for _, want := range []string{
		"    \x1b[31m--- current/examples/libmo-mobile/policy.yaml\x1b[0m\n",
		"    \x1b[32m+    effective: 2026-04-20\x1b[0m\n",
		"\x1b[31m  STOPS  every line: TCP/25 to other servers monitor -> reject\x1b[0m\n",
		"    \x1b[33m~ \x1b[0mverdict epoch=2",
	} {
		if !strings.Contains(detailed, want) {
			t.Errorf("with colors and differences, %q is not in\n%s", want, detailed)
		}
	}
}

// Entries use the names of the P4 program. An added entry has no old entry, and neither has a default entry that the switch did not report.
func TestPlanMessage(t *testing.T) {
	remote := func(class pipeline.Class) pipeline.Entry {
		return entry(t, pipeline.State{Remotes: map[netip.Prefix]pipeline.Class{netip.MustParsePrefix("198.51.100.0/24"): class}})
	}
	epoch := pipeline.EpochEntry(2, true)
	early := fmt.Errorf("early: %w", intent.ErrNoPhase)
	made := &plan.Plan{
		Base: 3, Time: time.Unix(60, 5), Policy: "p", UTCOffset: 9 * 60, Changes: true, Notes: []string{"n"},
		Documents: []plan.DocumentDiff{{Path: "files/a", Added: true, Unified: "u", Truncated: true}, {Path: "files/b", Removed: true}},
		Totals: plan.Totals{
			Switches: 1, SwitchesChanged: 2, SwitchesDrifted: 3, SwitchesUnread: 4, SwitchesRefused: 5, SwitchesWaiting: 6, Added: 7, Changed: 8, Removed: 9,
			Drifted: 10, Updates: 11, Stops: 12, Opens: 13, SwitchesGone: 14,
		},
		Switches: []*plan.SwitchPlan{{
			Switch: "s", Address: "a:1", Standing: plan.Empty, Reason: "r", AppliedRevision: 2, PhaseAfter: policy.Everywhere("watch"),
			Drift: &plan.EntryDiff{Added: 1, Foreign: 1},
			Change: &plan.EntryDiff{Added: 1, Changed: 2, Removed: 1, Entries: []plan.EntryChange{
				{Kind: plan.Removed, Old: remote(1)},
				{Kind: plan.Changed, Old: remote(1), New: remote(2)},
				{Kind: plan.Added, New: remote(2)},
				{Kind: plan.Changed, New: epoch},
			}},
			Updates: 5, Steps: []plan.StepCount{{Why: "w", Updates: 5}}, Tables: []reconcile.Fill{{Table: "t", Entries: 4, Size: 8}},
			Meaning: []meaning.Sentence{{Kind: meaning.OfPhase, Severity: meaning.Stops, Text: "x", Count: 2, What: "y", Terms: "z"}},
		}, {Switch: "early", Standing: plan.Read, Err: early}, {Switch: "full", Standing: plan.Read, Err: errors.New("no room")}},
	}
	const text1 = "remote_v4 prefix=198.51.100.0/24 => set_remote_class class_id=1"
	const text2 = "remote_v4 prefix=198.51.100.0/24 => set_remote_class class_id=2"
	want := &op25bv1.Plan{
		Base: 3, Time: &timestamppb.Timestamp{Seconds: 60, Nanos: 5}, Policy: "p", UtcOffset: "+09:00", Changes: true, Notes: []string{"n"},
		Documents: []*op25bv1.DocumentDiff{{Path: "files/a", Added: true, Unified: "u", Truncated: true}, {Path: "files/b", Removed: true}},
		Totals: &op25bv1.Totals{
			Switches: 1, SwitchesChanged: 2, SwitchesDrifted: 3, SwitchesUnread: 4, SwitchesRefused: 5, SwitchesWaiting: 6, Added: 7, Changed: 8, Removed: 9,
			Drifted: 10, Updates: 11, Stops: 12, Opens: 13, SwitchesGone: 14,
		},
		Switches: []*op25bv1.SwitchPlan{{
			Switch: "s", Address: "a:1", Standing: "empty", Reason: "r", AppliedRevision: 2, PhaseAfter: "watch",
			Drift: &op25bv1.Difference{Added: 1, Foreign: 1, Truncated: true},
			Change: &op25bv1.Difference{Added: 1, Changed: 2, Removed: 1, Entries: []*op25bv1.EntryChange{
				{Kind: "removed", Table: "remote_v4", Old: text1},
				{Kind: "changed", Table: "remote_v4", Old: text1, New: text2},
				{Kind: "added", Table: "remote_v4", New: text2},
				{Kind: "changed", Table: "running_epoch", New: "running_epoch default => set_epoch running=2 drain=1"},
			}},
			Updates: 5, Steps: []*op25bv1.PlanStep{{Why: "w", Updates: 5}}, Tables: []*op25bv1.TableFill{{Table: "t", Entries: 4, Size: 8}},
			Meaning: []*op25bv1.Sentence{{Kind: "phase", Severity: "stops", Text: "x", Count: 2, What: "y", Terms: "z"}},
		}, {Switch: "early", Standing: "read", Error: early.Error(), Waits: true}, {Switch: "full", Standing: "read", Error: "no room"}},
	}
	if got := planMessage(made); !proto.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

const wantPlanText = `plan on revision 1, policy libmo-mobile, made 2026-05-01 09:00:00 +0900

documents
  ~ examples/libmo-mobile/inventory.yaml: 1 line added, 1 removed
  ~ examples/libmo-mobile/policy.yaml: 2 lines added, 2 removed
  ~ exemptions.yaml: 1 line added, 1 removed

switch edge-east at 192.0.2.1:9559, brought to revision 1
  STOPS  every line: TCP/25 to 198.51.100.24/29, no longer in own-relay permit -> reject
  STOPS  every line: TCP/25 to other servers monitor -> reject
  STOPS  relay own-relay: +1 -1 prefix
  opens  drain begins: what rules drop or reject is new connections alone
         phase in force: watch -> drain
         every line: TCP/465, 587 to 198.51.100.24/29, no longer in own-relay permit, counted under
         relay -> submission
         exemption of line sim-alarm (192.0.2.20/32, 2001:db8:2:20::/64): review 2027-03-31 ->
         2026-04-30
  1 entry to add, 3 to change, 1 to remove, by 3 updates in 3 steps
    - remote_v4 prefix=198.51.100.16/28 => set_remote_class class_id=1
    + remote_v4 prefix=198.51.100.16/29 => set_remote_class class_id=1
    ~ verdict epoch=2 leg=1&7 service=1&255 priority=1 => monitor rule=5
        -> verdict epoch=2 leg=1&7 service=1&255 priority=1 => reject rule=5
    ~ verdict epoch=2 leg=2&7 service=1&255 priority=1 => monitor rule=5
        -> verdict epoch=2 leg=2&7 service=1&255 priority=1 => reject rule=5
    ~ running_epoch default => set_epoch running=2 drain=0
        -> running_epoch default => set_epoch running=2 drain=1
  capacity: service 4 of 64; all others have more room

switch edge-west at 192.0.2.2:9559, brought to revision 1
  drift since the last write: 1 entry added, 0 changed, 1 missing
    - remote_v6 prefix=2001:db8:25::/64 => set_remote_class class_id=1
    + bridge dst_addr=02:09:09:09:09:09 => forward_to_access port=7
  STOPS  every line: TCP/25 to 198.51.100.24/29, no longer in own-relay permit -> reject
  STOPS  every line: TCP/25 to other servers monitor -> reject
  STOPS  relay own-relay: +1 -1 prefix
  opens  drain begins: what rules drop or reject is new connections alone
         phase in force: watch -> drain
         every line: TCP/465, 587 to 198.51.100.24/29, no longer in own-relay permit, counted under
         relay -> submission
         line sim-west-3 is now called sim-west-three
  2 entries to add, 3 to change, 2 to remove, by 5 updates in 3 steps
    - remote_v4 prefix=198.51.100.16/28 => set_remote_class class_id=1
    + remote_v4 prefix=198.51.100.16/29 => set_remote_class class_id=1
    + remote_v6 prefix=2001:db8:25::/64 => set_remote_class class_id=1
    ~ verdict epoch=2 leg=1&7 service=1&255 priority=1 => monitor rule=5
        -> verdict epoch=2 leg=1&7 service=1&255 priority=1 => reject rule=5
    ~ verdict epoch=2 leg=2&7 service=1&255 priority=1 => monitor rule=5
        -> verdict epoch=2 leg=2&7 service=1&255 priority=1 => reject rule=5
    ~ running_epoch default => set_epoch running=2 drain=0
        -> running_epoch default => set_epoch running=2 drain=1
    - bridge dst_addr=02:09:09:09:09:09 => forward_to_access port=7
  capacity: service 4 of 64; all others have more room

switch edge-south at 192.0.2.3:9559, brought to revision 1
  unreachable: 192.0.2.3:9559 device 13: connect: unreachable: connection refused; this plan assumes
               the entries of revision 1
  STOPS  every line: TCP/25 to 198.51.100.24/29, no longer in own-relay permit -> reject
  STOPS  every line: TCP/25 to other servers monitor -> reject
  STOPS  relay own-relay: +1 -1 prefix
  opens  drain begins: what rules drop or reject is new connections alone
         phase in force: watch -> drain
         every line: TCP/465, 587 to 198.51.100.24/29, no longer in own-relay permit, counted under
         relay -> submission
  1 entry to add, 3 to change, 1 to remove, by 3 updates in 3 steps
    - remote_v4 prefix=198.51.100.16/28 => set_remote_class class_id=1
    + remote_v4 prefix=198.51.100.16/29 => set_remote_class class_id=1
    ~ verdict epoch=2 leg=1&7 service=1&255 priority=1 => monitor rule=5
        -> verdict epoch=2 leg=1&7 service=1&255 priority=1 => reject rule=5
    ~ verdict epoch=2 leg=2&7 service=1&255 priority=1 => monitor rule=5
        -> verdict epoch=2 leg=2&7 service=1&255 priority=1 => reject rule=5
    ~ running_epoch default => set_epoch running=2 drain=0
        -> running_epoch default => set_epoch running=2 drain=1
  capacity: service 4 of 64; all others have more room

note: exemption of line sim-alarm, owner business@operator.example, is due for review since
      2026-04-30

proved on the twin: 1,200 packets and 9 states agree with the documents and this plan; 5 of 6
entries hit
4 entries to add, 9 to change, 4 to remove, by 11 updates to 3 of 3 switches
drift: 2 entries on 1 switch
1 switch could not be read; that part of the plan is assumed
this stops mail: see the lines marked STOPS
`
