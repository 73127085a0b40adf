package api

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/examples"
	op25bv1 "op25b/proto/op25b/v1"
)

// exempting is the worked example with some more exemptions of addresses.
func exempting(t testing.TB, n int) []*op25bv1.File {
	t.Helper()
	var b strings.Builder
	b.WriteString("exemptions:\n")
	addr := netip.MustParseAddr("100.64.0.0")
	for range n {
		fmt.Fprintf(&b, "  - {prefix: %v/32, owner: noc@isp.example, reason: test, expires: 2099-12-31}\n", addr)
		addr = addr.Next()
	}
	return edited(t, examples.SpinNet2006(), "exemptions:\n", b.String())
}

// TestI13ApplyRefusesWhatSwitchesWould: documents that no switch has room for are refused before they are stored, with the table, its size
// and the need, although the switch cannot be reached; and then a phase can be activated and rolled back.
func TestI13ApplyRefusesWhatSwitchesWould(t *testing.T) {
	w := newWorld(t, nil)
	w.put(spinnet(t))
	c := op25bv1.NewIntentServiceClient(w.dial())
	ctx := within(t)
	files := exempting(t, 82_200)
	err := refusal(c.Apply(ctx, &op25bv1.ApplyRequest{Files: files, Base: 1, Reason: "too many", NoWait: true}))
	want := `nothing was stored: switch "edge-1": table "subscriber_v4": no room: 81920 entries, 8`
	if got := status.Convert(err).Message(); status.Code(err) != codes.FailedPrecondition || !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " wanted") {
		t.Errorf("got %v, want %q", err, want)
	}
	if r, err := c.Current(ctx, &op25bv1.CurrentRequest{}); err != nil || r.Revision.Number != 1 {
		t.Errorf("the current revision is %v, %v", r, err)
	}
	phases := op25bv1.NewPhaseServiceClient(w.dial())
	stream, err := phases.Activate(ctx, &op25bv1.ActivateRequest{Phase: "all-destinations", Base: 1, Reason: "early", NoWait: true})
	told(t, stream, err)
	back, err := phases.Rollback(ctx, &op25bv1.RollbackRequest{Base: 2, Reason: "calls", NoWait: true})
	told(t, back, err)
}
