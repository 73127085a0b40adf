// The filter: what happens to mail traffic of a line. It decides and counts; it neither forwards nor drops, so that it can be lifted
// into another program. The caller fills op25b_packet_t and acts on op25b_decision_t.
#ifndef OP25B_FILTER_P4_
#define OP25B_FILTER_P4_

#include "define.p4"
#include "headers.p4"
#include "id.p4"
#include "size.p4"

control Op25b(in op25b_packet_t packet, out op25b_decision_t decision) {
    epoch_t   epoch            = 0;
    leg_t     leg              = 0;
    service_t service_id       = SERVICE_NONE;
    class_t   remote_class     = 0;
    class_t   subscriber_class = 0;
    ipv4_t    remote_v4_addr;
    ipv4_t    subscriber_v4_addr;
    ipv6_t    remote_v6_addr;
    ipv6_t    subscriber_v6_addr;

    // What the rules met on each port: the OpenConfig ACL counters of that interface. The annotation tells any gNMI agent how to
    // find them, without knowing this program.
    @id(PORT_RULE_COUNTER_ID)
    @openconfig_acl("set=op25b,rule_bits=8")
    counter(PORT_RULE_SIZE, CounterType.packets_and_bytes) port_rule;

    // Packets and bytes of each verdict entry, over all ports.
    @id(VERDICT_COUNTER_ID)
    direct_counter(CounterType.packets_and_bytes) verdict_counter;

    @id(SET_LINE_ACTION_ID)
    action set_line(@id(1) role_t role, @id(2) line_group_t line_group, @id(3) line_index_t line_index) {
        decision.role = role;
        decision.line_group = line_group;
        decision.line_index = line_index;
    }

    // Which line a frame belongs to. Written from the inventory. A port or VLAN that no entry names is an access line of group 0: closed
    // for mail port 25, open for the rest.
    @id(LINE_TABLE_ID)
    table line {
        key = {
            packet.ingress_port : exact @id(1) @name("port");
            packet.outer_vid    : exact @id(2) @name("outer_vid");
            packet.inner_vid    : exact @id(3) @name("inner_vid");
        }
        actions = { set_line; @defaultonly NoAction; }
        const default_action = NoAction;
        size = LINE_SIZE;
    }

    @id(SET_EPOCH_ACTION_ID)
    action set_epoch(@id(1) epoch_t running) { epoch = running; }

    // The epoch in force, as the parameter of the default action: one MODIFY takes a whole rule set in force, or back. It starts at 0,
    // an epoch that no rule set is ever given, so a switch that has just been loaded is closed.
    @id(RUNNING_EPOCH_TABLE_ID)
    table running_epoch {
        key = { }
        actions = { set_epoch; }
        default_action = set_epoch(0);
        size = 1;
    }

    @id(SET_SERVICE_ACTION_ID)
    action set_service(@id(1) leg_t traffic_leg, @id(2) service_t service) {
        leg = traffic_leg;
        service_id = service;
    }

    // The leg (who answers whom) and the mail service that a TCP segment belongs to. No entry: not mail, and no further look-up.
    @id(SERVICE_TABLE_ID)
    table service {
        key = {
            decision.role   : exact   @id(1) @name("role");
            packet.src_port : ternary @id(2) @name("src_port");
            packet.dst_port : ternary @id(3) @name("dst_port");
        }
        actions = { set_service; @defaultonly NoAction; }
        const default_action = NoAction;
        size = SERVICE_SIZE;
    }

    @id(SET_REMOTE_CLASS_ACTION_ID)
    action set_remote_class(@id(1) class_t class_id) { remote_class = class_id; }

    // The class of the address beyond the network port: own relay, mobile carrier, ... Written from the policy, one entry a prefix;
    // a phase never touches it. No entry: class 0, any other server.
    @id(REMOTE_V4_TABLE_ID)
    table remote_v4 {
        key = { remote_v4_addr : lpm @id(1) @name("prefix"); }
        actions = { set_remote_class; @defaultonly NoAction; }
        const default_action = NoAction;
        size = REMOTE_V4_SIZE;
    }

    @id(REMOTE_V6_TABLE_ID)
    table remote_v6 {
        key = { remote_v6_addr : lpm @id(1) @name("prefix"); }
        actions = { set_remote_class; @defaultonly NoAction; }
        const default_action = NoAction;
        size = REMOTE_V6_SIZE;
    }

    @id(SET_SUBSCRIBER_CLASS_ACTION_ID)
    action set_subscriber_class(@id(1) class_t class_id) { subscriber_class = class_id; }

    // The class of the subscriber's own address: exempt, ... No entry: class 0, an ordinary subscriber.
    @id(SUBSCRIBER_V4_TABLE_ID)
    table subscriber_v4 {
        key = { subscriber_v4_addr : lpm @id(1) @name("prefix"); }
        actions = { set_subscriber_class; @defaultonly NoAction; }
        const default_action = NoAction;
        size = SUBSCRIBER_V4_SIZE;
    }

    @id(SUBSCRIBER_V6_TABLE_ID)
    table subscriber_v6 {
        key = { subscriber_v6_addr : lpm @id(1) @name("prefix"); }
        actions = { set_subscriber_class; @defaultonly NoAction; }
        const default_action = NoAction;
        size = SUBSCRIBER_V6_SIZE;
    }

    @id(PERMIT_ACTION_ID)
    action permit(@id(1) rule_t rule) {
        verdict_counter.count();
        decision.verdict = VERDICT_PERMIT;
        decision.rule = rule;
    }

    @id(MONITOR_ACTION_ID)
    action monitor(@id(1) rule_t rule) {
        verdict_counter.count();
        decision.verdict = VERDICT_MONITOR;
        decision.rule = rule;
    }

    @id(DROP_ACTION_ID)
    action drop(@id(1) rule_t rule) {
        verdict_counter.count();
        decision.verdict = VERDICT_DROP;
        decision.rule = rule;
    }

    // The rules themselves. Rule sets of several epochs stand side by side; only the running one is asked.
    @id(VERDICT_TABLE_ID)
    table verdict {
        key = {
            epoch               : exact   @id(1) @name("epoch");
            decision.line_group : ternary @id(2) @name("line_group");
            leg                 : ternary @id(3) @name("leg");
            service_id          : ternary @id(4) @name("service");
            remote_class        : ternary @id(5) @name("remote_class");
            subscriber_class    : ternary @id(6) @name("subscriber_class");
        }
        actions = {
            permit;
            monitor;
            drop;
            @defaultonly NoAction;
        }
        const default_action = NoAction;
        counters = verdict_counter;
        size = VERDICT_SIZE;
    }

    apply {
        decision.role = ROLE_ACCESS;
        decision.line_group = 0;
        decision.line_index = 0;
        decision.verdict = VERDICT_UNDECIDED;
        decision.rule = RULE_NONE;

        line.apply();

        if (packet.is_tcp) {
            service.apply();
            if (service_id != SERVICE_NONE) {
                running_epoch.apply();
                if (packet.family == FAMILY_IPV4) {
                    remote_v4_addr = packet.dst_v4;
                    subscriber_v4_addr = packet.src_v4;
                    if (decision.role == ROLE_NETWORK) {
                        remote_v4_addr = packet.src_v4;
                        subscriber_v4_addr = packet.dst_v4;
                    }
                    remote_v4.apply();
                    subscriber_v4.apply();
                } else {
                    remote_v6_addr = packet.dst_v6;
                    subscriber_v6_addr = packet.src_v6;
                    if (decision.role == ROLE_NETWORK) {
                        remote_v6_addr = packet.src_v6;
                        subscriber_v6_addr = packet.dst_v6;
                    }
                    remote_v6.apply();
                    subscriber_v6.apply();
                }
                verdict.apply();
            }
        }

        // Where no entry spoke: mail port 25 of a subscriber stays shut, whether the tables are empty, half loaded or simply silent, and
        // what hides its ports is treated as if it were mail. Everything else passes.
        if (decision.verdict == VERDICT_UNDECIDED && decision.role == ROLE_ACCESS) {
            if (packet.malformed || (packet.is_tcp && packet.dst_port == PORT_SMTP)) {
                decision.verdict = VERDICT_DROP;
                decision.rule = RULE_FAIL_CLOSED;
            }
        }

        if (decision.rule != RULE_NONE) {
            port_rule.count((bit<32>)(packet.ingress_port ++ decision.rule));
        }
    }
}

#endif
