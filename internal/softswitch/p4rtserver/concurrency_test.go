package p4rtserver

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
)

// TestConcurrency writes, reads, arbitrates and forwards at the same time, for the race detector. At the end, it checks the state
// that the writers have left.
func TestConcurrency(t *testing.T) {
	o := newObjects(t)
	o.must(insert, `digest_entry { digest_id: learn_t config { max_timeout_ns: 1000000 } }`)
	stop := make(chan struct{})
	var packets, readers, writers sync.WaitGroup
	packets.Go(func() {
		for i := byte(0); ; i++ {
			select {
			case <-stop:
				return
			default:
				o.process(7, []byte(ethernet(i%32, i, 0x0101, "")))
				o.left()
			}
		}
	})
	go func() { // the primary reads its stream
		for {
			if _, err := o.next(); err != nil {
				return
			}
		}
	}()
	for i := range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := o.readAll(o.everything()...); err != nil {
					t.Error(err)
					return
				}
				c := o.rig.controller()
				c.arbitrate(arbitration(device, fmt.Sprint("role", i), id(1)))
				_ = c.stream.CloseSend()
				told := false
				for { // this primary also receives packets and digests
					m, err := c.next()
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Error(err)
						return
					}
					told = told || m.GetArbitration().GetStatus() != nil
				}
				if !told {
					t.Error("no answer to the arbitration")
				}
			}
		})
	}
	const n = 60
	for i := range 4 {
		writers.Go(func() {
			for k := range n {
				text := fmt.Sprintf(`table_entry { table_id: host match { field_id: 1 exact { value: "\x%02x" } } action { action { action_id: to_cpu params { param_id: 1 value: "\x01" } params { param_id: 2 value: "\x01" } } } idle_timeout_ns: 1000000 }`, i*8+k%8+1)
				op := insert
				if k/8%2 == 1 {
					op = del
				}
				if err := o.write(o.update(op, text)); err != nil {
					t.Errorf("%v: %v", op, status.Convert(err))
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	packets.Wait()
	readers.Wait()
	o.counts(`table_entry { table_id: host }`, 4*4) // each writer has deleted four of its last eight inserts
}

// BenchmarkWrite measures batches of inserts over gRPC on the loopback interface.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s, err := New(Options{DeviceID: device, Load: loadEngine, OnCommit: func(*engine.Engine, *p4cfg.P4Info) {}})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			conf := objectsConfig(b)
			p, err := s.newPipeline(conf)
			if err != nil {
				b.Fatal(err)
			}
			s.mu.Lock()
			s.commitLocked(p)
			s.mu.Unlock()
			conn := serve(b, s)
			client := p4v1.NewP4RuntimeClient(conn)
			st, err := client.StreamChannel(testContext(b))
			if err != nil {
				b.Fatal(err)
			}
			if err := st.Send(arb(arbitration(device, "", id(1)))); err != nil {
				b.Fatal(err)
			}
			if _, err := st.Recv(); err != nil {
				b.Fatal(err)
			}
			var hostID, forwardID uint32
			for _, x := range preambles(conf.P4Info) {
				switch x.Alias {
				case "host":
					hostID = x.Id
				case "forward":
					forwardID = x.Id
				}
			}
			batch := make([]*p4v1.Update, size)
			action := &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{ActionId: forwardID, Params: []*p4v1.Action_Param{{ParamId: 1, Value: []byte{2}}}}}}
			for i := range batch {
				batch[i] = &p4v1.Update{Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{
					TableId: hostID, Action: action,
					Match: []*p4v1.FieldMatch{{FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: shortest([]byte{byte(i >> 16), byte(i >> 8), byte(i)})}}}},
				}}}}
			}
			entries := 0
			for b.Loop() {
				for _, op := range []p4v1.Update_Type{insert, del} {
					for _, u := range batch {
						u.Type = op
					}
					if _, err := client.Write(context.Background(), &p4v1.WriteRequest{DeviceId: device, ElectionId: id(1), Updates: batch}); err != nil {
						b.Fatal(err)
					}
					entries += size
				}
			}
			b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}
