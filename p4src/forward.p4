// Forwarding of the reference switch: a bridge that does not learn. A frame to a known address goes to its port. A frame whose tags belong to
// one line goes to that line. Everything else is flooded. A frame from an access line reaches only the network side (split horizon), so that
// two subscribers of one switch cannot bypass the filter.
#ifndef OP25B_FORWARD_P4_
#define OP25B_FORWARD_P4_

#include "headers.p4"
#include "id.p4"
#include "size.p4"

// The port of a flooded frame, which has no single line to go to. v1model drops frames to this port, so no line can have it.
const port_t PORT_UNKNOWN = 511;

// 01-80-C2-00-00-00 to -0F without the last four bits (IEEE 802.1Q table 8-1). A bridge never forwards a frame to one of these addresses
// (section 8.6.3).
const bit<44> RESERVED_GROUP_ADDRESSES = 0x0180c200000;

// Groups of the packet replication engine. The controller fills them from the inventory.
const bit<16> GROUP_NETWORK_PORTS = 1;  // only the network side (split horizon)
const bit<16> GROUP_ALL_PORTS     = 2;

// Where a frame goes unless the filter stops it.
struct route_t {
    bool   flooded;
    role_t role;    // of the port below
    port_t port;    // PORT_UNKNOWN if it is flooded
}

control Forward(in headers_t hdr, in op25b_packet_t packet, out route_t route, inout standard_metadata_t std) {
    @id(FORWARD_TO_ACCESS_ACTION_ID)
    @action_restriction("port < 510")
    action forward_to_access(@id(1) port_t port) {
        route.flooded = false;
        route.role = ROLE_ACCESS;
        route.port = port;
    }

    @id(FORWARD_TO_NETWORK_ACTION_ID)
    @action_restriction("port < 510")
    action forward_to_network(@id(1) port_t port) {
        route.flooded = false;
        route.role = ROLE_NETWORK;
        route.port = port;
    }

    // Maps a MAC address to its port. Written from the inventory.
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

    @id(SET_LINE_PORT_ACTION_ID)
    @action_restriction("port < 510")
    action set_line_port(@id(1) port_t port) {
        route.flooded = false;
        route.role = ROLE_ACCESS;
        route.port = port;
    }

    // Maps tags to their access port, if only one port has them: for stations that `bridge` does not have.
    @id(LINE_PORT_TABLE_ID)
    @entry_restriction("outer_vid < 4095 && inner_vid < 4095 && (outer_vid != 0 || inner_vid != 0)")
    table line_port {
        key = {
            packet.outer_vid : exact @id(1) @name("outer_vid");
            packet.inner_vid : exact @id(2) @name("inner_vid");
        }
        actions = { set_line_port; @defaultonly NoAction; }
        const default_action = NoAction;
        size = LINE_PORT_SIZE;
    }

    apply {
        route.flooded = true;
        route.role = ROLE_ACCESS;
        route.port = PORT_UNKNOWN;
        if (!bridge.apply().hit && packet.role == ROLE_NETWORK && hdr.ethernet.dst_addr[40:40] == 0) { line_port.apply(); }

        if (!route.flooded) {
            std.egress_spec = route.port;
            // A frame never leaves by the port that it came in by, and never goes from one access line to another.
            if (route.port == packet.ingress_port || (packet.role == ROLE_ACCESS && route.role == ROLE_ACCESS)) { mark_to_drop(std); }
        } else if (packet.role == ROLE_ACCESS) {
            std.mcast_grp = GROUP_NETWORK_PORTS;
        } else {
            std.mcast_grp = GROUP_ALL_PORTS;
        }
    }
}

#endif
