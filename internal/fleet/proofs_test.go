package fleet

import (
	"context"
	"errors"
	"strings"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/intent"
	"op25b/internal/p4rt"
)

// TestProofOnASwitch verifies that a proof on request tries all packets of the switch, and finds an entry that the switch has lost.
func TestProofOnASwitch(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	in := apply(t, book, documentsOf(t, x))
	proofs := &Proofs{}
	if _, err := proofs.Prove(within(t), x.name, 100); !errors.Is(err, ErrNotOwned) || !strings.Contains(err.Error(), `"edge-1"`) {
		t.Errorf("without a session: %v", err)
	}
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now, Proofs: proofs})
	r.converged(x.name, in.Number)

	p, err := proofs.Prove(within(t), x.name, MaxProofPackets)
	if err != nil {
		t.Fatal(err)
	}
	hit, entries := 0, 0
	for _, table := range p.Tables {
		hit, entries = hit+table.Hit, entries+table.Entries
	}
	if !p.All || p.Packets < 500 || p.Deviating != 0 || p.Revision != in.Number || p.InForce == "" || hit*100 < entries*95 || hit+p.UnhitCount != entries {
		t.Errorf("%+v", p)
	}
	some, err := proofs.Prove(within(t), x.name, 100)
	if err != nil || some.All || some.Packets > 100 || some.Packets < 50 {
		t.Errorf("%+v, %v", some, err)
	}

	x.hand(t, update(p4v1.Update_DELETE, p4rt.Entity(relayEntry(t, x))))
	p, err = proofs.Prove(within(t), x.name, MaxProofPackets)
	if err != nil || p.Deviating == 0 || len(p.Deviations) == 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	if text := p.Deviations[0].String(); !strings.Contains(text, "although it should have the entries") || !strings.Contains(text, "remote_v4") {
		t.Error(text)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := proofs.Prove(ctx, x.name, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	r.end()
	if _, err := proofs.Prove(within(t), x.name, 100); !errors.Is(err, ErrNotOwned) {
		t.Errorf("after the end: %v", err)
	}
}
