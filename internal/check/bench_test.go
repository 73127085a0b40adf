package check_test

import (
	"net/netip"
	"testing"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/compile/compiletest"
	"op25b/internal/policy"
	"op25b/internal/softswitch/engine"
	"op25b/p4src"
)

// BenchmarkAsk measures a question to a checker that has already loaded all pipelines that it needs. It evaluates the phase in
// question and the phases before and after, so it traces six packets, unless it was asked before. For comparison, the benchmark also measures
// the same packet without a trace through an engine with empty tables, and the loading of one pipeline.
func BenchmarkAsk(b *testing.B) {
	docs := bundle(b, examples.SpinNet2006())
	c := check.New(check.Source{Bundle: docs}, check.Options{})
	q := check.Question{Line: "adsl-bot", To: "203.0.113.25", Port: 25, At: day("2006-07-01"), Trace: true}
	frame := ask(b, c, q).Results[0].Trace.Frame
	q.Trace = false
	b.Run("question", func(b *testing.B) {
		b.ReportAllocs()
		q := q
		for to := netip.MustParseAddr(q.To); b.Loop(); to = to.Next() {
			q.To = to.String()
			ask(b, c, q)
		}
	})
	b.Run("asked before", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ask(b, c, q)
		}
	})
	b.Run("bare packet", func(b *testing.B) {
		e, err := engine.Load(p4src.DeviceConfig(), engine.Options{})
		if err != nil {
			b.Fatal(err)
		}
		w, emit := e.NewWorker(), func(uint32, []byte) {}
		b.ReportAllocs()
		for b.Loop() {
			w.Process(2, frame, emit)
		}
	})
	b.Run("load", func(b *testing.B) {
		compiled, err := compiletest.Compile(docs, nil, "edge-1", policy.Everywhere("mobile-carriers"), q.At)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := check.Rehearse(&compiled.State); err != nil {
				b.Fatal(err)
			}
		}
	})
}
