package p4rt

import (
	"context"
	"errors"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// What the session adds to a write: the bare stub with the same batches is the floor. The fake takes everything at
// once, so that the rest is gRPC and the encoding.
func BenchmarkWrite(b *testing.B) {
	const n = 100_000
	s := dialed(b, (&fakeSwitch{}).serve(b))
	updates := inserts(n)
	report := func(b *testing.B) { b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "updates/s") }
	b.Run("session", func(b *testing.B) {
		for b.Loop() {
			if err := s.Write(b.Context(), updates); err != nil {
				b.Fatal(err)
			}
		}
		report(b)
	})
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			for from := 0; from < n; from += DefaultBatchSize {
				if _, err := s.client.Write(context.Background(), &p4v1.WriteRequest{
					DeviceId: testDevice, ElectionId: testElection.proto(), Updates: updates[from : from+DefaultBatchSize],
				}); err != nil {
					b.Fatal(err)
				}
			}
		}
		report(b)
	})
}

// Reading a full switch back, in one message and in messages of 1,000.
func BenchmarkRead(b *testing.B) {
	const n = 100_000
	all := make([]*p4v1.Entity, n)
	for i := range all {
		all[i] = entry(1, uint32(i))
	}
	for name, each := range map[string]int{"one message": n, "messages of 1000": 1000} {
		fake := &fakeSwitch{read: func(_ *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
			for from := 0; from < n; from += each {
				if err := stream.Send(&p4v1.ReadResponse{Entities: all[from : from+each]}); err != nil {
					return err
				}
			}
			return nil
		}}
		r := dialedReader(b, fake.serve(b))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got, err := r.Read(b.Context(), entry(1, 0)); err != nil || len(got) != n {
					b.Fatal(len(got), err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entities/s")
		})
	}
}

// A full switch, really: 100,000 entries written, refused, read and deleted again. Each part is reported by its own
// rate.
func BenchmarkRealSwitch(b *testing.B) {
	const n = 100_000
	entities := make([]*p4v1.Entity, n)
	for i := range entities {
		entities[i] = route(uint64(i+1), uint64(i%500))
	}
	insert, remove := updatesOf(p4v1.Update_INSERT, entities...), updatesOf(p4v1.Update_DELETE, entities...)
	for _, on := range targets() {
		b.Run(on.name, func(b *testing.B) {
			s := programmed(b, on)
			spent := map[string]time.Duration{}
			timed := func(what string, f func()) {
				began := time.Now()
				f()
				spent[what] += time.Since(began)
			}
			for b.Loop() {
				timed("inserts/s", func() {
					if err := s.Write(b.Context(), insert); err != nil {
						b.Fatal(err)
					}
				})
				timed("refusals/s", func() {
					var w *WriteError
					if err := s.Write(b.Context(), insert); !errors.As(err, &w) || len(w.Failed) != n || !w.Answered() {
						b.Fatal(err)
					}
				})
				timed("reads/s", func() {
					if err := s.ReadTables(b.Context(), []uint32{routeTable}, func(_ uint32, got []*p4v1.TableEntry) error {
						if len(got) != n {
							b.Fatalf("%d entries", len(got))
						}
						return nil
					}); err != nil {
						b.Fatal(err)
					}
				})
				timed("deletes/s", func() {
					if err := s.Write(b.Context(), remove); err != nil {
						b.Fatal(err)
					}
				})
			}
			for what, d := range spent {
				b.ReportMetric(float64(n)*float64(b.N)/d.Seconds(), what)
			}
		})
	}
}
