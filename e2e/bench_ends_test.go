package e2e

import (
	"net/netip"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"op25b/internal/bring"
	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
	"op25b/internal/strict"
	"op25b/p4src"
)

const endsDocuments = `apiVersion: op25b/v1
kind: Policy
name: ends
lineGroups: [{name: adsl}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]
remotes: [{name: relay, relay: true, prefixes: [198.51.100.0/28]}]
phases: [{name: all, effective: 2006-10-01, rules: [{name: smtp-all, service: smtp, action: drop}]}]
---
apiVersion: op25b/v1
kind: Inventory
switches:
  - {name: edge, deviceID: 1, p4runtime: "h:1", gnmi: "h:2", ports: [{port: 1, name: olt, role: access}, {port: 2, name: core, role: network}]}
`

// BenchmarkEnds brings a switch to a policy with 80,000 exemptions of prefixes, without their ends and with them, and brings it to the same state
// again. The ends are of 1,000 days. The floor is a bare client that sends the updates of the first in batches of 1,000 and checks nothing.
func BenchmarkEnds(b *testing.B) {
	b.Run("embedded", func(b *testing.B) { benchEnds(b, startEmbedded(b).P4Runtime) })
	b.Run("bmv2", func(b *testing.B) {
		path, reason := findBMv2()
		if path == "" {
			b.Skip(reason)
		}
		benchEnds(b, startBMv2(b, path, 1, nil, []string{"--dp-grpc-server-addr", freeAddr(b)}))
	})
}

func benchEnds(b *testing.B, p4runtime string) {
	const exemptions, batch = 80_000, 1000
	now := time.Date(2006, 11, 1, 0, 0, 0, 0, time.UTC)
	compiled := func(n int) *compile.Compiled {
		bundle, err := policy.Load([]strict.File{{Name: "all.yaml", Data: []byte(endsDocuments)}})
		if err != nil {
			b.Fatal(err)
		}
		for i := range n {
			day, err := policy.ParseDate(now.AddDate(0, 0, 1+i%1000).Format(time.DateOnly))
			if err != nil {
				b.Fatal(err)
			}
			bundle.Policy.Exemptions = append(bundle.Policy.Exemptions, policy.Exemption{
				Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), Owner: "noc", Reason: "server", Expires: day,
			})
		}
		c, err := compiletest.Compile(bundle, nil, "edge", policy.Everywhere("all"), now)
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	none, many := compiled(0), compiled(exemptions)
	contract, err := pipeline.NewContract(p4src.P4Info())
	if err != nil {
		b.Fatal(err)
	}
	session := dialPrimary(b, p4runtime)
	if _, err := session.EnsurePipeline(b.Context(), p4src.P4Info(), p4src.DeviceConfig()); err != nil {
		b.Fatal(err)
	}
	var clock p4rt.SwitchClock
	reading, err := session.Clock(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	clock.Observe(reading)
	ends := func() func(want, have pipeline.Entry) pipeline.Entry {
		return bring.Ending{Clock: clock, Now: now, Host: time.Now()}.Ends(many, nil)
	}
	apply := func(c *compile.Compiled, end func(want, have pipeline.Entry) pipeline.Entry, updates int) (*reconcile.Plan, time.Duration) {
		began := time.Now()
		plan, _, err := reconcile.Apply(b.Context(), session, c.Sharing(), contract, reconcile.Options{End: end})
		if err != nil {
			b.Fatal(err)
		}
		if updates >= 0 && plan.Updates() != updates {
			b.Fatalf("%d updates, want %d", plan.Updates(), updates)
		}
		return plan, time.Since(began)
	}
	conn, err := grpc.NewClient(p4runtime, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	bare := p4v1.NewP4RuntimeClient(conn)

	took := make(map[string]time.Duration)
	for b.Loop() {
		apply(none, nil, -1)
		plan, without := apply(many, nil, exemptions)
		took["without"] += without
		_, again := apply(many, nil, 0)
		took["without-again"] += again
		_, added := apply(many, ends(), exemptions)
		took["ends-added"] += added
		updates := messages(plan.Steps[len(plan.Steps)-1].Updates)

		apply(none, nil, exemptions)
		_, with := apply(many, ends(), exemptions)
		took["with"] += with
		_, again = apply(many, ends(), 0)
		took["with-again"] += again

		apply(none, nil, exemptions)
		began := time.Now()
		for from := 0; from < len(updates); from += batch {
			if _, err := bare.Write(b.Context(), &p4v1.WriteRequest{
				DeviceId: 1, ElectionId: &p4v1.Uint128{Low: 1}, Updates: updates[from:min(from+batch, len(updates))],
			}); err != nil {
				b.Fatal(err)
			}
		}
		took["floor"] += time.Since(began)
	}
	for what, d := range took {
		b.ReportMetric(float64(d.Milliseconds())/float64(b.N), what+"-ms")
	}
	b.ReportMetric(took["with"].Seconds()/took["without"].Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}
