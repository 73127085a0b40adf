// The reference switch of op25b, for v1model.
//
//   frame ─> FrameParser ─> op25b_packet_t ─> Op25b ─────────────────────────────────────────────┐
//                                             │ line ─> service ─> remote    ┐                    │
//                                             │   (not mail: straight on)    ├─> verdict          │
//                                             │         subscriber           ┘   permit, monitor, │
//                                             │         running_epoch ───────┘   drop + rule id   │
//                                             └─> port_rule[ingress port ++ rule id]              │
//            out <─ FrameDeparser <─ PruneSource <─ Forward: bridge, flood, split horizon <───────┘
//                                                   (a dropped frame ends before it)
//
// A file per concern: define (types), size (table sizes), id (P4Runtime ids), headers, parser, op25b_filter (the decision), forward, checksum.
#include <core.p4>
#include <v1model.p4>

#include "define.p4"
#include "headers.p4"
#include "parser.p4"
#include "op25b_filter.p4"
#include "forward.p4"
#include "checksum.p4"

control SwitchIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    Op25b() filter;
    Forward() forward;

    apply {
        meta.packet.ingress_port = std.ingress_port;
        meta.packet.malformed = std.parser_error != error.NoError;
        if (hdr.vlan.isValid()) { meta.packet.outer_vid = hdr.vlan.vid; }
        if (hdr.ipv4.isValid()) {
            meta.packet.family = FAMILY_IPV4;
            meta.packet.src_v4 = hdr.ipv4.src_addr;
            meta.packet.dst_v4 = hdr.ipv4.dst_addr;
        } else if (hdr.ipv6.isValid()) {
            meta.packet.family = FAMILY_IPV6;
            meta.packet.src_v6 = hdr.ipv6.src_addr;
            meta.packet.dst_v6 = hdr.ipv6.dst_addr;
        }
        if (hdr.tcp.isValid()) {
            meta.packet.is_tcp = true;
            meta.packet.src_port = hdr.tcp.src_port;
            meta.packet.dst_port = hdr.tcp.dst_port;
        }

        // The filter comes before forwarding, so that no way out of the bridge can be reached without a decision.
        filter.apply(meta.packet, meta.decision);
        if (meta.decision.verdict == VERDICT_DROP) {
            mark_to_drop(std);
        } else {
            forward.apply(hdr, meta.decision.role, std);
        }
    }
}

control SwitchEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    PruneSource() prune;
    apply { prune.apply(std); }
}

@pkginfo(name="op25b.p4", version="0.1.0")
V1Switch(
    FrameParser(), VerifyNothing(), SwitchIngress(), SwitchEgress(), ComputeNothing(), FrameDeparser()
) main;
