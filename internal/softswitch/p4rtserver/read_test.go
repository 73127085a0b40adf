package p4rtserver

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// TestWriteRead writes one object of each kind and reads it back in canonical form.
func TestWriteRead(t *testing.T) {
	o := newObjects(t)

	// A table entry with all its fields.
	full := `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: forward params { param_id: 1 value: "\x02" } } } metadata: "note" controller_metadata: 77 idle_timeout_ns: 5000000000 }`
	o.must(insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x00\x00\x01" } } action { action { action_id: forward params { param_id: 1 value: "\x00\x02" } } } metadata: "note" controller_metadata: 77 idle_timeout_ns: 5000000000 counter_data { packet_count: 3 byte_count: 4 } }`)
	o.reads(`table_entry { table_id: host }`, full)
	o.reads(`table_entry { table_id: host counter_data { } }`, full[:len(full)-1]+`counter_data { packet_count: 3 byte_count: 4 } }`)
	o.reads(`direct_counter_entry { table_entry { table_id: host } }`, `direct_counter_entry { table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } } data { packet_count: 3 byte_count: 4 } }`)
	o.must(modify, `direct_counter_entry { table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } } data { packet_count: 9 } }`)
	o.reads(`direct_counter_entry { table_entry { } }`, // reads all tables in the order of their ids, including const tables
		`direct_counter_entry { table_entry { table_id: fixed priority: 3 match { field_id: 1 ternary { value: "\x08\x00" mask: "\xff\x00" } } } data { } }`,
		`direct_counter_entry { table_entry { table_id: fixed priority: 2 match { field_id: 1 ternary { value: "\x86\xdd" mask: "\xff\xff" } } } data { } }`,
		`direct_counter_entry { table_entry { table_id: fixed priority: 1 } data { } }`,
		`direct_counter_entry { table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } } data { packet_count: 9 } }`)
	// A MODIFY without an action keeps the action and the counter. The metadata is always assigned.
	o.must(modify, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } metadata: "new" }`)
	o.reads(`table_entry { table_id: host counter_data { } }`, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: forward params { param_id: 1 value: "\x02" } } } metadata: "new" counter_data { packet_count: 9 } }`)

	// A direct meter is set, read, and then reset by a MODIFY that omits it.
	o.must(insert, route1)
	metered := `direct_meter_entry { table_entry { table_id: route_v4 match { field_id: 1 lpm { value: "\x0a\x00\x00\x00" prefix_len: 8 } } } config { cir: 1 cburst: 2 pir: 3 pburst: 4 } }`
	bare := `direct_meter_entry { table_entry { table_id: route_v4 match { field_id: 1 lpm { value: "\x0a\x00\x00\x00" prefix_len: 8 } } } }`
	o.must(modify, metered)
	o.reads(`direct_meter_entry { table_entry { } }`, metered)
	o.reads(`table_entry { table_id: route_v4 meter_config { } }`, route1[:len(route1)-1]+` meter_config { cir: 1 cburst: 2 pir: 3 pburst: 4 } }`)
	o.must(modify, route1)
	o.reads(bare, bare)

	// Const entries and default entries.
	o.reads(`table_entry { table_id: fixed }`,
		`table_entry { table_id: fixed priority: 3 match { field_id: 1 ternary { value: "\x08\x00" mask: "\xff\x00" } } action { action { action_id: set_group params { param_id: 1 value: "\x01" } } } is_const: true }`,
		`table_entry { table_id: fixed priority: 2 match { field_id: 1 ternary { value: "\x86\xdd" mask: "\xff\xff" } } action { action { action_id: set_group params { param_id: 1 value: "\x02" } } } is_const: true }`,
		`table_entry { table_id: fixed priority: 1 action { action { action_id: set_group params { param_id: 1 value: "\x03" } } } is_const: true }`)
	o.must(modify, `table_entry { table_id: fixed priority: 2 match { field_id: 1 ternary { value: "\x86\xdd" mask: "\xff\xff" } } counter_data { packet_count: 5 } }`)
	o.reads(`table_entry { table_id: fixed priority: 2 counter_data { } }`, `table_entry { table_id: fixed priority: 2 match { field_id: 1 ternary { value: "\x86\xdd" mask: "\xff\xff" } } action { action { action_id: set_group params { param_id: 1 value: "\x02" } } } is_const: true counter_data { packet_count: 5 } }`)
	o.reads(`table_entry { table_id: fixed is_default_action: true }`, `table_entry { table_id: fixed is_default_action: true is_const: true action { action { action_id: NoAction } } }`)
	// The control plane may change initial entries that are not const.
	seed := func(src, group int) string {
		return fmt.Sprintf(`table_entry { table_id: seeded match { field_id: 1 exact { value: "\x%02x" } } action { action { action_id: set_group params { param_id: 1 value: "\x%02x" } } } }`, src, group)
	}
	o.reads(`table_entry { table_id: seeded }`, seed(0x61, 1), seed(0x62, 2))
	o.must(modify, seed(0x61, 5))
	o.must(del, seed(0x62, 2))
	o.must(insert, seed(0x63, 3))
	o.reads(`table_entry { table_id: seeded }`, seed(0x61, 5), seed(0x63, 3))
	epoch := `table_entry { table_id: epoch is_default_action: true action { action { action_id: set_epoch params { param_id: 1 value: "\x09" } } } metadata: "e" controller_metadata: 3 }`
	o.must(modify, epoch)
	o.reads(`table_entry { table_id: epoch is_default_action: true }`, epoch)
	o.must(modify, `table_entry { table_id: epoch is_default_action: true }`)
	o.reads(`table_entry { table_id: epoch is_default_action: true }`, `table_entry { table_id: epoch is_default_action: true action { action { action_id: set_epoch params { param_id: 1 value: "\x07" } } } }`)

	// Action profiles, programmed with members and groups and then with action sets.
	o.must(insert, member1)
	o.must(insert, member2)
	o.must(insert, group1)
	o.reads(`action_profile_member { }`, member1, member2)
	o.reads(`action_profile_member { action_profile_id: paths member_id: 2 }`, member2)
	o.reads(`action_profile_group { action_profile_id: paths }`, group1)
	o.must(insert, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x05" } } action { action_profile_group_id: 1 } }`)
	o.reads(`table_entry { table_id: balanced }`, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x05" } } action { action_profile_group_id: 1 } }`)
	o.refused(del, group1, codes.FailedPrecondition, o.message(`action profile %paths: group 1: in use: 1 references`))
	o.must(del, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x05" } } }`)
	o.must(del, group1)
	o.must(del, member1)
	o.must(del, member2)
	o.must(insert, set1)
	o.reads(`table_entry { table_id: balanced }`, set1)
	o.reads(`action_profile_member { }`) // members of an action set are not returned
	o.reads(`action_profile_group { }`)
	for range 20 { // each set replaces the previous set and leaves no member behind, so the profile does not fill up
		o.must(modify, set1)
	}
	o.reads(`table_entry { table_id: balanced }`, set1)
	o.must(del, set1)
	o.must(insert, member1) // the profile may now be programmed with members again

	// Replication, value sets and digests.
	o.must(insert, mcast1)
	o.must(insert, clone5)
	o.reads(`packet_replication_engine_entry { multicast_group_entry { } }`, mcast1)
	o.reads(`packet_replication_engine_entry { clone_session_entry { session_id: 5 } }`, clone5)
	o.must(modify, `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 replicas { port: "\x00\x03" } } }`)
	o.reads(`packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 } }`, `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 replicas { port: "\x03" } } }`)
	set := `value_set_entry { value_set_id: ip_types members { match { field_id: 1 exact { value: "\x08\x00" } } } members { match { field_id: 1 exact { value: "\x09" } } } }`
	o.must(modify, set)
	o.reads(`value_set_entry { }`, set)
	dig := `digest_entry { digest_id: learn_t config { max_timeout_ns: 1 max_list_size: 2 ack_timeout_ns: 3 } }`
	o.must(insert, dig)
	o.reads(`digest_entry { }`, dig)

	// Reads of one cell, of all cells of an array, and of all arrays.
	o.must(modify, `counter_entry { counter_id: port_counter index { index: 3 } data { packet_count: 5 byte_count: 6 } }`)
	o.reads(`counter_entry { counter_id: port_counter index { index: 3 } }`, `counter_entry { counter_id: port_counter index { index: 3 } data { packet_count: 5 byte_count: 6 } }`)
	o.must(modify, `counter_entry { counter_id: port_counter index { index: 3 } }`) // without data, nothing changes
	o.reads(`counter_entry { counter_id: port_counter index { index: 3 } }`, `counter_entry { counter_id: port_counter index { index: 3 } data { packet_count: 5 byte_count: 6 } }`)
	o.must(modify, `counter_entry { counter_id: port_counter data { } }`)
	o.counts(`counter_entry { }`, 64)
	o.reads(`counter_entry { counter_id: port_counter index { index: 3 } }`, `counter_entry { counter_id: port_counter index { index: 3 } data { } }`)
	o.must(modify, `meter_entry { meter_id: port_meter config { cir: 1 cburst: 2 pir: 3 pburst: 4 } }`)
	o.must(modify, `meter_entry { meter_id: port_meter index { index: 2 } }`)
	o.reads(`meter_entry { meter_id: port_meter index { index: 1 } }`, `meter_entry { meter_id: port_meter index { index: 1 } config { cir: 1 cburst: 2 pir: 3 pburst: 4 } }`)
	o.reads(`meter_entry { meter_id: port_meter index { index: 2 } }`, `meter_entry { meter_id: port_meter index { index: 2 } }`)
	o.counts(`meter_entry { }`, 32+8)
	o.must(modify, `register_entry { register_id: last_src data { bitstring: "\x00\x07" } }`)
	o.must(modify, `register_entry { register_id: last_src index { index: 15 } data { bitstring: "\x08" } }`)
	o.reads(`register_entry { register_id: last_src index { index: 0 } }`, `register_entry { register_id: last_src index { index: 0 } data { bitstring: "\x07" } }`)
	o.reads(`register_entry { register_id: last_src index { index: 15 } }`, `register_entry { register_id: last_src index { index: 15 } data { bitstring: "\x08" } }`)
	o.counts(`register_entry { }`, 16)
}

func (o *objects) counts(request string, want int) {
	o.rig.t.Helper()
	got, _, err := o.readAll(o.entity(request))
	if err != nil {
		o.rig.t.Fatal(status.Convert(err).Message())
	}
	if len(got) != want {
		o.rig.t.Fatalf("read %s: %d entities, want %d", request, len(got), want)
	}
}

// TestReadFilters checks spec 9.1.6.
func TestReadFilters(t *testing.T) {
	o := newObjects(t)
	acl := func(port, src, prio int, action, more string) string {
		s := fmt.Sprintf(`table_entry { table_id: acl priority: %d match { field_id: 1 exact { value: "\x%02x" } }`, prio, port)
		if src != 0 {
			s += fmt.Sprintf(` match { field_id: 2 ternary { value: "\x%02x" mask: "\xff" } }`, src)
		}
		return s + ` action { action { action_id: ` + action + ` } } ` + more + `}`
	}
	a, b, c := acl(1, 0, 1, "drop", `metadata: "x"`), acl(1, 0, 2, "NoAction", ""), acl(2, 3, 1, "drop", `controller_metadata: 5 `)
	for _, e := range []string{a, b, c, host1} {
		o.must(insert, e)
	}
	o.reads(`table_entry { table_id: acl }`, a, b, c)
	o.reads(`table_entry { table_id: acl priority: 1 }`, a, c)
	o.reads(`table_entry { table_id: acl match { field_id: 1 exact { value: "\x01" } } }`, a, b)
	o.reads(`table_entry { table_id: acl match { field_id: 1 exact { value: "\x01" } } priority: 2 }`, b)
	o.reads(`table_entry { table_id: acl match { field_id: 1 exact { value: "\x02" } } }`) // the filter must give all matches of an entry, and c has a match on src too
	o.reads(`table_entry { table_id: acl action { action { action_id: drop } } }`, a, c)
	o.reads(`table_entry { table_id: acl metadata: "x" }`, a)
	o.reads(`table_entry { table_id: acl controller_metadata: 5 }`, c)
	o.reads(`table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } }`, host1)
	o.reads(`table_entry { table_id: host match { field_id: 1 exact { value: "\x02" } } }`)
	o.counts(`table_entry { }`, 4+3+2) // plus the entries that the program declares
	o.counts(`table_entry { is_default_action: true }`, len(o.config.P4Info.Tables))

	got, _, err := o.readAll(o.entity(`table_entry { table_id: host time_since_last_hit { } }`))
	if err != nil || len(got) != 1 || got[0].GetTableEntry().TimeSinceLastHit.GetElapsedNs() <= 0 {
		t.Errorf("time since last hit: %v, %v", got, err)
	}
}

func TestReadRefused(t *testing.T) {
	o := newObjects(t)
	for _, tc := range []struct {
		request string
		code    codes.Code
		message string
	}{
		{``, codes.InvalidArgument, "entity: not set, or of a kind that this version of P4Runtime does not have"},
		{`table_entry { table_id: 5 }`, codes.InvalidArgument, "table id 0x5 (not in the P4Info): not a table of the P4Info"},
		{`table_entry { priority: 5 }`, codes.InvalidArgument, "table id 0 reads all tables; no filter can be used with it"},
		{`table_entry { table_id: host priority: 5 }`, codes.InvalidArgument, `table %host: priority 5: it must be 0, since the key has no ternary, range or optional fields`},
		{`table_entry { table_id: host match { field_id: 9 } }`, codes.InvalidArgument, `table %host: match field id 9: not in the P4Info, which has 1 (mac)`},
		{`table_entry { table_id: host action { action { action_id: route } } }`, codes.InvalidArgument, `table %host: action id %route (%name route): not among the actions that its entries can be selected by`},
		{`table_entry { table_id: next_hop action { action_profile_member_id: 1 } }`, codes.InvalidArgument, `table %next_hop: action is action_profile_member_id: entries can be selected by an action's id only`},
		{`table_entry { table_id: route_v4 time_since_last_hit { } }`, codes.InvalidArgument, `table %route_v4: time_since_last_hit: the table does not support idle timeouts`},
		{`table_entry { table_id: route_v4 meter_counter_data { } }`, codes.Unimplemented, "meter counter data: v1model's meters do not count by color"},
		{`table_entry { table_id: host is_default_action: true priority: 1 }`, codes.InvalidArgument, "default entry: match, priority, idle_timeout_ns and time_since_last_hit must not be set"},
		{`direct_counter_entry { }`, codes.InvalidArgument, "direct counter: table_entry: missing"},
		{`direct_counter_entry { table_entry { table_id: acl } }`, codes.InvalidArgument, `table %acl: it has no direct counter`},
		{`direct_counter_entry { table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } } }`, codes.NotFound, `table %host: direct counter: no entry with this match and priority`},
		{`direct_counter_entry { table_entry { table_id: host is_default_action: true } }`, codes.Unimplemented, `table %host: default entry: direct counters and meters of v1model work on hits, so the default entry has none`},
		{`direct_meter_entry { table_entry { } counter_data { } }`, codes.Unimplemented, "meter counter data: v1model's meters do not count by color"},
		{`counter_entry { counter_id: port_counter index { index: -1 } }`, codes.InvalidArgument, `counter %port_counter: index -1: it must not be negative`},
		{`counter_entry { counter_id: port_counter index { index: 64 } }`, codes.OutOfRange, `counter %port_counter: index 64: it has cells 0 to 63`},
		{`counter_entry { counter_id: host }`, codes.InvalidArgument, `counter id %host (%host): not a counter of the P4Info`},
		{`counter_entry { index { } }`, codes.InvalidArgument, "counter id 0 reads all; an index cannot be used with it"},
		{`meter_entry { counter_data { } }`, codes.Unimplemented, "meter counter data: v1model's meters do not count by color"},
		{`action_profile_member { member_id: 1 }`, codes.InvalidArgument, "action profile id 0 reads all; a member id cannot be used with it"},
		{`action_profile_member { action_profile_id: hops member_id: 1 }`, codes.NotFound, `action profile %hops: member 1: no such member`},
		{`action_profile_group { group_id: 1 }`, codes.InvalidArgument, "action profile id 0 reads all; a group id cannot be used with it"},
		{`action_profile_group { action_profile_id: paths group_id: 1 }`, codes.NotFound, `action profile %paths: group 1: no such group`},
		{`packet_replication_engine_entry { }`, codes.InvalidArgument, "packet_replication_engine_entry: not set; it must be a multicast_group_entry or a clone_session_entry"},
		{`packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 4 } }`, codes.NotFound, "multicast group 4: no such multicast group"},
		{`packet_replication_engine_entry { clone_session_entry { session_id: 4 } }`, codes.NotFound, "clone session 4: no such clone session"},
		{`value_set_entry { members { } }`, codes.InvalidArgument, "value set entry: members must not be set in a read"},
		{`digest_entry { digest_id: learn_t }`, codes.NotFound, `digest %learn_t: not enabled; INSERT enables it`},
		{`extern_entry { extern_type_id: 129 }`, codes.Unimplemented, "extern_entry: v1model has no externs beyond those of P4Runtime"},
	} {
		t.Run(tc.request, func(t *testing.T) {
			_, _, err := o.readAll(o.entity(tc.request))
			wantDetail(t, err, tc.code, o.message(tc.message))
		})
	}

	// The valid parts of a batch are answered, and each part has its own status (spec 13.3).
	o.must(insert, host1)
	got, _, err := o.readAll(o.entity(`table_entry { table_id: host }`), o.entity(`table_entry { table_id: 5 }`), o.entity(`table_entry { table_id: acl }`))
	d := details(t, err)
	if len(d) != 3 || d[0].CanonicalCode != 0 || codes.Code(d[1].CanonicalCode) != codes.InvalidArgument || d[2].CanonicalCode != 0 {
		t.Errorf("details %v", d)
	}
	if diff := cmp.Diff([]*p4v1.Entity{o.entity(host1)}, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}

	st, err := o.client.Read(context.Background(), &p4v1.ReadRequest{DeviceId: 3})
	if err == nil {
		_, err = st.Recv()
	}
	wantStatus(t, err, codes.NotFound, "device id 3: not known here; this server's device is 1")
}

// TestLargeRead reads 100,000 entries twice. All of them must arrive in messages of limited size, in the
// same order both times.
func TestLargeRead(t *testing.T) {
	o := newObjects(t)
	const n = 100_000
	var batch []*p4v1.Update
	forward := &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{
		ActionId: o.ids["forward"], Params: []*p4v1.Action_Param{{ParamId: 1, Value: []byte{2}}},
	}}}
	for i := range n {
		mac := shortest([]byte{byte(i >> 16), byte(i >> 8), byte(i)})
		batch = append(batch, &p4v1.Update{Type: insert, Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{
			TableId: o.ids["host"], Action: forward,
			Match: []*p4v1.FieldMatch{{FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: mac}}}},
		}}}})
		if len(batch) == 10_000 {
			if err := o.write(batch...); err != nil {
				t.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	all := o.entity(`table_entry { table_id: host }`)
	first, messages, err := o.readAll(all)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != n || len(messages) < n/maxReadEntities {
		t.Fatalf("%d entries in %d messages, want %d in at least %d", len(first), len(messages), n, n/maxReadEntities)
	}
	for i, m := range messages {
		if len(m.Entities) > maxReadEntities || proto.Size(m) > maxReadBytes+8*maxReadEntities {
			t.Fatalf("message %d: %d entities, %d bytes", i, len(m.Entities), proto.Size(m))
		}
	}
	seen := make(map[string]bool, n)
	for _, e := range first {
		seen[string(e.GetTableEntry().Match[0].GetExact().Value)] = true
	}
	if len(seen) != n {
		t.Fatalf("%d different entries, want %d", len(seen), n)
	}
	again, _, err := o.readAll(all)
	if err != nil || len(again) != n {
		t.Fatalf("%d entries the second time, %v", len(again), err)
	}
	for i := range again {
		if !bytes.Equal(again[i].GetTableEntry().Match[0].GetExact().Value, first[i].GetTableEntry().Match[0].GetExact().Value) {
			t.Fatalf("entry %d is another the second time", i)
		}
	}
}

// A messageLog is the sending side of a Read. It records the messages.
type messageLog struct {
	grpc.ServerStream
	sent []*p4v1.ReadResponse
}

func (l *messageLog) Send(m *p4v1.ReadResponse) error {
	l.sent = append(l.sent, m)
	return nil
}

// TestChunker verifies that the size of messages is limited in bytes too. Eight entities of 100 KiB need
// two messages, and a large entity is sent alone.
func TestChunker(t *testing.T) {
	var log messageLog
	c := chunker{stream: &log}
	for _, kib := range []int{100, 100, 100, 100, 100, 100, 100, 100, 1, 2000, 1} {
		e := &p4v1.TableEntry{Metadata: make([]byte, kib<<10)}
		if err := c.add(&p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: e}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, m := range log.sent {
		sizes = append(sizes, len(m.Entities))
	}
	if fmt.Sprint(sizes) != "[5 4 1 1]" {
		t.Errorf("entities a message: %v, want [5 4 1 1]", sizes)
	}

	log = messageLog{}
	c = chunker{stream: &log}
	if err := c.finish(); err != nil || len(log.sent) != 1 {
		t.Errorf("an answer without entities: %d messages, %v, want one", len(log.sent), err)
	}
}
