package vectors

import (
	"slices"
	"strings"
)

// A layerBuilder builds the bytes of a layer and of its inner layers.
type layerBuilder func(r *reader, in *inside) ([]byte, error)

// layerKinds lists the kinds of layers, for error messages.
const layerKinds = "eth, tag, pppoe, arp, ip4, ip6, hbh, routing, frag, dstopt, ah, mobility, hip, shim6, esp, none, " +
	"tcp, udp, icmp, icmp6, data, raw, pad, cut"

// builderOf returns the builder for a kind of layer, or nil if the kind is unknown.
func builderOf(kind string) layerBuilder {
	switch kind {
	case "eth":
		return buildEth
	case "tag":
		return buildTag
	case "pppoe":
		return buildPPPoE
	case "arp":
		return buildARP
	case "ip4":
		return buildIP4
	case "ip6":
		return buildIP6
	case "hbh", "dstopt", "mobility", "hip", "shim6":
		return buildOptions
	case "routing":
		return buildRouting
	case "frag":
		return buildFrag
	case "ah":
		return buildAH
	case "esp":
		return buildESP
	case "none":
		return func(*reader, *inside) ([]byte, error) { return nil, nil }
	case "tcp":
		return buildTCP
	case "udp":
		return buildUDP
	case "icmp", "icmp6":
		return buildICMP
	case "data":
		return buildData
	case "raw":
		return buildRaw
	}
	return nil
}

// buildEth builds the layer eth SRC>DST [type=].
func buildEth(r *reader, in *inside) ([]byte, error) {
	src, dst, ok := r.pair("stations SRC>DST", ">")
	if !ok {
		return nil, r.err
	}
	b := append(r.mac(dst), r.mac(src)...)
	return in.etherType(r, b)
}

// buildTag builds the layer tag TPID VID [pri=] [dei] [type=]. The hexadecimal TPID is the EtherType of the previous layer.
func buildTag(r *reader, in *inside) ([]byte, error) {
	tpid, ok := r.arg("TPID")
	if !ok {
		return nil, r.err
	}
	if _, valid := tpids[tpid.s]; !valid {
		r.fail(tpid.pos(), "TPID %q: valid are %s", tpid.s, oneOf(tpids))
	}
	dei := uint64(0)
	if r.flag("dei") {
		dei = 1
	}
	vid, ok := r.arg("VID")
	if !ok {
		return nil, r.err
	}
	tci := r.key("pri", 7, 0)<<13 | dei<<12 | r.number(vid, "VID", 4095)
	// If another tag follows, its TPID is the EtherType of this tag.
	return in.etherType(r, be16(be16(nil, tpids[tpid.s]), tci))
}

var tpids = map[string]uint64{"8100": 0x8100, "88a8": 0x88a8, "9100": 0x9100}

// etherType appends the next layer's EtherType and bytes to b. If the next layer is a tag, the tag itself begins with the EtherType.
func (in *inside) etherType(r *reader, b []byte) ([]byte, error) {
	if _, said := r.keys["type"]; in.kind != "tag" || said {
		b = be16(b, in.number(r, "type", 0xffff, etherTypes))
	}
	inner, err := in.payload()
	return append(b, inner...), err
}

// buildPPPoE builds the layer pppoe SESSION [ver=] [type=] [code=] [len=] [proto=] [short]. With short, the protocol field has only one
// byte.
func buildPPPoE(r *reader, in *inside) ([]byte, error) {
	id, ok := r.arg("session id")
	if !ok {
		return nil, r.err
	}
	session := r.number(id, "session id", 0xffff)
	proto := be16(nil, in.number(r, "proto", 0xffff, pppProtocols))
	if r.flag("short") {
		proto = proto[1:]
	}
	inner, err := in.payload()
	if err != nil {
		return nil, err
	}
	b := []byte{byte(r.key("ver", 15, 1)<<4 | r.key("type", 15, 1)), byte(r.key("code", 255, 0))}
	b = be16(be16(b, session), r.key("len", 0xffff, uint64(len(proto)+len(inner))))
	return append(append(b, proto...), inner...), nil
}

// buildARP builds the layer arp WHO ASKS. It is a request by ASKS for WHO, in which both MAC addresses are zero.
func buildARP(r *reader, _ *inside) ([]byte, error) {
	who, _ := r.arg("address that is asked for")
	asks, ok := r.arg("address that asks")
	if !ok {
		return nil, r.err
	}
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0}
	b = append(append(b, r.addr(asks, true)...), 0, 0, 0, 0, 0, 0)
	return append(b, r.addr(who, true)...), nil
}

// buildIP4 builds the layer ip4 SRC>DST [tos=] [len=] [id=] [df] [mf] [rf] [off=] [ttl=] [proto=] [sum=] [ihl=] [ver=] [opts=]. off is in
// units of 8 bytes.
func buildIP4(r *reader, in *inside) ([]byte, error) {
	src, dst, ok := r.pair("addresses SRC>DST", ">")
	if !ok {
		return nil, r.err
	}
	h := &ipHeader{r.addr(src, true), r.addr(dst, true)}
	options := r.ip4Options()
	proto := in.number(r, "proto", 255, ipProtocols)
	inner, err := in.within(h)
	if err != nil {
		return nil, err
	}
	words := uint64(5 + len(options)/4)
	b := []byte{byte(r.key("ver", 15, 4)<<4 | r.key("ihl", 15, words)), byte(r.key("tos", 255, 0))}
	b = be16(b, r.key("len", 0xffff, words*4+uint64(len(inner))))
	b = be16(b, r.key("id", 0xffff, 0))
	flags := uint64(0)
	for i, f := range []string{"mf", "df", "rf"} {
		if r.flag(f) {
			flags |= 1 << i
		}
	}
	b = be16(b, flags<<13|r.key("off", 0x1fff, 0))
	b = append(b, byte(r.key("ttl", 255, 64)), byte(proto), 0, 0)
	b = append(append(append(b, h.src...), h.dst...), options...)
	put16(b[10:], r.key("sum", 0xffff, checksum(b)))
	return append(b, inner...), nil
}

// ip4Options reads opts=ITEM,ITEM,... and pads the options to a multiple of 4 bytes. An item is nop, eol, rr, ra, ts, lsrr, ssrr or
// hexadecimal bytes. *N after an item repeats the item.
func (r *reader) ip4Options() []byte {
	t, ok := r.text("opts")
	if !ok {
		return nil
	}
	var b []byte
	for _, item := range t.split(",") {
		name, times, repeated := item.cut("*")
		n := uint64(1)
		if repeated {
			n = r.number(times, "repetition", 40)
		}
		bytes, ok := ip4Options[name.s]
		if !ok {
			if !strings.HasPrefix(name.s, "0x") {
				r.fail(name.pos(), "IPv4 option %q: valid are %s, or bytes such as 0x0101", name.s, oneOf(ip4Options))
				return nil
			}
			bytes = r.hex(name)
		}
		b = append(b, slices.Repeat(bytes, int(n))...)
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	if len(b) > 40 {
		r.fail(t.pos(), "IPv4 options of %d bytes; a header has room for 40", len(b))
	}
	return b
}

// ip4Options are options of RFC 791 and RFC 2113. Those that record a route or timestamps have room for one entry.
var ip4Options = map[string][]byte{
	"eol":  {0},
	"nop":  {1},
	"rr":   {7, 7, 4, 0, 0, 0, 0},
	"ts":   {68, 8, 5, 0, 0, 0, 0, 0},
	"lsrr": {131, 7, 4, 198, 51, 100, 77},
	"ssrr": {137, 7, 4, 198, 51, 100, 77},
	"ra":   {148, 4, 0, 0},
}

// buildIP6 builds the layer ip6 SRC>DST [tc=] [flow=] [len=] [next=] [hop=] [ver=].
func buildIP6(r *reader, in *inside) ([]byte, error) {
	src, dst, ok := r.pair("addresses SRC>DST", ">")
	if !ok {
		return nil, r.err
	}
	h := &ipHeader{r.addr(src, false), r.addr(dst, false)}
	next := in.number(r, "next", 255, ipProtocols)
	inner, err := in.within(h)
	if err != nil {
		return nil, err
	}
	b := be32(nil, r.key("ver", 15, 6)<<28|r.key("tc", 255, 0)<<20|r.key("flow", 0xfffff, 0))
	b = be16(b, r.key("len", 0xffff, uint64(len(inner))))
	b = append(b, byte(next), byte(r.key("hop", 255, 64)))
	return append(append(append(b, h.src...), h.dst...), inner...), nil
}

// buildOptions builds the layer hbh, dstopt, mobility, hip or shim6 [size=] [len=] [next=]. dstopt also has [limit=], the encapsulation
// limit of RFC 2473. size is in bytes. len is the header's length field, in units of 8 bytes without the first 8. Its default is computed
// from size.
func buildOptions(r *reader, in *inside) ([]byte, error) {
	size := r.key("size", 2048, 8)
	if size%8 != 0 || size == 0 {
		r.fail(r.at, "layer %s has size %d; it wants a multiple of 8", r.kind, size)
		return nil, r.err
	}
	b := make([]byte, size)
	b[0] = byte(in.number(r, "next", 255, ipProtocols))
	b[1] = byte(r.key("len", 255, size/8-1))
	if r.kind == "hbh" || r.kind == "dstopt" {
		rest := b[2:]
		if _, said := r.keys["limit"]; said {
			copy(rest, []byte{4, 1, byte(r.key("limit", 255, 0))})
			rest = rest[3:]
		}
		for len(rest) > 0 { // PadN (RFC 8200 section 4.2)
			n := min(len(rest), 257)
			if n == 1 {
				rest[0] = 0
			} else {
				rest[0], rest[1] = 1, byte(n-2)
			}
			rest = rest[n:]
		}
		r.known = append(r.known, "limit=")
	}
	inner, err := in.payload()
	return append(b, inner...), err
}

// buildRouting builds the layer routing [type=] [segs=] [size=] [len=] [next=]. By default, the type is 2, with one address and no
// segments left.
func buildRouting(r *reader, in *inside) ([]byte, error) {
	size := r.key("size", 2048, 24)
	if size%8 != 0 || size == 0 {
		r.fail(r.at, "layer %s has size %d; it wants a multiple of 8", r.kind, size)
		return nil, r.err
	}
	b := make([]byte, size)
	copy(b[min(8, size):], []byte{0x20, 0x01, 0x0d, 0xb8, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x77})
	b[0] = byte(in.number(r, "next", 255, ipProtocols))
	b[1] = byte(r.key("len", 255, size/8-1))
	b[2], b[3] = byte(r.key("type", 255, 2)), byte(r.key("segs", 255, 0))
	inner, err := in.payload()
	return append(b, inner...), err
}

// buildFrag builds the layer frag [off=] [mf] [id=] [res=] [next=]. off is in units of 8 bytes.
func buildFrag(r *reader, in *inside) ([]byte, error) {
	more := uint64(0)
	if r.flag("mf") {
		more = 1
	}
	b := []byte{byte(in.number(r, "next", 255, ipProtocols)), byte(r.key("res", 255, 0))}
	b = be32(be16(b, r.key("off", 0x1fff, 0)<<3|more), r.key("id", 0xffffffff, 0))
	inner, err := in.payload()
	return append(b, inner...), err
}

// buildAH builds the layer ah [size=] [len=] [next=]. len is in units of 4 bytes, minus 2 (RFC 4302 section 2.2). Its default is computed
// from size.
func buildAH(r *reader, in *inside) ([]byte, error) {
	size := r.key("size", 1028, 24)
	if size%4 != 0 || size < 8 {
		r.fail(r.at, "layer ah has size %d; it wants a multiple of 4, 8 or more", size)
		return nil, r.err
	}
	b := make([]byte, size)
	b[0] = byte(in.number(r, "next", 255, ipProtocols))
	b[1] = byte(r.key("len", 255, size/4-2))
	b[7] = 1 // SPI
	inner, err := in.payload()
	return append(b, inner...), err
}

// buildESP builds the layer esp with an SPI and a sequence number. The next layer follows unencrypted.
func buildESP(_ *reader, in *inside) ([]byte, error) {
	inner, err := in.payload()
	return append([]byte{0, 0, 0, 1, 0, 0, 0, 1}, inner...), err
}

// buildTCP builds the layer tcp SPORT>DPORT FLAGS [seq=] [ack=] [win=] [sum=] [doff=] [size=]. FLAGS are letters of SAFRPUEC, or - for no
// flags. size is the length of the header in bytes. The options are NOPs.
func buildTCP(r *reader, in *inside) ([]byte, error) {
	src, dst, ok := r.pair("ports SRC>DST", ">")
	if !ok {
		return nil, r.err
	}
	b := be16(be16(nil, r.number(src, "port", 0xffff)), r.number(dst, "port", 0xffff))
	word, ok := r.arg("flags")
	if !ok {
		return nil, r.err
	}
	flags := byte(0)
	for _, c := range word.s {
		i := strings.IndexRune("FSRPAUEC", c)
		if i < 0 && word.s != "-" {
			r.fail(word.pos(), "TCP flags %q: they are some of S A F R P U E C, or - for none", word.s)
			break
		}
		if i >= 0 {
			flags |= 1 << i
		}
	}
	size := r.key("size", 60, 20)
	if size%4 != 0 || size < 20 {
		r.fail(r.at, "layer tcp has size %d; it wants 20 to 60, a multiple of 4", size)
		return nil, r.err
	}
	b = be32(be32(b, r.key("seq", 0xffffffff, 1)), r.key("ack", 0xffffffff, 0))
	b = append(b, byte(r.key("doff", 15, size/4)<<4), flags)
	b = append(be16(b, r.key("win", 0xffff, 65535)), 0, 0, 0, 0)
	b = append(b, slices.Repeat([]byte{1}, int(size)-20)...)
	inner, err := in.payload()
	if err != nil {
		return nil, err
	}
	sum := uint64(0)
	if in.up != nil {
		sum = checksum(in.up.pseudo(ipProtocols["tcp"], len(b)+len(inner)), b, inner)
	}
	put16(b[16:], r.key("sum", 0xffff, sum))
	return append(b, inner...), nil
}

// buildUDP builds the layer udp SPORT>DPORT.
func buildUDP(r *reader, in *inside) ([]byte, error) {
	src, dst, ok := r.pair("ports SRC>DST", ">")
	if !ok {
		return nil, r.err
	}
	inner, err := in.payload()
	if err != nil {
		return nil, err
	}
	b := be16(be16(nil, r.number(src, "port", 0xffff)), r.number(dst, "port", 0xffff))
	b = append(be16(b, uint64(8+len(inner))), 0, 0)
	sum := uint64(0)
	if in.up != nil {
		sum = checksum(in.up.pseudo(ipProtocols["udp"], len(b)+len(inner)), b, inner)
	}
	if sum == 0 {
		sum = 0xffff // 0 would mean that there is no checksum (RFC 768)
	}
	put16(b[6:], sum)
	return append(b, inner...), nil
}

// buildICMP builds the layer icmp TYPE/CODE or icmp6 TYPE/CODE. Its header has 8 bytes, of which the last four are 0. The quoted packet
// follows.
func buildICMP(r *reader, in *inside) ([]byte, error) {
	kind, code, ok := r.pair("type and code as TYPE/CODE", "/")
	if !ok {
		return nil, r.err
	}
	quote, err := in.within(nil)
	if err != nil {
		return nil, err
	}
	b := []byte{byte(r.number(kind, "type", 255)), byte(r.number(code, "code", 255)), 0, 0, 0, 0, 0, 0}
	sum := checksum(b, quote)
	if r.kind == "icmp6" && in.up != nil {
		sum = checksum(in.up.pseudo(ipProtocols["icmp6"], len(b)+len(quote)), b, quote)
	}
	put16(b[2:], sum)
	return append(b, quote...), nil
}

// buildData builds the layer data N, which consists of N bytes with the values 0, 1, 2 and so on.
func buildData(r *reader, in *inside) ([]byte, error) {
	t, ok := r.arg("number of bytes")
	if !ok {
		return nil, r.err
	}
	b := make([]byte, r.number(t, "length", 9000))
	for i := range b {
		b[i] = byte(i)
	}
	inner, err := in.payload()
	return append(b, inner...), err
}

// buildRaw builds the layer raw 0x…, which consists of the given bytes.
func buildRaw(r *reader, in *inside) ([]byte, error) {
	t, ok := r.arg("bytes such as 0x00ff")
	if !ok {
		return nil, r.err
	}
	b := r.hex(t)
	inner, err := in.payload()
	return append(b, inner...), err
}
