// Every P4Runtime id, in one list. An id is a contract with each controller and collector in the field: it is never used again for
// something else, not even after what it named has gone.
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

#define PORT_RULE_COUNTER_ID        0x12000001
#define VERDICT_COUNTER_ID          0x13000001

#endif
