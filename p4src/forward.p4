// Forwarding of the reference switch: a bridge that does not learn. Known addresses go to their port, everything else is flooded,
// and a frame from an access line reaches the network side only (split horizon), so that two subscribers of one switch never talk past
// the filter.
#ifndef OP25B_FORWARD_P4_
#define OP25B_FORWARD_P4_

#include "headers.p4"
#include "id.p4"
#include "size.p4"

control Forward(in headers_t hdr, in role_t role, inout standard_metadata_t std) {
    @id(FORWARD_TO_ACCESS_ACTION_ID)
    action forward_to_access(@id(1) port_t port) {
        std.egress_spec = port;
        // The split horizon: the only way from one access line to another would be here.
        if (role == ROLE_ACCESS) { mark_to_drop(std); }
    }

    @id(FORWARD_TO_NETWORK_ACTION_ID)
    action forward_to_network(@id(1) port_t port) { std.egress_spec = port; }

    // Where an address is. Written from the inventory.
    @id(BRIDGE_TABLE_ID)
    table bridge {
        key = { hdr.ethernet.dst_addr : exact @id(1) @name("dst_addr"); }
        actions = {
            forward_to_access;
            forward_to_network;
            @defaultonly NoAction;
        }
        const default_action = NoAction;
        size = BRIDGE_SIZE;
    }

    apply {
        if (bridge.apply().hit) {
            if (std.egress_spec == std.ingress_port) { mark_to_drop(std); }
        } else if (role == ROLE_ACCESS) {
            std.mcast_grp = GROUP_NETWORK_PORTS;
        } else {
            std.mcast_grp = GROUP_ALL_PORTS;
        }
    }
}

control PruneSource(inout standard_metadata_t std) {
    apply {
        // A flooded frame does not go back to where it came from.
        if (std.egress_port == std.ingress_port) { mark_to_drop(std); }
    }
}

#endif
