package vectors

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Dump returns a frame as text, layer by layer, in the notation of the vectors with numeric addresses. Building a frame from the text gives
// the same bytes. Dump writes bytes that the notation cannot express, and inconsistent layers, as raw.
func Dump(frame []byte) string {
	if len(frame) < 14 {
		return rawLayer(frame)
	}
	text := dumpEth(frame)
	if back, err := buildFrame(nil, newSpan("", 0, text)); err != nil || !bytes.Equal(back, frame) {
		return rawLayer(frame)
	}
	return text
}

func rawLayer(b []byte) string { return "raw 0x" + hex.EncodeToString(b) }

// layersOf joins the text of a layer and the text of the layers inside it, which may be empty.
func layersOf(layer, inside string) string {
	if inside == "" {
		return layer
	}
	return layer + " | " + inside
}

func u16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }

// dumpEth returns the text of a frame with its addresses, EtherTypes and tags. Bytes after the IP packet are padding.
func dumpEth(b []byte) string {
	head := fmt.Sprintf("eth %v>%v", net.HardwareAddr(b[6:12]), net.HardwareAddr(b[:6]))
	return dumpEtherType(head, b[12:])
}

// dumpEtherType returns the text of the bytes that begin with an EtherType. head is the text of the layers before them.
func dumpEtherType(head string, b []byte) string {
	if len(b) < 2 {
		return head // layers cannot express these bytes, so Dump writes the frame as raw
	}
	kind, rest := u16(b), b[2:]
	for name, tpid := range tpids {
		if int(tpid) == kind && len(rest) >= 4 {
			tag := fmt.Sprintf("tag %s %d", name, u16(rest)&0xfff)
			if pri := rest[0] >> 5; pri != 0 {
				tag += fmt.Sprintf(" pri=%d", pri)
			}
			if rest[0]&0x10 != 0 {
				tag += " dei"
			}
			return head + " | " + dumpEtherType(tag, rest[2:])
		}
	}
	inside, used := "", 0
	switch kind {
	case 0x0800:
		inside, used = dumpIP(rest, "ip4")
	case 0x86dd:
		inside, used = dumpIP(rest, "ip6")
	case 0x8864:
		inside, used = dumpPPPoE(rest)
	}
	if inside == "" {
		head += fmt.Sprintf(" type=0x%04x", kind)
		if len(rest) > 0 {
			inside = rawLayer(rest)
		}
		return layersOf(head, inside)
	}
	pad := rest[used:]
	if len(pad) > 0 && len(bytes.Trim(pad, "\x00")) == 0 {
		return head + " | " + inside + fmt.Sprintf(" | pad %d", len(pad))
	}
	if len(pad) > 0 { // padding that is not zero must be in the text
		return head + " | " + inside + " | " + rawLayer(pad)
	}
	return head + " | " + inside
}

func dumpPPPoE(b []byte) (text string, used int) {
	if len(b) < 8 || b[6]&1 != 0 {
		return "", 0
	}
	text = fmt.Sprintf("pppoe 0x%04x", u16(b[2:]))
	if b[0] != 0x11 {
		text += fmt.Sprintf(" ver=%d type=%d", b[0]>>4, b[0]&15)
	}
	if b[1] != 0 {
		text += fmt.Sprintf(" code=%d", b[1])
	}
	used = 6 + u16(b[4:])
	if used > len(b) || used < 8 {
		text += fmt.Sprintf(" len=%d", u16(b[4:]))
		used = len(b)
	}
	inside, n := "", 0
	switch u16(b[6:]) {
	case 0x0021:
		inside, n = dumpIP(b[8:used], "ip4")
	case 0x0057:
		inside, n = dumpIP(b[8:used], "ip6")
	}
	if inside == "" || n != used-8 {
		return layersOf(text+fmt.Sprintf(" proto=0x%04x", u16(b[6:])), rawOrNothing(b[8:used])), used
	}
	return text + " | " + inside, used
}

func rawOrNothing(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return rawLayer(b)
}

// dumpIP returns the text of an IP packet, or "" if the header is incomplete. used is the packet's length according to its length field.
func dumpIP(b []byte, kind string) (text string, used int) {
	if kind == "ip6" {
		return dumpIP6(b)
	}
	if len(b) < 20 {
		return "", 0
	}
	header := int(b[0]&15) * 4
	if b[0]>>4 != 4 || header < 20 || header > len(b) {
		return "", 0
	}
	text = fmt.Sprintf("ip4 %v>%v", netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])))
	word := func(present bool, format string, args ...any) {
		if present {
			text += " " + fmt.Sprintf(format, args...)
		}
	}
	word(b[1] != 0, "tos=%d", b[1])
	word(u16(b[4:]) != 0, "id=%d", u16(b[4:]))
	word(b[6]&0x20 != 0, "mf")
	word(b[6]&0x40 != 0, "df")
	word(b[6]&0x80 != 0, "rf")
	offset := u16(b[6:]) & 0x1fff
	word(offset != 0, "off=%d", offset)
	word(b[8] != 64, "ttl=%d", b[8])
	word(header > 20, "opts=0x%x", b[20:header])
	zeroed := append(append([]byte{}, b[:10]...), 0, 0)
	sum := int(checksum(zeroed, b[12:header]))
	word(sum != u16(b[10:]), "sum=0x%04x", u16(b[10:]))
	used = u16(b[2:])
	if used > len(b) || used < header {
		text += fmt.Sprintf(" len=%d", used)
		used = len(b)
	}
	return dumpPayload(text, "proto", int(b[9]), b[header:used], offset, &ipHeader{b[12:16], b[16:20]}), used
}

func dumpIP6(b []byte) (text string, used int) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return "", 0
	}
	text = fmt.Sprintf("ip6 %v>%v", netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])))
	if tc := b[0]<<4 | b[1]>>4; tc != 0 {
		text += fmt.Sprintf(" tc=%d", tc)
	}
	if flow := binary.BigEndian.Uint32(b) & 0xfffff; flow != 0 {
		text += fmt.Sprintf(" flow=%d", flow)
	}
	if b[7] != 64 {
		text += fmt.Sprintf(" hop=%d", b[7])
	}
	used = 40 + u16(b[4:])
	if used > len(b) {
		text += fmt.Sprintf(" len=%d", used-40)
		used = len(b)
	}
	return dumpPayload(text, "next", int(b[6]), b[40:used], 0, &ipHeader{b[8:24], b[24:40]}), used
}

// dumpPayload returns the text of an IP packet's payload. It writes an incomplete layer as raw bytes.
func dumpPayload(head, key string, protocol int, b []byte, offset int, up *ipHeader) string {
	inside := ""
	if offset == 0 {
		inside = dumpProtocol(protocol, b, up)
	}
	if inside == "" {
		return layersOf(fmt.Sprintf("%s %s=%d", head, key, protocol), rawOrNothing(b))
	}
	return head + " | " + inside
}

func dumpProtocol(protocol int, b []byte, up *ipHeader) string {
	switch {
	case protocol == 4 || protocol == 41:
		kind := map[int]string{4: "ip4", 41: "ip6"}[protocol]
		inside, used := dumpIP(b, kind)
		if used != len(b) {
			return ""
		}
		return inside
	case protocol == 6 && len(b) >= 20:
		return dumpTCP(b, up)
	case protocol == 17 && len(b) >= 8:
		text := fmt.Sprintf("udp %d>%d", u16(b), u16(b[2:]))
		return checked(layersOf(text, rawOrNothing(b[8:])), b, up)
	case (protocol == 1 || protocol == 58) && len(b) >= 8:
		name := map[int]string{1: "icmp", 58: "icmp6"}[protocol]
		text := fmt.Sprintf("%s %d/%d", name, b[0], b[1])
		kind := "ip4"
		if protocol == 58 {
			kind = "ip6"
		}
		if quote, used := dumpIP(b[8:], kind); quote != "" && used == len(b)-8 {
			if whole := checked(text+" | "+quote, b, up); whole != "" {
				return whole
			}
		}
		return checked(layersOf(text, rawOrNothing(b[8:])), b, up)
	case protocol == 44 && len(b) >= 8:
		text := fmt.Sprintf("frag off=%d", u16(b[2:])>>3)
		if b[3]&1 != 0 {
			text += " mf"
		}
		if id := binary.BigEndian.Uint32(b[4:]); id != 0 {
			text += fmt.Sprintf(" id=%d", id)
		}
		return checked(dumpPayload(text, "next", int(b[0]), b[8:], u16(b[2:])>>3, up), b, up)
	case protocol == 51 && len(b) >= 8:
		return dumpExtension("ah", b, (int(b[1])+2)*4, up)
	case (protocol == 0 || protocol == 43 || protocol == 60 || protocol == 135 || protocol == 139 || protocol == 140) && len(b) >= 8:
		name := map[int]string{0: "hbh", 43: "routing", 60: "dstopt", 135: "mobility", 139: "hip", 140: "shim6"}[protocol]
		return dumpExtension(name, b, (int(b[1])+1)*8, up)
	}
	return ""
}

// dumpExtension returns the text of an extension header with the default contents. It returns "" if the contents differ.
func dumpExtension(name string, b []byte, size int, up *ipHeader) string {
	if size > len(b) {
		return ""
	}
	text := fmt.Sprintf("%s size=%d", name, size)
	if name == "routing" {
		text += fmt.Sprintf(" type=%d segs=%d", b[2], b[3])
	}
	if name == "dstopt" && b[2] == 4 && b[3] == 1 {
		text += fmt.Sprintf(" limit=%d", b[4])
	}
	return checked(dumpPayload(text, "next", int(b[0]), b[size:], 0, up), b, up)
}

func dumpTCP(b []byte, up *ipHeader) string {
	flags := ""
	for i, c := range "FSRPAUEC" {
		if b[13]&(1<<i) != 0 {
			flags += string(c)
		}
	}
	if flags == "" {
		flags = "-"
	}
	text := fmt.Sprintf("tcp %d>%d %s", u16(b), u16(b[2:]), flags)
	if seq := binary.BigEndian.Uint32(b[4:]); seq != 1 {
		text += fmt.Sprintf(" seq=%d", seq)
	}
	if ack := binary.BigEndian.Uint32(b[8:]); ack != 0 {
		text += fmt.Sprintf(" ack=%d", ack)
	}
	if b[12] != 0x50 {
		text += fmt.Sprintf(" doff=%d", b[12]>>4)
	}
	if win := u16(b[14:]); win != 65535 {
		text += fmt.Sprintf(" win=%d", win)
	}
	segment := append(append([]byte{}, b[:16]...), 0, 0)
	segment = append(segment, b[18:]...)
	if up != nil && int(checksum(up.pseudo(6, len(b)), segment)) != u16(b[16:]) {
		text += fmt.Sprintf(" sum=0x%04x", u16(b[16:]))
	}
	return checked(layersOf(text, rawOrNothing(b[20:])), b, up)
}

// checked returns the text if building from it gives b. Otherwise it returns "".
func checked(text string, b []byte, up *ipHeader) string {
	var layers []*reader
	for _, part := range newSpan("", 0, text).split("|") {
		layers = append(layers, newReader(nil, part))
	}
	back, err := build(layers, up)
	if err != nil || !bytes.Equal(back, b) {
		return ""
	}
	return strings.TrimSpace(text)
}
