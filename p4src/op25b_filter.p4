// The filter decides what happens to the mail traffic of a line, and counts it. It neither forwards nor drops, so that another program can
// include it. The caller fills op25b_packet_t, applies the filter to every frame from a line and every frame that may reach one, and acts on
// op25b_decision_t.
#ifndef OP25B_FILTER_P4_
#define OP25B_FILTER_P4_

#include "define.p4"
#include "id.p4"
#include "packet.p4"
#include "size.p4"

control Op25b(in op25b_packet_t packet, out op25b_decision_t decision) {
    epoch_t      epoch            = 0;
    bit<1>       syn_only         = 0;
    class_t      remote_class     = 0;
    class_t      subscriber_class = 0;
    verdict_t    source_verdict   = VERDICT_NONE;
    bit<2>       colour           = 2;  // red, unless a meter says otherwise

    // The two ends of the segment, whichever way it goes.
    family_t     subscriber_family;
    ipv4_t       subscriber_v4_addr = 0;
    ipv6_t       subscriber_v6_addr = 0;
    ipv4_t       remote_v4_addr     = 0;
    ipv6_t       remote_v6_addr     = 0;
    l4_port_t    subscriber_port;
    l4_port_t    remote_port;
    line_index_t home             = 0;  // the only line that subscriber_class applies to; 0 is any line
    clock_second_t end            = 0;  // from which second on subscriber_class does not apply; 0 is never
    clock_second_t second         = 0;  // of the switch's clock
    bool         answered         = false;
    bit<2>       handshake        = 0;  // 1 is a SYN, 2 a SYN-ACK

    // Packets of each rule on each port: the OpenConfig ACL counters of that interface. The annotation lets any gNMI agent find them without
    // knowing this program.
    @id(PORT_RULE_COUNTER_ID)
    @openconfig_acl("set=op25b,rule_bits=8")
    counter(PORT_RULE_SIZE, CounterType.packets_and_bytes) port_rule;

    // Mail of each line by its outcome. A gNMI agent serves it by the annotation.
    @id(LINE_MAIL_COUNTER_ID)
    @op25b_lines("outcome_bits=2")
    counter(LINE_MAIL_SIZE, CounterType.packets_and_bytes) line_mail;

    // Packets and bytes of each verdict entry, over all ports. A gNMI agent adds them up by rule set, leg and rule: the annotation names two
    // keys of the table and the parameter of its actions. v1model counts each look-up of an entry, so probes are counted here too.
    @id(VERDICT_COUNTER_ID)
    @op25b_legs("epoch=epoch,leg=leg,rule=rule")
    direct_counter(CounterType.packets_and_bytes) verdict_counter;

    // New connections of each line and direction, where a rule limits them.
    @id(CONNECTION_METER_ID)
    direct_meter<bit<2>>(MeterType.packets) connection_meter;

    // The clock second, plus 1, of the last SYN to port 25 that passed, by a hash of its addresses and port; 0 means never. Two connections that
    // share a cell can only make its time later.
    @id(SYN_SEEN_REGISTER_ID)
    register<bit<32>>(SYN_SEEN_SIZE) syn_seen;

    // The window, plus 1, of the last digest, by a hash of the line and the remote address; 0 means never. Of two pairs that share a cell, one a
    // window is reported.
    @id(FLOW_SEEN_REGISTER_ID)
    register<bit<32>>(FLOW_SEEN_SIZE) flow_seen;

    // The answers to a line, and of the whole switch, in a clock second: 22 low bits of the second, 10 bits of the count.
    @id(REJECTS_LINE_REGISTER_ID)
    register<bit<32>>(LINE_INDEX_SIZE) rejects_of_line;
    @id(REJECTS_ALL_REGISTER_ID)
    register<bit<32>>(1) rejects_in_all;

    @id(SET_LINE_ACTION_ID)
    @action_restriction("line_index != 0")
    action set_line(@id(1) line_group_t line_group, @id(2) line_index_t line_index) {
        decision.line_group = line_group;
        decision.line_index = line_index;
    }

    // Maps the access port and the tags of a frame to its line. Written from the inventory. A frame without an entry belongs to a line of
    // group 0: port 25 is closed, everything else open.
    @id(LINE_TABLE_ID)
    @entry_restriction("port < 510 && outer_vid < 4095 && inner_vid < 4095")
    table line {
        key = {
            packet.line_port : exact @id(1) @name("port");
            packet.outer_vid : exact @id(2) @name("outer_vid");
            packet.inner_vid : exact @id(3) @name("inner_vid");
        }
        actions = { set_line; @defaultonly NoAction; }
        const default_action = NoAction;
        size = LINE_SIZE;
    }

    // Lines that share a port and tags, told apart by their PPPoE session. Looked up before `line`.
    @id(SESSION_TABLE_ID)
    @entry_restriction("port < 510 && outer_vid < 4095 && inner_vid < 4095 && session > 0 && session < 65535")
    table session {
        key = {
            packet.line_port : exact @id(1) @name("port");
            packet.outer_vid : exact @id(2) @name("outer_vid");
            packet.inner_vid : exact @id(3) @name("inner_vid");
            packet.session   : exact @id(4) @name("session");
        }
        actions = { set_line; @defaultonly NoAction; }
        const default_action = NoAction;
        size = SESSION_SIZE;
    }

    @id(MONITOR_SOURCE_ACTION_ID)
    action monitor_source() { source_verdict = VERDICT_MONITOR; }

    @id(DROP_SOURCE_ACTION_ID)
    action drop_source() { source_verdict = VERDICT_DROP; }

    // The groups whose lines may use only their own source addresses. No entry: sources are not checked.
    @id(SOURCE_CHECK_TABLE_ID)
    table source_check {
        key = { decision.line_group : exact @id(1) @name("line_group"); }
        actions = { monitor_source; drop_source; @defaultonly NoAction; }
        const default_action = NoAction;
        size = SOURCE_CHECK_SIZE;
    }

    @id(BOUND_ACTION_ID)
    action bound() { source_verdict = VERDICT_NONE; }

    // The source addresses that a line may use. Several lines may share a range.
    @id(SOURCE_V4_TABLE_ID)
    @entry_restriction("line != 0 && prefix::prefix_length > 0")
    table source_v4 {
        key = {
            decision.line_index : exact @id(1) @name("line");
            packet.outer_src_v4 : lpm   @id(2) @name("prefix");
        }
        actions = { bound; @defaultonly NoAction; }
        const default_action = NoAction;
        size = SOURCE_V4_SIZE;
    }

    @id(SOURCE_V6_TABLE_ID)
    @entry_restriction("line != 0 && prefix::prefix_length > 0")
    table source_v6 {
        key = {
            decision.line_index : exact @id(1) @name("line");
            packet.outer_src_v6 : lpm   @id(2) @name("prefix");
        }
        actions = { bound; @defaultonly NoAction; }
        const default_action = NoAction;
        size = SOURCE_V6_SIZE;
    }

    @id(SET_EPOCH_ACTION_ID)
    action set_epoch(@id(1) epoch_t running, @id(2) bit<1> drain) {
        epoch = running;
        syn_only = drain;
    }

    // The epoch in force, as the parameter of the default action: one MODIFY puts a whole rule set in force, or back. It starts at 0, which
    // no rule set ever has, so a switch that has just been loaded is closed. With drain set, rules stop only new connections, and open ones
    // end by themselves.
    @id(RUNNING_EPOCH_TABLE_ID)
    table running_epoch {
        key = { }
        actions = { set_epoch; }
        default_action = set_epoch(0, 0);
        size = 1;
    }

    @id(SET_SERVICE_ACTION_ID)
    @action_restriction("traffic_leg >= 1 && traffic_leg <= 4 && mail_service >= 1 && mail_service <= 247")
    action set_service(@id(1) leg_t traffic_leg, @id(2) service_t mail_service) {
        decision.leg = traffic_leg;
        decision.service = mail_service;
    }

    // The leg and the mail service of a TCP segment. Where both ports belong to a service, the handshake shows which end is the server. No
    // entry: not mail, and no further look-up.
    @id(SERVICE_TABLE_ID)
    @entry_restriction("
        (handshake::mask == 0 || (handshake::mask == 3 && handshake::value <= 2)) &&
        (src_port::mask == 0 || src_port::mask == 0xffff) && (dst_port::mask == 0 || dst_port::mask == 0xffff) &&
        (src_port::mask != 0 || dst_port::mask != 0)
    ")
    table service {
        key = {
            packet.role     : exact   @id(1) @name("role");
            packet.src_port : ternary @id(2) @name("src_port");
            packet.dst_port : ternary @id(3) @name("dst_port");
            handshake       : ternary @id(4) @name("handshake");
        }
        actions = { set_service; @defaultonly NoAction; }
        const default_action = NoAction;
        size = SERVICE_SIZE;
    }

    @id(SET_REMOTE_CLASS_ACTION_ID)
    @action_restriction("class_id != 0")
    action set_remote_class(@id(1) class_t class_id) { remote_class = class_id; }

    // The class of the address beyond the network port, such as own relay or mobile carrier. Written from the policy, one entry a prefix. A
    // change of phase never touches it. No entry: class 0, any other server.
    @id(REMOTE_V4_TABLE_ID)
    @entry_restriction("prefix::prefix_length > 0")
    table remote_v4 {
        key = { remote_v4_addr : lpm @id(1) @name("prefix"); }
        actions = { set_remote_class; @defaultonly NoAction; }
        const default_action = NoAction;
        size = REMOTE_V4_SIZE;
    }

    @id(REMOTE_V6_TABLE_ID)
    @entry_restriction("prefix::prefix_length > 0")
    table remote_v6 {
        key = { remote_v6_addr : lpm @id(1) @name("prefix"); }
        actions = { set_remote_class; @defaultonly NoAction; }
        const default_action = NoAction;
        size = REMOTE_V6_SIZE;
    }

    @id(SET_SUBSCRIBER_CLASS_ACTION_ID)
    @action_restriction("class_id != 0 && until < 0x10000000")
    action set_subscriber_class(@id(1) class_t class_id, @id(2) line_index_t line_index, @id(3) clock_second_t until) {
        subscriber_class = class_id;
        home = line_index;
        end = until;
    }

    // The class of the subscriber's own address, such as exempt. No entry: class 0, an ordinary subscriber. A class may apply to one line only,
    // so that a neighbour cannot use it by using the address. A class may end at a second of the switch's clock, so that it ends without a
    // controller. An entry for every address would exempt the whole network.
    @id(SUBSCRIBER_V4_TABLE_ID)
    @entry_restriction("prefix::prefix_length > 0")
    table subscriber_v4 {
        key = { subscriber_v4_addr : lpm @id(1) @name("prefix"); }
        actions = { set_subscriber_class; @defaultonly NoAction; }
        const default_action = NoAction;
        size = SUBSCRIBER_V4_SIZE;
    }

    @id(SUBSCRIBER_V6_TABLE_ID)
    @entry_restriction("prefix::prefix_length > 0")
    table subscriber_v6 {
        key = { subscriber_v6_addr : lpm @id(1) @name("prefix"); }
        actions = { set_subscriber_class; @defaultonly NoAction; }
        const default_action = NoAction;
        size = SUBSCRIBER_V6_SIZE;
    }

    // Rule 1 and those above 247 are the program's own. An entry may have one of them only where it decides otherwise than the program would.
    @id(PERMIT_ACTION_ID)
    @action_restriction("rule >= 2 && (rule <= 247 || rule == 251 || rule == 253)")
    action permit(@id(1) rule_t rule) {
        verdict_counter.count();
        decision.verdict = VERDICT_PERMIT;
        decision.rule = rule;
    }

    @id(MONITOR_ACTION_ID)
    @action_restriction("rule >= 2 && (rule <= 247 || rule == 251 || rule == 253)")
    action monitor(@id(1) rule_t rule) {
        verdict_counter.count();
        decision.verdict = VERDICT_MONITOR;
        decision.rule = rule;
    }

    @id(DROP_ACTION_ID)
    @action_restriction("rule >= 2 && (rule <= 247 || rule == 251 || rule == 253)")
    action drop(@id(1) rule_t rule) {
        verdict_counter.count();
        decision.verdict = VERDICT_DROP;
        decision.rule = rule;
    }

    @id(LIMIT_ACTION_ID)
    @action_restriction("rule >= 2 && rule <= 247")
    action limit(@id(1) rule_t rule) {
        verdict_counter.count();
        decision.verdict = VERDICT_LIMIT;
        decision.rule = rule;
    }

    @id(REJECT_ACTION_ID)
    @action_restriction("rule >= 2 && rule <= 247")
    action reject(@id(1) rule_t rule) {
        verdict_counter.count();
        decision.verdict = VERDICT_REJECT;
        decision.rule = rule;
    }

    // The rules. The table holds rule sets of several epochs; only the running epoch is looked up.
    @id(VERDICT_TABLE_ID)
    @entry_restriction("
        epoch != 0 &&
        (line_group::mask == 0 || line_group::mask == 0xff) &&
        (leg::mask == 0 || (leg::mask == 7 && leg::value >= 1 && leg::value <= 4)) &&
        (service::mask == 0 || (service::mask == 0xff && service::value != 0)) &&
        (remote_class::mask == 0 || remote_class::mask == 0xff) &&
        (subscriber_class::mask == 0 || subscriber_class::mask == 0xff)
    ")
    table verdict {
        key = {
            epoch               : exact   @id(1) @name("epoch");
            decision.line_group : ternary @id(2) @name("line_group");
            decision.leg        : ternary @id(3) @name("leg");
            decision.service    : ternary @id(4) @name("service");
            remote_class        : ternary @id(5) @name("remote_class");
            subscriber_class    : ternary @id(6) @name("subscriber_class");
        }
        actions = {
            permit;
            monitor;
            drop;
            limit;
            reject;
            @defaultonly NoAction;
        }
        const default_action = NoAction;
        counters = verdict_counter;
        size = VERDICT_SIZE;
    }

    @id(METER_CONNECTION_ACTION_ID)
    action meter_connection() { connection_meter.read(colour); }

    // The rate of a line's new connections, one entry a direction. Looked up only for a segment that opens a connection, so that the meter
    // counts nothing else. No entry: none passes. An entry without a meter configuration: all pass (P4Runtime section 9.4).
    @id(CONNECTION_LIMIT_TABLE_ID)
    @entry_restriction("line != 0")
    table connection_limit {
        key = {
            decision.line_index : exact @id(1) @name("line");
            packet.role         : exact @id(2) @name("role");
        }
        actions = { meter_connection; @defaultonly NoAction; }
        const default_action = NoAction;
        meters = connection_meter;
        size = CONNECTION_LIMIT_SIZE;
    }

    // Counts an answer if there is room for it. It is one action, so that ports that run in parallel cannot read a count before another port
    // has written it; a branch in `apply` would make several actions of it.
    @hidden
    action count_answer() {
        bit<32> in_line;
        bit<32> in_all;
        bit<32> none = second[21:0] ++ 10w0;
        @atomic {
            rejects_of_line.read(in_line, (bit<32>)decision.line_index);
            rejects_in_all.read(in_all, 0);
            in_line = in_line[31:10] == none[31:10] ? in_line : none;
            in_all = in_all[31:10] == none[31:10] ? in_all : none;
            answered = in_line[9:0] < REJECTS_PER_LINE && in_all[9:0] < REJECTS_IN_ALL;
            rejects_of_line.write((bit<32>)decision.line_index, answered ? in_line + 1 : in_line);
            rejects_in_all.write(0, answered ? in_all + 1 : in_all);
        }
    }

    apply {
        decision.line_group = 0;
        decision.line_index = 0;
        decision.leg = 0;
        decision.service = SERVICE_NONE;
        decision.verdict = VERDICT_NONE;
        decision.rule = RULE_NONE;
        decision.epoch = 0;
        second = (clock_second_t)(packet.timestamp >> CLOCK_SECOND_LOW_BIT);

        bool known = false;
        if (packet.session != 0) { known = session.apply().hit; }
        if (!known) { line.apply(); }

        bool from_line = packet.role != ROLE_NETWORK;
        subscriber_family = packet.outer_family;
        if (from_line) {
            subscriber_v4_addr = packet.outer_src_v4;
            subscriber_v6_addr = packet.outer_src_v6;
            subscriber_port = packet.src_port;
            remote_v4_addr = packet.dst_v4;
            remote_v6_addr = packet.dst_v6;
            remote_port = packet.dst_port;
        } else {
            subscriber_v4_addr = packet.outer_dst_v4;
            subscriber_v6_addr = packet.outer_dst_v6;
            subscriber_port = packet.dst_port;
            remote_v4_addr = packet.src_v4;
            remote_v6_addr = packet.src_v6;
            remote_port = packet.src_port;
        }

        // A spoofed source hides the fast leg of triangular spam, or uses a neighbour's exemption. The addresses that a host uses before it has
        // one of its own (RFC 1122 section 3.2.1.3, RFC 4291 sections 2.5.2 and 2.5.6) never leave the link.
        bool has_source_v4 = packet.outer_family == FAMILY_IPV4 && packet.outer_src_v4 != 0;
        bool has_source_v6 = packet.outer_family == FAMILY_IPV6 && packet.outer_src_v6 != 0 && packet.outer_src_v6[127:118] != 0x3fa;
        if (from_line && (has_source_v4 || has_source_v6)) {
            source_check.apply();
            if (source_verdict != VERDICT_NONE) {
                if (has_source_v4) { source_v4.apply(); } else { source_v6.apply(); }
            }
        }

        if (source_verdict == VERDICT_DROP) {
            decision.verdict = VERDICT_DROP;
            decision.rule = RULE_SPOOFED;
        } else if (packet.shape == SHAPE_TINY_FRAGMENT) {
            if (from_line) {
                decision.verdict = VERDICT_DROP;
                decision.rule = RULE_TINY_FRAGMENT;
            }
        } else {
            if (packet.shape == SHAPE_TCP) {
                if (packet.syn) { handshake = packet.ack ? 2w2 : 2w1; }
                service.apply();
            } else if (from_line && packet.shape == SHAPE_LATER_FRAGMENT) {
                decision.leg = LEG_UP_DST;
                decision.service = SERVICE_LATER_FRAGMENT;
            } else if (from_line && packet.shape == SHAPE_UNDETERMINED) {
                decision.leg = LEG_UP_DST;
                decision.service = SERVICE_UNDETERMINED;
            }
            if (decision.service != SERVICE_NONE) {
                running_epoch.apply();
                if (packet.shape == SHAPE_TCP) {
                    if (packet.family == FAMILY_IPV4) { remote_v4.apply(); } else { remote_v6.apply(); }
                    if (subscriber_family == FAMILY_IPV4) { subscriber_v4.apply(); } else { subscriber_v6.apply(); }
                    // The clock starts again at 0 after 8.9 years, so the half of its range that lies before the present second is the past.
                    clock_second_t since = second - end;
                    bool ended = end != 0 && since[CLOCK_SECOND_HIGH_BIT:CLOCK_SECOND_HIGH_BIT] == 0;
                    // A frame to an unknown line may be for the class's line.
                    bool elsewhere = home != 0 && home != decision.line_index && (from_line || decision.line_index != 0);
                    if (ended || elsewhere) { subscriber_class = 0; }
                }
                if (verdict.apply().hit) { decision.epoch = epoch; }
            }

            if (decision.verdict == VERDICT_NONE) {
                // No entry matched. Port 25 of a server stays closed for a line in both directions, whether the tables are empty, half loaded or
                // have no rule for it. A frame that hides its ports is treated as mail. Everything else passes.
                if (packet.shape == SHAPE_TCP && remote_port == PORT_SMTP) {
                    decision.verdict = VERDICT_DROP;
                    decision.rule = RULE_FAIL_CLOSED;
                } else if (from_line && packet.shape == SHAPE_UNDETERMINED) {
                    decision.verdict = VERDICT_DROP;
                    decision.rule = RULE_UNDETERMINED;
                } else if (source_verdict == VERDICT_MONITOR) {
                    decision.verdict = VERDICT_MONITOR;
                    decision.rule = RULE_SPOOFED;
                }
            } else if (packet.shape == SHAPE_TCP) {
                bool opens = packet.syn || !packet.has_flags;
                if (decision.verdict == VERDICT_LIMIT) {
                    if (!opens) {
                        decision.verdict = VERDICT_PERMIT;
                    } else if (!packet.probe) {     // a probe takes no token, so its verdict stays limit
                        connection_limit.apply();
                        decision.verdict = colour == 0 ? VERDICT_PERMIT : VERDICT_DROP;
                    }
                } else if (syn_only == 1 && !opens && (decision.verdict == VERDICT_DROP || decision.verdict == VERDICT_REJECT)) {
                    decision.verdict = VERDICT_MONITOR;
                }
            } else if (decision.verdict == VERDICT_LIMIT) {
                decision.verdict = VERDICT_DROP;    // a rate of new connections cannot be applied to a frame without ports
            }
        }

        bit<128> subscriber_bits = subscriber_family == FAMILY_IPV4 ? (bit<128>)subscriber_v4_addr : subscriber_v6_addr;
        bit<128> remote_bits = packet.family == FAMILY_IPV4 ? (bit<128>)remote_v4_addr : remote_v6_addr;

        // Only a new connection is answered, and only a few of them: a bot must not make the switch send.
        if (decision.verdict == VERDICT_REJECT) {
            if (from_line && decision.leg == LEG_UP_DST && packet.syn && !packet.ack && packet.answerable) {
                if (packet.probe) { answered = true; } else { count_answer(); }
            }
            if (!answered) { decision.verdict = VERDICT_DROP; }
        }

        // Remember SYNs to port 25, and count SYN-ACKs from port 25 without one.
        if (!packet.probe && packet.shape == SHAPE_TCP && packet.syn && remote_port == PORT_SMTP && from_line != packet.ack) {
            bit<32> place;
            hash(place, HashAlgorithm.crc32, (bit<32>)0, { subscriber_bits, remote_bits, subscriber_port }, (bit<32>)SYN_SEEN_SIZE);
            if (!from_line) {
                bit<32> last;
                syn_seen.read(last, place);
                clock_second_t age = second + 1 - last;
                if (last == 0 || age[CLOCK_SECOND_HIGH_BIT:0] >= HANDSHAKE_SECONDS) {
                    line_mail.count((bit<32>)(decision.line_index ++ OUTCOME_UNSOLICITED));
                }
            } else if (decision.verdict == VERDICT_PERMIT || decision.verdict == VERDICT_MONITOR) {
                syn_seen.write(place, second + 1);
            }
        }

        // Report attempts that a rule watches or stops. What the policy permits is not reported: nobody needs to know of it.
        bool mail = decision.service != SERVICE_NONE || remote_port == PORT_SMTP;
        if (mail && !packet.probe && packet.shape == SHAPE_TCP && packet.syn && decision.verdict != VERDICT_NONE && decision.verdict != VERDICT_PERMIT) {
            bit<32> place;
            bit<32> last;
            bit<32> window = (bit<32>)(packet.timestamp >> FLOW_WINDOW_LOW_BIT) + 1;
            hash(place, HashAlgorithm.crc32, (bit<32>)0, { 2w0, decision.line_index, remote_bits }, (bit<32>)FLOW_SEEN_SIZE);
            @atomic {
                flow_seen.read(last, place);
                flow_seen.write(place, window);
            }
            if (last != window) {
                digest<mail_flow_t>(1, {
                    decision.line_index, decision.leg, decision.service, decision.rule, decision.verdict,
                    packet.ack ? 1w1 : 1w0, subscriber_family, packet.family, subscriber_bits, remote_bits
                });
            }
        }

        if (decision.rule != RULE_NONE && !packet.probe) {
            port_rule.count((bit<32>)(packet.ingress_port ++ decision.rule));
            outcome_t outcome = OUTCOME_STOPPED;
            if (decision.verdict == VERDICT_PERMIT) {
                outcome = OUTCOME_PASSED;
            } else if (decision.verdict == VERDICT_MONITOR) {
                outcome = OUTCOME_MONITORED;
            }
            line_mail.count((bit<32>)(decision.line_index ++ outcome));
        }
    }
}

#endif
