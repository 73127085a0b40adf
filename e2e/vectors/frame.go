package vectors

import (
	"encoding/binary"
	"strings"
)

// buildFrame builds a frame from the text of its layers, the outermost first, such as `eth A>B | ip4 C>D | tcp 49152>25 S`. It computes
// lengths, checksums and protocol numbers unless the text sets them.
func buildFrame(n names, t span) ([]byte, error) {
	var layers []*reader
	pad, cut := 0, -1
	cutAt := Pos{}
	for _, part := range t.split("|") {
		r := newReader(n, part)
		if r.err != nil {
			return nil, r.err
		}
		if (pad > 0 || cut >= 0) && r.kind != "cut" {
			return nil, fault(r.at, "layer %s stands behind pad or cut; they end a frame", r.kind)
		}
		switch r.kind {
		case "pad":
			if v, ok := r.arg("number of bytes"); ok {
				pad = int(r.number(v, "length", 9000))
			}
			if err := r.done(); err != nil {
				return nil, err
			}
		case "cut":
			if v, ok := r.arg("number of bytes"); ok {
				cut, cutAt = int(r.number(v, "length", 9000)), v.pos()
			}
			if err := r.done(); err != nil {
				return nil, err
			}
		default:
			layers = append(layers, r)
		}
	}
	if len(layers) == 0 || layers[0].kind != "eth" && layers[0].kind != "raw" {
		return nil, fault(t.pos(), "the frame begins with %q; its first layer is eth, or raw", firstWord(t.s))
	}
	frame, err := build(layers, nil)
	if err != nil {
		return nil, err
	}
	frame = append(frame, make([]byte, pad)...)
	if cut > len(frame) {
		return nil, fault(cutAt, "cut %d: the frame has no more than %d bytes", cut, len(frame))
	}
	if cut >= 0 {
		frame = frame[:cut]
	}
	return frame, nil
}

func firstWord(s string) string {
	if words := strings.Fields(s); len(words) > 0 {
		return words[0]
	}
	return ""
}

// An ipHeader contains the fields of an IP header that the checksums of inner layers include.
type ipHeader struct{ src, dst []byte }

// An inside builds the layers inside a layer.
type inside struct {
	kind string // the kind of the next layer; "" if there is none
	up   *ipHeader
	// within builds the inner layers. The caller supplies up, the IP header around them.
	within func(up *ipHeader) ([]byte, error)
}

// build builds the bytes of layers. up is the IP header around the layers, or nil if there is none.
func build(layers []*reader, up *ipHeader) ([]byte, error) {
	if len(layers) == 0 {
		return nil, nil
	}
	r := layers[0]
	bytesOf := builderOf(r.kind)
	if bytesOf == nil {
		return nil, fault(r.at, "unknown layer %q; a layer is one of %s", r.kind, layerKinds)
	}
	in := inside{up: up, within: func(up *ipHeader) ([]byte, error) { return build(layers[1:], up) }}
	if len(layers) > 1 {
		in.kind = layers[1].kind
	}
	r.known = append(r.known, "only=")
	only, shortened := r.keys["only"]
	delete(r.keys, "only")
	b, err := bytesOf(r, &in)
	if err != nil {
		return nil, err
	}
	if shortened {
		n := int(r.number(only, "only", uint64(len(b))))
		b = b[:n]
	}
	if err := r.done(); err != nil {
		return nil, err
	}
	return b, nil
}

// payload builds the inner layers with the IP header that is around this layer.
func (in *inside) payload() ([]byte, error) { return in.within(in.up) }

// number returns the number that a registry assigns to the next layer, unless key=NUMBER sets another one.
func (in *inside) number(r *reader, key string, limit uint64, registry map[string]uint64) uint64 {
	of, known := registry[in.kind]
	_, said := r.keys[key]
	if !known && !said {
		what := "nothing"
		if in.kind != "" {
			what = "layer " + in.kind
		}
		r.fail(r.at, "layer %s does not know the number of what is in it, %s: give %s=, or one of %s", r.kind, what, key, oneOf(registry))
	}
	return r.key(key, limit, of)
}

var etherTypes = map[string]uint64{"ip4": 0x0800, "ip6": 0x86dd, "pppoe": 0x8864, "arp": 0x0806}

var pppProtocols = map[string]uint64{"ip4": 0x0021, "ip6": 0x0057}

var ipProtocols = map[string]uint64{
	"hbh": 0, "icmp": 1, "ip4": 4, "tcp": 6, "udp": 17, "ip6": 41, "routing": 43, "frag": 44, "esp": 50, "ah": 51, "icmp6": 58, "none": 59,
	"dstopt": 60, "mobility": 135, "hip": 139, "shim6": 140,
}

func be16(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func put16(b []byte, v uint64)       { binary.BigEndian.PutUint16(b, uint16(v)) }
func be32(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }

// checksum returns the Internet checksum (RFC 1071) of the concatenated parts. Each part except the last must have an even length.
func checksum(parts ...[]byte) uint64 {
	sum := uint32(0)
	for _, b := range parts {
		for i := 0; i+1 < len(b); i += 2 {
			sum += uint32(b[i])<<8 | uint32(b[i+1])
		}
		if len(b)%2 == 1 {
			sum += uint32(b[len(b)-1]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint64(^uint16(sum))
}

// pseudo returns the pseudo-header for the checksums of TCP, UDP and ICMPv6 (RFC 9293 section 3.1, RFC 8200 section 8.1).
func (h *ipHeader) pseudo(protocol uint64, length int) []byte {
	b := append(append([]byte{}, h.src...), h.dst...)
	if len(h.src) == 4 {
		return be16(be16(b, protocol), uint64(length))
	}
	return be32(be32(b, uint64(length)), protocol)
}
