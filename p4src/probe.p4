// The answer to a packet-out. A probe asks what would happen to a frame, by the tables and the program that decide about real frames, and
// no subscriber sees it.
#ifndef OP25B_PROBE_P4_
#define OP25B_PROBE_P4_

#include "forward.p4"
#include "headers.p4"
#include "id.p4"
#include "size.p4"

control ToController(inout headers_t hdr, in metadata_t meta, inout standard_metadata_t std) {
    // Probes that hit a rule's entry, by epoch, leg and rule. A gNMI agent finds them by the annotation, and takes them off verdict_counter, which
    // counts them too. Of the epoch, the low bits are enough: the few epochs that have entries at a time follow each other.
    @id(PROBES_COUNTER_ID)
    @op25b_probes("epoch_bits=3,rule_bits=8")
    counter(PROBES_SIZE, CounterType.packets_and_bytes) probes;

    apply {
        hdr.packet_in.setValid();
        hdr.packet_in.kind = PACKET_CLOCK;
        hdr.packet_in.timestamp = std.ingress_global_timestamp;
        if (meta.packet.probe) {
            hdr.packet_in.kind = PACKET_PROBE;
            hdr.probe_answer.setValid();
            hdr.probe_answer.tag = hdr.probe.tag;
            hdr.probe_answer.verdict = (bit<8>)meta.decision.verdict;
            hdr.probe_answer.rule = meta.decision.rule;
            hdr.probe_answer.leg = (bit<8>)meta.decision.leg;
            hdr.probe_answer.service = meta.decision.service;
            hdr.probe_answer.line_group = meta.decision.line_group;
            hdr.probe_answer.line = (bit<16>)meta.decision.line_index;
            hdr.probe_answer.egress_port = (bit<16>)(std.mcast_grp == 0 ? std.egress_spec : PORT_UNKNOWN);
            hdr.probe_answer.group = std.mcast_grp;
            if (meta.decision.epoch != 0) {
                bit<3> leg = meta.decision.leg - 1;
                probes.count((bit<32>)(meta.decision.epoch[2:0] ++ leg[1:0] ++ meta.decision.rule));
            }
        }
        hdr.packet_out.setInvalid();
        std.mcast_grp = 0;
        std.egress_spec = PORT_CPU;
    }
}

#endif
