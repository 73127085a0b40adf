// A router that includes the filter of op25b, as an example for operators with their own program. The filter's control is unchanged; this
// program fills its input and acts on its decision.
//
// The router is small: untagged Ethernet, IPv4 without options, IPv6 without extension headers. It reports everything else to the filter as
// undetermined, so that a header that the parser does not know opens nothing.
#include <core.p4>
#include <v1model.p4>

#include "../../op25b_filter.p4"

header ethernet_t {
    mac_t   dst_addr;
    mac_t   src_addr;
    bit<16> ether_type;
}

header ipv4_header_t {
    bit<8>  version_ihl;
    bit<8>  tos;
    bit<16> total_len;
    bit<16> identification;
    bit<2>  flags;
    bit<1>  more_fragments;
    bit<13> frag_offset;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> hdr_checksum;
    ipv4_t  src_addr;
    ipv4_t  dst_addr;
}

header ipv6_header_t {
    bit<4>  version;
    bit<28> class_and_flow;
    bit<16> payload_len;
    bit<8>  next_hdr;
    bit<8>  hop_limit;
    ipv6_t  src_addr;
    ipv6_t  dst_addr;
}

header tcp_start_t {
    l4_port_t src_port;
    l4_port_t dst_port;
    bit<64>   seq_and_ack;
    bit<11>   offset_and_more;
    bit<1>    ack;
    bit<2>    psh_rst;
    bit<1>    syn;
    bit<1>    fin;
}

struct headers_t {
    ethernet_t    ethernet;
    ipv4_header_t ipv4;
    ipv6_header_t ipv6;
    tcp_start_t   tcp;
}

struct metadata_t {
    op25b_packet_t   packet;
    op25b_decision_t decision;
    role_t           out_role;
}

error { Unsupported }

parser RouterParser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type) {
            0x0800: ipv4;
            0x86dd: ipv6;
            0x0806: accept;         // ARP: not routed, and not mail
            default: unsupported;   // tags, PPPoE and anything else that could carry IP
        }
    }

    state ipv4 {
        packet.extract(hdr.ipv4);
        verify(hdr.ipv4.version_ihl == 0x45, error.Unsupported);
        verify(hdr.ipv4.total_len >= 20 && (bit<32>)hdr.ipv4.total_len + 14 <= std.packet_length, error.Unsupported);
        transition select(hdr.ipv4.frag_offset, hdr.ipv4.protocol) {
            (0, 6): ipv4_tcp;
            (_, 6): unsupported;    // a later fragment
            (_, 4): unsupported;    // tunnels
            (_, 41): unsupported;
            (_, 51): unsupported;
            default: accept;
        }
    }

    state ipv4_tcp {
        verify(hdr.ipv4.total_len >= 20 + 14, error.Unsupported);
        transition tcp;
    }

    state ipv6 {
        packet.extract(hdr.ipv6);
        verify(hdr.ipv6.version == 6 && (bit<32>)hdr.ipv6.payload_len + 54 <= std.packet_length, error.Unsupported);
        transition select(hdr.ipv6.next_hdr) {
            6: ipv6_tcp;
            17: accept;
            50: accept;
            58: accept;
            default: unsupported;   // extension headers and tunnels
        }
    }

    state ipv6_tcp {
        verify(hdr.ipv6.payload_len >= 14, error.Unsupported);
        transition tcp;
    }

    state tcp {
        packet.extract(hdr.tcp);
        meta.packet.shape = SHAPE_TCP;
        transition accept;
    }

    state unsupported {
        verify(false, error.Unsupported);
        transition accept;
    }
}

control RouterIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    Op25b() filter;

    @id(0x01000101)
    action set_interface(@id(1) role_t role) { meta.packet.role = role; }

    // The side of each interface. An interface without an entry is a line's.
    @id(0x02000101)
    table interface {
        key = { std.ingress_port : exact @id(1) @name("port"); }
        actions = { set_interface; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 64;
    }

    @id(0x01000102)
    action next_hop(@id(1) port_t port, @id(2) mac_t dst_addr, @id(3) role_t role) {
        std.egress_spec = port;
        hdr.ethernet.src_addr = hdr.ethernet.dst_addr;
        hdr.ethernet.dst_addr = dst_addr;
        meta.out_role = role;
        meta.packet.line_port = port;
    }

    @id(0x02000102)
    table route_v4 {
        key = { hdr.ipv4.dst_addr : lpm @id(1) @name("prefix"); }
        actions = { next_hop; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 1024;
    }

    @id(0x02000103)
    table route_v6 {
        key = { hdr.ipv6.dst_addr : lpm @id(1) @name("prefix"); }
        actions = { next_hop; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 1024;
    }

    apply {
        bool routed = false;
        interface.apply();
        if (hdr.ipv4.isValid() && hdr.ipv4.ttl > 1) {
            routed = route_v4.apply().hit;
            hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
        } else if (hdr.ipv6.isValid() && hdr.ipv6.hop_limit > 1) {
            routed = route_v6.apply().hit;
            hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
        }

        // The filter needs every packet from a line and every packet to a line.
        if (meta.packet.role == ROLE_ACCESS || (routed && meta.out_role == ROLE_ACCESS)) {
            meta.packet.timestamp = std.ingress_global_timestamp;
            meta.packet.ingress_port = std.ingress_port;
            if (meta.packet.role == ROLE_ACCESS) { meta.packet.line_port = std.ingress_port; }
            if (hdr.ipv4.isValid()) {
                meta.packet.family = FAMILY_IPV4;
                meta.packet.src_v4 = hdr.ipv4.src_addr;
                meta.packet.dst_v4 = hdr.ipv4.dst_addr;
            } else if (hdr.ipv6.isValid()) {
                meta.packet.family = FAMILY_IPV6;
                meta.packet.src_v6 = hdr.ipv6.src_addr;
                meta.packet.dst_v6 = hdr.ipv6.dst_addr;
            }
            // The parser knows no tunnels, so the outermost addresses are also the innermost.
            meta.packet.outer_family = meta.packet.family;
            meta.packet.outer_src_v4 = meta.packet.src_v4;
            meta.packet.outer_dst_v4 = meta.packet.dst_v4;
            meta.packet.outer_src_v6 = meta.packet.src_v6;
            meta.packet.outer_dst_v6 = meta.packet.dst_v6;
            if (std.parser_error != error.NoError) { meta.packet.shape = SHAPE_UNDETERMINED; }
            if (hdr.tcp.isValid()) {
                meta.packet.src_port = hdr.tcp.src_port;
                meta.packet.dst_port = hdr.tcp.dst_port;
                meta.packet.has_flags = true;
                meta.packet.syn = hdr.tcp.syn == 1;
                meta.packet.ack = hdr.tcp.ack == 1;
            }
            // This router builds no answers, so a reject is a drop, and it takes no probes.
            meta.packet.answerable = false;
            meta.packet.probe = false;
            filter.apply(meta.packet, meta.decision);
        }
        // No packet goes from one line to another: the filter has decided only for the sender's line.
        bool between_lines = meta.packet.role == ROLE_ACCESS && meta.out_role == ROLE_ACCESS;
        if (!routed || between_lines || meta.decision.verdict == VERDICT_DROP) { mark_to_drop(std); }
    }
}

control RouterEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply { }
}

control VerifyNothing(inout headers_t hdr, inout metadata_t meta) { apply { } }

control ComputeIpv4(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(hdr.ipv4.isValid(), {
            hdr.ipv4.version_ihl, hdr.ipv4.tos, hdr.ipv4.total_len, hdr.ipv4.identification, hdr.ipv4.flags, hdr.ipv4.more_fragments,
            hdr.ipv4.frag_offset, hdr.ipv4.ttl, hdr.ipv4.protocol, hdr.ipv4.src_addr, hdr.ipv4.dst_addr
        }, hdr.ipv4.hdr_checksum, HashAlgorithm.csum16);
    }
}

control RouterDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.ethernet);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.ipv6);
        packet.emit(hdr.tcp);
    }
}

@pkginfo(name="router.p4", version="1.0.0")
V1Switch(
    RouterParser(), VerifyNothing(), RouterIngress(), RouterEgress(), ComputeIpv4(), RouterDeparser()
) main;
