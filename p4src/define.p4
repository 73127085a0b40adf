// Types and constants. The controller's copy of these values is internal/pipeline; a test compares the two through the P4Info.
#ifndef OP25B_DEFINE_P4_
#define OP25B_DEFINE_P4_

typedef bit<9>   port_t;            // v1model's port number
typedef bit<12>  vid_t;             // IEEE 802.1Q VLAN id; 0 is untagged or a priority tag
typedef bit<48>  mac_t;
typedef bit<32>  ipv4_t;
typedef bit<128> ipv6_t;
typedef bit<16>  l4_port_t;

// A class of address, a group of lines: numbers that the policy gives out. 0 is always "no entry said otherwise".
typedef bit<8>   class_t;
typedef bit<8>   line_group_t;
typedef bit<16>  line_index_t;      // which line of this switch, for counters; 0 is a line that no entry names
typedef bit<8>   epoch_t;
typedef bit<8>   service_t;
typedef bit<3>   leg_t;

// Which rule of the policy decided. Together with the ingress port it is the index of the counter port_rule, and it is the sequence
// id of the OpenConfig ACL entry that a collector sees.
typedef bit<8>   rule_t;
const rule_t RULE_NONE        = 0;  // no rule was asked: not mail. Not counted.
const rule_t RULE_FAIL_CLOSED = 1;  // mail port 25 that no verdict entry matched, and what cannot be parsed. The policy starts at 2.

// The side of the network that a frame comes from. Access is 0, so that a port which nobody has described is an access line.
typedef bit<1>   role_t;
const role_t ROLE_ACCESS  = 0;
const role_t ROLE_NETWORK = 1;

typedef bit<2>   family_t;          // 0 is neither
const family_t FAMILY_IPV4 = 1;
const family_t FAMILY_IPV6 = 2;

typedef bit<3>   verdict_t;
const verdict_t VERDICT_UNDECIDED = 0;
const verdict_t VERDICT_PERMIT    = 1;
const verdict_t VERDICT_MONITOR   = 2;  // passes, and is counted under the rule that would have dropped it
const verdict_t VERDICT_DROP      = 3;

const service_t SERVICE_NONE = 0;

const bit<16> ETHERTYPE_VLAN = 0x8100;
const bit<16> ETHERTYPE_IPV4 = 0x0800;
const bit<16> ETHERTYPE_IPV6 = 0x86dd;
const bit<8>  PROTO_TCP      = 6;
const bit<16> PORT_SMTP      = 25;

// Groups of the packet replication engine. The controller fills them from the inventory.
const bit<16> GROUP_NETWORK_PORTS = 1;  // where a frame from an access line may go: the network side alone (split horizon)
const bit<16> GROUP_ALL_PORTS     = 2;  // where a frame from the network side may go

#endif
