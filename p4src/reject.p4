// The answer to a rejected connection: ICMP "administratively prohibited" (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1). It is built from the
// rejected packet, in the encapsulation of that packet. A host that receives it gives up at once, and learns the address that stopped it.
#ifndef OP25B_REJECT_P4_
#define OP25B_REJECT_P4_

#include "headers.p4"
#include "id.p4"

const bit<8> PROTO_IPV4 = 4;
const bit<8> PROTO_IPV6 = 41;

#define ANSWER_TTL        64
#define ICMP_ERROR_BYTES  8
#define QUOTED_TCP_BYTES  20
#define IPV4_BYTES        20
#define IPV6_BYTES        40

// Decides whether a packet can be answered.
control Answerable(in headers_t hdr, inout metadata_t meta) {
    @id(SET_REJECT_SOURCE_ACTION_ID)
    action set_reject_source(@id(1) ipv4_t v4, @id(2) ipv6_t v6) {
        meta.reject_source.v4 = v4;
        meta.reject_source.v6 = v6;
    }

    // The source addresses of answers, as the parameters of the default action. Without an address of its family a packet is not answered.
    @id(REJECT_SOURCE_TABLE_ID)
    table reject_source {
        key = { }
        actions = { set_reject_source; }
        default_action = set_reject_source(0, 0);
        size = 1;
    }

    apply {
        reject_source.apply();
        // No answer to a multicast frame, nor to an address that is not a single host's (RFC 1122 section 3.2.2, RFC 4443 section 2.4).
        bool unicast = hdr.ethernet.dst_addr[40:40] == 0 && hdr.ethernet.src_addr[40:40] == 0;
        // An ICMP error quotes the IPv4 header, and cannot quote an authentication header behind it.
        bool extended = (hdr.ipv4.isValid() && hdr.extensions[0].isValid()) || (hdr.inner_ipv4.isValid() && hdr.inner_extensions[0].isValid());
        if (meta.packet.family == FAMILY_IPV4) {
            bool host = meta.packet.src_v4 != 0 && meta.packet.src_v4[31:24] != 127 && meta.packet.src_v4[31:29] != 7 && meta.packet.dst_v4[31:29] != 7;
            meta.packet.answerable = unicast && host && !extended && meta.reject_source.v4 != 0;
        } else {
            bool host = meta.packet.src_v6 != 0 && meta.packet.src_v6[127:120] != 0xff && meta.packet.dst_v6[127:120] != 0xff;
            meta.packet.answerable = unicast && host && !extended && meta.reject_source.v6 != 0;
        }
    }
}

control Answer(inout headers_t hdr, inout metadata_t meta) {
    bit<16> ip_len;     // of the whole answer, without a tunnel's header
    bit<32> below = 14; // bytes below it

    apply {
        mac_t subscriber = hdr.ethernet.src_addr;
        hdr.ethernet.src_addr = hdr.ethernet.dst_addr;
        hdr.ethernet.dst_addr = subscriber;

        if (meta.packet.family == FAMILY_IPV4) {
            bit<16> header_len = (bit<16>)(hdr.inner_ipv4.isValid() ? hdr.inner_ipv4.ihl : hdr.ipv4.ihl) << 2;
            ip_len = IPV4_BYTES + ICMP_ERROR_BYTES + header_len + QUOTED_TCP_BYTES;
            hdr.answer_ipv4.setValid();
            hdr.answer_ipv4.version = 4;
            hdr.answer_ipv4.ihl = 5;
            hdr.answer_ipv4.tos = 0;
            hdr.answer_ipv4.total_len = ip_len;
            hdr.answer_ipv4.identification = 0;
            hdr.answer_ipv4.reserved = 0;
            hdr.answer_ipv4.dont_fragment = 1;
            hdr.answer_ipv4.more_fragments = 0;
            hdr.answer_ipv4.frag_offset = 0;
            hdr.answer_ipv4.ttl = ANSWER_TTL;
            hdr.answer_ipv4.protocol = 1;
            hdr.answer_ipv4.hdr_checksum = 0;
            hdr.answer_ipv4.src_addr = meta.reject_source.v4;
            hdr.answer_ipv4.dst_addr = meta.packet.src_v4;
            hdr.icmp.setValid();
            hdr.icmp.type = 3;
            hdr.icmp.code = 13;
        } else {
            bit<16> payload_len = ICMP_ERROR_BYTES + IPV6_BYTES + meta.parse.chain_len + QUOTED_TCP_BYTES;
            ip_len = IPV6_BYTES + payload_len;
            hdr.answer_ipv6.setValid();
            hdr.answer_ipv6.version = 6;
            hdr.answer_ipv6.traffic_class = 0;
            hdr.answer_ipv6.flow_label = 0;
            hdr.answer_ipv6.payload_len = payload_len;
            hdr.answer_ipv6.next_hdr = 58;
            hdr.answer_ipv6.hop_limit = ANSWER_TTL;
            hdr.answer_ipv6.src_addr = meta.reject_source.v6;
            hdr.answer_ipv6.dst_addr = meta.packet.src_v6;
            hdr.icmp.setValid();
            hdr.icmp.type = 1;
            hdr.icmp.code = 1;
            meta.icmpv6_len = (bit<32>)payload_len;
        }
        hdr.icmp.checksum = 0;
        hdr.icmp.unused = 0;

        // The tunnel's header is new, without options and extension headers: those belonged to the rejected packet.
        bool tunnelled = hdr.inner_ipv4.isValid() || hdr.inner_ipv6.isValid();
        bit<8> carried = hdr.inner_ipv4.isValid() ? PROTO_IPV4 : PROTO_IPV6;
        if (tunnelled && hdr.ipv4.isValid()) {
            hdr.answer_tunnel_ipv4.setValid();
            hdr.answer_tunnel_ipv4.version = 4;
            hdr.answer_tunnel_ipv4.ihl = 5;
            hdr.answer_tunnel_ipv4.tos = 0;
            hdr.answer_tunnel_ipv4.total_len = IPV4_BYTES + ip_len;
            hdr.answer_tunnel_ipv4.identification = 0;
            hdr.answer_tunnel_ipv4.reserved = 0;
            hdr.answer_tunnel_ipv4.dont_fragment = 1;
            hdr.answer_tunnel_ipv4.more_fragments = 0;
            hdr.answer_tunnel_ipv4.frag_offset = 0;
            hdr.answer_tunnel_ipv4.ttl = ANSWER_TTL;
            hdr.answer_tunnel_ipv4.protocol = carried;
            hdr.answer_tunnel_ipv4.hdr_checksum = 0;
            hdr.answer_tunnel_ipv4.src_addr = hdr.ipv4.dst_addr;
            hdr.answer_tunnel_ipv4.dst_addr = hdr.ipv4.src_addr;
            hdr.ipv4.setInvalid();
            hdr.ipv4_options.setInvalid();
            below = below + IPV4_BYTES;
        } else if (tunnelled) {
            hdr.answer_tunnel_ipv6.setValid();
            hdr.answer_tunnel_ipv6.version = 6;
            hdr.answer_tunnel_ipv6.traffic_class = 0;
            hdr.answer_tunnel_ipv6.flow_label = 0;
            hdr.answer_tunnel_ipv6.payload_len = ip_len;
            hdr.answer_tunnel_ipv6.next_hdr = carried;
            hdr.answer_tunnel_ipv6.hop_limit = ANSWER_TTL;
            hdr.answer_tunnel_ipv6.src_addr = hdr.ipv6.dst_addr;
            hdr.answer_tunnel_ipv6.dst_addr = hdr.ipv6.src_addr;
            hdr.ipv6.setInvalid();
            below = below + IPV6_BYTES;
        }
        if (tunnelled) {
            hdr.extensions[0].setInvalid();
            hdr.extensions[1].setInvalid();
            hdr.extensions[2].setInvalid();
            hdr.extensions[3].setInvalid();
        }

        if (hdr.pppoe.isValid()) {
            hdr.pppoe.len = (bit<16>)below - 14 + ip_len + 2;   // with the protocol field
            below = below + 8;
        }
        if (hdr.outer_tag.isValid()) { below = below + 4; }
        if (hdr.inner_tag.isValid()) { below = below + 4; }
        truncate(below + (bit<32>)ip_len);
    }
}

#endif
