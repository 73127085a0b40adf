// How many entries each table holds at least. A quarter more than the network needs where the number is large, so that a full set
// can be exchanged make-before-break.
#ifndef OP25B_SIZE_P4_
#define OP25B_SIZE_P4_

#define LINE_SIZE            10240   // 8,192 lines and the network ports' VLANs
#define SERVICE_SIZE         64      // TCAM: 4 legs of up to 16 ports
#define REMOTE_V4_SIZE       10240   // 8,192 prefixes
#define REMOTE_V6_SIZE       10240
#define SUBSCRIBER_V4_SIZE   81920   // 65,536 exemptions or leases
#define SUBSCRIBER_V6_SIZE   40960   // 32,768
#define VERDICT_SIZE         1024    // TCAM: 256 an epoch; running, next, and two kept for rollback
#define BRIDGE_SIZE          10240   // one address a line, and the network side's
#define PORT_RULE_SIZE       131072  // 512 ports x 256 rules: the index is port ++ rule

#endif
