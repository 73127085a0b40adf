package fleet

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// lightSwitches are P4Runtime servers that only keep tables and the pipeline's cookie. They have no data plane, and they check writes only
// by P4Runtime's rules for insert, modify and delete. They replace embedded switches, because a thousand of those would need a thousand
// compiled programs. They share one server, which distinguishes them by device id. Each session has its own connection.
type lightSwitches struct {
	p4v1.UnimplementedP4RuntimeServer
	addr    string
	devices []*lightSwitch // indexed by device id, from 1

	// Entries that several switches have are stored once. Otherwise most of the garbage collector's work in this process would be for these
	// entries, which would distort the results of the benchmarks.
	same sync.Map // values of type *p4v1.Entity, by key and value

	writes  atomic.Int64
	updates atomic.Int64
	onWrite atomic.Pointer[func(device uint64)]
}

type lightSwitch struct {
	mu     sync.Mutex // guards all following fields
	cookie uint64
	tables map[uint32]map[pipeline.Key]*p4v1.Entity // indexed by table id (0 for groups) and by the entry's key
	epoch  *p4v1.Entity
}

func startLight(t testing.TB, n int) *lightSwitches {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &lightSwitches{addr: l.Addr().String(), devices: make([]*lightSwitch, n+1)}
	for i := range s.devices {
		s.devices[i] = &lightSwitch{tables: make(map[uint32]map[pipeline.Key]*p4v1.Entity), epoch: p4rt.Entity(pipeline.EpochEntry(0, false))}
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	p4v1.RegisterP4RuntimeServer(server, s)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return s
}

func (s *lightSwitches) device(id uint64) (*lightSwitch, error) {
	if id == 0 || id >= uint64(len(s.devices)) {
		return nil, grpcstatus.Errorf(codes.NotFound, "no device %d", id)
	}
	return s.devices[id], nil
}

func (s *lightSwitches) StreamChannel(stream p4v1.P4Runtime_StreamChannelServer) error {
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if a := m.GetArbitration(); a != nil {
			err := stream.Send(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Arbitration{Arbitration: &p4v1.MasterArbitrationUpdate{
				DeviceId: a.GetDeviceId(), ElectionId: a.GetElectionId(), Status: &status.Status{},
			}}})
			if err != nil {
				return err
			}
		}
	}
}

func (s *lightSwitches) Capabilities(context.Context, *p4v1.CapabilitiesRequest) (*p4v1.CapabilitiesResponse, error) {
	return &p4v1.CapabilitiesResponse{P4RuntimeApiVersion: "1.5.0"}, nil
}

func (s *lightSwitches) GetForwardingPipelineConfig(_ context.Context, r *p4v1.GetForwardingPipelineConfigRequest) (*p4v1.GetForwardingPipelineConfigResponse, error) {
	d, err := s.device(r.GetDeviceId())
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cookie == 0 {
		return nil, grpcstatus.Error(codes.FailedPrecondition, "no pipeline")
	}
	return &p4v1.GetForwardingPipelineConfigResponse{Config: &p4v1.ForwardingPipelineConfig{
		Cookie: &p4v1.ForwardingPipelineConfig_Cookie{Cookie: d.cookie},
	}}, nil
}

func (s *lightSwitches) SetForwardingPipelineConfig(_ context.Context, r *p4v1.SetForwardingPipelineConfigRequest) (*p4v1.SetForwardingPipelineConfigResponse, error) {
	d, err := s.device(r.GetDeviceId())
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cookie = r.GetConfig().GetCookie().GetCookie()
	clear(d.tables)
	return &p4v1.SetForwardingPipelineConfigResponse{}, nil
}

func (s *lightSwitches) Write(_ context.Context, r *p4v1.WriteRequest) (*p4v1.WriteResponse, error) {
	d, err := s.device(r.GetDeviceId())
	if err != nil {
		return nil, err
	}
	s.writes.Add(1)
	s.updates.Add(int64(len(r.GetUpdates())))
	d.mu.Lock()
	for _, u := range r.GetUpdates() {
		if err := d.update(u, &s.same); err != nil {
			d.mu.Unlock()
			return nil, err
		}
	}
	d.mu.Unlock()
	if tell := s.onWrite.Load(); tell != nil {
		(*tell)(r.GetDeviceId())
	}
	return &p4v1.WriteResponse{}, nil
}

func (d *lightSwitch) update(u *p4v1.Update, same *sync.Map) error {
	e, err := p4rt.EntryOf(u.GetEntity())
	if err != nil {
		return grpcstatus.Error(codes.InvalidArgument, err.Error())
	}
	if _, running := e.IsRunningEpoch(); running {
		d.epoch = u.GetEntity()
		return nil
	}
	id := u.GetEntity().GetTableEntry().GetTableId()
	if d.tables[id] == nil {
		d.tables[id] = make(map[pipeline.Key]*p4v1.Entity)
	}
	_, there := d.tables[id][e.Key]
	switch {
	case e.IsDefault():
	case u.GetType() == p4v1.Update_INSERT && there:
		return grpcstatus.Errorf(codes.AlreadyExists, "%s", e)
	case u.GetType() != p4v1.Update_INSERT && !there:
		return grpcstatus.Errorf(codes.NotFound, "%s", e)
	case u.GetType() == p4v1.Update_DELETE:
		delete(d.tables[id], e.Key)
		return nil
	}
	one, _ := same.LoadOrStore(struct {
		pipeline.Key
		pipeline.Value
	}{e.Key, e.Value}, u.GetEntity())
	d.tables[id][e.Key] = one.(*p4v1.Entity)
	return nil
}

func (s *lightSwitches) Read(r *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
	d, err := s.device(r.GetDeviceId())
	if err != nil {
		return err
	}
	answer := &p4v1.ReadResponse{}
	d.mu.Lock()
	for _, e := range r.GetEntities() {
		t := e.GetTableEntry()
		if t.GetTableId() == d.epoch.GetTableEntry().GetTableId() {
			answer.Entities = append(answer.Entities, d.epoch)
			continue
		}
		for _, x := range d.tables[t.GetTableId()] {
			if x.GetTableEntry().GetIsDefaultAction() == t.GetIsDefaultAction() {
				answer.Entities = append(answer.Entities, x)
			}
		}
	}
	d.mu.Unlock()
	return stream.Send(answer)
}

func (s *lightSwitches) entries(device uint64) int {
	d := s.devices[device]
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, t := range d.tables {
		n += len(t)
	}
	return n
}

// String returns the number of switches and entries as text.
func (s *lightSwitches) String() string {
	return fmt.Sprintf("%d switches of %d entries", len(s.devices)-1, s.entries(1))
}
