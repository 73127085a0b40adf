package e2e

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/store"
)

// TestOwnerHearsOfMailFlows verifies that a controller receives the mail flows of real packets from a switch that it owns: attempts of two
// lines, while it goes on to audit the switch.
func TestOwnerHearsOfMailFlows(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		wants(t, "embedded", "")
		addrs := startEmbedded(t)
		ownerHears(t, addrs.P4Runtime, addrs.Dataplane)
	})
	t.Run("bmv2", func(t *testing.T) {
		path, reason := findBMv2()
		wants(t, "bmv2", reason)
		packets := freeAddr(t)
		ownerHears(t, startBMv2(t, path, 1, nil, []string{"--dp-grpc-server-addr", packets}), packets)
	})
}

func ownerHears(t *testing.T, p4runtime, packets string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := store.Open(ctx, store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	begins := time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC) // in the phase "before", which monitors
	now := func() time.Time { return begins }
	book := intent.NewBook(s, now)
	files := examples.SpinNet2006()
	for i := range files {
		files[i].Data = []byte(strings.ReplaceAll(string(files[i].Data), "127.0.0.1:9559", p4runtime))
	}
	proposal, err := book.Propose(ctx, files)
	if err != nil {
		t.Fatal(err)
	}
	in, err := book.Put(ctx, proposal, intent.By{Who: "noc", Reason: "test"})
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := in.Compile("edge-1", begins)
	if err != nil {
		t.Fatal(err)
	}
	heard, converged := make(chan pipeline.MailFlow, 64), make(chan struct{}, 1)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- fleet.Run(running, fleet.Config{
			Name: "noc-1", Store: s, Book: book, Now: now, AuditEvery: 100 * time.Millisecond,
			OnStatus: func(st fleet.Status) {
				if st.State == fleet.StateConverged {
					select {
					case converged <- struct{}{}:
					default:
					}
				}
			},
			OnFlows: func(name string, flows []pipeline.MailFlow) {
				for _, f := range flows {
					if name == "edge-1" {
						heard <- f
					}
				}
			},
		})
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-converged:
	case <-ctx.Done():
		t.Fatal("the switch is not converged")
	}
	client := dialPackets(t, packets, 1, 1, 11)
	defer client.Close()
	send := func(port uint32, frame []byte) {
		t.Helper()
		link, err := client.Port(port, "line")
		if err != nil {
			t.Fatal(err)
		}
		defer link.Close()
		if err := link.Send(frame); err != nil {
			t.Fatal(err)
		}
	}
	provider := pipeline.MAC{2, 0, 0, 0, 2, 3}
	mx := netip.MustParseAddr("203.0.113.129")
	// The subscription follows the convergence, so the first attempts may come before it. Each attempt goes to another server, because the
	// switch reports a line and a server at most once in 67 seconds.
	var got pipeline.MailFlow
	for i := range 200 {
		mx = mx.Next()
		send(2, tcp4(t, pipeline.MAC{2, 0, 0, 0, 1, 2}, provider, "192.0.2.12", mx.String(), uint16(40000+i), 25, flagSYN))
		select {
		case got = <-heard:
		case <-time.After(50 * time.Millisecond):
			continue
		case <-ctx.Done():
		}
		break
	}
	rule, _ := compiled.RuleByName("smtp-all")
	if compiled.Lines[got.Line] != "adsl-bot" || got.Rule != rule.ID || got.Action != pipeline.Monitor || got.Leg != pipeline.UpDst ||
		got.Subscriber != netip.MustParseAddr("192.0.2.12") || got.SYNACK {
		t.Fatalf("%+v, want an attempt of adsl-bot that rule %d monitors", got, rule.ID)
	}
	carrier := netip.MustParseAddr("203.0.113.25")
	send(1, tcp4(t, pipeline.MAC{2, 0, 0, 0, 1, 1}, pipeline.MAC{2, 0, 0, 0, 2, 2}, "192.0.2.11", carrier.String(), 41000, 25, flagSYN))
	for {
		select {
		case got = <-heard:
		case <-ctx.Done():
			t.Fatal("the second line was not reported")
		}
		if compiled.Lines[got.Line] == "adsl-home" {
			break
		}
	}
	if rule, _ := compiled.RuleByName("smtp-carrier"); got.Remote != carrier || got.Rule != rule.ID {
		t.Errorf("%+v, want an attempt to %v that rule %d monitors", got, carrier, rule.ID)
	}
}
