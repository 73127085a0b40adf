package e2e

import (
	"net/netip"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
	"op25b/p4src"
)

// BenchmarkExemptions writes 100,000 exemptions to each switch as the controller does: it reads, plans, writes, reads back and compares. As
// the floor, a bare client in the same run sends the same updates in batches of 1,000 and checks nothing. ratio is the floor's time divided by
// the controller's time until all updates are written. ratio-verified is the floor's time divided by the controller's time until a read has
// confirmed the updates.
func BenchmarkExemptions(b *testing.B) {
	b.Run("embedded", func(b *testing.B) { benchExemptions(b, startEmbedded(b).P4Runtime) })
	b.Run("bmv2", func(b *testing.B) {
		path, reason := findBMv2()
		if path == "" {
			b.Skip(reason)
		}
		benchExemptions(b, startBMv2(b, path, 1, nil, []string{"--dp-grpc-server-addr", freeAddr(b)}))
	})
}

func benchExemptions(b *testing.B, p4runtime string) {
	const exemptions, batch = 100_000, 1000
	contract, err := pipeline.NewContract(p4src.P4Info())
	if err != nil {
		b.Fatal(err)
	}
	without, with := filtering(0, 0, 100), filtering(0, 0, 100)
	// Exemptions of prefixes are the same on every switch and are encoded only once, so they are in the shared state, as for a policy.
	with.Shared = &pipeline.Shared{State: pipeline.State{Subscribers: map[netip.Prefix]pipeline.Subscriber{}}}
	for i := range exemptions {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		if i >= 2*exemptions/3 {
			p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}), 128)
		}
		with.Shared.State.Subscribers[p] = pipeline.Subscriber{Class: 1}
	}
	session := dialPrimary(b, p4runtime)
	if _, err := session.EnsurePipeline(b.Context(), p4src.P4Info(), p4src.DeviceConfig()); err != nil {
		b.Fatal(err)
	}
	var written time.Time
	apply := func(s *pipeline.State) *reconcile.Plan {
		plan, _, err := reconcile.Apply(b.Context(), session, s, contract, reconcile.Options{Progress: func(reconcile.Progress) { written = time.Now() }})
		if err != nil {
			b.Fatal(err)
		}
		return plan
	}
	conn, err := grpc.NewClient(p4runtime, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	bare := p4v1.NewP4RuntimeClient(conn)

	var inForce, ours, floor time.Duration
	for b.Loop() {
		apply(without)
		began := time.Now()
		plan := apply(with)
		ours += time.Since(began)
		inForce += written.Sub(began)
		if plan.Updates() != exemptions {
			b.Fatalf("%d updates, want %d", plan.Updates(), exemptions)
		}
		updates := messages(plan.Steps[len(plan.Steps)-1].Updates)

		apply(without)
		began = time.Now()
		for from := 0; from < len(updates); from += batch {
			if _, err := bare.Write(b.Context(), &p4v1.WriteRequest{
				DeviceId: 1, ElectionId: &p4v1.Uint128{Low: 1}, Updates: updates[from:min(from+batch, len(updates))],
			}); err != nil {
				b.Fatal(err)
			}
		}
		floor += time.Since(began)
	}
	perSecond := func(d time.Duration) float64 { return float64(b.N) * exemptions / d.Seconds() }
	b.ReportMetric(perSecond(ours), "exemptions/s")
	b.ReportMetric(perSecond(floor), "bare/s")
	b.ReportMetric(floor.Seconds()/inForce.Seconds(), "ratio")
	b.ReportMetric(floor.Seconds()/ours.Seconds(), "ratio-verified")
	b.ReportMetric(0, "ns/op")
}
