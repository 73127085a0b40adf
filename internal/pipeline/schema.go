package pipeline

// The ids of p4src/id.p4.
const (
	lineTable         = 0x02000001
	serviceTable      = 0x02000002
	remoteV4Table     = 0x02000003
	remoteV6Table     = 0x02000004
	subscriberV4Table = 0x02000005
	subscriberV6Table = 0x02000006
	verdictTable      = 0x02000007
	runningEpochTable = 0x02000008
	bridgeTable       = 0x02000009

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

	portRuleCounter = 0x12000001

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
	{lineTable, "line", []field{{"port", 9, exact}, {"outer_vid", 12, exact}, {"inner_vid", 12, exact}}, []uint32{setLineAction}},
	{serviceTable, "service", []field{{"role", 1, exact}, {"src_port", 16, ternary}, {"dst_port", 16, ternary}}, []uint32{setServiceAction}},
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
		[]uint32{permitAction, monitorAction, dropAction},
	},
	{runningEpochTable, "running_epoch", nil, []uint32{setEpochAction}},
	{bridgeTable, "bridge", []field{{"dst_addr", 48, exact}}, []uint32{forwardToAccessAction, forwardToNetworkAction}},
}

var actions = []action{
	{setLineAction, "set_line", []field{{"role", 1, ""}, {"line_group", 8, ""}, {"line_index", 16, ""}}},
	{setServiceAction, "set_service", []field{{"traffic_leg", 3, ""}, {"service", 8, ""}}},
	{setRemoteClassAction, "set_remote_class", []field{{"class_id", 8, ""}}},
	{setSubscriberClassAction, "set_subscriber_class", []field{{"class_id", 8, ""}}},
	{permitAction, "permit", []field{{"rule", 8, ""}}},
	{monitorAction, "monitor", []field{{"rule", 8, ""}}},
	{dropAction, "drop", []field{{"rule", 8, ""}}},
	{setEpochAction, "set_epoch", []field{{"running", 8, ""}}},
	{forwardToAccessAction, "forward_to_access", []field{{"port", 9, ""}}},
	{forwardToNetworkAction, "forward_to_network", []field{{"port", 9, ""}}},
}

func tableByID(id uint32) (table, bool) {
	for _, t := range schema {
		if t.id == id {
			return t, true
		}
	}
	return table{}, false
}

func actionByID(id uint32) (action, bool) {
	for _, a := range actions {
		if a.id == id {
			return a, true
		}
	}
	return action{}, false
}
