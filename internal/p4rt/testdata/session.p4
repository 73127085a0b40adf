// A program for the tests of package p4rt against real switches: one table that is large, one with idle timeouts, a
// digest, and both CPU headers. Compiled with: p4c-bm2-ss --std p4-16 -o session.json --p4runtime-files session.p4info.txtpb session.p4
//
//   any port --> ether_type 0x1234: packet_in to the CPU port
//            --> else: learn digest, route (LPM, counted), host (exact, idle timeout)
//   The CPU port's packet_out header names a port and is not used: a packet-out is a way to send a packet through.
#include <core.p4>
#include <v1model.p4>

const bit<9>  CPU_PORT = 510;
const bit<16> TO_CPU   = 0x1234;

@controller_header("packet_in")
header packet_in_h {
    bit<9> ingress_port;
    bit<7> unused;
}

@controller_header("packet_out")
header packet_out_h {
    bit<9> egress_port;
    bit<7> unused;
}

header ethernet_h {
    bit<48> dst;
    bit<48> src;
    bit<16> ether_type;
}

struct headers_t {
    packet_in_h  packet_in;
    packet_out_h packet_out;
    ethernet_h   ethernet;
}

struct metadata_t {}

struct learn_t {
    bit<48> src;
    bit<9>  port;
}

parser Enter(packet_in packet, out headers_t h, inout metadata_t m, inout standard_metadata_t std) {
    state start {
        transition select(std.ingress_port) {
            CPU_PORT: from_cpu;
            default:  ethernet;
        }
    }
    state from_cpu {
        packet.extract(h.packet_out);
        transition ethernet;
    }
    state ethernet {
        packet.extract(h.ethernet);
        transition accept;
    }
}

control Verify(inout headers_t h, inout metadata_t m) { apply {} }

control Pass(inout headers_t h, inout metadata_t m, inout standard_metadata_t std) {
    direct_counter(CounterType.packets_and_bytes) route_counter;

    action forward(bit<9> port) { std.egress_spec = port; }
    action drop() { mark_to_drop(std); }
    action count_forward(bit<9> port) {
        std.egress_spec = port;
        route_counter.count();
    }

    // 131,072 entries: more than a switch of op25b holds altogether.
    table route {
        key = { h.ethernet.dst : lpm; }
        actions = { count_forward; drop; }
        default_action = drop();
        counters = route_counter;
        size = 131072;
    }

    // 16 entries, so that a test can fill it.
    table host {
        key = { h.ethernet.src : exact; }
        actions = { forward; drop; @defaultonly NoAction; }
        default_action = NoAction();
        support_timeout = true;
        size = 16;
    }

    apply {
        if (h.ethernet.ether_type == TO_CPU) {
            std.egress_spec = CPU_PORT;
            h.packet_in.setValid();
            h.packet_in.ingress_port = std.ingress_port;
        } else {
            digest<learn_t>(1, { h.ethernet.src, std.ingress_port });
            route.apply();
            host.apply();
        }
    }
}

control Leave(inout headers_t h, inout metadata_t m, inout standard_metadata_t std) { apply {} }

control Compute(inout headers_t h, inout metadata_t m) { apply {} }

control Deparse(packet_out packet, in headers_t h) {
    apply {
        packet.emit(h.packet_in);
        packet.emit(h.ethernet);
    }
}

V1Switch(Enter(), Verify(), Pass(), Leave(), Compute(), Deparse()) main;
