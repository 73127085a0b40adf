package pipeline

// The ids of p4src/id.p4, and that of the digest, which p4c gives it by its name.
const (
	lineTable            = 0x02000001
	serviceTable         = 0x02000002
	remoteV4Table        = 0x02000003
	remoteV6Table        = 0x02000004
	subscriberV4Table    = 0x02000005
	subscriberV6Table    = 0x02000006
	verdictTable         = 0x02000007
	runningEpochTable    = 0x02000008
	bridgeTable          = 0x02000009
	sessionTable         = 0x0200000a
	sourceCheckTable     = 0x0200000b
	sourceV4Table        = 0x0200000c
	sourceV6Table        = 0x0200000d
	connectionLimitTable = 0x0200000e
	portRoleTable        = 0x0200000f
	linePortTable        = 0x02000010
	rejectSourceTable    = 0x02000011

	setLineAction            = 0x01000001
	setServiceAction         = 0x01000002
	setRemoteClassAction     = 0x01000003
	setSubscriberClassAction = 0x01000004
	permitAction             = 0x01000005
	monitorAction            = 0x01000006
	dropAction               = 0x01000007
	setEpochAction           = 0x01000008
	forwardToAccessAction    = 0x01000009
	forwardToNetworkAction   = 0x0100000a
	limitAction              = 0x0100000b
	rejectAction             = 0x0100000c
	monitorSourceAction      = 0x0100000d
	dropSourceAction         = 0x0100000e
	boundAction              = 0x0100000f
	meterConnectionAction    = 0x01000010
	setRoleAction            = 0x01000011
	setLinePortAction        = 0x01000012
	setRejectSourceAction    = 0x01000013

	portRuleCounter = 0x12000001
	lineMailCounter = 0x12000002
	mailFlowDigest  = 0x17b55650

	networkPortsGroup = 1
	allPortsGroup     = 2
)

// ruleBits is how many low bits of the index of the counter port_rule are the rule id; the bits above are the ingress port.
const ruleBits = 8

// A matchKind is how a key field is compared.
type matchKind string

const (
	exact   matchKind = "EXACT"
	lpm     matchKind = "LPM"
	ternary matchKind = "TERNARY"
)

// A field is one key field of a table; its id is its place in the list, from 1.
type field struct {
	name  string
	width int
	kind  matchKind
}

// A table is one table of the pipeline as this package writes it.
type table struct {
	id      uint32
	name    string // the alias in the P4Info: the last word of the name
	keys    []field
	actions []uint32
}

// An action is one action of the pipeline; the id of a parameter is its place in the list, from 1.
type action struct {
	id     uint32
	name   string
	params []field // without kind
}

// schema is op25b.p4 in the words of this package, in the order in which entries may be written: what a packet needs to be judged
// rightly stands before what lets it pass. Check compares it with a P4Info.
var schema = []table{
	{portRoleTable, "port_role", []field{{"port", 9, exact}}, []uint32{setRoleAction}},
	{connectionLimitTable, "connection_limit", []field{{"line", 14, exact}, {"role", 1, exact}}, []uint32{meterConnectionAction}},
	{lineTable, "line", []field{{"port", 9, exact}, {"outer_vid", 12, exact}, {"inner_vid", 12, exact}}, []uint32{setLineAction}},
	{
		sessionTable, "session",
		[]field{{"port", 9, exact}, {"outer_vid", 12, exact}, {"inner_vid", 12, exact}, {"session", 16, exact}},
		[]uint32{setLineAction},
	},
	{
		serviceTable, "service",
		[]field{{"role", 1, exact}, {"src_port", 16, ternary}, {"dst_port", 16, ternary}, {"handshake", 2, ternary}},
		[]uint32{setServiceAction},
	},
	{remoteV4Table, "remote_v4", []field{{"prefix", 32, lpm}}, []uint32{setRemoteClassAction}},
	{remoteV6Table, "remote_v6", []field{{"prefix", 128, lpm}}, []uint32{setRemoteClassAction}},
	{subscriberV4Table, "subscriber_v4", []field{{"prefix", 32, lpm}}, []uint32{setSubscriberClassAction}},
	{subscriberV6Table, "subscriber_v6", []field{{"prefix", 128, lpm}}, []uint32{setSubscriberClassAction}},
	{
		verdictTable, "verdict",
		[]field{
			{"epoch", 8, exact},
			{"line_group", 8, ternary},
			{"leg", 3, ternary},
			{"service", 8, ternary},
			{"remote_class", 8, ternary},
			{"subscriber_class", 8, ternary},
		},
		[]uint32{permitAction, monitorAction, dropAction, limitAction, rejectAction},
	},
	{rejectSourceTable, "reject_source", nil, []uint32{setRejectSourceAction}},
	{runningEpochTable, "running_epoch", nil, []uint32{setEpochAction}},
	{bridgeTable, "bridge", []field{{"dst_addr", 48, exact}}, []uint32{forwardToAccessAction, forwardToNetworkAction}},
	{linePortTable, "line_port", []field{{"outer_vid", 12, exact}, {"inner_vid", 12, exact}}, []uint32{setLinePortAction}},
	// A line's addresses stand before the check that asks for them, and are taken away after it.
	{sourceV4Table, "source_v4", []field{{"line", 14, exact}, {"prefix", 32, lpm}}, []uint32{boundAction}},
	{sourceV6Table, "source_v6", []field{{"line", 14, exact}, {"prefix", 128, lpm}}, []uint32{boundAction}},
	{sourceCheckTable, "source_check", []field{{"line_group", 8, exact}}, []uint32{monitorSourceAction, dropSourceAction}},
}

var actions = []action{
	{setLineAction, "set_line", []field{{"line_group", 8, ""}, {"line_index", 14, ""}}},
	{setServiceAction, "set_service", []field{{"traffic_leg", 3, ""}, {"mail_service", 8, ""}}},
	{setRemoteClassAction, "set_remote_class", []field{{"class_id", 8, ""}}},
	{setSubscriberClassAction, "set_subscriber_class", []field{{"class_id", 8, ""}, {"line_index", 14, ""}}},
	{permitAction, "permit", []field{{"rule", 8, ""}}},
	{monitorAction, "monitor", []field{{"rule", 8, ""}}},
	{dropAction, "drop", []field{{"rule", 8, ""}}},
	{limitAction, "limit", []field{{"rule", 8, ""}}},
	{rejectAction, "reject", []field{{"rule", 8, ""}}},
	{setEpochAction, "set_epoch", []field{{"running", 8, ""}, {"drain", 1, ""}}},
	{forwardToAccessAction, "forward_to_access", []field{{"port", 9, ""}}},
	{forwardToNetworkAction, "forward_to_network", []field{{"port", 9, ""}}},
	{monitorSourceAction, "monitor_source", nil},
	{dropSourceAction, "drop_source", nil},
	{boundAction, "bound", nil},
	{meterConnectionAction, "meter_connection", nil},
	{setRoleAction, "set_role", []field{{"role", 1, ""}}},
	{setLinePortAction, "set_line_port", []field{{"port", 9, ""}}},
	{setRejectSourceAction, "set_reject_source", []field{{"v4", 32, ""}, {"v6", 128, ""}}},
}

// rankOf is the place of a table in schema, and -1 for one that is not there.
func rankOf(id uint32) int {
	if low := id - schemaBase; low < uint32(len(ranks)) {
		return int(ranks[low]) - 1
	}
	return -1
}

// schemaBase is what the ids of the program's tables begin at: P4Runtime section 6.3 gives tables the prefix 2.
const schemaBase = 0x02000000

// ranks has, for the low bits of a table's id, its place in schema plus one.
var ranks = func() (r [32]uint8) {
	for i, t := range schema {
		r[t.id-schemaBase] = uint8(i + 1)
	}
	return r
}()

// The places of tables that entries are often asked about.
var (
	verdictRank      = rankOf(verdictTable)
	runningEpochRank = rankOf(runningEpochTable)
	sourceV4Rank     = rankOf(sourceV4Table)
	sourceV6Rank     = rankOf(sourceV6Table)
	sourceCheckRank  = rankOf(sourceCheckTable)
	limitRank        = rankOf(connectionLimitTable)
)

func tableByID(id uint32) (table, bool) {
	if rank := rankOf(id); rank >= 0 {
		return schema[rank], true
	}
	return table{}, false
}

// actionByID returns nil and false for an action that the program does not have.
func actionByID(id uint32) (*action, bool) {
	for i := range actions {
		if actions[i].id == id {
			return &actions[i], true
		}
	}
	return nil, false
}
