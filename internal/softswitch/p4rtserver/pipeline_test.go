package p4rtserver

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

const (
	verify          = p4v1.SetForwardingPipelineConfigRequest_VERIFY
	verifyAndSave   = p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_SAVE
	verifyAndCommit = p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT
	commitSaved     = p4v1.SetForwardingPipelineConfigRequest_COMMIT
	reconcile       = p4v1.SetForwardingPipelineConfigRequest_RECONCILE_AND_COMMIT
)

// TestBindRefused pushes a P4Info for every inconsistency within the P4Info or between the P4Info and the JSON. VERIFY and VERIFY_AND_COMMIT
// must refuse each of them without any change.
func TestBindRefused(t *testing.T) {
	o := newObjects(t)
	o.must(insert, host1)
	before := o.state()
	for _, tc := range []struct {
		name    string
		change  func(*p4cfg.P4Info)
		message string
	}{
		// Inconsistencies with the JSON.
		{"table", func(i *p4cfg.P4Info) { tableNamed(i, "host").Preamble.Name = "ObjectsIngress.hosts" }, `table "ObjectsIngress.hosts": in the P4Info; the JSON has `},
		{"table size", func(i *p4cfg.P4Info) { tableNamed(i, "acl").Size = 9 }, `table "ObjectsIngress.acl": size 9 in the P4Info, 8 in the JSON`},
		{"match field name", func(i *p4cfg.P4Info) { tableNamed(i, "host").MatchFields[0].Name = "dmac" }, `table "ObjectsIngress.host": match field "dmac": in the P4Info; the JSON has mac`},
		{"match field width", func(i *p4cfg.P4Info) { tableNamed(i, "host").MatchFields[0].Bitwidth = 47 }, `table "ObjectsIngress.host": match field "mac": 47 bits in the P4Info, 48 in the JSON`},
		{"match field kind", func(i *p4cfg.P4Info) {
			tableNamed(i, "host").MatchFields[0].Match = &p4cfg.MatchField_MatchType_{MatchType: p4cfg.MatchField_TERNARY}
		}, `table "ObjectsIngress.host": match field "mac": match type TERNARY in the P4Info, exact in the JSON`},
		{"match fields", func(i *p4cfg.P4Info) { tableNamed(i, "acl").MatchFields = tableNamed(i, "acl").MatchFields[:2] }, `table "ObjectsIngress.acl": 2 match fields in the P4Info, 4 in the JSON`},
		{"action", func(i *p4cfg.P4Info) { actionNamed(i, "mirror").Preamble.Name = "ObjectsIngress.copy" }, `table "ObjectsIngress.host": action "ObjectsIngress.copy": in the P4Info; the JSON has `},
		{"parameters", func(i *p4cfg.P4Info) { actionNamed(i, "forward").Params = nil }, `action "ObjectsIngress.forward": 0 parameters in the P4Info, 1 in the JSON`},
		{"parameter name", func(i *p4cfg.P4Info) { actionNamed(i, "forward").Params[0].Name = "out" }, `action "ObjectsIngress.forward": parameter "out": in the P4Info; the JSON has port`},
		{"parameter width", func(i *p4cfg.P4Info) { actionNamed(i, "forward").Params[0].Bitwidth = 16 }, `action "ObjectsIngress.forward": parameter "port": 16 bits in the P4Info, 9 in the JSON`},
		{"direct counter", func(i *p4cfg.P4Info) { i.DirectCounters[0].Preamble.Name = "x" }, `direct counter "x" in the P4Info, "ObjectsIngress.host_counter" in the JSON`},
		{"direct counter of a table without", func(i *p4cfg.P4Info) {
			i.DirectCounters[0].DirectTableId = tableNamed(i, "acl").Preamble.Id
		}, `table "ObjectsIngress.acl": direct counter "ObjectsIngress.host_counter" in the P4Info, none in the JSON`},
		{"direct meter", func(i *p4cfg.P4Info) { i.DirectMeters[0].Preamble.Name = "x" }, `table "ObjectsIngress.route_v4": direct meter "x" in the P4Info, "ObjectsIngress.route_meter" in the JSON`},
		{"direct meter unit", func(i *p4cfg.P4Info) { i.DirectMeters[0].Spec.Unit = p4cfg.MeterSpec_BYTES }, `direct meter "ObjectsIngress.route_meter": unit BYTES in the P4Info, packets in the JSON`},
		{"idle timeout", func(i *p4cfg.P4Info) { tableNamed(i, "acl").IdleTimeoutBehavior = p4cfg.Table_NOTIFY_CONTROL }, `table "ObjectsIngress.acl": idle timeout is NOTIFY_CONTROL in the P4Info, not supported in the JSON`},
		{"const entries", func(i *p4cfg.P4Info) {
			x := tableNamed(i, "fixed")
			x.IsConstTable, x.HasInitialEntries, x.Size = false, false, 3
		}, `table "ObjectsIngress.fixed": its entries are const in the JSON, not in the P4Info`},
		{"const default", func(i *p4cfg.P4Info) {
			tableNamed(i, "host").ConstDefaultActionId = actionNamed(i, "NoAction").Preamble.Id
		}, `table "ObjectsIngress.host": default action is const in the P4Info, not in the JSON`},
		{"action profile", func(i *p4cfg.P4Info) { i.ActionProfiles[0].Preamble.Name = "x" }, `action profile "x": in the P4Info; the JSON has ObjectsIngress.`},
		{"action profile size", func(i *p4cfg.P4Info) { i.ActionProfiles[0].Size = 1000 }, `size 1000 in the P4Info, 8 in the JSON`},
		{"selector", func(i *p4cfg.P4Info) { i.ActionProfiles[0].WithSelector = true }, `action profile "ObjectsIngress.hops": with_selector is true in the P4Info, false in the JSON`},
		{"implementation", func(i *p4cfg.P4Info) { tableNamed(i, "next_hop").ImplementationId = 0 }, `table "ObjectsIngress.next_hop": no implementation in the P4Info, action profile "ObjectsIngress.hops" in the JSON`},
		{"implementation that is none", func(i *p4cfg.P4Info) {
			tableNamed(i, "wide").ImplementationId = i.ActionProfiles[0].Preamble.Id
		}, `table "ObjectsIngress.wide": implementation is action profile "ObjectsIngress.hops" in the P4Info, none in the JSON`},
		{"other implementation", func(i *p4cfg.P4Info) {
			tableNamed(i, "next_hop").ImplementationId = i.ActionProfiles[1].Preamble.Id
		}, `table "ObjectsIngress.next_hop": implementation is action profile "ObjectsIngress.paths" in the P4Info, "ObjectsIngress.hops" in the JSON`},
		{"counter", func(i *p4cfg.P4Info) { i.Counters[0].Preamble.Name = "x" }, `counter "x": in the P4Info; the JSON has ObjectsIngress.port_counter`},
		{"counter size", func(i *p4cfg.P4Info) { i.Counters[0].Size = 65 }, `counter "ObjectsIngress.port_counter": size 65 in the P4Info, 64 in the JSON`},
		{"meter", func(i *p4cfg.P4Info) { i.Meters[0].Preamble.Name = "x" }, `meter "x": in the P4Info; the JSON has ObjectsIngress.port_meter, ObjectsIngress.one_rate`},
		{"meter size", func(i *p4cfg.P4Info) { i.Meters[0].Size = 33 }, `size 33 in the P4Info, 32 in the JSON`},
		{"meter unit", func(i *p4cfg.P4Info) { i.Meters[0].Spec.Unit = p4cfg.MeterSpec_PACKETS }, `unit PACKETS in the P4Info, bytes in the JSON`},
		{"register", func(i *p4cfg.P4Info) { i.Registers[0].Preamble.Name = "x" }, `register "x": in the P4Info; the JSON has ObjectsIngress.last_src`},
		{"register size", func(i *p4cfg.P4Info) { i.Registers[0].Size = 17 }, `register "ObjectsIngress.last_src": size 17 in the P4Info, 16 in the JSON`},
		{"register width", func(i *p4cfg.P4Info) { i.Registers[0].TypeSpec.GetBitstring().GetBit().Bitwidth = 32 }, `register "ObjectsIngress.last_src": 32 bits in the P4Info, 48 bits in the JSON`},
		{"value set", func(i *p4cfg.P4Info) { i.ValueSets[0].Preamble.Name = "x" }, `value set "x": in the P4Info; the JSON has ObjectsParser.ip_types`},
		{"value set width", func(i *p4cfg.P4Info) { i.ValueSets[0].Match[0].Bitwidth = 8 }, `value set "ObjectsParser.ip_types": 8 bits in the P4Info, 16 bits in the JSON`},
		{"digest", func(i *p4cfg.P4Info) { i.Digests[0].Preamble.Name = "x" }, `digest "x": in the P4Info; the JSON has learn_t`},
		{"digest fields", func(i *p4cfg.P4Info) {
			i.TypeInfo.Structs["learn_t"].Members = i.TypeInfo.Structs["learn_t"].Members[:1]
		}, `digest "learn_t": 1 fields in the P4Info, 2 in the JSON`},
		{"digest width", func(i *p4cfg.P4Info) {
			i.TypeInfo.Structs["learn_t"].Members[1].TypeSpec.GetBitstring().GetBit().Bitwidth = 10
		}, `digest "learn_t": field 1: 10 bits in the P4Info, 9 in the JSON`},
		{"packet_in", func(i *p4cfg.P4Info) { i.ControllerPacketMetadata[0].Metadata[0].Bitwidth = 8 }, `packet_in: fields of [8 3 20] bits in the P4Info, fields of [9 3 20] bits in the JSON's header type "packet_in_h"`},

		// Inconsistencies within the P4Info.
		{"id 0", func(i *p4cfg.P4Info) { tableNamed(i, "host").Preamble.Id = 0 }, `P4Info: table "ObjectsIngress.host": id 0 is not a valid id`},
		{"id twice", func(i *p4cfg.P4Info) { tableNamed(i, "acl").Preamble.Id = tableNamed(i, "host").Preamble.Id }, ` is also that of "ObjectsIngress.host"`},
		{"no name", func(i *p4cfg.P4Info) { tableNamed(i, "acl").Preamble.Name = "" }, `has no name`},
		{"field id twice", func(i *p4cfg.P4Info) { tableNamed(i, "acl").MatchFields[1].Id = 1 }, `P4Info: table "ObjectsIngress.acl": match field "src": id 1 is zero or taken`},
		{"unknown match type", func(i *p4cfg.P4Info) {
			tableNamed(i, "host").MatchFields[0].Match = &p4cfg.MatchField_OtherMatchType{OtherMatchType: "regex"}
		}, `match field "mac": match type "regex" is not supported; exact, lpm, ternary, range and optional are`},
		{"unset match type", func(i *p4cfg.P4Info) { tableNamed(i, "host").MatchFields[0].Match = nil }, `match field "mac": match type is not set`},
		{"width 0", func(i *p4cfg.P4Info) { tableNamed(i, "host").MatchFields[0].Bitwidth = 0 }, `match field "mac": bitwidth 0; it must be positive`},
		{"parameter id twice", func(i *p4cfg.P4Info) { actionNamed(i, "route").Params[1].Id = 1 }, `P4Info: action "ObjectsIngress.route": parameter "mac": id 1 is zero or taken`},
		{"translated type", func(i *p4cfg.P4Info) {
			i.TypeInfo.NewTypes = map[string]*p4cfg.P4NewTypeSpec{"port_id_t": {Representation: &p4cfg.P4NewTypeSpec_TranslatedType{TranslatedType: &p4cfg.P4NewTypeTranslation{}}}}
			actionNamed(i, "forward").Params[0].TypeName = &p4cfg.P4NamedType{Name: "port_id_t"}
		}, `P4Info: action "ObjectsIngress.forward": parameter "port": type "port_id_t" has @p4runtime_translation, which is not supported`},
		{"action ref", func(i *p4cfg.P4Info) { tableNamed(i, "host").ActionRefs[0].Id = 77 }, `P4Info: table "ObjectsIngress.host": action_refs: id 0x4d is not an action of the P4Info`},
		{"const default ref", func(i *p4cfg.P4Info) { tableNamed(i, "host").ConstDefaultActionId = 77 }, `P4Info: table "ObjectsIngress.host": const_default_action_id 0x4d is not among its action_refs`},
		{"implementation ref", func(i *p4cfg.P4Info) { tableNamed(i, "next_hop").ImplementationId = 77 }, `P4Info: table "ObjectsIngress.next_hop": implementation_id 0x4d is not an action profile of the P4Info`},
		{"direct counter ref", func(i *p4cfg.P4Info) { i.DirectCounters[0].DirectTableId = 77 }, `direct_table_id 0x4d is not a table of the P4Info`},
		{"direct meter ref", func(i *p4cfg.P4Info) { i.DirectMeters[0].DirectTableId = 77 }, `direct_table_id 0x4d is not a table of the P4Info`},
		{"digest type", func(i *p4cfg.P4Info) { i.TypeInfo.Structs = nil }, `P4Info: digest "learn_t": type_spec: struct "learn_t" is not in type_info`},
		{"register type", func(i *p4cfg.P4Info) { i.Registers[0].TypeSpec = nil }, `P4Info: register "ObjectsIngress.last_src": type_spec: not set`},
		{"header name", func(i *p4cfg.P4Info) { i.ControllerPacketMetadata[0].Preamble.Name = "x" }, `P4Info: controller_packet_metadata "x": the name must be packet_in or packet_out`},
		{"metadata id twice", func(i *p4cfg.P4Info) { i.ControllerPacketMetadata[0].Metadata[1].Id = 1 }, `P4Info: packet_in: metadata "reason": id 1 is zero or taken`},
		{"extern", func(i *p4cfg.P4Info) { i.Externs = []*p4cfg.Extern{{ExternTypeName: "box"}} }, `P4Info: extern type "box": not supported`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := o.changed(tc.change)
			for _, action := range []p4v1.SetForwardingPipelineConfigRequest_Action{verify, verifyAndCommit} {
				err := o.push(action, c)
				if status.Code(err) != codes.InvalidArgument || !strings.Contains(status.Convert(err).Message(), tc.message) {
					t.Errorf("%v: %v\nwant INVALID_ARGUMENT: ...%s...", action, err, tc.message)
				}
				if m := status.Convert(err).Message(); !strings.HasPrefix(m, action.String()+": config: ") {
					t.Errorf("message %q", m)
				}
			}
		})
	}
	o.wantState(before)
}

func TestPushRefused(t *testing.T) {
	o := newSwitch(t)
	push := func(f func(*p4v1.SetForwardingPipelineConfigRequest)) error {
		r := &p4v1.SetForwardingPipelineConfigRequest{DeviceId: device, ElectionId: id(1), Action: verifyAndCommit, Config: proto.Clone(o.config).(*p4v1.ForwardingPipelineConfig)}
		f(r)
		_, err := o.client.SetForwardingPipelineConfig(context.Background(), r)
		return err
	}
	type req = p4v1.SetForwardingPipelineConfigRequest
	for _, tc := range []struct {
		name    string
		change  func(*req)
		code    codes.Code
		message string
	}{
		{"device", func(r *req) { r.DeviceId = 4 }, codes.NotFound, "device id 4: not known here; this server's device is 1"},
		{"role", func(r *req) { r.Role = "x" }, codes.NotFound, `role "x": not known to device 1; a role comes to be when a controller arbitrates for it`},
		{"election id", func(r *req) { r.ElectionId = id(9) }, codes.PermissionDenied, "election id 9 is not the primary's: the primary of the default role has 1"},
		{"action", func(r *req) { r.Action = 0 }, codes.InvalidArgument, "action UNSPECIFIED: it must be VERIFY, VERIFY_AND_SAVE, VERIFY_AND_COMMIT, COMMIT or RECONCILE_AND_COMMIT"},
		{"no config", func(r *req) { r.Config = nil }, codes.InvalidArgument, "VERIFY_AND_COMMIT: config: missing; this action needs one"},
		{"no P4Info", func(r *req) { r.Config.P4Info = nil }, codes.InvalidArgument, "VERIFY_AND_COMMIT: config.p4info: missing"},
		{"no JSON", func(r *req) { r.Config.P4DeviceConfig = nil }, codes.InvalidArgument, "VERIFY_AND_COMMIT: config.p4_device_config: empty; it must be the JSON of p4c-bm2-ss"},
		{"commit with config", func(r *req) { r.Action = commitSaved }, codes.InvalidArgument, "COMMIT: a config is given; it commits the one saved before"},
		{"commit of nothing", func(r *req) { r.Action, r.Config = commitSaved, nil }, codes.NotFound, "COMMIT: no config is saved; VERIFY_AND_SAVE saves one"},
	} {
		t.Run(tc.name, func(t *testing.T) { wantStatus(t, push(tc.change), tc.code, tc.message) })
	}
	err := push(func(r *req) { r.Config.P4DeviceConfig = []byte("{") })
	if m := status.Convert(err).Message(); status.Code(err) != codes.InvalidArgument || !strings.HasPrefix(m, "VERIFY_AND_COMMIT: config.p4_device_config: ") {
		t.Errorf("JSON that does not parse: %v", err)
	}
	if o.eng != nil {
		t.Error("a refused push reached the packets")
	}
	_, err = o.client.GetForwardingPipelineConfig(context.Background(), &p4v1.GetForwardingPipelineConfigRequest{DeviceId: device})
	wantStatus(t, err, codes.FailedPrecondition, "no forwarding pipeline: push one with SetForwardingPipelineConfig first")
	_, err = o.client.GetForwardingPipelineConfig(context.Background(), &p4v1.GetForwardingPipelineConfigRequest{DeviceId: 4})
	wantStatus(t, err, codes.NotFound, "device id 4: not known here; this server's device is 1")
}

func TestGetConfig(t *testing.T) {
	o := newObjects(t)
	type get = p4v1.GetForwardingPipelineConfigRequest
	for typ, want := range map[p4v1.GetForwardingPipelineConfigRequest_ResponseType]*p4v1.ForwardingPipelineConfig{
		p4v1.GetForwardingPipelineConfigRequest_ALL:                      o.config,
		p4v1.GetForwardingPipelineConfigRequest_COOKIE_ONLY:              {Cookie: o.config.Cookie},
		p4v1.GetForwardingPipelineConfigRequest_P4INFO_AND_COOKIE:        {Cookie: o.config.Cookie, P4Info: o.config.P4Info},
		p4v1.GetForwardingPipelineConfigRequest_DEVICE_CONFIG_AND_COOKIE: {Cookie: o.config.Cookie, P4DeviceConfig: o.config.P4DeviceConfig},
	} {
		got, err := o.client.GetForwardingPipelineConfig(context.Background(), &get{DeviceId: device, ResponseType: typ})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got.Config, protocmp.Transform()); d != "" {
			t.Errorf("%v: (-want +got)\n%s", typ, d)
		}
	}
	_, err := o.client.GetForwardingPipelineConfig(context.Background(), &get{DeviceId: device, ResponseType: 9})
	wantStatus(t, err, codes.InvalidArgument, "response_type 9: it must be ALL, COOKIE_ONLY, P4INFO_AND_COOKIE or DEVICE_CONFIG_AND_COOKIE")

	bare := proto.Clone(o.config).(*p4v1.ForwardingPipelineConfig)
	bare.Cookie = nil
	if err := o.push(verifyAndCommit, bare); err != nil {
		t.Fatal(err)
	}
	got, err := o.client.GetForwardingPipelineConfig(context.Background(), &get{DeviceId: device})
	if err != nil || got.Config.Cookie != nil {
		t.Errorf("a cookie that nobody gave: %v, %v", got.GetConfig().GetCookie(), err)
	}
}

// TestPushActions checks, after every push action, the forwarding state and which program processes packets.
func TestPushActions(t *testing.T) {
	o := newObjects(t)
	o.must(insert, host1)
	running := o.eng

	if err := o.push(verify, o.config); err != nil {
		t.Fatal(err)
	}
	o.reads(`table_entry { table_id: host }`, host1)

	// After VERIFY_AND_SAVE, reads and writes refer to the new config, and packets still use the old one.
	saved := proto.Clone(o.config).(*p4v1.ForwardingPipelineConfig)
	saved.Cookie.Cookie = 26
	if err := o.push(verifyAndSave, saved); err != nil {
		t.Fatal(err)
	}
	o.reads(`table_entry { table_id: host }`)
	o.must(insert, acl1)
	if o.eng != running {
		t.Fatal("VERIFY_AND_SAVE reached the packets")
	}
	cookie := func() uint64 {
		got, err := o.client.GetForwardingPipelineConfig(context.Background(), &p4v1.GetForwardingPipelineConfigRequest{DeviceId: device})
		if err != nil {
			t.Fatal(err)
		}
		return got.Config.Cookie.Cookie
	}
	if c := cookie(); c != 25 {
		t.Errorf("cookie %d while 26 is only saved, want 25", c)
	}
	if err := o.push(commitSaved, nil); err != nil {
		t.Fatal(err)
	}
	if o.eng == running {
		t.Fatal("COMMIT did not reach the packets")
	}
	if c := cookie(); c != 26 {
		t.Errorf("cookie %d after COMMIT, want 26", c)
	}
	o.reads(`table_entry { table_id: acl }`, acl1)
	wantStatus(t, o.push(commitSaved, nil), codes.NotFound, "COMMIT: no config is saved; VERIFY_AND_SAVE saves one")

	if err := o.push(verifyAndCommit, o.config); err != nil {
		t.Fatal(err)
	}
	o.reads(`table_entry { table_id: acl }`)
}

// TestReconcile verifies that a push of a config with the same objects keeps all state.
func TestReconcile(t *testing.T) {
	o := newObjects(t)
	for _, e := range []string{
		strings.TrimSuffix(host1, "}") + ` metadata: "m" counter_data { packet_count: 3 } idle_timeout_ns: 1000000000000 }`,
		acl1, strings.TrimSuffix(route1, "}") + ` meter_config { cir: 1 cburst: 2 pir: 3 pburst: 4 } }`, set1, mcast1, clone5,
		`action_profile_member { action_profile_id: hops member_id: 4 action { action_id: NoAction } }`,
		`table_entry { table_id: next_hop match { field_id: 1 exact { value: "\x01" } } action { action_profile_member_id: 4 } }`,
		`digest_entry { digest_id: learn_t config { max_timeout_ns: 1 max_list_size: 2 ack_timeout_ns: 3 } }`,
	} {
		o.must(insert, e)
	}
	for _, e := range []string{
		`table_entry { table_id: epoch is_default_action: true action { action { action_id: set_epoch params { param_id: 1 value: "\x09" } } } metadata: "e" }`,
		`table_entry { table_id: fixed priority: 2 match { field_id: 1 ternary { value: "\x86\xdd" mask: "\xff\xff" } } counter_data { packet_count: 5 } }`,
		`counter_entry { counter_id: port_counter index { index: 3 } data { packet_count: 5 byte_count: 6 } }`,
		`meter_entry { meter_id: port_meter index { index: 2 } config { cir: 1 cburst: 2 pir: 3 pburst: 4 } }`,
		`register_entry { register_id: last_src index { index: 15 } data { bitstring: "\x08" } }`,
		`value_set_entry { value_set_id: ip_types members { match { field_id: 1 exact { value: "\x08\x00" } } } }`,
	} {
		o.must(modify, e)
	}
	o.must(del, `table_entry { table_id: seeded match { field_id: 1 exact { value: "\x61" } } }`)
	before, running := o.state(), o.eng
	if err := o.push(reconcile, o.config); err != nil {
		t.Fatal(err)
	}
	if o.eng == running {
		t.Fatal("RECONCILE_AND_COMMIT did not reach the packets")
	}
	o.wantState(before)

	// If state cannot be kept, the error names it and nothing changes.
	running = o.eng
	for _, tc := range []struct {
		name    string
		change  func(*p4cfg.P4Info)
		message string
	}{
		{"table gone", func(i *p4cfg.P4Info) {
			for k, x := range i.Tables {
				if x.Preamble.Alias == "acl" {
					i.Tables = append(i.Tables[:k], i.Tables[k+1:]...)
					return
				}
			}
		}, `RECONCILE_AND_COMMIT: the forwarding state cannot be kept: %acl (id %acl): holds state, and is not in the P4Info in the new P4Info`},
		{"action no longer the table's", func(i *p4cfg.P4Info) {
			x := tableNamed(i, "acl")
			for k, r := range x.ActionRefs {
				if r.Id == o.ids["drop"] {
					x.ActionRefs = append(x.ActionRefs[:k], x.ActionRefs[k+1:]...)
					return
				}
			}
		}, `RECONCILE_AND_COMMIT: the forwarding state cannot be kept: table %acl: action id %drop (%name drop): not among the table's actions`},
		{"ids exchanged", func(i *p4cfg.P4Info) {
			a, b := tableNamed(i, "host"), tableNamed(i, "acl")
			a.Preamble.Id, b.Preamble.Id = b.Preamble.Id, a.Preamble.Id
			for _, c := range i.DirectCounters {
				if c.DirectTableId == b.Preamble.Id {
					c.DirectTableId = a.Preamble.Id
				}
			}
		}, `RECONCILE_AND_COMMIT: the forwarding state cannot be kept: %acl (id %acl): holds state, and is %host in the new P4Info`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := o.push(reconcile, o.changed(tc.change))
			if m := status.Convert(err).Message(); status.Code(err) != codes.InvalidArgument || !strings.HasPrefix(m, o.message(tc.message)) {
				t.Errorf("%v\nwant INVALID_ARGUMENT: %s", err, o.message(tc.message))
			}
		})
	}
	if o.eng != running {
		t.Error("a refused push reached the packets")
	}
	o.wantState(before)
}

func TestCapabilities(t *testing.T) {
	r := newRig(t, Options{})
	for _, dev := range []uint64{0, device} {
		got, err := r.client.Capabilities(context.Background(), &p4v1.CapabilitiesRequest{DeviceId: dev})
		if err != nil || got.P4RuntimeApiVersion != "1.5.0" {
			t.Errorf("device %d: %v, %v", dev, got, err)
		}
	}
	_, err := r.client.Capabilities(context.Background(), &p4v1.CapabilitiesRequest{DeviceId: 5})
	wantStatus(t, err, codes.NotFound, "device id 5: not known here; this server's device is 1")
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"bad options: DeviceID 0; P4Runtime device ids begin at 1":                       {Load: noLoad},
		"bad options: Load is nil; a pipeline needs a loader":                            {DeviceID: 1},
		"bad options: a queue or limit of -1; it must be positive, or 0 for the default": {DeviceID: 1, Load: noLoad, StreamQueue: -1},
	} {
		if _, err := New(o); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestClosed verifies that a closed server refuses every request and ends the streams.
func TestClosed(t *testing.T) {
	o := newObjects(t)
	o.server.Close()
	o.server.Close() // Close may be called more than once
	o.ended(codes.Unavailable, "the switch is shutting down")
	wantStatus(t, o.write(), codes.Unavailable, "the switch is shutting down")
	wantStatus(t, o.push(verify, nil), codes.Unavailable, "the switch is shutting down")
	_, _, err := o.readAll()
	wantStatus(t, err, codes.Unavailable, "the switch is shutting down")
	o.rig.controller().ended(codes.Unavailable, "the switch is shutting down")
}

// TestUnusedProfile verifies that a push may contain an action profile that no table uses, although p4c omits it from the JSON. Nothing can
// be written to the profile, and it reads as empty.
func TestUnusedProfile(t *testing.T) {
	o := newSwitch(t)
	o.ids["spare"] = 0x11abcdef
	err := o.push(verifyAndCommit, o.changed(func(i *p4cfg.P4Info) {
		i.ActionProfiles = append(i.ActionProfiles, &p4cfg.ActionProfile{
			Preamble: &p4cfg.Preamble{Id: o.ids["spare"], Name: "spare", Alias: "spare"}, WithSelector: true, Size: 4,
		})
	}))
	if err != nil {
		t.Fatal(err)
	}
	const message = `action profile "spare": no table uses it, so nothing can be written to it`
	o.refused(insert, `action_profile_member { action_profile_id: spare member_id: 1 }`, codes.InvalidArgument, message)
	o.refused(del, `action_profile_group { action_profile_id: spare group_id: 1 }`, codes.InvalidArgument, message)
	o.reads(`action_profile_member { action_profile_id: spare }`)
	o.reads(`action_profile_group { action_profile_id: spare }`)
}
