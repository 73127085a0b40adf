// The input and the output of the filter: all that it shares with the program that includes it.
#ifndef OP25B_PACKET_P4_
#define OP25B_PACKET_P4_

#include "define.p4"

// The filter's input. A program with other headers fills it, and uses the filter unchanged.
struct op25b_packet_t {
    timestamp_t timestamp;
    port_t      ingress_port;
    role_t      role;           // the side that the frame comes from
    port_t      line_port;      // the access port by which the frame came in or will leave; 511 if it is flooded
    vid_t       outer_vid;
    vid_t       inner_vid;
    session_t   session;
    shape_t     shape;

    // The outermost addresses, which identify the subscriber. Many lines may share an address inside a tunnel.
    family_t    outer_family;
    ipv4_t      outer_src_v4;
    ipv4_t      outer_dst_v4;
    ipv6_t      outer_src_v6;
    ipv6_t      outer_dst_v6;

    // The innermost addresses, which identify the server. Without a tunnel they are the same as above.
    family_t    family;
    ipv4_t      src_v4;
    ipv4_t      dst_v4;
    ipv6_t      src_v6;
    ipv6_t      dst_v6;

    l4_port_t   src_port;
    l4_port_t   dst_port;
    bool        has_flags;      // the frame has the two flags below
    bool        syn;
    bool        ack;
    bool        answerable;     // the caller can answer the frame with an ICMP error
    bool        probe;          // not a frame: the filter decides as for one, and counts, limits, remembers and reports nothing
}

// The filter's decision. none, permit and monitor: forward the frame. drop: drop it. reject: drop it and answer it.
// limit, of a probe only: a rate decides.
struct op25b_decision_t {
    line_group_t line_group;
    line_index_t line_index;
    leg_t        leg;
    service_t    service;
    verdict_t    verdict;
    rule_t       rule;
    epoch_t      epoch;         // of the entry of the table `verdict` that matched; 0 if none did
}

// One attempt to send mail that a rule watches or stops, as a digest. An IPv4 address is in the low 32 bits. p4c derives the digest's id from
// this name.
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
