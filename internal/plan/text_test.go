package plan

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/bring"
	"op25b/internal/view"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// text is a plan as people see it.
func text(t testing.TB, p *op25bv1.Plan, full, colour bool) string {
	t.Helper()
	var b bytes.Buffer
	if err := view.Table(&b, view.Options{Colour: colour, Now: p.Time.AsTime, Location: time.UTC}).Plan(p, full); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A change as an operator sees it, of a real policy: one switch is as it was left, on one somebody has been, and one is away.
func TestText(t *testing.T) {
	w := newWorld(t, "2026-05-01")
	east, _ := startSwitch(t, 11)
	west, _ := startSwitch(t, 12)
	files := edit(t, examples.LibmoMobile(), "127.0.0.1:9571", east, "127.0.0.1:9572", west, "127.0.0.1:9573", nobody(t), "nat64: [well-known]", "nat64: []")
	one := w.put(files)
	w.bring(one, "edge-east")
	w.bring(one, "edge-west")
	w.stray(one, "edge-west")
	w.applied["edge-south"] = bring.Applied{Revision: 1}
	made := w.make(one, w.propose(edit(t, files, "effective: 2026-06-01", "effective: 2026-04-20", "review: 2027-03-31", "review: 2026-04-30",
		"name: sim-west-3", "name: sim-west-three", "198.51.100.16/28", "198.51.100.16/29")))
	for i, addr := range []string{"192.0.2.1:9559", "192.0.2.2:9559", "192.0.2.3:9559"} {
		s := made.Switches[i]
		s.Reason = strings.ReplaceAll(s.Reason, s.Address, addr)
		s.Address = addr
	}
	got := text(t, made, false, false)
	if got != wantText {
		t.Errorf("got\n%s\nwant\n%s", got, wantText)
	}
	for _, line := range strings.Split(got, "\n") {
		if prose.Columns(line) > view.Width {
			t.Errorf("wider than %d columns: %s", view.Width, line)
		}
	}

	detailed := text(t, made, true, true)
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

const wantText = `plan on revision 1, policy libmo-mobile, made 2026-05-01 09:00:00 +0900

documents
  ~ examples/libmo-mobile/inventory.yaml: 1 line added, 1 removed
  ~ examples/libmo-mobile/policy.yaml: 3 lines added, 3 removed

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
  unreachable: 192.0.2.3:9559 device 13: connect: unreachable: Unavailable: connection error: desc =
               "transport: Error while dialing: dial tcp 192.0.2.3:9559: connect: connection
               refused"; this plan assumes the entries of revision 1
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

4 entries to add, 9 to change, 4 to remove, by 11 updates to 3 of 3 switches
drift: 2 entries on 1 switch
1 switch could not be read; that part of the plan is assumed
this stops mail: see the lines marked STOPS
`
