// What the parser can take out of a frame, and what it hands to the controls.
#ifndef OP25B_HEADERS_P4_
#define OP25B_HEADERS_P4_

#include "define.p4"

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

// RFC 791, without options.
header ipv4_header_t {
    bit<4>  version;
    bit<4>  ihl;            // header length in words of 32 bits, 5 to 15
    bit<8>  tos;
    bit<16> total_len;
    bit<16> identification;
    bit<3>  flags;
    bit<13> frag_offset;    // in units of 8 bytes
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> hdr_checksum;
    ipv4_t  src_addr;
    ipv4_t  dst_addr;
}

header ipv4_options_t {
    varbit<320> options;    // (15 - 5) words
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

// RFC 9293, without options.
header tcp_t {
    l4_port_t src_port;
    l4_port_t dst_port;
    bit<32>   seq_no;
    bit<32>   ack_no;
    bit<4>    data_offset;
    bit<4>    reserved;
    bit<8>    flags;
    bit<16>   window;
    bit<16>   checksum;
    bit<16>   urgent_ptr;
}

struct headers_t {
    ethernet_t     ethernet;
    vlan_t         vlan;
    ipv4_header_t       ipv4;
    ipv4_options_t ipv4_options;
    ipv6_header_t       ipv6;
    tcp_t          tcp;
}

// All that the filter wants to know of a frame. It is the filter's whole view: a program with other headers fills it and can use the
// filter as it stands.
struct op25b_packet_t {
    port_t    ingress_port;
    vid_t     outer_vid;
    vid_t     inner_vid;
    family_t  family;
    ipv4_t    src_v4;
    ipv4_t    dst_v4;
    ipv6_t    src_v6;
    ipv6_t    dst_v6;
    bool      is_tcp;       // the two ports below were in the frame
    l4_port_t src_port;
    l4_port_t dst_port;
    bool      malformed;    // IP or TCP that could not be parsed to its ports
}

// What the filter says of a frame.
struct op25b_decision_t {
    role_t       role;
    line_group_t line_group;
    line_index_t line_index;
    verdict_t    verdict;
    rule_t       rule;
}

struct metadata_t {
    op25b_packet_t   packet;
    op25b_decision_t decision;
}

#endif
