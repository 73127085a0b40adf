// Types and constants. internal/pipeline has the controller's copy of the values; tests compare both with the reference model.
#ifndef OP25B_DEFINE_P4_
#define OP25B_DEFINE_P4_

typedef bit<9>   port_t;            // v1model's port number
typedef bit<12>  vid_t;             // IEEE 802.1Q VLAN id; 0 is untagged or a priority tag
typedef bit<16>  session_t;         // PPPoE session id (RFC 2516); 0 is no session
typedef bit<48>  mac_t;
typedef bit<32>  ipv4_t;
typedef bit<128> ipv6_t;
typedef bit<16>  l4_port_t;

// Numbers that the policy gives to classes of addresses and groups of lines. 0 always means that no entry matched. For subscribers' addresses
// op25b's controller uses only class 1, exempt.
typedef bit<8>   class_t;
typedef bit<8>   line_group_t;
typedef bit<14>  line_index_t;      // the line's number on this switch, for counters and rates; 0 is a line without an entry
typedef bit<8>   epoch_t;

// A mail service of the policy. The last numbers stand for frames whose ports cannot be read.
typedef bit<8>   service_t;
const service_t SERVICE_NONE           = 0;
const service_t SERVICE_LATER_FRAGMENT = 254;
const service_t SERVICE_UNDETERMINED   = 255;

// The direction of a segment, and which of its ports is the mail port. The entries of the table `service` have the other three: 2 is
// down_src, a server's segment from its mail port to a line; 3 is down_dst, a segment to a line's mail port; 4 is up_src, a line's segment
// from its mail port.
typedef bit<3>   leg_t;
const leg_t LEG_UP_DST = 1;         // a line's segment to a server's mail port: the classic rule

// The rule that decided. Together with the ingress port it is the index of the counter port_rule, and it is the sequence id of the
// OpenConfig ACL entry that a collector sees. The policy's rules are 2 to 247. 251 is a later fragment that a line group does not let pass:
// only an entry has it.
typedef bit<8>   rule_t;
const rule_t RULE_NONE          = 0;    // no rule was looked up: not mail. Not counted.
const rule_t RULE_FAIL_CLOSED   = 1;    // port 25 that no verdict entry matched
const rule_t RULE_TINY_FRAGMENT = 252;  // TCP cut so that its ports are not in the first fragment
const rule_t RULE_UNDETERMINED  = 253;  // not parsed within the bounds, and no entry matched
const rule_t RULE_SPOOFED       = 254;  // the source address is not the line's

// The side of the network that a frame comes from. Access is 0, so that a port without an entry is an access port.
typedef bit<1>   role_t;
const role_t ROLE_ACCESS  = 0;
const role_t ROLE_NETWORK = 1;

typedef bit<2>   family_t;          // 0 is neither
const family_t FAMILY_IPV4 = 1;
const family_t FAMILY_IPV6 = 2;

// How much of a frame could be read.
typedef bit<3>   shape_t;           // 0 is not TCP, and cannot hide TCP
const shape_t SHAPE_TCP            = 1; // the ports are known
const shape_t SHAPE_LATER_FRAGMENT = 2; // the ports were in an earlier fragment
const shape_t SHAPE_TINY_FRAGMENT  = 3; // the ports should be here and are not, or could be overwritten (RFC 1858, RFC 3128)
const shape_t SHAPE_UNDETERMINED   = 4; // malformed, or past the parser's bounds

typedef bit<3>   verdict_t;
const verdict_t VERDICT_NONE    = 0;
const verdict_t VERDICT_PERMIT  = 1;
const verdict_t VERDICT_MONITOR = 2;    // passes, and is counted under the rule that would stop it
const verdict_t VERDICT_DROP    = 3;
const verdict_t VERDICT_LIMIT   = 4;    // of a rule; the filter turns it into permit or drop
const verdict_t VERDICT_REJECT  = 5;    // a drop with an answer

// The low bits of the index of the counter line_mail; the bits above are the line's index.
typedef bit<2>   outcome_t;
const outcome_t OUTCOME_PASSED      = 0;
const outcome_t OUTCOME_MONITORED   = 1;
const outcome_t OUTCOME_STOPPED     = 2;
const outcome_t OUTCOME_UNSOLICITED = 3;  // a SYN-ACK from port 25 without a SYN before it: a sign of triangular spam

const l4_port_t PORT_SMTP = 25;

// Times of the switch's clock in powers of two of a microsecond: the data plane cannot divide.
typedef bit<48> timestamp_t;
typedef bit<32> clock_second_t;
#define CLOCK_SECOND_LOW_BIT 20         // a clock second is 2^20 us, 1.05 s
#define CLOCK_SECOND_HIGH_BIT 27        // of a clock second: the clock starts again at 0 after 2^48 us, 8.9 years
#define FLOW_WINDOW_LOW_BIT  26         // 2^26 us, 67 s
#define HANDSHAKE_SECONDS    64         // clock seconds for which a SYN waits for its SYN-ACK

// Answers to rejected connections, in one clock second.
#define REJECTS_PER_LINE 3
#define REJECTS_IN_ALL   1000
const bool REJECTS_FIT = static_assert(REJECTS_PER_LINE < 1024 && REJECTS_IN_ALL < 1024, "a register counts rejects in 10 bits");

#endif
