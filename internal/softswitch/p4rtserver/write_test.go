package p4rtserver

import (
	"context"
	"fmt"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	host1   = `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: forward params { param_id: 1 value: "\x02" } } } }`
	acl1    = `table_entry { table_id: acl priority: 10 match { field_id: 1 exact { value: "\x01" } } action { action { action_id: drop } } }`
	route1  = `table_entry { table_id: route_v4 match { field_id: 1 lpm { value: "\x0a\x00\x00\x00" prefix_len: 8 } } action { action { action_id: route params { param_id: 1 value: "\x02" } params { param_id: 2 value: "\x01" } } } }`
	member1 = `action_profile_member { action_profile_id: paths member_id: 1 action { action_id: forward params { param_id: 1 value: "\x02" } } }`
	member2 = `action_profile_member { action_profile_id: paths member_id: 2 action { action_id: forward params { param_id: 1 value: "\x03" } } }`
	group1  = `action_profile_group { action_profile_id: paths group_id: 1 members { member_id: 1 weight: 1 } members { member_id: 2 weight: 2 } max_size: 4 }`
	set1    = `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x01" } } action { action_profile_action_set {
	             action_profile_actions { action { action_id: forward params { param_id: 1 value: "\x02" } } weight: 1 }
	             action_profile_actions { action { action_id: forward params { param_id: 1 value: "\x02" } } weight: 2 } } } }`
	mcast1 = `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 replicas { port: "\x01" instance: 1 } replicas { port: "\x02" instance: 1 } metadata: "m" } }`
	clone5 = `packet_replication_engine_entry { clone_session_entry { session_id: 5 replicas { port: "\x01\xfe" instance: 3 } class_of_service: 2 packet_length_bytes: 100 } }`
)

// TestWriteRefused checks every way in which an update can be refused, with the code and the message. The updates in
// setup are written first.
func TestWriteRefused(t *testing.T) {
	for _, tc := range []struct {
		name    string
		setup   []string
		op      p4v1.Update_Type
		entity  string
		code    codes.Code
		message string
	}{
		{"no update type", nil, nothing, host1, codes.InvalidArgument, "update type UNSPECIFIED: it must be INSERT, MODIFY or DELETE"},
		{"no entity", nil, insert, ``, codes.InvalidArgument, "entity: not set, or of a kind that this version of P4Runtime does not have"},
		{"extern", nil, insert, `extern_entry { extern_type_id: 0x81 extern_id: 1 }`, codes.Unimplemented, "extern_entry: v1model has no externs beyond those of P4Runtime"},

		// Errors in an entry's key.
		{"table 0", nil, insert, `table_entry { }`, codes.InvalidArgument, "table id 0x0 (not in the P4Info): not a table of the P4Info"},
		{"id of an action", nil, insert, `table_entry { table_id: drop }`, codes.InvalidArgument, `table id %drop (%name drop): not a table of the P4Info`},
		{"unknown field", nil, insert, `table_entry { table_id: host match { field_id: 7 exact { value: "\x01" } } }`, codes.InvalidArgument, `table %host: match field id 7: not in the P4Info, which has 1 (mac)`},
		{"field twice", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } match { field_id: 1 exact { value: "\x01" } } }`, codes.InvalidArgument, `table %host: match field "mac": given twice`},
		{"exact missing", nil, insert, `table_entry { table_id: host }`, codes.InvalidArgument, `table %host: match field "mac": missing; an exact field cannot be left out`},
		{"exact empty", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { } } }`, codes.InvalidArgument, `table %host: match field "mac": bad binary string: empty; zero is one zero byte`},
		{"exact too wide", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01\x00\x00\x00\x00\x00\x00" } } }`, codes.InvalidArgument, `table %host: match field "mac": bad binary string: 0x01000000000000 has 49 bits, the width is 48`},
		{"wrong kind", nil, insert, `table_entry { table_id: host match { field_id: 1 ternary { value: "\x01" mask: "\x01" } } }`, codes.InvalidArgument, `table %host: match field "mac": match is of type ternary; the P4Info says EXACT`},
		{"no kind", nil, insert, `table_entry { table_id: host match { field_id: 1 } }`, codes.InvalidArgument, `table %host: match field "mac": no match type is set; the P4Info says EXACT`},
		{"lpm of 0", nil, insert, `table_entry { table_id: route_v4 match { field_id: 1 lpm { value: "\x00" } } }`, codes.InvalidArgument, `table %route_v4: match field "prefix": prefix_len 0 matches everything; leave the field out`},
		{"lpm too long", nil, insert, `table_entry { table_id: route_v4 match { field_id: 1 lpm { value: "\x01" prefix_len: 33 } } }`, codes.InvalidArgument, `table %route_v4: match field "prefix": prefix_len 33; it must be 1 to 32`},
		{"lpm negative", nil, insert, `table_entry { table_id: route_v4 match { field_id: 1 lpm { value: "\x01" prefix_len: -1 } } }`, codes.InvalidArgument, `table %route_v4: match field "prefix": prefix_len -1; it must be 1 to 32`},
		{"lpm host bits", nil, insert, `table_entry { table_id: route_v4 match { field_id: 1 lpm { value: "\x0a\x00\x00\x01" prefix_len: 8 } } }`, codes.InvalidArgument, `table %route_v4: match field "prefix": value 0x0a000001 has bits set beyond prefix_len 8; they must be zero`},
		{"ternary mask 0", nil, insert, `table_entry { table_id: acl priority: 1 match { field_id: 1 exact { value: "\x01" } } match { field_id: 2 ternary { value: "\x00" mask: "\x00" } } }`, codes.InvalidArgument, `table %acl: match field "src": mask 0 matches everything; leave the field out`},
		{"ternary outside mask", nil, insert, `table_entry { table_id: acl priority: 1 match { field_id: 1 exact { value: "\x01" } } match { field_id: 2 ternary { value: "\x03" mask: "\x01" } } }`, codes.InvalidArgument, `table %acl: match field "src": value 0x03 has bits set outside mask 0x01; they must be zero`},
		{"ternary without mask", nil, insert, `table_entry { table_id: acl priority: 1 match { field_id: 1 exact { value: "\x01" } } match { field_id: 2 ternary { value: "\x03" } } }`, codes.InvalidArgument, `table %acl: match field "src": mask: bad binary string: empty; zero is one zero byte`},
		{"range reversed", nil, insert, `table_entry { table_id: acl priority: 1 match { field_id: 1 exact { value: "\x01" } } match { field_id: 3 range { low: "\x02\x00" high: "\x01" } } }`, codes.InvalidArgument, `table %acl: match field "type": low 0x0200 is above high 0x01`},
		{"range of all", nil, insert, `table_entry { table_id: acl priority: 1 match { field_id: 1 exact { value: "\x01" } } match { field_id: 3 range { low: "\x00" high: "\xff\xff" } } }`, codes.InvalidArgument, `table %acl: match field "type": low 0x00 to high 0xffff matches everything; leave the field out`},
		{"optional too wide", nil, insert, `table_entry { table_id: acl priority: 1 match { field_id: 1 exact { value: "\x01" } } match { field_id: 4 optional { value: "\x10\x00" } } }`, codes.InvalidArgument, `table %acl: match field "group": bad binary string: 0x1000 has 13 bits, the width is 12`},
		{"priority missing", nil, insert, `table_entry { table_id: acl match { field_id: 1 exact { value: "\x01" } } }`, codes.InvalidArgument, `table %acl: priority 0: it must be > 0, since the key has ternary, range or optional fields`},
		{"priority negative", nil, insert, `table_entry { table_id: acl priority: -1 match { field_id: 1 exact { value: "\x01" } } }`, codes.InvalidArgument, `table %acl: priority -1: it must be > 0, since the key has ternary, range or optional fields`},
		{"priority not wanted", nil, insert, `table_entry { table_id: host priority: 1 match { field_id: 1 exact { value: "\x01" } } }`, codes.InvalidArgument, `table %host: priority 1: it must be 0, since the key has no ternary, range or optional fields`},
		{"keyless table", nil, insert, `table_entry { table_id: epoch action { action { action_id: set_epoch params { param_id: 1 value: "\x01" } } } }`, codes.InvalidArgument, `table %epoch: it has no match fields, so it has no entries but the default one`},

		// Errors in an entry's action.
		{"no action", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } }`, codes.InvalidArgument, `table %host: action: missing; an INSERT needs one`},
		{"empty action", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { } }`, codes.InvalidArgument, `table %host: action is unset; a table without action profile takes an action`},
		{"empty action in a MODIFY", []string{host1}, modify, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { } }`, codes.InvalidArgument, `table %host: action is unset; a table without action profile takes an action`},
		{"empty action for an indirect table", nil, insert, `table_entry { table_id: next_hop match { field_id: 1 exact { value: "\x01" } } action { } }`, codes.InvalidArgument, `table %next_hop: action is unset; the table's action profile %hops takes members`},
		{"foreign action", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: route } } }`, codes.InvalidArgument, `table %host: action id %route (%name route): not among the table's actions`},
		{"default only", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: NoAction } } }`, codes.PermissionDenied, `table %host: action "NoAction": its scope is DEFAULT_ONLY, so it cannot be that of a match entry`},
		{"parameter missing", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: forward } } }`, codes.InvalidArgument, `table %host: action %name forward: parameter "port": missing; every parameter must be given`},
		{"parameter unknown", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: forward params { param_id: 9 value: "\x01" } } } }`, codes.InvalidArgument, `table %host: action %name forward: parameter id 9: the action has none of this id`},
		{"parameter twice", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: forward params { param_id: 1 value: "\x01" } params { param_id: 1 value: "\x01" } } } }`, codes.InvalidArgument, `table %host: action %name forward: parameter "port": given twice`},
		{"parameter too wide", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: forward params { param_id: 1 value: "\x02\x00" } } } }`, codes.InvalidArgument, `table %host: action %name forward: parameter "port": bad binary string: 0x0200 has 10 bits, the width is 9`},
		{"parameter empty", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action { action_id: forward params { param_id: 1 } } } }`, codes.InvalidArgument, `table %host: action %name forward: parameter "port": bad binary string: empty; zero is one zero byte`},
		{"member for a direct table", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } action { action_profile_member_id: 1 } }`, codes.InvalidArgument, `table %host: action is action_profile_member_id; a table without action profile takes an action`},
		{"action for an indirect table", nil, insert, `table_entry { table_id: next_hop match { field_id: 1 exact { value: "\x01" } } action { action { action_id: NoAction } } }`, codes.InvalidArgument, `table %next_hop: action is action; the table's action profile %hops takes members`},
		{"group without selector", nil, insert, `table_entry { table_id: next_hop match { field_id: 1 exact { value: "\x01" } } action { action_profile_group_id: 1 } }`, codes.InvalidArgument, `table %next_hop: action is a group; action profile %hops has no selector`},
		{"set without selector", nil, insert, `table_entry { table_id: next_hop match { field_id: 1 exact { value: "\x01" } } action { action_profile_action_set { } } }`, codes.InvalidArgument, `table %next_hop: action is an action set; action profile %hops has no selector`},
		{"member not there", nil, insert, `table_entry { table_id: next_hop match { field_id: 1 exact { value: "\x01" } } action { action_profile_member_id: 9 } }`, codes.NotFound, `table %next_hop: member 9 of action profile %hops: not found`},
		{"group not there", nil, insert, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x01" } } action { action_profile_group_id: 9 } }`, codes.NotFound, `table %balanced: group 9 of action profile %paths: not found`},

		// Errors in an entry's other fields.
		{"is_const", nil, insert, `table_entry { table_id: host is_const: true }`, codes.InvalidArgument, `table %host: is_const is set; only the server sets it`},
		{"time since last hit", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } time_since_last_hit { } }`, codes.InvalidArgument, `table %host: time_since_last_hit is set; only the server sets it`},
		{"idle timeout not supported", nil, insert, `table_entry { table_id: route_v4 idle_timeout_ns: 5 }`, codes.InvalidArgument, `table %route_v4: idle_timeout_ns 5: the table does not support idle timeouts`},
		{"idle timeout negative", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } idle_timeout_ns: -5 }`, codes.InvalidArgument, `table %host: idle_timeout_ns -5: it must not be negative`},
		{"counter data without counter", nil, insert, `table_entry { table_id: route_v4 counter_data { } }`, codes.InvalidArgument, `table %route_v4: counter_data: the table has no direct counter`},
		{"counter data negative", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } counter_data { packet_count: -1 } }`, codes.InvalidArgument, `table %host: counter_data: -1 packets, 0 bytes: neither may be negative`},
		{"meter config without meter", nil, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } meter_config { } }`, codes.InvalidArgument, `table %host: meter_config: the table has no direct meter`},
		{"meter config with eburst", nil, insert, `table_entry { table_id: route_v4 meter_config { eburst: 1 } }`, codes.InvalidArgument, `table %route_v4: meter_config: eburst 1: it must be 0 for a two-rate meter`},
		{"meter config with pir below cir", nil, insert, `table_entry { table_id: route_v4 meter_config { cir: 2 pir: 1 } }`, codes.InvalidArgument, `table %route_v4: meter_config: bad meter configuration: pir 1 is below cir 2`},
		{"meter counters", nil, insert, `table_entry { table_id: route_v4 meter_counter_data { } }`, codes.Unimplemented, `meter counter data: v1model's meters do not count by color`},

		// Entries that exist already or do not exist.
		{"exists", []string{host1}, insert, host1, codes.AlreadyExists, `table %host: entry [01]: already exists`},
		{"exists in another form", []string{host1}, insert, `table_entry { table_id: host match { field_id: 1 exact { value: "\x00\x00\x01" } } action { action { action_id: drop } } }`, codes.AlreadyExists, `table %host: entry [01]: already exists`},
		{"modify what is not there", nil, modify, host1, codes.NotFound, `table %host: MODIFY: no entry with this match and priority`},
		{"delete what is not there", nil, del, host1, codes.NotFound, `table %host: DELETE: no entry with this match and priority`},
		{"another priority is another entry", []string{acl1}, del, `table_entry { table_id: acl priority: 11 match { field_id: 1 exact { value: "\x01" } } }`, codes.NotFound, `table %acl: DELETE: no entry with this match and priority`},

		// Writes to const tables and default entries.
		{"insert into const", nil, insert, `table_entry { table_id: fixed priority: 9 match { field_id: 1 ternary { value: "\x01" mask: "\x01" } } action { action { action_id: NoAction } } }`, codes.PermissionDenied, `table %fixed: INSERT: its entries are const`},
		{"delete from const", nil, del, `table_entry { table_id: fixed priority: 2 match { field_id: 1 ternary { value: "\x86\xdd" mask: "\xff\xff" } } }`, codes.PermissionDenied, `table %fixed: DELETE: its entries are const`},
		{"modify const", nil, modify, `table_entry { table_id: fixed priority: 2 match { field_id: 1 ternary { value: "\x86\xdd" mask: "\xff\xff" } } action { action { action_id: set_group params { param_id: 1 value: "\x02" } } } }`, codes.PermissionDenied, `table %fixed: MODIFY: the entry is const; only counter_data and meter_config can be given`},
		{"metadata of const", nil, modify, `table_entry { table_id: fixed priority: 2 match { field_id: 1 ternary { value: "\x86\xdd" mask: "\xff\xff" } } metadata: "x" }`, codes.PermissionDenied, `table %fixed: MODIFY: the entry is const; only counter_data and meter_config can be given`},
		{"modify in const what is not there", nil, modify, `table_entry { table_id: fixed priority: 9 match { field_id: 1 ternary { value: "\x86\xdd" mask: "\xff\xff" } } }`, codes.NotFound, `table %fixed: MODIFY: no entry with this match and priority`},
		{"insert default", nil, insert, `table_entry { table_id: host is_default_action: true }`, codes.InvalidArgument, `table %host: default entry: update type INSERT: only MODIFY is allowed; without action it resets the entry`},
		{"delete default", nil, del, `table_entry { table_id: host is_default_action: true }`, codes.InvalidArgument, `table %host: default entry: update type DELETE: only MODIFY is allowed; without action it resets the entry`},
		{"default with match", nil, modify, `table_entry { table_id: host is_default_action: true match { field_id: 1 exact { value: "\x01" } } }`, codes.InvalidArgument, `table %host: default entry: match must be empty`},
		{"default with priority", nil, modify, `table_entry { table_id: host is_default_action: true priority: 3 }`, codes.InvalidArgument, `table %host: default entry: priority 3: it must be 0`},
		{"default with idle timeout", nil, modify, `table_entry { table_id: host is_default_action: true idle_timeout_ns: 3 }`, codes.InvalidArgument, `table %host: default entry: it has no idle timeout`},
		{"const default", nil, modify, `table_entry { table_id: fixed is_default_action: true action { action { action_id: set_group params { param_id: 1 value: "\x02" } } } }`, codes.PermissionDenied, `table %fixed: default entry: action "NoAction" is const`},
		{"const default reset", nil, modify, `table_entry { table_id: fixed is_default_action: true }`, codes.PermissionDenied, `table %fixed: default entry: action "NoAction" is const`},
		{"default of an indirect table", nil, modify, `table_entry { table_id: next_hop is_default_action: true action { action { action_id: NoAction } } }`, codes.PermissionDenied, `table %next_hop: default entry: it is const in a table with an action profile`},
		{"default is a member", nil, modify, `table_entry { table_id: host is_default_action: true action { action_profile_member_id: 1 } }`, codes.InvalidArgument, `table %host: default entry: action is action_profile_member_id; it must be an action`},
		{"table only", nil, modify, `table_entry { table_id: route_v4 is_default_action: true action { action { action_id: route params { param_id: 1 value: "\x02" } params { param_id: 2 value: "\x01" } } } }`, codes.PermissionDenied, `table %route_v4: action %name route: its scope is TABLE_ONLY, so it cannot be that of a default entry`},
		{"default with empty action", nil, modify, `table_entry { table_id: host is_default_action: true action { } }`, codes.InvalidArgument, `table %host: default entry: action is unset; it must be an action`},
		{"default with counter data", nil, modify, `table_entry { table_id: host is_default_action: true counter_data { } }`, codes.Unimplemented, `table %host: default entry: direct counters and meters of v1model work on hits, so the default entry has none`},
		{"default with counter data, no counter", nil, modify, `table_entry { table_id: epoch is_default_action: true counter_data { } }`, codes.InvalidArgument, `table %epoch: counter_data: the table has no direct counter`},
		{"default with meter config, no meter", nil, modify, `table_entry { table_id: epoch is_default_action: true meter_config { } }`, codes.InvalidArgument, `table %epoch: meter_config: the table has no direct meter`},

		// Direct resources.
		{"direct counter insert", nil, insert, `direct_counter_entry { table_entry { table_id: host } }`, codes.InvalidArgument, "direct counter entry: update type INSERT: only MODIFY is allowed"},
		{"direct counter without entry", nil, modify, `direct_counter_entry { }`, codes.InvalidArgument, "direct counter: table_entry: missing"},
		{"direct counter of none", nil, modify, `direct_counter_entry { table_entry { table_id: route_v4 } }`, codes.InvalidArgument, `table %route_v4: it has no direct counter`},
		{"direct counter not there", nil, modify, `direct_counter_entry { table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } } }`, codes.NotFound, `table %host: direct counter: no entry with this match and priority`},
		{"direct counter of default", nil, modify, `direct_counter_entry { table_entry { table_id: host is_default_action: true } }`, codes.Unimplemented, `table %host: default entry: direct counters and meters of v1model work on hits, so the default entry has none`},
		{"direct counter negative", []string{host1}, modify, `direct_counter_entry { table_entry { table_id: host match { field_id: 1 exact { value: "\x01" } } } data { byte_count: -4 } }`, codes.InvalidArgument, `table %host: direct counter: data: 0 packets, -4 bytes: neither may be negative`},
		{"direct meter delete", nil, del, `direct_meter_entry { table_entry { table_id: route_v4 } }`, codes.InvalidArgument, "direct meter entry: update type DELETE: only MODIFY is allowed"},
		{"direct meter not there", nil, modify, `direct_meter_entry { table_entry { table_id: route_v4 } }`, codes.NotFound, `table %route_v4: direct meter: no entry with this match and priority`},
		{"direct meter counters", []string{route1}, modify, `direct_meter_entry { table_entry { table_id: route_v4 match { field_id: 1 lpm { value: "\x0a\x00\x00\x00" prefix_len: 8 } } } counter_data { } }`, codes.Unimplemented, "meter counter data: v1model's meters do not count by color"},
		{"direct meter bad config", []string{route1}, modify, `direct_meter_entry { table_entry { table_id: route_v4 match { field_id: 1 lpm { value: "\x0a\x00\x00\x00" prefix_len: 8 } } } config { cir: -1 } }`, codes.InvalidArgument, `table %route_v4: direct meter: config: bad meter configuration: cir is -1, must be at least 0`},

		// Indexed resources.
		{"counter insert", nil, insert, `counter_entry { counter_id: port_counter }`, codes.InvalidArgument, "counter entry: update type INSERT: only MODIFY is allowed"},
		{"counter unknown", nil, modify, `counter_entry { counter_id: 1 }`, codes.InvalidArgument, "counter id 0x1 (not in the P4Info): not a counter of the P4Info"},
		{"counter index negative", nil, modify, `counter_entry { counter_id: port_counter index { index: -1 } }`, codes.InvalidArgument, `counter %port_counter: index -1: it must not be negative`},
		{"counter index too large", nil, modify, `counter_entry { counter_id: port_counter index { index: 64 } }`, codes.OutOfRange, `counter %port_counter: index 64: it has cells 0 to 63`},
		{"counter negative", nil, modify, `counter_entry { counter_id: port_counter data { packet_count: -1 } }`, codes.InvalidArgument, `counter %port_counter: data: -1 packets, 0 bytes: neither may be negative`},
		{"meter insert", nil, insert, `meter_entry { meter_id: port_meter }`, codes.InvalidArgument, "meter entry: update type INSERT: only MODIFY is allowed"},
		{"meter index negative", nil, modify, `meter_entry { meter_id: port_meter index { index: -1 } }`, codes.InvalidArgument, `meter %port_meter: index -1: it must not be negative`},
		{"meter index too large", nil, modify, `meter_entry { meter_id: port_meter index { index: 32 } }`, codes.OutOfRange, `meter %port_meter: index 32: it has cells 0 to 31`},
		{"meter counters of an index", nil, modify, `meter_entry { meter_id: port_meter counter_data { } }`, codes.Unimplemented, "meter counter data: v1model's meters do not count by color"},
		{"meter of one rate", nil, modify, `meter_entry { meter_id: one_rate config { cir: 1 cburst: 1 pir: 2 pburst: 1 } }`, codes.InvalidArgument, `meter %one_rate: config: a single-rate two-color meter needs pir = cir, pburst = cburst and eburst = 0; got cir 1, cburst 1, pir 2, pburst 1, eburst 0`},
		{"register insert", nil, insert, `register_entry { register_id: last_src }`, codes.InvalidArgument, "register entry: update type INSERT: only MODIFY is allowed"},
		{"register index negative", nil, modify, `register_entry { register_id: last_src index { index: -1 } }`, codes.InvalidArgument, `register %last_src: index -1: it must not be negative`},
		{"register index too large", nil, modify, `register_entry { register_id: last_src index { index: 16 } }`, codes.OutOfRange, `register %last_src: index 16: it has cells 0 to 15`},
		{"register without data", nil, modify, `register_entry { register_id: last_src }`, codes.InvalidArgument, `register %last_src: data is not set; the P4Info says bitstring`},
		{"register of another type", nil, modify, `register_entry { register_id: last_src data { bool: true } }`, codes.InvalidArgument, `register %last_src: data is bool; the P4Info says bitstring`},
		{"register too wide", nil, modify, `register_entry { register_id: last_src data { bitstring: "\x01\x00\x00\x00\x00\x00\x00" } }`, codes.InvalidArgument, `register %last_src: bad binary string: 0x01000000000000 has 49 bits, the width is 48`},

		// Action profiles.
		{"profile unknown", nil, insert, `action_profile_member { action_profile_id: 1 member_id: 1 }`, codes.InvalidArgument, "action profile id 0x1 (not in the P4Info): not an action profile of the P4Info"},
		{"member 0", nil, insert, `action_profile_member { action_profile_id: hops }`, codes.InvalidArgument, `action profile %hops: member id 0 is not a valid id`},
		{"member without action", nil, insert, `action_profile_member { action_profile_id: hops member_id: 1 }`, codes.InvalidArgument, `action profile %hops: member 1: action: missing`},
		{"member with a foreign action", nil, insert, `action_profile_member { action_profile_id: hops member_id: 1 action { action_id: drop } }`, codes.InvalidArgument, `table %next_hop: action id %drop (%name drop): not among the table's actions`},
		{"member exists", []string{member1}, insert, member1, codes.AlreadyExists, `action profile %paths: member 1: already exists`},
		{"member to modify not there", nil, modify, member1, codes.NotFound, `action profile %paths: member 1: not found`},
		{"member to delete not there", nil, del, member1, codes.NotFound, `action profile %paths: member 1: not found`},
		{"member in a group", []string{member1, member2, group1}, del, member1, codes.FailedPrecondition, `action profile %paths: member 1: in use: 1 references`},
		{"group without selector in profile", nil, insert, `action_profile_group { action_profile_id: hops group_id: 1 }`, codes.InvalidArgument, `action profile %hops: it has no selector, so it has no groups`},
		{"group 0", nil, insert, `action_profile_group { action_profile_id: paths }`, codes.InvalidArgument, `action profile %paths: group id 0 is not a valid id`},
		{"group exists", []string{member1, member2, group1}, insert, group1, codes.AlreadyExists, `action profile %paths: group 1: already exists`},
		{"group to modify not there", nil, modify, group1, codes.NotFound, `action profile %paths: group 1: MODIFY: no such group`},
		{"group to delete not there", nil, del, group1, codes.NotFound, `action profile %paths: group 1: not found`},
		{"group of a member not there", nil, insert, group1, codes.NotFound, `action profile %paths: group 1: member 1: not found`},
		{"group with a member twice", []string{member1}, insert, `action_profile_group { action_profile_id: paths group_id: 1 max_size: 4 members { member_id: 1 weight: 1 } members { member_id: 1 weight: 1 } }`, codes.InvalidArgument, `action profile %paths: group 1: member 1: given twice; weight repeats a member`},
		{"group with weight 0", []string{member1}, insert, `action_profile_group { action_profile_id: paths group_id: 1 max_size: 4 members { member_id: 1 } }`, codes.InvalidArgument, `action profile %paths: weight 0: it must be positive`},
		{"group beyond max_size", []string{member1}, insert, `action_profile_group { action_profile_id: paths group_id: 1 max_size: 2 members { member_id: 1 weight: 3 } }`, codes.ResourceExhausted, `action profile %paths: group 1: size 3, at most 2`},
		{"group beyond max_group_size", []string{member1}, insert, `action_profile_group { action_profile_id: paths group_id: 1 members { member_id: 1 weight: 5 } }`, codes.ResourceExhausted, `action profile %paths: group 1: size 5, at most 4`},
		{"max_size beyond max_group_size", nil, insert, `action_profile_group { action_profile_id: paths group_id: 1 max_size: 5 }`, codes.InvalidArgument, `action profile %paths: group 1: max_size 5: the P4Info's max_group_size is 4`},
		{"max_size changed", []string{member1, member2, group1}, modify, `action_profile_group { action_profile_id: paths group_id: 1 max_size: 3 }`, codes.InvalidArgument, `action profile %paths: group 1: max_size 3: it was 4 when the group was made, and cannot be changed`},
		{"watch port", []string{member1}, insert, `action_profile_group { action_profile_id: paths group_id: 1 members { member_id: 1 weight: 1 watch_port: "\x01" } }`, codes.Unimplemented, `action profile %paths: watch_port is not supported`},
		{"action set beyond max_group_size", nil, insert, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x01" } } action { action_profile_action_set { action_profile_actions { action { action_id: NoAction } weight: 5 } } } }`, codes.InvalidArgument, `action profile %paths: action set of size 5: the P4Info's max_group_size is 4`},
		{"action set with weight 0", nil, insert, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x01" } } action { action_profile_action_set { action_profile_actions { action { action_id: NoAction } } } } }`, codes.InvalidArgument, `action profile %paths: weight 0: it must be positive`},
		{"action set without action", nil, insert, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x01" } } action { action_profile_action_set { action_profile_actions { weight: 1 } } } }`, codes.InvalidArgument, `action profile %paths: action set: number 0: action: missing`},
		{"action set at random", nil, insert, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x01" } } action { action_profile_action_set { action_selection_mode: RANDOM } } }`, codes.Unimplemented, `action profile %paths: action_selection_mode RANDOM: v1model's selectors hash, in every group`},
		{"action set of members", nil, insert, `table_entry { table_id: balanced match { field_id: 1 exact { value: "\x01" } } action { action_profile_action_set { size_semantics: SUM_OF_MEMBERS } } }`, codes.Unimplemented, `action profile %paths: size_semantics SUM_OF_MEMBERS: the P4Info says SUM_OF_WEIGHTS, for every group`},
		{"action set after members", []string{member1}, insert, set1, codes.InvalidArgument, `action profile %paths: programmed with members and groups and with one-shot action sets; it must be one of the two`},
		{"member after action set", []string{set1}, insert, member1, codes.InvalidArgument, `action profile %paths: programmed with members and groups and with one-shot action sets; it must be one of the two`},

		// Replication.
		{"replication unset", nil, insert, `packet_replication_engine_entry { }`, codes.InvalidArgument, "packet_replication_engine_entry: not set; it must be a multicast_group_entry or a clone_session_entry"},
		{"multicast group 0", nil, insert, `packet_replication_engine_entry { multicast_group_entry { } }`, codes.InvalidArgument, "multicast group id 0 is not a valid id"},
		{"multicast group too large", nil, insert, `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 65536 } }`, codes.InvalidArgument, "multicast group 65536: invalid: ids are 1 to 65535"},
		{"multicast group exists", []string{mcast1}, insert, mcast1, codes.AlreadyExists, "multicast group 1: it exists; MODIFY changes it"},
		{"multicast group not there", nil, modify, mcast1, codes.NotFound, "multicast group 1: MODIFY: no such multicast group"},
		{"multicast group to delete not there", nil, del, mcast1, codes.NotFound, "multicast group 1: DELETE: no such multicast group"},
		{"replica without port", nil, insert, `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 replicas { } } }`, codes.InvalidArgument, "multicast group 1: replica 0: port: missing"},
		{"replica with an empty port", nil, insert, `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 replicas { port: "" } } }`, codes.OutOfRange, "multicast group 1: replica 0: port: bad binary string: empty; zero is one zero byte"},
		{"replica to the drop port", nil, insert, `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 replicas { port: "\x01\xff" } } }`, codes.InvalidArgument, "multicast group 1: replica 0: port 511: v1model's ports are 0 to 510"},
		{"replica with a wide port", nil, insert, `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 replicas { port: "\x01\x00\x00\x00\x00" } } }`, codes.OutOfRange, "multicast group 1: replica 0: port: bad binary string: 0x0100000000 has 33 bits, the width is 32"},
		{"replica instance too large", nil, insert, `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 replicas { port: "\x01" instance: 65536 } } }`, codes.InvalidArgument, "multicast group 1: replica 0: instance 65536: the largest is 65535"},
		{"replica twice", nil, insert, `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 replicas { port: "\x01" } replicas { port: "\x00\x01" } } }`, codes.InvalidArgument, "multicast group 1: replica 1: port 1, instance 0: given twice"},
		{"backup replica", nil, insert, `packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 1 replicas { port: "\x01" backup_replicas { port: "\x02" } } } }`, codes.Unimplemented, "multicast group 1: replica 0: backup_replicas are not supported"},
		{"clone session 0", nil, insert, `packet_replication_engine_entry { clone_session_entry { } }`, codes.InvalidArgument, "clone session id 0 is not a valid id"},
		{"clone session exists", []string{clone5}, insert, clone5, codes.AlreadyExists, "clone session 5: it exists; MODIFY changes it"},
		{"clone session not there", nil, del, clone5, codes.NotFound, "clone session 5: DELETE: no such clone session"},
		{"clone session too large", nil, insert, `packet_replication_engine_entry { clone_session_entry { session_id: 32768 } }`, codes.InvalidArgument, "clone session 32768: invalid: ids are 0 to 32767"},
		{"clone session cut to less than nothing", nil, insert, `packet_replication_engine_entry { clone_session_entry { session_id: 1 packet_length_bytes: -1 } }`, codes.InvalidArgument, "clone session 1: invalid: truncation to -1 bytes"},

		// Value sets.
		{"value set insert", nil, insert, `value_set_entry { value_set_id: ip_types }`, codes.InvalidArgument, "value set entry: update type INSERT: only MODIFY is allowed"},
		{"value set unknown", nil, modify, `value_set_entry { value_set_id: 7 }`, codes.InvalidArgument, "value set id 0x7 (not in the P4Info): not a value set of the P4Info"},
		{"value set full", nil, modify, `value_set_entry { value_set_id: ip_types members { } members { } members { } members { } members { } }`, codes.ResourceExhausted, `value set %ip_types: 5 members; it holds 4`},
		{"value set with a bad member", nil, modify, `value_set_entry { value_set_id: ip_types members { match { field_id: 1 exact { value: "\x01\x00\x00" } } } }`, codes.InvalidArgument, `value set %ip_types: member 0: match field %vsfield: bad binary string: 0x010000 has 17 bits, the width is 16`},
		{"value set with a member twice", nil, modify, `value_set_entry { value_set_id: ip_types members { match { field_id: 1 exact { value: "\x08\x00" } } } members { match { field_id: 1 exact { value: "\x00\x08\x00" } } } }`, codes.AlreadyExists, `value set %ip_types: member 1: given twice`},

		// Digests.
		{"digest not enabled", nil, modify, `digest_entry { digest_id: learn_t }`, codes.NotFound, `digest %learn_t: not enabled; INSERT enables it`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := newObjects(t)
			for _, s := range tc.setup {
				o.must(insert, s)
			}
			before := o.state()
			o.refused(tc.op, tc.entity, tc.code, o.message(tc.message))
			o.wantState(before) // a refused update changes nothing
		})
	}
}

// TestTableFull verifies that an insert into a full table fails with RESOURCE_EXHAUSTED and evicts no entry.
func TestTableFull(t *testing.T) {
	o := newObjects(t)
	entry := func(i int) string {
		return fmt.Sprintf(`table_entry { table_id: acl priority: %d match { field_id: 1 exact { value: "\x01" } } action { action { action_id: drop } } }`, i)
	}
	for i := range 8 {
		o.must(insert, entry(i+1))
	}
	before := o.state()
	d := details(t, o.write(o.update(insert, entry(9))))
	if codes.Code(d[0].CanonicalCode) != codes.ResourceExhausted {
		t.Fatalf("%v, want RESOURCE_EXHAUSTED", d[0])
	}
	o.wantState(before)
	o.must(del, entry(3))
	o.must(insert, entry(9))
}

// TestBatch verifies that every update of a batch is tried, and that the errors are in the order of the updates.
func TestBatch(t *testing.T) {
	o := newObjects(t)
	err := o.write(o.update(insert, host1), o.update(insert, host1), o.update(insert, acl1), o.update(del, route1))
	st := status.Convert(err)
	want := o.message(`write: 2 of 4 failed; the first, number 1: table %host: entry [01]: already exists`)
	if st.Message() != want {
		t.Errorf("message %q, want %q", st.Message(), want)
	}
	d := details(t, err)
	var got []codes.Code
	for _, e := range d {
		got = append(got, codes.Code(e.CanonicalCode))
		if e.CanonicalCode == 0 && (e.Message != "" || e.Space != "") {
			t.Errorf("an OK with text: %v", e)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint([]codes.Code{codes.OK, codes.AlreadyExists, codes.OK, codes.NotFound}) {
		t.Errorf("codes %v", got)
	}
	o.reads(`table_entry { table_id: host }`, host1)
	o.reads(`table_entry { table_id: acl }`, acl1)
}

// TestWriteGate checks the tests that a Write must pass before its first update, in the order of spec 12.
func TestWriteGate(t *testing.T) {
	o := newSwitch(t)
	backup := o.rig.controller()
	backup.arbitrate(arbitration(device, "", nil))
	backup.told(codes.AlreadyExists, id(1))
	req := func(f func(*p4v1.WriteRequest)) *p4v1.WriteRequest {
		r := &p4v1.WriteRequest{DeviceId: device, ElectionId: id(1), Updates: []*p4v1.Update{o.update(insert, host1)}}
		f(r)
		return r
	}
	write := func(f func(*p4v1.WriteRequest)) error {
		_, err := o.client.Write(context.Background(), req(f))
		return err
	}
	wantStatus(t, write(func(r *p4v1.WriteRequest) { r.DeviceId, r.ElectionId = 9, id(9) }), codes.NotFound, "device id 9: not known here; this server's device is 1")
	wantStatus(t, write(func(r *p4v1.WriteRequest) { r.Role = "x" }), codes.NotFound, `role "x": not known to device 1; a role comes to be when a controller arbitrates for it`)
	wantStatus(t, write(func(r *p4v1.WriteRequest) { r.ElectionId = id(2) }), codes.PermissionDenied, "election id 2 is not the primary's: the primary of the default role has 1")
	wantStatus(t, write(func(r *p4v1.WriteRequest) { r.ElectionId = nil }), codes.PermissionDenied, "election id unset is not the primary's: the primary of the default role has 1")
	wantStatus(t, write(func(*p4v1.WriteRequest) {}), codes.FailedPrecondition, "no forwarding pipeline: push one with SetForwardingPipelineConfig first")
	_, _, err := o.readAll(o.entity(`table_entry { }`))
	wantStatus(t, err, codes.FailedPrecondition, "no forwarding pipeline: push one with SetForwardingPipelineConfig first")

	if err := o.push(p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT, o.config); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, write(func(r *p4v1.WriteRequest) { r.Atomicity = p4v1.WriteRequest_ROLLBACK_ON_ERROR }), codes.Unimplemented, "atomicity ROLLBACK_ON_ERROR: not supported; CONTINUE_ON_ERROR is")
	wantStatus(t, write(func(r *p4v1.WriteRequest) { r.Atomicity = p4v1.WriteRequest_DATAPLANE_ATOMIC }), codes.Unimplemented, "atomicity DATAPLANE_ATOMIC: not supported; CONTINUE_ON_ERROR is")
	if err := write(func(*p4v1.WriteRequest) {}); err != nil {
		t.Fatal(err)
	}

	// After the primary has disconnected, no controller may write, even with the old id.
	o.cancel()
	backup.told(codes.NotFound, id(1))
	wantStatus(t, write(func(*p4v1.WriteRequest) {}), codes.PermissionDenied, "the default role of device 1 has no primary; arbitrate on a StreamChannel with an election id of at least 1 first")

	// The primary of a named role writes by naming its role.
	learner := o.rig.controller()
	learner.arbitrate(arbitration(device, "learner", id(7)))
	learner.told(codes.OK, id(7))
	if err := write(func(r *p4v1.WriteRequest) { r.Role, r.ElectionId, r.Updates[0].Type = "learner", id(7), del }); err != nil {
		t.Fatal(err)
	}
}
