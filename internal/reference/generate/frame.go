package generate

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"op25b/internal/pipeline"
)

// A draw is a frame under construction.
type draw struct {
	*World
	src Source
	odd bool // whether layers may have faults
	up  bool // whether a subscriber sends the frame
	on  line // the frame's line

	// steady selects fixed addresses and ports for the connection, so that a SYN-ACK matches its SYN.
	steady bool
}

// Frame draws a frame and its input port. More than half of the frames are well-formed mail of a known line. Most of the others have
// unusual or faulty layers. Some are truncated, have flipped bits, or consist of random bytes.
func (w *World) Frame(src Source) (port uint16, frame []byte) {
	d := &draw{World: w, src: src}
	kind := src.IntN(32)
	d.steady = kind >= 17 && kind < 19
	d.odd = kind >= 19 && kind < 30
	port, frame = d.frame()
	switch kind {
	case 28:
		if chance(src, 2) { // a packet-out, with a frame as its payload
			of := port
			port = uint16(pipeline.CPUPort)
			header := []byte{pick(src, []byte{1, 1, 0, 2, 255})}
			if chance(src, 2) { // a probe
				header = append([]byte{2, byte(src.IntN(2)), byte(of)}, fill(src, 4)...)
			}
			frame = append(header, frame[:src.IntN(len(frame)+1)]...)
		}
	case 29:
		frame = frame[:src.IntN(len(frame)+1)]
	case 30:
		for range 1 + src.IntN(4) {
			frame[src.IntN(len(frame))] ^= 1 << src.IntN(8)
		}
	case 31:
		copy(frame[12:], fill(src, 2+src.IntN(len(frame)-13)))
		frame = frame[:14+src.IntN(len(frame)-13)]
		if at := 12; !chance(src, 4) {
			binary.BigEndian.PutUint16(frame[at:], pick(src, []uint16{0x0800, 0x86dd, 0x8864, 0x8100, 0x0806}))
		}
	}
	return port, frame
}

// oddly draws true once in n times. For a frame without faults, it returns false.
func (d *draw) oddly(n int) bool { return d.odd && chance(d.src, n) }

func (d *draw) frame() (port uint16, frame []byte) {
	d.up = d.src.IntN(8) < 5
	d.on = pick(d.src, d.lines)
	if len(d.lines) == 0 || d.oddly(8) {
		d.on = d.stranger()
	}
	port = d.on.port
	if !d.up {
		port = pick(d.src, d.network)
	}
	if d.oddly(16) {
		port = uint16(d.src.IntN(511))
	}
	ethertype, payload := d.layer3()
	if d.inSession() {
		ethertype, payload = d.pppoe(ethertype, payload)
	}
	frame = slices.Concat(d.macs(), d.tags(ethertype), payload)
	if d.src.IntN(4) == 1 { // padding, as in a short frame, but not always zeros
		frame = append(frame, fill(d.src, 1+d.src.IntN(24))...)
	}
	return port, frame
}

// stranger returns a line of the inventory with another port or other tags.
func (d *draw) stranger() line {
	l := pick(d.src, d.lines)
	switch d.src.IntN(4) {
	case 0:
		l.port = pick(d.src, d.access)
	case 1:
		l.outer, l.inner = l.inner, l.outer
	case 2:
		l.outer = pick(d.src, []uint16{0, 1, 100, 101, 4094, 4095})
	default:
		l.outer, l.inner = uint16(d.src.IntN(4096)), uint16(d.src.IntN(4096))
	}
	return l
}

// macs draws the destination and source MAC addresses.
func (d *draw) macs() []byte {
	far := pick(d.src, d.stations)
	near := pick(d.src, d.on.macs)
	unknown := [6]byte{2, 0xee, 0, 0, 0, byte(d.src.IntN(4))}
	if far == [6]byte{} {
		far = unknown
	}
	if near == [6]byte{} {
		near = [6]byte{2, 0xdd, 0, 0, 0, byte(d.src.IntN(4))}
	}
	dst, src := far, near
	if !d.up {
		dst, src = near, far
	}
	switch d.src.IntN(16) {
	case 12, 13:
		dst = unknown
	case 14:
		dst = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	case 15:
		if other := pick(d.src, d.lines); len(other.macs) > 0 {
			dst = other.macs[0]
		}
	}
	if d.oddly(32) {
		src[0] |= 1
	}
	switch {
	case d.oddly(16):
		dst = pick(d.src, d.stations)
	case d.oddly(32):
		dst = [6]byte{1, 0, 0x5e, 0, 0, 1}
	case chance(d.src, 64): // reserved group addresses, and unreserved addresses next to them
		dst = [6]byte{0x01, 0x80, 0xc2, 0, 0, byte(d.src.IntN(0x14))}
	}
	return append(dst[:], src[:]...)
}

// tags draws the line's tags and appends the next EtherType.
func (d *draw) tags(ethertype uint16) []byte {
	var vids []uint16
	if d.on.outer != 0 || d.on.inner != 0 {
		vids = append(vids, d.on.outer)
	}
	if d.on.inner != 0 {
		vids = append(vids, d.on.inner)
	}
	if len(vids) < 2 && d.src.IntN(16) == 1 {
		vids = slices.Insert(vids, d.src.IntN(len(vids)+1), 0) // a priority tag
	}
	if d.oddly(10) {
		for range 1 + d.src.IntN(2) {
			vids = append(vids, uint16(d.src.IntN(4096)))
		}
	}
	if d.oddly(20) && len(vids) > 0 {
		vids[0] = 0
	}
	var b []byte
	for _, vid := range vids {
		tpid := pick(d.src, []uint16{0x8100, 0x8100, 0x88a8, 0x9100})
		if d.oddly(24) {
			tpid = pick(d.src, []uint16{0x9200, 0x88e7, 0x8101})
		}
		b = binary.BigEndian.AppendUint16(b, tpid)
		b = binary.BigEndian.AppendUint16(b, uint16(d.src.IntN(16))<<12|vid)
	}
	if d.oddly(24) {
		ethertype = pick(d.src, []uint16{0x0806, 0x8863, 0x0064, 0x88cc, 0x0800, 0x86dd, 0x8864})
	}
	if d.oddly(24) { // an LLC/SNAP header, as on a network without EtherTypes (RFC 1042)
		b = binary.BigEndian.AppendUint16(b, pick(d.src, []uint16{0x0040, 0x05dc, 0x05ff, 0x0600, 0}))
		b = append(b, 0xaa, 0xaa, 3, 0, 0, pick(d.src, []byte{0, 0, 0, 1}))
	}
	return binary.BigEndian.AppendUint16(b, ethertype)
}

// inSession draws whether the frame is in a PPPoE session. On a line with a session, nearly all frames are. On other lines, some
// are.
func (d *draw) inSession() bool {
	if d.on.session != 0 {
		return !d.oddly(16)
	}
	return d.src.IntN(6) == 1
}

// pppoe puts a packet into a PPPoE session (RFC 2516).
func (d *draw) pppoe(ethertype uint16, packet []byte) (uint16, []byte) {
	session := d.on.session
	if session == 0 || d.oddly(12) {
		session = uint16(d.src.IntN(65536))
	}
	versionType, code := byte(0x11), byte(0)
	proto := []byte{0, 0x21}
	if ethertype == 0x86dd {
		proto = []byte{0, 0x57}
	}
	length := 2 + len(packet)
	if d.oddly(4) {
		switch d.src.IntN(9) {
		case 0:
			versionType = 0x21
		case 1:
			versionType = 0x10
		case 2:
			code = pick(d.src, []byte{0x09, 0x07, 0xa7})
		case 3:
			length = d.src.IntN(2)
		case 4:
			length += 1 + d.src.IntN(32)
		case 5:
			length = d.src.IntN(length + 1)
		case 6: // a protocol field of one byte, which RFC 1661 section 6.5 permits
			proto = proto[1:]
			length--
		case 7:
			proto = []byte{pick(d.src, []byte{0, 0, 0x3e, 0x02}), pick(d.src, []byte{0x2d, 0x3d, 0x31, 0x20})}
		default:
			proto = []byte{pick(d.src, []byte{0xc0, 0x80, 0x40, 0xc2}), pick(d.src, []byte{0x21, 0x57, 0x23, 0x01})}
		}
	}
	b := []byte{versionType, code, byte(session >> 8), byte(session), byte(length >> 8), byte(length)}
	return 0x8864, slices.Concat(b, proto, packet)
}

// layer3 draws an IP packet and its EtherType.
func (d *draw) layer3() (ethertype uint16, packet []byte) {
	v6 := d.src.IntN(5) >= 3
	proto, segment := d.layer4()
	var remote netip.Addr
	switch tunnelled := d.src.IntN(8) >= 5; {
	case tunnelled && !d.steady:
		inner := d.src.IntN(2) == 1
		packet = d.tunnelled(v6, inner, proto, segment)
	default:
		remote = d.remote(v6)
		packet = d.ip(v6, d.subscriber(v6), remote, proto, segment)
	}
	if v6 {
		return 0x86dd, packet
	}
	return 0x0800, packet
}

// tunnelled draws a tunnelled packet. The tunnel leads from the subscriber to a host in the network.
func (d *draw) tunnelled(outer6, inner6 bool, proto byte, segment []byte) []byte {
	own := d.on
	if d.src.IntN(2) == 1 {
		d.on.own = family{v4: privateV4, v6: privateV6}
	}
	packet := d.ip(inner6, d.subscriber(inner6), d.remote(inner6), proto, segment)
	d.on = own
	inside := byte(4)
	if inner6 {
		inside = 41
	}
	if d.oddly(8) { // a second tunnel
		packet = d.ip(inner6, d.subscriber(inner6), d.remote(inner6), inside, packet)
	}
	if d.oddly(24) {
		inside = 4 + 41 - inside
	}
	return d.ip(outer6, d.subscriber(outer6), d.remote(outer6), inside, packet)
}

// layer4 draws a TCP segment, and sometimes another payload.
func (d *draw) layer4() (proto byte, segment []byte) {
	if d.oddly(8) {
		return pick(d.src, []byte{17, 50, 1, 58, 59, 47, 115, 255}), fill(d.src, d.src.IntN(40))
	}
	return 6, d.segment()
}

// segment draws a TCP segment. Usually, one or both of its ports are a service's.
func (d *draw) segment() []byte {
	if d.steady {
		if d.up {
			return []byte{0x9c, 0x40, 0, 25, 1, 2, 3, 4, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0}
		}
		return []byte{0, 25, 0x9c, 0x40, 9, 8, 7, 6, 1, 2, 3, 5, 0x50, 0x12, 0xff, 0xff, 0, 0, 0, 0}
	}
	service := func() uint16 {
		if d.src.IntN(3) < 2 {
			return 25
		}
		return pick(d.src, d.services)
	}
	ephemeral := func() uint16 {
		if chance(d.src, 12) {
			return pick(d.src, []uint16{80, 443, 26, 2525, 0, 24, 65535})
		}
		return 40000 + uint16(d.src.IntN(2)) // use only two ports, so that replies match their SYNs
	}
	far, near := service(), ephemeral() // far is the remote's port; near is the subscriber's
	switch d.src.IntN(12) {
	case 8, 9:
		far, near = near, 25
	case 10:
		near = service()
	case 11:
		far = ephemeral()
	}
	b := make([]byte, 20, 40)
	if d.up {
		far, near = near, far
	}
	binary.BigEndian.PutUint16(b, far)
	binary.BigEndian.PutUint16(b[2:], near)
	copy(b[4:], fill(d.src, 8))
	b[12] = 0x50
	b[13] = pick(d.src, []byte{0x02, 0x02, 0x12, 0x10, 0x18, 0x04, 0x11, 0xc2})
	b[14], b[15] = 0xff, 0xff
	if d.oddly(5) {
		return b[:d.src.IntN(20)]
	}
	return append(b, fill(d.src, d.src.IntN(20))...)
}
