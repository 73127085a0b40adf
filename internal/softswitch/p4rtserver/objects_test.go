package p4rtserver

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"op25b/internal/softswitch/engine"
)

// An objects is a switch that runs testdata/objects.p4, together with its primary. It consists of the server over gRPC and one worker of
// the engine for packets.
type objects struct {
	*rig
	config *p4v1.ForwardingPipelineConfig
	ids    map[string]uint32 // ids of objects by alias
	*controller

	// mu guards everything below.
	mu     sync.Mutex
	eng    *engine.Engine
	worker *engine.Worker
	sent   []sentFrame // frames that left on a port other than the CPU port
}

type sentFrame struct {
	Port  uint32
	Frame string
}

func objectsConfig(t testing.TB) *p4v1.ForwardingPipelineConfig {
	t.Helper()
	c := readConfig(t, "testdata/objects.json", "testdata/objects.p4info.txtpb")
	for _, m := range c.P4Info.Meters {
		if m.Preamble.Alias == "one_rate" { // p4c copies the annotation into the P4Info, but does not set the type
			m.Spec.Type = p4cfg.MeterSpec_SINGLE_RATE_TWO_COLOR
		}
	}
	c.Cookie = &p4v1.ForwardingPipelineConfig_Cookie{Cookie: 25}
	return c
}

// newSwitch returns the switch before any push. Its primary has election id 1.
func newSwitch(t *testing.T) *objects {
	t.Helper()
	o := &objects{config: objectsConfig(t), ids: map[string]uint32{}}
	for _, p := range preambles(o.config.P4Info) {
		o.ids[p.Alias] = p.Id
	}
	o.rig = newRig(t, Options{Load: loadEngine, OnCommit: o.commit, Inject: o.process})
	o.controller = o.rig.controller()
	o.arbitrate(arbitration(device, "", id(1)))
	o.told(codes.OK, id(1))
	return o
}

// newObjects returns the switch with the program pushed.
func newObjects(t *testing.T) *objects {
	t.Helper()
	o := newSwitch(t)
	if err := o.push(p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT, o.config); err != nil {
		t.Fatal(err)
	}
	return o
}

func preambles(info *p4cfg.P4Info) []*p4cfg.Preamble {
	var out []*p4cfg.Preamble
	r := info.ProtoReflect()
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.IsList() && f.Message() != nil && f.Message().Fields().ByName("preamble") != nil {
			for k := range r.Get(f).List().Len() {
				m := r.Get(f).List().Get(k).Message()
				out = append(out, m.Get(m.Descriptor().Fields().ByName("preamble")).Message().Interface().(*p4cfg.Preamble))
			}
		}
	}
	return out
}

func (o *objects) commit(e *engine.Engine, _ *p4cfg.P4Info) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.worker != nil {
		o.worker.Close()
	}
	o.eng, o.worker = e, e.NewWorker()
}

// process sends a frame through the pipeline.
func (o *objects) process(port uint32, frame []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.worker == nil {
		return
	}
	o.worker.Process(port, frame, func(out uint32, f []byte) {
		if out == DefaultCPUPort {
			o.server.PacketIn(out, f)
			return
		}
		o.sent = append(o.sent, sentFrame{out, string(f)})
	})
}

// left returns the frames that the switch has sent since the last call.
func (o *objects) left() []sentFrame {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.sent
	o.sent = nil
	return out
}

func (o *objects) push(action p4v1.SetForwardingPipelineConfigRequest_Action, c *p4v1.ForwardingPipelineConfig) error {
	_, err := o.client.SetForwardingPipelineConfig(context.Background(), &p4v1.SetForwardingPipelineConfigRequest{
		DeviceId: device, ElectionId: id(1), Action: action, Config: c,
	})
	return err
}

var named = regexp.MustCompile(`_id: ([A-Za-z_][A-Za-z0-9_]*)`)

// text replaces the names of objects by their ids in lines such as `table_id: host`.
func (o *objects) text(s string) string {
	return named.ReplaceAllStringFunc(s, func(m string) string {
		name := named.FindStringSubmatch(m)[1]
		n, ok := o.ids[name]
		if !ok {
			o.rig.t.Fatalf("no object %q in the P4Info", name)
		}
		return fmt.Sprintf("_id: %d", n)
	})
}

func (o *objects) entity(s string) *p4v1.Entity {
	e := &p4v1.Entity{}
	if err := prototext.Unmarshal([]byte(o.text(s)), e); err != nil {
		o.rig.t.Fatalf("%s: %v", s, err)
	}
	return e
}

func (o *objects) update(op p4v1.Update_Type, s string) *p4v1.Update {
	return &p4v1.Update{Type: op, Entity: o.entity(s)}
}

const (
	insert  = p4v1.Update_INSERT
	modify  = p4v1.Update_MODIFY
	del     = p4v1.Update_DELETE
	nothing = p4v1.Update_UNSPECIFIED
)

// write sends a batch as the primary.
func (o *objects) write(updates ...*p4v1.Update) error {
	_, err := o.client.Write(context.Background(), &p4v1.WriteRequest{DeviceId: device, ElectionId: id(1), Updates: updates})
	return err
}

// must writes one update, which must succeed.
func (o *objects) must(op p4v1.Update_Type, s string) {
	o.rig.t.Helper()
	if err := o.write(o.update(op, s)); err != nil {
		o.rig.t.Fatalf("%v %s: %v", op, s, status.Convert(err).Message())
	}
}

// details unpacks the errors of a batch's elements.
func details(t testing.TB, err error) []*p4v1.Error {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != codes.Unknown {
		t.Fatalf("%v, want UNKNOWN with details", err)
	}
	var out []*p4v1.Error
	for _, d := range st.Details() {
		e, ok := d.(*p4v1.Error)
		if !ok {
			t.Fatalf("detail %v is no p4.v1.Error", d)
		}
		out = append(out, e)
	}
	return out
}

// refused writes one update, which must fail with the given code and the given complete message.
func (o *objects) refused(op p4v1.Update_Type, s string, code codes.Code, message string) {
	o.rig.t.Helper()
	wantDetail(o.rig.t, o.write(o.update(op, s)), code, message)
}

func wantDetail(t testing.TB, err error, code codes.Code, message string) {
	t.Helper()
	d := details(t, err)
	if len(d) != 1 {
		t.Fatalf("%d details, want 1", len(d))
	}
	if codes.Code(d[0].CanonicalCode) != code || d[0].Message != message {
		t.Fatalf("got  %v: %s\nwant %v: %s", codes.Code(d[0].CanonicalCode), d[0].Message, code, message)
	}
}

// readAll reads entities. It returns them together with the messages in which they arrived.
func (o *objects) readAll(entities ...*p4v1.Entity) (out []*p4v1.Entity, messages []*p4v1.ReadResponse, err error) {
	st, err := o.client.Read(context.Background(), &p4v1.ReadRequest{DeviceId: device, Entities: entities})
	if err != nil {
		return nil, nil, err
	}
	for {
		m, err := st.Recv()
		if err == io.EOF {
			return out, messages, nil
		}
		if err != nil {
			return out, messages, err
		}
		messages = append(messages, m)
		out = append(out, m.Entities...)
	}
}

// reads checks the entities that a read returns, and their order.
func (o *objects) reads(request string, want ...string) {
	o.rig.t.Helper()
	got, _, err := o.readAll(o.entity(request))
	if err != nil {
		o.rig.t.Fatalf("read %s: %v", request, status.Convert(err).Message())
	}
	var all []*p4v1.Entity
	for _, w := range want {
		all = append(all, o.entity(w))
	}
	if d := cmp.Diff(all, got, protocmp.Transform()); d != "" {
		o.rig.t.Fatalf("read %s: (-want +got)\n%s", request, d)
	}
}

// changed returns a copy of the program's config that f has changed.
func (o *objects) changed(f func(*p4cfg.P4Info)) *p4v1.ForwardingPipelineConfig {
	c := proto.Clone(o.config).(*p4v1.ForwardingPipelineConfig)
	f(c.P4Info)
	return c
}

func tableNamed(i *p4cfg.P4Info, alias string) *p4cfg.Table {
	for _, t := range i.Tables {
		if t.Preamble.Alias == alias {
			return t
		}
	}
	return nil
}

func actionNamed(i *p4cfg.P4Info, alias string) *p4cfg.Action {
	for _, a := range i.Actions {
		if a.Preamble.Alias == alias {
			return a
		}
	}
	return nil
}

var reference = regexp.MustCompile(`%name ([A-Za-z0-9_]+)|%([A-Za-z0-9_]+)`)

// message replaces references in an expected message: %host by the quoted name of the table, %name drop by the quoted name of the action,
// and %drop after "id " by the id in hexadecimal.
func (o *objects) message(s string) string {
	ids := regexp.MustCompile(`id %([A-Za-z0-9_]+)`).ReplaceAllStringFunc(s, func(m string) string {
		return fmt.Sprintf("id %#x", o.ids[m[len("id %"):]])
	})
	return reference.ReplaceAllStringFunc(ids, func(m string) string {
		sub := reference.FindStringSubmatch(m)
		name := sub[1] + sub[2]
		if name == "vsfield" {
			return fmt.Sprintf("%q", o.config.P4Info.ValueSets[0].Match[0].Name)
		}
		for _, p := range preambles(o.config.P4Info) {
			if p.Alias == name {
				return fmt.Sprintf("%q", p.Name)
			}
		}
		o.rig.t.Fatalf("message %q: no object %q", s, name)
		return ""
	})
}

// everything returns the entities of a request that reads the whole state.
func (o *objects) everything() []*p4v1.Entity {
	var out []*p4v1.Entity
	for _, s := range []string{
		`table_entry { counter_data { } meter_config { } }`, `table_entry { is_default_action: true }`,
		`counter_entry { }`, `meter_entry { }`, `register_entry { }`, `direct_counter_entry { table_entry { } }`, `direct_meter_entry { table_entry { } }`,
		`action_profile_member { }`, `action_profile_group { }`, `value_set_entry { }`, `digest_entry { }`, `extern_entry { }`,
		`packet_replication_engine_entry { multicast_group_entry { } }`, `packet_replication_engine_entry { clone_session_entry { } }`,
	} {
		out = append(out, o.entity(s))
	}
	return out
}

// state reads the whole state.
func (o *objects) state() []*p4v1.Entity {
	o.rig.t.Helper()
	got, _, err := o.readAll(o.everything()...)
	if err != nil {
		o.rig.t.Fatal(status.Convert(err).Message())
	}
	return got
}

func (o *objects) wantState(want []*p4v1.Entity) {
	o.rig.t.Helper()
	if d := cmp.Diff(want, o.state(), protocmp.Transform()); d != "" {
		o.rig.t.Fatalf("the state has changed (-want +got)\n%s", d)
	}
}
