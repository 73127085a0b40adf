// What the filter asks of a frame, and what it answers: all that a program which includes the filter shares with it.
#ifndef OP25B_PACKET_P4_
#define OP25B_PACKET_P4_

#include "define.p4"

// All that the filter wants to know of a frame. A program with other headers fills it and can use the filter as it stands.
struct op25b_packet_t {
    timestamp_t timestamp;
    port_t      ingress_port;
    role_t      role;           // the side that the frame comes from
    port_t      line_port;      // the access port: where it came in, or where it is to go; 511 if it is flooded
    vid_t       outer_vid;
    vid_t       inner_vid;
    session_t   session;
    shape_t     shape;

    // The outermost addresses: whom the network takes for the subscriber. An address inside a tunnel may be shared by many lines.
    family_t    outer_family;
    ipv4_t      outer_src_v4;
    ipv4_t      outer_dst_v4;
    ipv6_t      outer_src_v6;
    ipv6_t      outer_dst_v6;

    // The innermost addresses: which server the segment is for, or from. Those above, where there is no tunnel.
    family_t    family;
    ipv4_t      src_v4;
    ipv4_t      dst_v4;
    ipv6_t      src_v6;
    ipv6_t      dst_v6;

    l4_port_t   src_port;
    l4_port_t   dst_port;
    bool        has_flags;      // the two below were in the frame
    bool        syn;
    bool        ack;
    bool        answerable;     // the caller could answer it with an ICMP error
}

// What the filter says of a frame. Verdicts are: none and permit and monitor, to be forwarded; drop; reject, to be dropped and answered.
struct op25b_decision_t {
    line_group_t line_group;
    line_index_t line_index;
    leg_t        leg;
    service_t    service;
    verdict_t    verdict;
    rule_t       rule;
}

// One attempt at mail that a rule watches or stops, as a digest. Addresses of IPv4 are in the low 32 bits. p4c gives the digest its id,
// by this name.
struct mail_flow_t {
    line_index_t line;
    leg_t        leg;
    service_t    service;
    rule_t       rule;
    verdict_t    verdict;
    bit<1>       syn_ack;           // of the answering leg
    family_t     subscriber_family; // of the outermost address
    family_t     remote_family;
    bit<128>     subscriber;
    bit<128>     remote;
}

#endif
