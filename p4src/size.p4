// The number of entries that each table is guaranteed to hold. Large tables have a quarter more than the network needs, so that a full set
// can be exchanged make-before-break.
#ifndef OP25B_SIZE_P4_
#define OP25B_SIZE_P4_

#define PORT_ROLE_SIZE        512
#define LINE_SIZE             10240   // 8,192 lines
#define SESSION_SIZE          10240   // as many, if each line has its own PPPoE session
#define SERVICE_SIZE          64      // TCAM: 4 legs of up to 16 ports
#define REMOTE_V4_SIZE        10240   // 8,192 prefixes
#define REMOTE_V6_SIZE        10240
#define SUBSCRIBER_V4_SIZE    81920   // 65,536 exemptions or leases
#define SUBSCRIBER_V6_SIZE    40960   // 32,768
#define VERDICT_SIZE          1024    // TCAM: 256 an epoch, for four epochs: the running one, the next, the one before, and one spare
#define SOURCE_CHECK_SIZE     256     // one a line group
#define SOURCE_V4_SIZE        20480   // two prefixes a line
#define SOURCE_V6_SIZE        20480
#define CONNECTION_LIMIT_SIZE 20480   // two directions a line
#define BRIDGE_SIZE           10240   // one address a line, and the network side's
#define LINE_PORT_SIZE        10240   // one a line

#define PORT_RULE_SIZE        131072  // 512 ports x 256 rules: the index is port ++ rule
#define LINE_MAIL_SIZE        65536   // 16,384 lines x 4 outcomes: the index is line ++ outcome
#define LINE_INDEX_SIZE       16384   // all values of line_index_t
#define PROBES_SIZE           8192    // 8 epochs x 4 legs x 256 rules: the index is low bits of the epoch ++ leg - 1 ++ rule
#define SYN_SEEN_SIZE         65536   // connections between SYN and SYN-ACK; sharing a cell never makes one expire early
#define FLOW_SEEN_SIZE        65536   // and so at most this many digests in a window

#endif
