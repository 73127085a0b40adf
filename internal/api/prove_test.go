package api

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/fleet"
	"op25b/internal/prove"
	op25bv1 "op25b/proto/op25b/v1"
)

// toldProofs answers with a result or an error.
type toldProofs struct {
	result *fleet.Proof
	err    error
	most   int
}

func (p *toldProofs) Prove(_ context.Context, _ string, most int) (*fleet.Proof, error) {
	p.most = most
	return p.result, p.err
}

// TestProve verifies that Prove passes on what a proof on a switch shows, bounds the number of packets, and says why there is no result.
func TestProve(t *testing.T) {
	proofs := &toldProofs{}
	w := newWorld(t, func(d *Deps) { d.Proofs, d.Name = proofs, "noc-1" })
	w.put(spinnet(t))
	client := op25bv1.NewFleetServiceClient(w.dial())
	ask := func(name string, packets uint32) (*op25bv1.ProveResponse, error) {
		return client.Prove(within(t), &op25bv1.ProveRequest{Switch: name, Packets: packets})
	}
	proofs.result = &fleet.Proof{
		Revision: 7, InForce: "all-destinations", Packets: 2, All: true, Deviating: 1, UnhitCount: 1,
		Deviations: []*prove.Deviation{{Packet: prove.Packet{Port: 3, Frame: []byte{1}, About: "SYN from line x"}, Missed: []string{"remote_v4"}}},
		Tables:     []prove.Table{{Name: "line", Entries: 4, Hit: 3, Missed: true}},
		Unhit:      []prove.Unhit{{Entry: "line port=1", Why: "no frame"}},
	}
	r, err := ask("edge-1", 0)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Deviations[0]
	if proofs.most != 10_000 || r.Switch != "edge-1" || r.Revision != 7 || r.InForce != "all-destinations" || r.Packets != 2 || !r.All || r.Deviating != 1 || r.UnhitCount != 1 ||
		d.Port != 3 || d.About != "SYN from line x" || d.Missed[0] != "remote_v4" || d.Text == "" || r.Tables[0].Hit != 3 || !r.Tables[0].Missed || r.Unhit[0].Why != "no frame" {
		t.Errorf("%d packets at most, %v", proofs.most, r)
	}
	if _, err := ask("edge-1", 100_000); err != nil || proofs.most != 100_000 {
		t.Errorf("%d packets, %v", proofs.most, err)
	}

	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-1", Owner: "noc-2"})
	for _, c := range []struct {
		name    string
		packets uint32
		err     error
		code    codes.Code
		want    string
	}{
		{"edge-1", 100_001, nil, codes.InvalidArgument, "packets: 100001: must be at most 100000"},
		{"edge-9", 1, nil, codes.NotFound, `unknown switch "edge-9"; known: edge-1`},
		{"edge-1", 1, fmt.Errorf("%w %q", fleet.ErrNotOwned, "edge-1"), codes.FailedPrecondition, `this controller does not own the switch "edge-1": noc-2 does; ask it with --server`},
		{"edge-1", 1, fmt.Errorf("switch %q: %w", "edge-1", fleet.ErrNotWanted), codes.FailedPrecondition, `switch "edge-1": the switch is not in the wanted state`},
		{"edge-1", 1, fleet.ErrUnanswered, codes.Unavailable, "the switch has not answered"},
	} {
		proofs.err = c.err
		if _, err := ask(c.name, c.packets); status.Code(err) != c.code || status.Convert(err).Message() != c.want {
			t.Errorf("%v, want %v: %s", err, c.code, c.want)
		}
	}
}
