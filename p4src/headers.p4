// The headers that the parser extracts, and those of an answer to a rejected connection.
#ifndef OP25B_HEADERS_P4_
#define OP25B_HEADERS_P4_

#include "define.p4"
#include "packet.p4"

// Packet-outs of a controller enter here, and packet-ins leave here.
const port_t PORT_CPU = 510;

// What a packet-out asks for. The numbers are never reused.
typedef bit<8> packet_kind_t;
const packet_kind_t PACKET_CLOCK = 1;   // to come back with the switch's time, by which a controller learns the clock
const packet_kind_t PACKET_PROBE = 2;   // to come back with what would happen to a frame

// In front of a packet-out's payload, on a frame from the CPU port. Only there is it looked for, so no other frame can be taken for it.
@controller_header("packet_out")
header packet_out_t {
    packet_kind_t kind;
}

// In front of a packet-in's payload.
@controller_header("packet_in")
header packet_in_t {
    packet_kind_t kind;
    timestamp_t   timestamp;    // of the packet-out's arrival, in us
}

// In front of the frame, in a probe's payload.
header probe_t {
    bit<16> port;               // where the frame would enter
    bit<32> tag;                // comes back unchanged
}

// The bytes of a probe in front of its frame.
#define PROBE_BYTES 7

// In front of the frame, in the payload of the answer to a probe.
header probe_answer_t {
    bit<32> tag;
    bit<8>  verdict;
    bit<8>  rule;
    bit<8>  leg;
    bit<8>  service;
    bit<8>  line_group;
    bit<16> line;
    bit<16> egress_port;        // 511 is none: the frame would be dropped, or replicated
    bit<16> group;              // of the replication engine; 0 is none
}

header ethernet_t {
    mac_t   dst_addr;
    mac_t   src_addr;
    bit<16> ether_type;
}

// IEEE 802.1Q tag.
header vlan_t {
    bit<3>  pcp;
    bit<1>  dei;
    vid_t   vid;
    bit<16> ether_type;
}

// RFC 2516.
header pppoe_t {
    bit<4>    version;
    bit<4>    type;
    bit<8>    code;
    session_t session;
    bit<16>   len;              // of the bytes that follow
}

// RFC 1661, the protocol field, not compressed.
header ppp_t {
    bit<16> protocol;
}

// RFC 791, without options.
header ipv4_header_t {
    bit<4>  version;
    bit<4>  ihl;                // header length in words of 32 bits, 5 to 15
    bit<8>  tos;
    bit<16> total_len;
    bit<16> identification;
    bit<1>  reserved;
    bit<1>  dont_fragment;
    bit<1>  more_fragments;
    bit<13> frag_offset;        // in units of 8 bytes
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> hdr_checksum;
    ipv4_t  src_addr;
    ipv4_t  dst_addr;
}

header ipv4_options_t {
    varbit<320> options;        // (15 - 5) words
}

// RFC 8200, the fixed header.
header ipv6_header_t {
    bit<4>  version;
    bit<8>  traffic_class;
    bit<20> flow_label;
    bit<16> payload_len;
    bit<8>  next_hdr;
    bit<8>  hop_limit;
    ipv6_t  src_addr;
    ipv6_t  dst_addr;
}

// RFC 8200 section 4: any extension header. It leaves the switch unchanged.
header extension_t {
    bit<8>       next_hdr;
    bit<8>       len;           // its unit depends on the header
    varbit<1008> body;          // 128 bytes without the two above
}

#define MAX_EXTENSIONS      4
#define MAX_EXTENSION_BYTES 128

// RFC 9293: the ports, and the rest of the fixed header. A short fragment may have only the ports.
header tcp_ports_t {
    l4_port_t src_port;
    l4_port_t dst_port;
}

header tcp_rest_t {
    bit<32> seq_no;
    bit<32> ack_no;
    bit<4>  data_offset;
    bit<4>  reserved;
    bit<3>  cwr_ece_urg;
    bit<1>  ack;
    bit<2>  psh_rst;
    bit<1>  syn;
    bit<1>  fin;
    bit<16> window;
    bit<16> checksum;
    bit<16> urgent_ptr;
}

// RFC 792 and RFC 4443, an error message before the quoted packet.
header icmp_error_t {
    bit<8>  type;
    bit<8>  code;
    bit<16> checksum;
    bit<32> unused;
}

struct headers_t {
    packet_out_t   packet_out;
    packet_in_t    packet_in;
    probe_t        probe;
    probe_answer_t probe_answer;

    ethernet_t     ethernet;
    vlan_t         outer_tag;
    vlan_t         inner_tag;
    pppoe_t        pppoe;
    ppp_t          ppp;

    // The headers of an answer, in front of the packet that it quotes.
    ipv4_header_t  answer_tunnel_ipv4;
    ipv6_header_t  answer_tunnel_ipv6;
    ipv4_header_t  answer_ipv4;
    ipv6_header_t  answer_ipv6;
    icmp_error_t   icmp;

    ipv4_header_t  ipv4;
    ipv4_options_t ipv4_options;
    ipv6_header_t  ipv6;
    extension_t[MAX_EXTENSIONS] extensions;

    ipv4_header_t  inner_ipv4;
    ipv4_options_t inner_ipv4_options;
    ipv6_header_t  inner_ipv6;
    extension_t[MAX_EXTENSIONS] inner_extensions;

    tcp_ports_t    tcp_ports;
    tcp_rest_t     tcp_rest;
}

// The parser's state.
struct parse_t {
    bit<32>  room;              // bytes left in the layer around, without padding
    bit<8>   protocol;          // of the bytes that follow
    bit<16>  chain_len;         // bytes of extension headers of the innermost IP header
    bool     more_fragments;    // of the packet around: an inner length may then exceed the room
    bit<320> options;           // of IPv4, those not yet checked, from the highest bit on
}

// The source addresses of answers.
struct reject_source_t {
    ipv4_t v4;
    ipv6_t v6;
}

struct metadata_t {
    parse_t          parse;
    shape_t          shape;
    op25b_packet_t   packet;
    op25b_decision_t decision;
    reject_source_t  reject_source;
    bit<32>          icmpv6_len; // for the pseudo-header of its checksum
}

#endif
