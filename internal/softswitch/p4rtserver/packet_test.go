package p4rtserver

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/testing/protocmp"
)

// ethernet returns a frame whose addresses end in the given numbers.
func ethernet(dst, src byte, etherType uint16, payload string) string {
	return fmt.Sprintf("\x00\x00\x00\x00\x00%c\x00\x00\x00\x00\x00%c%c%c%s", rune(dst), rune(src), rune(etherType>>8), rune(etherType&0xff), payload)
}

func (c *controller) wants(text string) {
	c.t.Helper()
	want := &p4v1.StreamMessageResponse{}
	if err := prototext.Unmarshal([]byte(text), want); err != nil {
		c.t.Fatal(err)
	}
	got, err := c.next()
	if err != nil {
		c.t.Fatal(err)
	}
	if d := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(&p4v1.DigestList{}, "timestamp")); d != "" {
		c.t.Fatalf("(-want +got)\n%s", d)
	}
}

func (c *controller) says(text string) {
	c.t.Helper()
	m := &p4v1.StreamMessageRequest{}
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		c.t.Fatal(err)
	}
	c.send(m)
}

// TestPacketIO sends packet-outs and receives packet-ins. Both pass the program and its controller headers.
func TestPacketIO(t *testing.T) {
	o := newObjects(t)
	backup := o.rig.controller()
	backup.arbitrate(arbitration(device, "", nil))
	backup.told(codes.AlreadyExists, id(1))

	// The packet-in has an ingress port of 9 bits, the reason 5 in 3 bits and the tag 0xabcde in 20 bits.
	o.must(insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x09" } } action { action { action_id: to_cpu params { param_id: 1 value: "\x05" } params { param_id: 2 value: "\x0a\xbc\xde" } } } }`)
	frame := ethernet(9, 1, 0x0101, "payload")
	o.process(7, []byte(frame))
	o.wants(`packet { payload: "` + escape(frame) + `" metadata { metadata_id: 1 value: "\x07" } metadata { metadata_id: 2 value: "\x05" } metadata { metadata_id: 3 value: "\x0a\xbc\xde" } }`)

	// The packet-out has egress port 300 in 9 bits and 7 bits of padding.
	frame = ethernet(3, 4, 0x0101, "x")
	o.says(`packet { payload: "` + escape(frame) + `" metadata { metadata_id: 1 value: "\x01\x2c" } metadata { metadata_id: 2 value: "\x00" } }`)
	// Messages of one stream are handled in order. So the answer to the next message shows that this message has been handled.
	o.arbitrate(arbitration(device, "", id(1)))
	o.told(codes.OK, id(1))
	if d := cmp.Diff([]sentFrame{{300, frame}}, o.left()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}

	for _, tc := range []struct{ metadata, message string }{
		{``, `packet_out: metadata "egress_port" (id 1): missing; every field of the header must be given`},
		{`metadata { metadata_id: 1 value: "\x01" }`, `packet_out: metadata "unused" (id 2): missing; every field of the header must be given`},
		{`metadata { metadata_id: 7 value: "\x01" }`, `packet_out: metadata id 7: not in the P4Info's packet_out header`},
		{`metadata { metadata_id: 1 value: "\x01" } metadata { metadata_id: 1 value: "\x01" }`, `packet_out: metadata "egress_port" (id 1): given twice`},
		{`metadata { metadata_id: 1 value: "\x02\x00" }`, `packet_out: metadata "egress_port" (id 1): bad binary string: 0x0200 has 10 bits, the width is 9`},
	} {
		o.says(`packet { payload: "x" ` + tc.metadata + `}`)
		o.wants(fmt.Sprintf(`error { canonical_code: 3 space: "op25b-v1model" message: %q packet_out { packet_out { payload: "x" %s } } }`, tc.message, tc.metadata))
	}
	backup.says(`packet { payload: "x" }`)
	backup.wants(`error { canonical_code: 7 space: "op25b-v1model" message: "packet_out: only the primary may send packets" packet_out { packet_out { payload: "x" } } }`)
	backup.says(`other { type_url: "x" }`)
	backup.wants(`error { canonical_code: 12 space: "op25b-v1model" message: "stream: other: this server knows arbitration, packet and digest_ack" other { other { type_url: "x" } } }`)
	if left := o.left(); left != nil {
		t.Errorf("a refused packet left: %v", left)
	}
	if s := o.server.Stats(); s.PacketIn != 1 || s.PacketOut != 1 || s.PacketOutRefused != 6 || s.Streams != 2 {
		t.Errorf("stats %+v", s)
	}

	// Packet-ins are sent to the current primary.
	backup.arbitrate(arbitration(device, "", id(2)))
	o.told(codes.AlreadyExists, id(2))
	backup.told(codes.OK, id(2))
	o.process(7, []byte(ethernet(9, 1, 0x0101, "")))
	if m, err := backup.next(); err != nil || m.GetPacket() == nil {
		t.Errorf("%v, %v, want a packet", m, err)
	}
	// A frame that is shorter than the header is dropped and counted.
	o.server.PacketIn(DefaultCPUPort, []byte{1, 2, 3})
	if n := o.server.Stats().PacketInLost; n != 1 {
		t.Errorf("%d packets lost, want 1", n)
	}
}

func escape(s string) string {
	out := ""
	for _, b := range []byte(s) {
		out += fmt.Sprintf(`\x%02x`, b)
	}
	return out
}

// TestNoPipelineYet checks the answers to stream messages that need a pipeline when there is none.
func TestNoPipelineYet(t *testing.T) {
	o := newSwitch(t)
	o.says(`packet { payload: "x" }`)
	o.wants(`error { canonical_code: 9 space: "op25b-v1model" message: "no forwarding pipeline: push one with SetForwardingPipelineConfig first" packet_out { packet_out { payload: "x" } } }`)
	o.says(`digest_ack { digest_id: 4 }`)
	o.wants(`error { canonical_code: 9 space: "op25b-v1model" message: "no forwarding pipeline: push one with SetForwardingPipelineConfig first" digest_list_ack { digest_list_ack { digest_id: 4 } } }`)
}

// TestSlowReader fills the stream of a primary that does not read it. The packet path must not wait. Packets that find no room must be
// counted, and all other packets must arrive.
func TestSlowReader(t *testing.T) {
	const queue, frames = 16, 100_000
	r := newRig(t, Options{StreamQueue: queue})
	c := r.controller()
	c.arbitrate(arbitration(device, "", id(1)))
	c.told(codes.OK, id(1))
	r.server.headers.Store(&controllerHeaders{}) // the program has no packet_in header
	frame := make([]byte, 1500)
	for range frames { // 150 MB, which is more than gRPC's windows hold
		r.server.PacketIn(DefaultCPUPort, frame)
	}
	s := r.server.Stats()
	if s.PacketIn+s.PacketInLost != frames || s.PacketInLost == 0 || s.StreamDropped != s.PacketInLost {
		t.Fatalf("stats %+v", s)
	}
	for range s.PacketIn {
		if m, err := c.next(); err != nil || len(m.GetPacket().GetPayload()) != 1500 {
			t.Fatalf("%v, %v, want a packet", m, err)
		}
	}
}

// TestDigestStream verifies that a packet's digest reaches the controller, and that the digest is sent again after its acknowledgement.
func TestDigestStream(t *testing.T) {
	o := newObjects(t)
	o.must(insert, `digest_entry { digest_id: learn_t config { max_list_size: 1 ack_timeout_ns: 3600000000000 } }`)
	list := func(n int, src string) string {
		return o.text(fmt.Sprintf(`digest { digest_id: learn_t list_id: %d data { struct { members { bitstring: "\x%s" } members { bitstring: "\x07" } } } }`, n, src))
	}
	o.process(7, []byte(ethernet(1, 4, 0x0101, "")))
	o.wants(list(1, "04"))
	o.process(7, []byte(ethernet(1, 4, 0x0101, "again"))) // this digest is not reported again
	o.process(7, []byte(ethernet(1, 5, 0x0101, "")))
	o.wants(list(2, "05"))

	backup := o.rig.controller()
	backup.arbitrate(arbitration(device, "", nil))
	backup.told(codes.AlreadyExists, id(1))
	backup.says(o.text(`digest_ack { digest_id: learn_t list_id: 1 }`))
	backup.wants(o.text(`error { canonical_code: 7 space: "op25b-v1model" message: "digest_ack: only the primary may acknowledge digest lists" digest_list_ack { digest_list_ack { digest_id: learn_t list_id: 1 } } }`))
	o.says(`digest_ack { digest_id: 4 list_id: 1 }`)
	o.wants(`error { canonical_code: 3 space: "op25b-v1model" message: "digest id 4: not in the P4Info" digest_list_ack { digest_list_ack { digest_id: 4 list_id: 1 } } }`)

	o.says(o.text(`digest_ack { digest_id: learn_t list_id: 1 }`))
	o.arbitrate(arbitration(device, "", id(1))) // the answer shows that the acknowledgement has been handled
	o.told(codes.OK, id(1))
	o.process(7, []byte(ethernet(1, 4, 0x0101, ""))) // the digest is reported again
	o.wants(list(3, "04"))
}

// TestReplication verifies that a multicast group, a clone session and a value set take effect on packets once they are written.
func TestReplication(t *testing.T) {
	o := newObjects(t)
	o.must(insert, mcast1)
	o.must(insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: flood params { param_id: 1 value: "\x01" } } } }`)
	frame := ethernet(1, 2, 0x0101, "x")
	o.process(7, []byte(frame))
	if d := cmp.Diff([]sentFrame{{1, frame}, {2, frame}}, o.left()); d != "" {
		t.Errorf("multicast (-want +got)\n%s", d)
	}
	o.must(insert, `packet_replication_engine_entry { clone_session_entry { session_id: 5 replicas { port: "\x04" } packet_length_bytes: 14 } }`)
	o.must(modify, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: mirror } } }`)
	o.process(7, []byte(frame))
	if d := cmp.Diff([]sentFrame{{0, frame}, {4, frame[:14]}}, o.left(), cmp.Transformer("sorted", func(f []sentFrame) map[sentFrame]int {
		m := map[sentFrame]int{}
		for _, x := range f {
			m[x]++
		}
		return m
	})); d != "" {
		t.Errorf("clone (-want +got)\n%s", d)
	}
}

// TestIdleTimeout verifies idle notifications on the clock of a synctest bubble.
func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := objectsConfig(t)
		s, err := New(Options{DeviceID: device, Load: loadEngine})
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.newPipeline(conf)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var got []*p4v1.IdleTimeoutNotification
		p.idle.notify = func(n *p4v1.IdleTimeoutNotification) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, n)
		}
		p.start()
		defer p.stop()
		w := p.eng.NewWorker()
		defer w.Close()

		o := &objects{rig: &rig{t: t}, ids: map[string]uint32{}}
		for _, x := range preambles(conf.P4Info) {
			o.ids[x.Alias] = x.Id
		}
		entry := func(mac, timeout int) string {
			return fmt.Sprintf(`table_entry { table_id: host match { field_id: 1 exact { value: "\x%02x" } } action { action { action_id: drop } } idle_timeout_ns: %d metadata: "m" controller_metadata: 6 }`, mac, timeout)
		}
		apply := func(op p4v1.Update_Type, text string) {
			t.Helper()
			if err := p.apply(o.update(op, text)); err != nil {
				t.Fatal(err)
			}
		}
		const sec = int(time.Second)
		after := func(seconds int, want ...byte) {
			t.Helper()
			time.Sleep(time.Duration(seconds) * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			var macs []byte
			for _, n := range got {
				if n.Timestamp != time.Now().UnixNano() {
					t.Errorf("timestamp %d, want now", n.Timestamp)
				}
				for _, e := range n.TableEntry {
					macs = append(macs, e.Match[0].GetExact().Value[0])
					if e.TableId != o.ids["host"] || string(e.Metadata) != "m" || controllerMetadata(e) != 6 || e.IdleTimeoutNs == 0 {
						t.Errorf("entry %v", e)
					}
				}
			}
			got = nil
			if string(macs) != string(want) {
				t.Fatalf("idle: %v, want %v", macs, want)
			}
		}
		apply(insert, entry(1, 10*sec))
		apply(insert, entry(2, 4*sec))
		apply(insert, entry(3, 0)) // no timeout
		after(3)
		after(1, 2)
		after(3)
		after(1, 2)                                                               // entry 2 is reported at each timeout
		w.Process(7, []byte(ethernet(1, 9, 0x0101, "")), func(uint32, []byte) {}) // at 8 s, a packet hits entry 1
		after(2)
		apply(del, entry(2, 0))
		after(7)
		after(1, 1) // at 18 s, which is 10 s after the hit
		apply(modify, entry(1, 1*sec))
		after(1, 1)
		apply(modify, entry(1, 0))
		after(3600)
		apply(modify, entry(1, 1*sec))
		apply(del, entry(1, 0))
		if n := len(p.idle.watched); n != 0 {
			t.Errorf("%d entries are watched, want none", n)
		}
	})
}
