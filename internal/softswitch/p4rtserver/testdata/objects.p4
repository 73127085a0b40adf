// One of every object that a P4Info can name, for the tests of package p4rtserver. What it does to packets is
// just enough to see each of them at work. Compiled in this directory with
//     p4c-bm2-ss --std p4-16 -o objects.json --p4runtime-files objects.p4info.txtpb objects.p4
//
//   CPU port (510) --packet_out--> egress port given in the header
//   other ports    --> learn digest, exact, lpm, ... --> port, clone to the CPU with packet_in, or drop
#include <core.p4>
#include <v1model.p4>

const bit<9> CPU_PORT = 510;

@controller_header("packet_in")
header packet_in_h {
    bit<9>  ingress_port;
    bit<3>  reason;
    bit<20> tag;
}

@controller_header("packet_out")
header packet_out_h {
    bit<9>  egress_port;
    bit<7>  unused;
}

header ethernet_h {
    bit<48> dst;
    bit<48> src;
    bit<16> ether_type;
}

header ipv4_h {
    bit<4>  version;
    bit<4>  ihl;
    bit<8>  tos;
    bit<16> len;
    bit<16> id;
    bit<3>  flags;
    bit<13> frag;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

header wide_h {
    bit<128> key;
}

struct headers_t {
    packet_in_h  packet_in;
    packet_out_h packet_out;
    ethernet_h   ethernet;
    ipv4_h       ipv4;
    wide_h       wide;
}

struct meta_t {
    bit<12> group;
    bit<2>  meter_tag;
    bit<2>  marker_tag;
    bit<16> epoch;
}

struct learn_t {
    bit<48> src;
    bit<9>  port;
}

parser ObjectsParser(packet_in pkt, out headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {
    value_set<bit<16> >(4) ip_types;

    state start {
        transition select(std.ingress_port) {
            CPU_PORT: parse_packet_out;
            default: parse_ethernet;
        }
    }
    state parse_packet_out {
        pkt.extract(hdr.packet_out);
        transition parse_ethernet;
    }
    state parse_ethernet {
        pkt.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type) {
            ip_types: parse_ipv4;
            0x88b5: parse_wide;
            default: accept;
        }
    }
    state parse_ipv4 {
        pkt.extract(hdr.ipv4);
        transition accept;
    }
    state parse_wide {
        pkt.extract(hdr.wide);
        transition accept;
    }
}

control ObjectsVerify(inout headers_t hdr, inout meta_t meta) { apply { } }

control ObjectsIngress(inout headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {
    counter(64, CounterType.packets_and_bytes) port_counter;
    meter(32, MeterType.bytes) port_meter;
    @single_rate_two_color meter(8, MeterType.packets) one_rate;
    register<bit<48> >(16) last_src;
    direct_counter(CounterType.packets_and_bytes) host_counter;
    direct_counter(CounterType.packets) fixed_counter;
    direct_meter<bit<2> >(MeterType.packets) route_meter;
    action_profile(8) hops;
    @max_group_size(4) action_selector(HashAlgorithm.crc16, 16, 16) paths;

    action forward(bit<9> port) { std.egress_spec = port; }
    action drop() { mark_to_drop(std); }
    action flood(bit<16> grp) { std.mcast_grp = grp; }
    action to_cpu(bit<3> reason, bit<20> tag) {
        hdr.packet_in.setValid();
        hdr.packet_in.ingress_port = std.ingress_port;
        hdr.packet_in.reason = reason;
        hdr.packet_in.tag = tag;
        std.egress_spec = CPU_PORT;
    }
    action mirror() { clone(CloneType.I2E, 5); }
    action set_epoch(bit<16> epoch) { meta.epoch = epoch; }
    action set_group(bit<12> grp) { meta.group = grp; }
    action route(bit<9> port, bit<48> mac) { std.egress_spec = port; hdr.ethernet.dst = mac; }

    table host {
        key = { hdr.ethernet.dst : exact @name("mac"); }
        actions = { forward; flood; to_cpu; mirror; drop; @defaultonly NoAction; }
        default_action = NoAction;
        counters = host_counter;
        support_timeout = true;
        size = 131072;
    }
    table route_v4 {
        key = { hdr.ipv4.dst : lpm @name("prefix"); }
        actions = { @tableonly route; @defaultonly drop; NoAction; }
        default_action = NoAction;
        meters = route_meter;
        size = 1024;
    }
    table acl {
        key = {
            std.ingress_port : exact @name("port");
            hdr.ethernet.src : ternary @name("src");
            hdr.ethernet.ether_type : range @name("type");
            meta.group : optional @name("group");
        }
        actions = { forward; drop; NoAction; }
        default_action = NoAction;
        size = 8;
    }
    table fixed {
        key = { hdr.ethernet.ether_type : ternary @name("type"); }
        actions = { set_group; NoAction; }
        const default_action = NoAction;
        counters = fixed_counter;
        const entries = {
            0x0800 &&& 0xff00 : set_group(1);
            0x86dd : set_group(2);
            _ : set_group(3);
        }
    }
    table seeded {
        key = { hdr.ethernet.src : exact @name("src"); }
        actions = { set_group; NoAction; }
        default_action = NoAction;
        entries = {
            0x61 : set_group(1);
            0x62 : set_group(2);
        }
    }
    table epoch {
        key = { }
        actions = { set_epoch; }
        default_action = set_epoch(7);
    }
    table wide {
        key = { hdr.wide.key : exact @name("key"); }
        actions = { forward; NoAction; }
        default_action = NoAction;
        size = 16;
    }
    table next_hop {
        key = { meta.group : exact @name("group"); }
        actions = { route; forward; NoAction; }
        implementation = hops;
        size = 16;
    }
    table balanced {
        key = { hdr.ethernet.src : exact @name("src"); hdr.ethernet.dst : selector; }
        actions = { route; forward; NoAction; }
        implementation = paths;
        size = 16;
    }

    apply {
        if (hdr.packet_out.isValid()) {
            std.egress_spec = hdr.packet_out.egress_port;
            hdr.packet_out.setInvalid();
            exit;
        }
        digest<learn_t>(1, { hdr.ethernet.src, std.ingress_port });
        port_counter.count((bit<32>)std.ingress_port);
        port_meter.execute_meter((bit<32>)std.ingress_port, meta.meter_tag);
        one_rate.execute_meter(32w0, meta.marker_tag);
        last_src.write((bit<32>)std.ingress_port, hdr.ethernet.src);
        epoch.apply();
        fixed.apply();
        seeded.apply();
        acl.apply();
        balanced.apply();
        next_hop.apply();
        host.apply();
        if (hdr.wide.isValid()) { wide.apply(); }
        if (hdr.ipv4.isValid()) {
            route_v4.apply();
            route_meter.read(meta.meter_tag);
        }
    }
}

control ObjectsEgress(inout headers_t hdr, inout meta_t meta, inout standard_metadata_t std) { apply { } }

control ObjectsUpdate(inout headers_t hdr, inout meta_t meta) { apply { } }

control ObjectsDeparser(packet_out pkt, in headers_t hdr) {
    apply {
        pkt.emit(hdr.packet_in);
        pkt.emit(hdr.ethernet);
        pkt.emit(hdr.wide);
        pkt.emit(hdr.ipv4);
    }
}

V1Switch(ObjectsParser(), ObjectsVerify(), ObjectsIngress(), ObjectsEgress(), ObjectsUpdate(), ObjectsDeparser()) main;
