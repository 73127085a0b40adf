package p4rt

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// BenchmarkWrite measures how much time the session and a recording add to a write. The result is compared with the bare stub,
// which writes the same batches. The fake switch answers at once, so that the remaining time is spent in gRPC and in encoding.
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
	b.Run("recorded", func(b *testing.B) {
		r, err := NewRecorder(RecorderConfig{Path: filepath.Join(b.TempDir(), "recording")})
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		cfg := s.cfg
		cfg.Recorder, cfg.ElectionID.Low = r, cfg.ElectionID.Low+1
		recorded := dialed(b, cfg)
		for b.Loop() {
			if err := recorded.Write(b.Context(), updates); err != nil {
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

// BenchmarkReadTable measures how much time the session adds to a read of a full table: in one message, in messages of 1,000
// entries, and from an embedded switch. The result is compared with the bare stub on a connection of its own, whose only setting is
// the required message limit. Both alternate, so that they run under the same conditions. x-floor is the ratio of their times.
func BenchmarkReadTable(b *testing.B) {
	const n = 100_000
	messages := func(each int) func(testing.TB) Config {
		all := make([]*p4v1.Entity, n)
		for i := range all {
			all[i] = entry(routeTable, uint32(i))
		}
		return func(t testing.TB) Config {
			return (&fakeSwitch{read: func(_ *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
				for from := 0; from < n; from += each {
					if err := stream.Send(&p4v1.ReadResponse{Entities: all[from : from+each]}); err != nil {
						return err
					}
				}
				return nil
			}}).serve(t)
		}
	}
	full := func(t testing.TB) Config {
		s := programmed(t, target{"embedded", true, startEmbedded})
		entities := make([]*p4v1.Entity, n)
		for i := range entities {
			entities[i] = route(uint64(i+1), uint64(i%500))
		}
		if err := s.Write(t.Context(), updatesOf(p4v1.Update_INSERT, entities...)); err != nil {
			t.Fatal(err)
		}
		return s.cfg
	}
	for _, of := range []struct {
		name  string
		start func(testing.TB) Config
	}{{"one message", messages(n)}, {"messages of 1000", messages(1000)}, {"embedded switch", full}} {
		b.Run(of.name, func(b *testing.B) {
			cfg := of.start(b)
			r := dialedReader(b, cfg)
			conn, err := grpc.NewClient(cfg.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(DefaultMaxReceiveBytes)))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			stub := p4v1.NewP4RuntimeClient(conn)
			ask := &p4v1.ReadRequest{DeviceId: testDevice, Entities: []*p4v1.Entity{{
				Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{TableId: routeTable}},
			}}}
			ours := func() {
				if err := r.ReadTables(b.Context(), []uint32{routeTable}, func(_ uint32, got []*p4v1.TableEntry) error {
					if len(got) != n {
						b.Fatalf("%d entries", len(got))
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			floor := func() {
				stream, err := stub.Read(b.Context(), ask)
				got := 0
				for err == nil {
					var m *p4v1.ReadResponse
					m, err = stream.Recv()
					got += len(m.GetEntities())
				}
				if !errors.Is(err, io.EOF) || got != n {
					b.Fatal(got, err)
				}
			}
			timed := func(spent *time.Duration, f func()) {
				began := time.Now()
				f()
				*spent += time.Since(began)
			}
			var session, bare time.Duration
			for i := 0; b.Loop(); i++ {
				if i%2 == 0 { // alternate the order, because the first function leaves garbage for the second
					timed(&session, ours)
					timed(&bare, floor)
				} else {
					timed(&bare, floor)
					timed(&session, ours)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/session.Seconds(), "entities/s")
			b.ReportMetric(float64(n)*float64(b.N)/bare.Seconds(), "floor-entities/s")
			b.ReportMetric(session.Seconds()/bare.Seconds(), "x-floor")
		})
	}
}

// BenchmarkRealSwitch writes 100,000 entries to a real switch, writes them again so that they are refused, reads them and deletes
// them. The rate of each part is reported separately.
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
