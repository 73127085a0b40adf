package p4rtserver

import (
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
)

// controllerHeaders holds a pipeline's packet_in and packet_out headers. Either may be nil.
type controllerHeaders struct{ in, out *packetHeader }

// PacketIn sends a frame to the primaries. The caller passes each frame that the pipeline has sent to the CPU port. If the program has a
// packet_in header, the header is removed from the frame and becomes the message's metadata.
//
// PacketIn never blocks and keeps no reference to frame. A frame is dropped and counted if there is no primary, if no primary's stream has
// room, or if the frame is shorter than the header. The port is ignored, because P4Runtime has no field for it.
func (s *Server) PacketIn(_ uint32, frame []byte) {
	h := s.headers.Load()
	if h == nil || len(*s.arb.primaries.Load()) == 0 {
		s.stats.packetInLost.Add(1)
		return
	}
	m := &p4v1.PacketIn{}
	if h.in != nil {
		if len(frame) < h.in.bytes {
			s.stats.packetInLost.Add(1)
			return
		}
		off := 0
		for _, f := range h.in.fields {
			m.Metadata = append(m.Metadata, &p4v1.PacketMetadata{MetadataId: f.id, Value: shortest(getBits(frame, off, f.width))})
			off += f.width
		}
		frame = frame[h.in.bytes:]
	}
	m.Payload = append([]byte(nil), frame...)
	if s.toPrimaries(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Packet{Packet: m}}) == 0 {
		s.stats.packetInLost.Add(1)
		return
	}
	s.stats.packetIn.Add(1)
}

// packetOut injects the primary's packet into the pipeline at the CPU port (spec 16.1).
func (s *Server) packetOut(sess *session, p *p4v1.PacketOut) error {
	if !s.arb.isPrimary(sess) {
		return status.Error(codes.PermissionDenied, "packet_out: only the primary may send packets")
	}
	h := s.headers.Load()
	if h == nil {
		return errNoPipeline()
	}
	if n := len(p.GetPayload()); n > engine.MaxFrame {
		return invalidf("packet_out: a payload of %d bytes: the largest frame is %d", n, engine.MaxFrame)
	}
	if s.opts.Inject == nil {
		return status.Error(codes.Unimplemented, "packet_out: this switch has no CPU port")
	}
	frame, err := h.out.frame(p)
	if err != nil {
		return err
	}
	s.stats.packetOut.Add(1)
	s.opts.Inject(s.opts.CPUPort, frame)
	return nil
}

// frame encodes the metadata as a header and puts it in front of the payload. Every field of the header must be given exactly once.
func (h *packetHeader) frame(p *p4v1.PacketOut) ([]byte, error) {
	if h == nil {
		if len(p.GetMetadata()) > 0 {
			return nil, invalidf("packet_out: metadata id %d: the P4Info has no packet_out header", p.Metadata[0].GetMetadataId())
		}
		return append([]byte(nil), p.GetPayload()...), nil
	}
	values := make(map[uint32][]byte, len(h.fields))
	for _, m := range p.GetMetadata() {
		f := h.field(m.GetMetadataId())
		if f == nil {
			return nil, invalidf("packet_out: metadata id %d: not in the P4Info's packet_out header", m.GetMetadataId())
		}
		if _, dup := values[f.id]; dup {
			return nil, invalidf("packet_out: metadata %q (id %d): given twice", f.name, f.id)
		}
		v, err := canonical(m.GetValue(), f.width)
		if err != nil {
			return nil, invalidf("packet_out: metadata %q (id %d): %v", f.name, f.id, err)
		}
		values[f.id] = v
	}
	w := bitWriter{out: make([]byte, 0, h.bytes+len(p.GetPayload()))}
	for _, f := range h.fields {
		v, ok := values[f.id]
		if !ok {
			return nil, invalidf("packet_out: metadata %q (id %d): missing; every field of the header must be given", f.name, f.id)
		}
		w.put(v, f.width)
	}
	return append(w.out, p.GetPayload()...), nil
}

func (h *packetHeader) field(id uint32) *param {
	for i := range h.fields {
		if h.fields[i].id == id {
			return &h.fields[i]
		}
	}
	return nil
}
