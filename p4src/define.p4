// Types and constants. The controller's copy of these values is internal/pipeline; a test compares the two through the P4Info.
#ifndef OP25B_DEFINE_P4_
#define OP25B_DEFINE_P4_

typedef bit<9>   port_t;            // v1model's port number
typedef bit<12>  vid_t;             // IEEE 802.1Q VLAN id; 0 is untagged or a priority tag
typedef bit<16>  session_t;         // PPPoE session id (RFC 2516); 0 is no session
typedef bit<48>  mac_t;
typedef bit<32>  ipv4_t;
typedef bit<128> ipv6_t;
typedef bit<16>  l4_port_t;

// A class of address, a group of lines: numbers that the policy gives out. 0 is always "no entry said otherwise". Of a subscriber's address
// op25b's controller gives out 1 alone, exempt.
typedef bit<8>   class_t;
typedef bit<8>   line_group_t;
typedef bit<14>  line_index_t;      // which line of this switch, for counters and rates; 0 is a line that no entry names
typedef bit<8>   epoch_t;

// A mail service of the policy. The last numbers stand for frames whose ports were not there to read.
typedef bit<8>   service_t;
const service_t SERVICE_NONE           = 0;
const service_t SERVICE_LATER_FRAGMENT = 254;
const service_t SERVICE_UNDETERMINED   = 255;

// Which way a segment goes, and which of its ports is the mail port. The entries of the table `service` give the other three: 2 is
// down_src, a server's segment from its mail port to a line; 3 down_dst, one to a line's mail port; 4 up_src, a line's from its mail port.
typedef bit<3>   leg_t;
const leg_t LEG_UP_DST = 1;         // a line's segment to a server's mail port: the classic rule

// Which rule of the policy decided. Together with the ingress port it is the index of the counter port_rule, and it is the sequence
// id of the OpenConfig ACL entry that a collector sees. The policy's rules are 2 to 247. 251 is a later fragment that a line group does not
// simply let pass: it comes with an entry.
typedef bit<8>   rule_t;
const rule_t RULE_NONE          = 0;    // no rule was asked: not mail. Not counted.
const rule_t RULE_FAIL_CLOSED   = 1;    // port 25 that no verdict entry matched
const rule_t RULE_TINY_FRAGMENT = 252;  // TCP whose ports are not where every honest sender puts them
const rule_t RULE_UNDETERMINED  = 253;  // what could not be parsed within the bounds, and that no entry spoke of
const rule_t RULE_SPOOFED       = 254;  // a source address that is not the line's

// The side of the network that a frame comes from. Access is 0, so that a port which nobody has described is an access port.
typedef bit<1>   role_t;
const role_t ROLE_ACCESS  = 0;
const role_t ROLE_NETWORK = 1;

typedef bit<2>   family_t;          // 0 is neither
const family_t FAMILY_IPV4 = 1;
const family_t FAMILY_IPV6 = 2;

// What of a frame could be read.
typedef bit<3>   shape_t;           // 0 is no TCP, nor anything that could hide it
const shape_t SHAPE_TCP            = 1; // the ports are known
const shape_t SHAPE_LATER_FRAGMENT = 2; // the ports were in an earlier fragment
const shape_t SHAPE_TINY_FRAGMENT  = 3; // the ports should be here and are not, or would be overwritten (RFC 1858, RFC 3128)
const shape_t SHAPE_UNDETERMINED   = 4; // malformed, or past the parser's bounds

typedef bit<3>   verdict_t;
const verdict_t VERDICT_NONE    = 0;
const verdict_t VERDICT_PERMIT  = 1;
const verdict_t VERDICT_MONITOR = 2;    // passes, and is counted under the rule that would have stopped it
const verdict_t VERDICT_DROP    = 3;
const verdict_t VERDICT_LIMIT   = 4;    // of a rule; the filter makes permit or drop of it
const verdict_t VERDICT_REJECT  = 5;    // a drop that is owed an answer

// The low bits of the index of the counter line_mail; above them is the line's index.
typedef bit<2>   outcome_t;
const outcome_t OUTCOME_PASSED      = 0;
const outcome_t OUTCOME_MONITORED   = 1;
const outcome_t OUTCOME_STOPPED     = 2;
const outcome_t OUTCOME_UNSOLICITED = 3;  // a SYN-ACK from port 25 whose SYN never went up: the trace of triangular spam

const l4_port_t PORT_SMTP = 25;

// Microseconds of the switch's clock, as powers of two: no division in the data plane.
typedef bit<48> timestamp_t;
#define CLOCK_SECOND_LOW_BIT 20         // a clock second is 2^20 us, 1.05 s
#define FLOW_WINDOW_LOW_BIT  26         // 2^26 us, 67 s
#define HANDSHAKE_SECONDS    64         // clock seconds for which a SYN awaits its SYN-ACK

// Answers to rejected connections, in one clock second.
#define REJECTS_PER_LINE 3
#define REJECTS_IN_ALL   1000

#endif
