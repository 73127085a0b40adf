// Checksums. The receiver of a frame checks its checksums: a wrong one is no reason to leave a segment unfiltered, and no byte that they
// cover is changed. Only an answer needs checksums: its own, and the header checksums of the packet that it answers.
#ifndef OP25B_CHECKSUM_P4_
#define OP25B_CHECKSUM_P4_

#include "headers.p4"

#define IPV4_SUMMED(h) \
    h.version, h.ihl, h.tos, h.total_len, h.identification, h.reserved, h.dont_fragment, h.more_fragments, h.frag_offset, \
    h.ttl, h.protocol, h.src_addr, h.dst_addr

#define IPV4_HEADER_CHECKSUM(h) \
    update_checksum(h.isValid(), { IPV4_SUMMED(h) }, h.hdr_checksum, HashAlgorithm.csum16)

// A packet with a wrong IPv4 header checksum gets no ICMP error (RFC 1812 section 4.2.2.5): its source address may be wrong too. Only a SYN
// can be answered, so only SYNs are checked.
#define VERIFY_IPV4(h, o) \
    verify_checksum(h.isValid() && hdr.tcp_rest.isValid() && hdr.tcp_rest.syn == 1, { IPV4_SUMMED(h), o.options }, h.hdr_checksum, HashAlgorithm.csum16)

control VerifyAnswerable(inout headers_t hdr, inout metadata_t meta) {
    apply {
        VERIFY_IPV4(hdr.ipv4, hdr.ipv4_options);
        VERIFY_IPV4(hdr.inner_ipv4, hdr.inner_ipv4_options);
    }
}

#define IPV4_HEADER(h) \
    h.version, h.ihl, h.tos, h.total_len, h.identification, h.reserved, h.dont_fragment, h.more_fragments, h.frag_offset, \
    h.ttl, h.protocol, h.hdr_checksum, h.src_addr, h.dst_addr

#define IPV6_HEADER(h) \
    h.version, h.traffic_class, h.flow_label, h.payload_len, h.next_hdr, h.hop_limit, h.src_addr, h.dst_addr

#define EXTENSIONS(h) \
    h[0].next_hdr, h[0].len, h[0].body, h[1].next_hdr, h[1].len, h[1].body, \
    h[2].next_hdr, h[2].len, h[2].body, h[3].next_hdr, h[3].len, h[3].body

#define QUOTED_TCP \
    hdr.tcp_ports.src_port, hdr.tcp_ports.dst_port, hdr.tcp_rest.seq_no, hdr.tcp_rest.ack_no, \
    hdr.tcp_rest.data_offset, hdr.tcp_rest.reserved, hdr.tcp_rest.cwr_ece_urg, hdr.tcp_rest.ack, hdr.tcp_rest.psh_rst, \
    hdr.tcp_rest.syn, hdr.tcp_rest.fin, hdr.tcp_rest.window, hdr.tcp_rest.checksum, hdr.tcp_rest.urgent_ptr

// The quote is of the packet inside a tunnel, or of the only packet. Of the two headers listed one is valid, and the other adds nothing.
control AnswerChecksums(inout headers_t hdr, inout metadata_t meta) {
    apply {
        IPV4_HEADER_CHECKSUM(hdr.answer_tunnel_ipv4);
        IPV4_HEADER_CHECKSUM(hdr.answer_ipv4);
        update_checksum(hdr.answer_ipv4.isValid(), {
            hdr.icmp.type, hdr.icmp.code, hdr.icmp.unused,
            IPV4_HEADER(hdr.ipv4), hdr.ipv4_options.options,
            IPV4_HEADER(hdr.inner_ipv4), hdr.inner_ipv4_options.options,
            QUOTED_TCP
        }, hdr.icmp.checksum, HashAlgorithm.csum16);
        update_checksum(hdr.answer_ipv6.isValid(), {
            hdr.answer_ipv6.src_addr, hdr.answer_ipv6.dst_addr, meta.icmpv6_len, 24w0, hdr.answer_ipv6.next_hdr,
            hdr.icmp.type, hdr.icmp.code, hdr.icmp.unused,
            IPV6_HEADER(hdr.ipv6), EXTENSIONS(hdr.extensions),
            IPV6_HEADER(hdr.inner_ipv6), EXTENSIONS(hdr.inner_extensions),
            QUOTED_TCP
        }, hdr.icmp.checksum, HashAlgorithm.csum16);
    }
}

#endif
