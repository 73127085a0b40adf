// All P4Runtime ids except the digest's. An id is a contract with each controller and collector in the field: it is never reused, not even
// after the thing it named is gone. p4c derives the digest's id, 0x17b55650, from the name mail_flow_t, which therefore never changes.
#ifndef OP25B_ID_P4_
#define OP25B_ID_P4_

#define LINE_TABLE_ID               0x02000001
#define SERVICE_TABLE_ID            0x02000002
#define REMOTE_V4_TABLE_ID          0x02000003
#define REMOTE_V6_TABLE_ID          0x02000004
#define SUBSCRIBER_V4_TABLE_ID      0x02000005
#define SUBSCRIBER_V6_TABLE_ID      0x02000006
#define VERDICT_TABLE_ID            0x02000007
#define RUNNING_EPOCH_TABLE_ID      0x02000008
#define BRIDGE_TABLE_ID             0x02000009
#define SESSION_TABLE_ID            0x0200000a
#define SOURCE_CHECK_TABLE_ID       0x0200000b
#define SOURCE_V4_TABLE_ID          0x0200000c
#define SOURCE_V6_TABLE_ID          0x0200000d
#define CONNECTION_LIMIT_TABLE_ID   0x0200000e
#define PORT_ROLE_TABLE_ID          0x0200000f
#define LINE_PORT_TABLE_ID          0x02000010
#define REJECT_SOURCE_TABLE_ID      0x02000011

#define SET_LINE_ACTION_ID              0x01000001
#define SET_SERVICE_ACTION_ID           0x01000002
#define SET_REMOTE_CLASS_ACTION_ID      0x01000003
#define SET_SUBSCRIBER_CLASS_ACTION_ID  0x01000004
#define PERMIT_ACTION_ID                0x01000005
#define MONITOR_ACTION_ID               0x01000006
#define DROP_ACTION_ID                  0x01000007
#define SET_EPOCH_ACTION_ID             0x01000008
#define FORWARD_TO_ACCESS_ACTION_ID     0x01000009
#define FORWARD_TO_NETWORK_ACTION_ID    0x0100000a
#define LIMIT_ACTION_ID                 0x0100000b
#define REJECT_ACTION_ID                0x0100000c
#define MONITOR_SOURCE_ACTION_ID        0x0100000d
#define DROP_SOURCE_ACTION_ID           0x0100000e
#define BOUND_ACTION_ID                 0x0100000f
#define METER_CONNECTION_ACTION_ID      0x01000010
#define SET_ROLE_ACTION_ID              0x01000011
#define SET_LINE_PORT_ACTION_ID         0x01000012
#define SET_REJECT_SOURCE_ACTION_ID     0x01000013

#define PORT_RULE_COUNTER_ID        0x12000001
#define LINE_MAIL_COUNTER_ID        0x12000002
#define PROBES_COUNTER_ID           0x12000003
#define VERDICT_COUNTER_ID          0x13000001
#define CONNECTION_METER_ID         0x15000001
#define SYN_SEEN_REGISTER_ID        0x16000001
#define FLOW_SEEN_REGISTER_ID       0x16000002
#define REJECTS_LINE_REGISTER_ID    0x16000003
#define REJECTS_ALL_REGISTER_ID     0x16000004

#endif
