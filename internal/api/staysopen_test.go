package api

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"op25b/examples"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestStaysOpen verifies what each phase of a policy with own servers leaves open: every service of the own servers until ownServices names
// some, and the exemptions at the date of the phase. The exemption ends with 2022-06-30, so that it does not cover the phase of 2022-07-01.
func TestStaysOpen(t *testing.T) {
	w := newWorld(t, nil)
	w.put(edited(t, examples.SpinNet2022(), "127.0.0.1:9559", nobody(t), "review: 2022-12-31", "review: 2022-05-31", "expires: 2023-03-31", "expires: 2022-06-30"))
	c := op25bv1.NewPhaseServiceClient(w.dial())
	listed, err := c.ListPhases(within(t), &op25bv1.ListPhasesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	all := &op25bv1.OpenServers{Name: "own-servers", Title: "Our own mail servers"}
	some := &op25bv1.OpenServers{Name: "own-servers", Title: "Our own mail servers", Limited: true, Services: []string{"submissions", "pop3s", "imaps"}}
	leased := &op25bv1.OpenServers{Name: "own-servers", Title: "Our own mail servers", Limited: true, Services: []string{"smtp", "submissions", "pop3", "imap", "pop3s", "imaps"}}
	ports := []uint32{465, 587}
	want := map[string]*op25bv1.StaysOpen{
		"before":           {Servers: []*op25bv1.OpenServers{all}, Ports: ports, ExemptLines: 1},
		"all-destinations": {Servers: []*op25bv1.OpenServers{leased}, Ports: ports, ExemptLines: 1},
		"plain-counted":    {Servers: []*op25bv1.OpenServers{some}, Ports: ports, ExemptLines: 1},
		"plain-ends-first": {Servers: []*op25bv1.OpenServers{some}, Ports: ports},
		"tls-only":         {Servers: []*op25bv1.OpenServers{some}, Ports: ports},
	}
	seen := 0
	for _, ph := range listed.Phases {
		if want[ph.Name] == nil {
			continue
		}
		if seen++; !proto.Equal(ph.StaysOpen, want[ph.Name]) {
			t.Errorf("phase %s leaves open %v, want %v", ph.Name, ph.StaysOpen, want[ph.Name])
		}
	}
	if seen != len(want) {
		t.Errorf("%d of the phases are listed, want %d", seen, len(want))
	}
	shown, err := c.ShowPhase(within(t), &op25bv1.ShowPhaseRequest{Phase: "tls-only"})
	if err != nil || !proto.Equal(shown.Phase.StaysOpen, want["tls-only"]) {
		t.Errorf("%v, %v", shown, err)
	}
}
