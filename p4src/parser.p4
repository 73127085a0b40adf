// Frame to headers: Ethernet, up to two tags, PPPoE session, IPv4 with options, IPv6 with a bounded chain of extension headers, one
// tunnel of either in either, TCP. Every extracted header is emitted unchanged.
//
// The parser stops at the first fault, with an error for each kind, and keeps the headers extracted so far. Lengths come from the protocols,
// never from the frame: the bytes behind the IP packet are padding, which receivers ignore.
#ifndef OP25B_PARSER_P4_
#define OP25B_PARSER_P4_

#include "headers.p4"

error {
    BadVersion,             // of IP
    BadIhl,
    BadLength,              // beyond the layer around, or too short for its own header
    BadOption,
    BadPppoe,
    CompressedProtocol,     // PPP's one-byte protocol field (RFC 1661 section 6.5)
    HiddenProtocol,         // PPP data that is neither IPv4 nor IPv6 (compressed headers, multilink, bridging), an ethertype in LLC
    TooManyTags,
    ChainTooLong,
    SourceRoute,            // the destination address is not the final one
    NestedTunnel,
    TcpTooShort             // to have its ports
}

#define TAG_TYPES(next) \
    0x8100: next; /* IEEE 802.1Q C-tag */ \
    0x88a8: next; /* IEEE 802.1Q S-tag */ \
    0x9100: next; /* S-tag, before it had a number */

// A fragment that begins within the first 256 bytes could overwrite ports that the fragment before it has behind other headers (RFC 1858
// section 4). No sender cuts packets that small.
#define SMALL_OFFSET 0 &&& 0x1fe0

// IEEE 802.3: a value below 0x0600 is a length, and LLC follows.
#define LLC_LENGTHS \
    0x0000 &&& 0xfc00: llc; \
    0x0400 &&& 0xfe00: llc;

// IPv4 options, checked before they are extracted. Source routing may follow any number of other options, so the parser walks them one by
// one. A shift fills with zeros, and an option of zero ends the walk, after 40 steps at most. (bmv2 shifts by less than 256 bits at once.)
#define LOOK_AT_OPTIONS(level, words) \
    state level##_options_##words { \
        meta.parse.options = packet.lookahead<bit<(32 * words)>>() ++ (bit<(320 - 32 * words)>)0; \
        transition level##_next_option; \
    }
#define WALK_OPTIONS(level) \
    LOOK_AT_OPTIONS(level, 1) \
    LOOK_AT_OPTIONS(level, 2) \
    LOOK_AT_OPTIONS(level, 3) \
    LOOK_AT_OPTIONS(level, 4) \
    LOOK_AT_OPTIONS(level, 5) \
    LOOK_AT_OPTIONS(level, 6) \
    LOOK_AT_OPTIONS(level, 7) \
    LOOK_AT_OPTIONS(level, 8) \
    LOOK_AT_OPTIONS(level, 9) \
    state level##_options_10 { \
        meta.parse.options = packet.lookahead<bit<320>>(); \
        transition level##_next_option; \
    } \
    state level##_next_option { \
        transition select(meta.parse.options[319:312]) { \
            0: level##_options; /* end of the list */ \
            1: level##_option_of_one_byte; /* no operation */ \
            131: source_route; /* loose, RFC 791 */ \
            137: source_route; /* strict */ \
            default: level##_option; \
        } \
    } \
    state level##_option_of_one_byte { \
        meta.parse.options = meta.parse.options << 8; \
        transition level##_next_option; \
    } \
    state level##_option { \
        verify(meta.parse.options[311:304] >= 2, error.BadOption); \
        transition select(meta.parse.options[311:304]) { \
            0 &&& 0xc0: level##_skip_option; \
            default: level##_options; /* longer than all options together */ \
        } \
    } \
    state level##_skip_option { \
        bit<8> half = meta.parse.options[311:304] << 2; /* of its bits */ \
        meta.parse.options = meta.parse.options << half; \
        meta.parse.options = meta.parse.options << half; \
        transition level##_next_option; \
    }
#define SELECT_OPTIONS(level) \
    6: level##_options_1; \
    7: level##_options_2; \
    8: level##_options_3; \
    9: level##_options_4; \
    10: level##_options_5; \
    11: level##_options_6; \
    12: level##_options_7; \
    13: level##_options_8; \
    14: level##_options_9; \
    15: level##_options_10;

parser FrameParser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start {
        meta.parse.room = std.packet_length;
        transition select(std.ingress_port) {
            PORT_CPU: controller;
            default: ethernet;
        }
    }

    // A probe has a frame, which is read like any other. The payload of other kinds is the controller's, and is not read.
    state controller {
        packet.extract(hdr.packet_out);
        transition select(hdr.packet_out.kind) {
            PACKET_PROBE: probe;
            default: accept;
        }
    }

    state probe {
        packet.extract(hdr.probe);
        meta.parse.room = meta.parse.room - PROBE_BYTES;
        transition ethernet;
    }

    state ethernet {
        packet.extract(hdr.ethernet);
        meta.parse.room = meta.parse.room - 14;
        transition select(hdr.ethernet.ether_type) {
            TAG_TYPES(outer_tag)
            0x8864: pppoe;
            0x0800: ipv4;
            0x86dd: ipv6;
            LLC_LENGTHS
            default: accept;
        }
    }

    state outer_tag {
        packet.extract(hdr.outer_tag);
        meta.parse.room = meta.parse.room - 4;
        transition select(hdr.outer_tag.ether_type) {
            TAG_TYPES(inner_tag)
            0x8864: pppoe;
            0x0800: ipv4;
            0x86dd: ipv6;
            LLC_LENGTHS
            default: accept;
        }
    }

    state inner_tag {
        packet.extract(hdr.inner_tag);
        meta.parse.room = meta.parse.room - 4;
        transition select(hdr.inner_tag.ether_type) {
            TAG_TYPES(too_many_tags)
            0x8864: pppoe;
            0x0800: ipv4;
            0x86dd: ipv6;
            LLC_LENGTHS
            default: accept;
        }
    }

    // Some receivers take the ethertype behind a SNAP header (RFC 1042) for the frame's.
    state llc {
        transition select(meta.parse.room >= 8) {
            true: snap;
            default: accept;
        }
    }

    state snap {
        transition select(packet.lookahead<bit<48>>()) {
            0xaaaa03000000: hidden_protocol;
            default: accept;
        }
    }

    state too_many_tags {
        verify(false, error.TooManyTags);
        transition accept;
    }

    state pppoe {
        packet.extract(hdr.pppoe);
        verify(hdr.pppoe.version == 1 && hdr.pppoe.type == 1 && hdr.pppoe.code == 0, error.BadPppoe);
        verify(hdr.pppoe.len >= 2 && (bit<32>)hdr.pppoe.len + 6 <= meta.parse.room, error.BadLength);
        // The low bit of the protocol field's first byte is 1 only if that byte is also the last.
        verify(packet.lookahead<bit<8>>() & 1 == 0, error.CompressedProtocol);
        packet.extract(hdr.ppp);
        meta.parse.room = (bit<32>)hdr.pppoe.len - 2;
        transition select(hdr.ppp.protocol) {
            0x0021: ipv4;
            0x0057: ipv6;
            0x0000 &&& 0xc000: hidden_protocol;
            default: accept;
        }
    }

    state hidden_protocol {
        verify(false, error.HiddenProtocol);
        transition accept;
    }

    state ipv4 {
        verify(20 <= meta.parse.room, error.BadLength);
        packet.extract(hdr.ipv4);
        verify(hdr.ipv4.version == 4, error.BadVersion);
        verify(hdr.ipv4.ihl >= 5, error.BadIhl);
        verify((bit<16>)hdr.ipv4.ihl << 2 <= hdr.ipv4.total_len, error.BadLength);
        verify((bit<32>)hdr.ipv4.total_len <= meta.parse.room, error.BadLength);
        meta.parse.room = (bit<32>)hdr.ipv4.total_len - ((bit<32>)hdr.ipv4.ihl << 2);
        meta.parse.protocol = hdr.ipv4.protocol;
        transition select(hdr.ipv4.ihl) {
            5: ipv4_payload;
            SELECT_OPTIONS(ipv4)
        }
    }

    WALK_OPTIONS(ipv4)

    state ipv4_options {
        packet.extract(hdr.ipv4_options, ((bit<32>)hdr.ipv4.ihl - 5) << 5);
        transition ipv4_payload;
    }

    // The fragment with offset 0 has the ports, whether more fragments follow or not.
    state ipv4_payload {
        meta.parse.more_fragments = hdr.ipv4.more_fragments == 1;
        transition select(hdr.ipv4.frag_offset, hdr.ipv4.protocol) {
            (0, 6): tcp;
            (0, 4): inner_ipv4;
            (0, 41): inner_ipv6;
            (0, 51): extension;
            (0, _): accept;
            (1, 6): tiny_fragment;
            (SMALL_OFFSET, 4): tiny_fragment;
            (SMALL_OFFSET, 41): tiny_fragment;
            (SMALL_OFFSET, 51): tiny_fragment;
            (_, 6): later_fragment;
            (_, 4): later_fragment;
            (_, 41): later_fragment;
            (_, 51): later_fragment;
            default: accept;
        }
    }

    state ipv6 {
        verify(40 <= meta.parse.room, error.BadLength);
        packet.extract(hdr.ipv6);
        verify(hdr.ipv6.version == 6, error.BadVersion);
        verify((bit<32>)hdr.ipv6.payload_len + 40 <= meta.parse.room, error.BadLength);
        meta.parse.room = (bit<32>)hdr.ipv6.payload_len;
        meta.parse.protocol = hdr.ipv6.next_hdr;
        transition chain;
    }

    state chain {
        transition select(meta.parse.protocol) {
            0: extension;         // hop-by-hop options
            43: routing;
            44: fragment;
            51: extension;        // authentication header
            60: extension;        // destination options
            135: extension;       // mobility
            139: extension;       // HIP
            140: extension;       // shim6
            6: tcp;
            4: inner_ipv4;
            41: inner_ipv6;
            default: accept;        // ESP hides what follows; nothing else is TCP
        }
    }

    state routing {
        verify(packet.lookahead<bit<32>>()[7:0] == 0, error.SourceRoute);   // segments left
        transition extension;
    }

    state extension {
        bit<16> next_and_len = packet.lookahead<bit<16>>();
        bit<16> bytes = ((bit<16>)next_and_len[7:0] + 1) << 3;
        bytes = meta.parse.protocol == 51 ? ((bit<16>)next_and_len[7:0] + 2) << 2 : bytes;  // RFC 4302 section 2.2
        meta.parse.chain_len = meta.parse.chain_len + bytes;
        verify(meta.parse.chain_len <= MAX_EXTENSION_BYTES, error.ChainTooLong);
        verify((bit<32>)bytes <= meta.parse.room, error.BadLength);
        verify(!hdr.extensions[MAX_EXTENSIONS - 1].isValid(), error.ChainTooLong);
        packet.extract(hdr.extensions.next, ((bit<32>)bytes - 2) << 3);
        meta.parse.room = meta.parse.room - (bit<32>)bytes;
        meta.parse.protocol = next_and_len[15:8];
        transition chain;
    }

    state fragment {
        bit<32> head = packet.lookahead<bit<32>>();     // next header, reserved, offset, two reserved bits, more fragments
        meta.parse.chain_len = meta.parse.chain_len + 8;
        verify(meta.parse.chain_len <= MAX_EXTENSION_BYTES, error.ChainTooLong);
        verify(8 <= meta.parse.room, error.BadLength);
        verify(!hdr.extensions[MAX_EXTENSIONS - 1].isValid(), error.ChainTooLong);
        packet.extract(hdr.extensions.next, (8 - 2) << 3);
        meta.parse.room = meta.parse.room - 8;
        meta.parse.protocol = head[31:24];
        meta.parse.more_fragments = meta.parse.more_fragments || head[0:0] == 1;
        // Receivers take the next header from the first fragment (RFC 8200 section 4.5). In a later one it may have any value.
        transition select(head[15:3]) {
            0: chain;
            SMALL_OFFSET: tiny_fragment;
            default: later_fragment;
        }
    }

    // A tunnelled packet. Its length may exceed the packet around if that is the first of several fragments.
    state inner_ipv4 {
        verify(20 <= meta.parse.room, error.BadLength);
        packet.extract(hdr.inner_ipv4);
        verify(hdr.inner_ipv4.version == 4, error.BadVersion);
        verify(hdr.inner_ipv4.ihl >= 5, error.BadIhl);
        verify((bit<16>)hdr.inner_ipv4.ihl << 2 <= hdr.inner_ipv4.total_len, error.BadLength);
        verify((bit<32>)hdr.inner_ipv4.ihl << 2 <= meta.parse.room, error.BadLength);
        verify(meta.parse.more_fragments || (bit<32>)hdr.inner_ipv4.total_len <= meta.parse.room, error.BadLength);
        meta.parse.room = (bit<32>)hdr.inner_ipv4.total_len < meta.parse.room ? (bit<32>)hdr.inner_ipv4.total_len : meta.parse.room;
        meta.parse.room = meta.parse.room - ((bit<32>)hdr.inner_ipv4.ihl << 2);
        meta.parse.protocol = hdr.inner_ipv4.protocol;
        meta.parse.chain_len = 0;
        transition select(hdr.inner_ipv4.ihl) {
            5: inner_ipv4_payload;
            SELECT_OPTIONS(inner_ipv4)
        }
    }

    WALK_OPTIONS(inner_ipv4)

    state inner_ipv4_options {
        packet.extract(hdr.inner_ipv4_options, ((bit<32>)hdr.inner_ipv4.ihl - 5) << 5);
        transition inner_ipv4_payload;
    }

    state inner_ipv4_payload {
        transition select(hdr.inner_ipv4.frag_offset, hdr.inner_ipv4.protocol) {
            (0, 6): tcp;
            (0, 4): nested_tunnel;
            (0, 41): nested_tunnel;
            (0, 51): inner_extension;
            (0, _): accept;
            (1, 6): tiny_fragment;
            (SMALL_OFFSET, 4): tiny_fragment;
            (SMALL_OFFSET, 41): tiny_fragment;
            (SMALL_OFFSET, 51): tiny_fragment;
            (_, 6): later_fragment;
            (_, 4): later_fragment;
            (_, 41): later_fragment;
            (_, 51): later_fragment;
            default: accept;
        }
    }

    state inner_ipv6 {
        verify(40 <= meta.parse.room, error.BadLength);
        packet.extract(hdr.inner_ipv6);
        verify(hdr.inner_ipv6.version == 6, error.BadVersion);
        verify(meta.parse.more_fragments || (bit<32>)hdr.inner_ipv6.payload_len + 40 <= meta.parse.room, error.BadLength);
        meta.parse.room = meta.parse.room - 40;
        meta.parse.room = (bit<32>)hdr.inner_ipv6.payload_len < meta.parse.room ? (bit<32>)hdr.inner_ipv6.payload_len : meta.parse.room;
        meta.parse.protocol = hdr.inner_ipv6.next_hdr;
        meta.parse.chain_len = 0;
        transition inner_chain;
    }

    state inner_chain {
        transition select(meta.parse.protocol) {
            0: inner_extension;         // hop-by-hop options
            43: inner_routing;
            44: inner_fragment;
            51: inner_extension;        // authentication header
            60: inner_extension;        // destination options
            135: inner_extension;       // mobility
            139: inner_extension;       // HIP
            140: inner_extension;       // shim6
            6: tcp;
            4: nested_tunnel;
            41: nested_tunnel;
            default: accept;        // ESP hides what follows; nothing else is TCP
        }
    }

    state inner_routing {
        verify(packet.lookahead<bit<32>>()[7:0] == 0, error.SourceRoute);   // segments left
        transition inner_extension;
    }

    state inner_extension {
        bit<16> next_and_len = packet.lookahead<bit<16>>();
        bit<16> bytes = ((bit<16>)next_and_len[7:0] + 1) << 3;
        bytes = meta.parse.protocol == 51 ? ((bit<16>)next_and_len[7:0] + 2) << 2 : bytes;  // RFC 4302 section 2.2
        meta.parse.chain_len = meta.parse.chain_len + bytes;
        verify(meta.parse.chain_len <= MAX_EXTENSION_BYTES, error.ChainTooLong);
        verify((bit<32>)bytes <= meta.parse.room, error.BadLength);
        verify(!hdr.inner_extensions[MAX_EXTENSIONS - 1].isValid(), error.ChainTooLong);
        packet.extract(hdr.inner_extensions.next, ((bit<32>)bytes - 2) << 3);
        meta.parse.room = meta.parse.room - (bit<32>)bytes;
        meta.parse.protocol = next_and_len[15:8];
        transition inner_chain;
    }

    state inner_fragment {
        bit<32> head = packet.lookahead<bit<32>>();     // next header, reserved, offset, two reserved bits, more fragments
        meta.parse.chain_len = meta.parse.chain_len + 8;
        verify(meta.parse.chain_len <= MAX_EXTENSION_BYTES, error.ChainTooLong);
        verify(8 <= meta.parse.room, error.BadLength);
        verify(!hdr.inner_extensions[MAX_EXTENSIONS - 1].isValid(), error.ChainTooLong);
        packet.extract(hdr.inner_extensions.next, (8 - 2) << 3);
        meta.parse.room = meta.parse.room - 8;
        meta.parse.protocol = head[31:24];
        meta.parse.more_fragments = meta.parse.more_fragments || head[0:0] == 1;
        // Receivers take the next header from the first fragment (RFC 8200 section 4.5). In a later one it may have any value.
        transition select(head[15:3]) {
            0: inner_chain;
            SMALL_OFFSET: tiny_fragment;
            default: later_fragment;
        }
    }

    state source_route {
        verify(false, error.SourceRoute);
        transition accept;
    }

    state nested_tunnel {
        verify(false, error.NestedTunnel);
        transition accept;
    }

    state later_fragment {
        meta.shape = SHAPE_LATER_FRAGMENT;
        transition accept;
    }

    state tiny_fragment {
        meta.shape = SHAPE_TINY_FRAGMENT;
        transition accept;
    }

    state tcp {
        verify(meta.parse.room >= 4, error.TcpTooShort);
        packet.extract(hdr.tcp_ports);
        meta.shape = SHAPE_TCP;
        transition select(meta.parse.room >= 20) {
            true: tcp_rest;
            default: accept;
        }
    }

    state tcp_rest {
        packet.extract(hdr.tcp_rest);
        transition accept;
    }
}

control FrameDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.probe_answer);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.outer_tag);
        packet.emit(hdr.inner_tag);
        packet.emit(hdr.pppoe);
        packet.emit(hdr.ppp);
        packet.emit(hdr.answer_tunnel_ipv4);
        packet.emit(hdr.answer_tunnel_ipv6);
        packet.emit(hdr.answer_ipv4);
        packet.emit(hdr.answer_ipv6);
        packet.emit(hdr.icmp);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.ipv4_options);
        packet.emit(hdr.ipv6);
        packet.emit(hdr.extensions);
        packet.emit(hdr.inner_ipv4);
        packet.emit(hdr.inner_ipv4_options);
        packet.emit(hdr.inner_ipv6);
        packet.emit(hdr.inner_extensions);
        packet.emit(hdr.tcp_ports);
        packet.emit(hdr.tcp_rest);
    }
}

#endif
