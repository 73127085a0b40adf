// The reference switch of op25b, for v1model.
//
//   frame ─> FrameParser ─> port_role ─> Forward: bridge, line_port, flood ─> Op25b ────────────────────────────────┐
//                                        (the output port)        │ session, line      which line                   │
//                                                                 │ source_check       does the source match?       │
//                                                                 │ service            which leg, which service     │
//                                                                 │ remote ┐           (not mail: straight on)      │
//                                                                 │        ├─> verdict permit, monitor, limit,      │
//                                                                 │ subscr.┘           reject, drop; a rule id      │
//                                                                 └─> port_rule, line_mail, mail_flow               │
//            out <─ FrameDeparser <─ AnswerChecksums <─ egress: prune the source; Answer <── forward, drop, answer <┘
//
// A packet-out of a controller goes back to the controller, as a packet-in with the switch's time. If it is a probe, it takes the way of a frame
// up to the end of ingress first, and the packet-in has the decision.
//
// One file per concern: define (types), size (table sizes), id (P4Runtime ids), packet (the filter's input and output), headers, parser,
// op25b_filter (the decision), forward, reject (the answer), probe, checksum.
#include <core.p4>
#include <v1model.p4>

#include "define.p4"
#include "packet.p4"
#include "headers.p4"
#include "parser.p4"
#include "op25b_filter.p4"
#include "forward.p4"
#include "reject.p4"
#include "probe.p4"
#include "checksum.p4"

// Classify fills the filter's input from the parsed headers.
control Classify(in headers_t hdr, inout metadata_t meta, in standard_metadata_t std) {
    apply {
        meta.packet.timestamp = std.ingress_global_timestamp;
        meta.packet.ingress_port = std.ingress_port;
        if (hdr.probe.isValid()) {
            meta.packet.probe = true;
            meta.packet.ingress_port = hdr.probe.port[8:0];
        }
        // A tag with VLAN id 0 carries only a priority (IEEE 802.1Q section 6.9), so a line cannot change its identity by adding one.
        if (hdr.outer_tag.isValid()) { meta.packet.outer_vid = hdr.outer_tag.vid; }
        if (hdr.inner_tag.isValid()) { meta.packet.inner_vid = hdr.inner_tag.vid; }
        if (meta.packet.outer_vid == 0) {
            meta.packet.outer_vid = meta.packet.inner_vid;
            meta.packet.inner_vid = 0;
        }
        if (hdr.pppoe.isValid()) { meta.packet.session = hdr.pppoe.session; }

        if (hdr.ipv4.isValid() && hdr.ipv4.version == 4) {
            meta.packet.outer_family = FAMILY_IPV4;
            meta.packet.outer_src_v4 = hdr.ipv4.src_addr;
            meta.packet.outer_dst_v4 = hdr.ipv4.dst_addr;
        } else if (hdr.ipv6.isValid() && hdr.ipv6.version == 6) {
            meta.packet.outer_family = FAMILY_IPV6;
            meta.packet.outer_src_v6 = hdr.ipv6.src_addr;
            meta.packet.outer_dst_v6 = hdr.ipv6.dst_addr;
        }
        if (hdr.inner_ipv4.isValid()) {
            meta.packet.family = FAMILY_IPV4;
            meta.packet.src_v4 = hdr.inner_ipv4.src_addr;
            meta.packet.dst_v4 = hdr.inner_ipv4.dst_addr;
        } else if (hdr.inner_ipv6.isValid()) {
            meta.packet.family = FAMILY_IPV6;
            meta.packet.src_v6 = hdr.inner_ipv6.src_addr;
            meta.packet.dst_v6 = hdr.inner_ipv6.dst_addr;
        } else {
            meta.packet.family = meta.packet.outer_family;
            meta.packet.src_v4 = meta.packet.outer_src_v4;
            meta.packet.dst_v4 = meta.packet.outer_dst_v4;
            meta.packet.src_v6 = meta.packet.outer_src_v6;
            meta.packet.dst_v6 = meta.packet.outer_dst_v6;
        }

        if (std.parser_error == error.TcpTooShort) {
            meta.packet.shape = SHAPE_TINY_FRAGMENT;
        } else if (std.parser_error != error.NoError) {
            meta.packet.shape = SHAPE_UNDETERMINED;
        } else {
            meta.packet.shape = meta.shape;
        }
        if (hdr.tcp_ports.isValid()) {
            meta.packet.src_port = hdr.tcp_ports.src_port;
            meta.packet.dst_port = hdr.tcp_ports.dst_port;
        }
        if (hdr.tcp_rest.isValid()) {
            meta.packet.has_flags = true;
            meta.packet.syn = hdr.tcp_rest.syn == 1;
            meta.packet.ack = hdr.tcp_rest.ack == 1;
        }
    }
}

control SwitchIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    Classify() classify;
    Forward() forward;
    Answerable() answerable;
    Op25b() filter;
    ToController() to_controller;
    route_t route;

    @id(SET_ROLE_ACTION_ID)
    action set_role(@id(1) role_t role) { meta.packet.role = role; }

    // The side of each port. Written from the inventory. A port without an entry is an access port.
    @id(PORT_ROLE_TABLE_ID)
    @entry_restriction("port < 510")
    table port_role {
        key = { meta.packet.ingress_port : exact @id(1) @name("port"); }
        actions = { set_role; @defaultonly NoAction; }
        const default_action = NoAction;
        size = PORT_ROLE_SIZE;
    }

    apply {
        // A packet-out of another kind than a probe is for the switch itself: neither the bridge, the filter nor a counter sees it.
        if (std.ingress_port == PORT_CPU) {
            if (hdr.packet_out.isValid() && hdr.packet_out.kind == PACKET_CLOCK) {
                to_controller.apply(hdr, meta, std);
                exit;
            }
            if (!hdr.probe.isValid() || hdr.probe.port >= (bit<16>)PORT_CPU) {
                mark_to_drop(std);
                exit;
            }
        }
        classify.apply(hdr, meta, std);
        // Frames to these addresses are for the next station only: spanning tree, PAUSE, LACP, 802.1X, LLDP. A bridge never forwards them, so
        // the filter has nothing to decide.
        if (hdr.ethernet.isValid() && hdr.ethernet.dst_addr[47:4] == RESERVED_GROUP_ADDRESSES) {
            mark_to_drop(std);
        } else {
            port_role.apply();
            forward.apply(hdr, meta.packet, route, std);

            bool from_line = meta.packet.role == ROLE_ACCESS;
            if (from_line || route.role == ROLE_ACCESS) {
                meta.packet.line_port = route.port;
                if (from_line) {
                    meta.packet.line_port = meta.packet.ingress_port;
                    if (meta.packet.syn && !meta.packet.ack && std.checksum_error == 0) { answerable.apply(hdr, meta); }
                }
                filter.apply(meta.packet, meta.decision);

                if (meta.decision.verdict == VERDICT_REJECT) {
                    std.mcast_grp = 0;
                    std.egress_spec = meta.packet.ingress_port;
                } else if (meta.decision.verdict == VERDICT_DROP) {
                    if (!from_line && route.flooded) {
                        std.mcast_grp = GROUP_NETWORK_PORTS;    // the lines do not get it; the network side still may
                    } else {
                        mark_to_drop(std);
                    }
                }
            }
        }
        if (meta.packet.probe) { to_controller.apply(hdr, meta, std); }
    }
}

control SwitchEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    Answer() answer;

    apply {
        if (std.egress_port == PORT_CPU) {
            // Whatever the tables and the multicast groups say, a controller receives no frame of a port.
            if (!hdr.packet_in.isValid()) { mark_to_drop(std); }
        } else if (meta.decision.verdict == VERDICT_REJECT) {
            answer.apply(hdr, meta);
        } else if (std.egress_port == std.ingress_port) {
            mark_to_drop(std);  // a flooded frame does not leave by the port that it came in by
        }
    }
}

@pkginfo(name="op25b.p4", version="1.2.0")
V1Switch(
    FrameParser(), VerifyAnswerable(), SwitchIngress(), SwitchEgress(), AnswerChecksums(), FrameDeparser()
) main;
