package pipeline

// A use is the role of a table's entries in a change. The zero value means that the table is missing in meanings, which a test reports.
type use uint8

const (
	forwarding  use = iota + 1 // forward frames, or hold a setting
	numbering                  // assign a number in a dimension to packets
	limiting                   // limit the rate of a line's new connections
	ruling                     // rules, each under an epoch
	epochs                     // the default entry that holds the running epoch
	sources                    // bind an address range to a line
	sourceCheck                // enable the source check of a line group
)

// A meaning is the information about a table that the P4Info does not contain.
type meaning struct {
	table Table
	use   use
	numbers
}

// numbers locates the number, line and prefix of an entry, for tables with the use numbering.
type numbers struct {
	dimension Dimension
	number    int // index of the parameter with the number
	line      int // index of the parameter with a line index, or none
	prefix    int // index of the key field with a prefix, or none
}

const none = -1

// meanings lists every table once, in the order in which entries may be written. Tables that a correct verdict requires come before
// tables that let packets pass. Multicast groups come last.
var meanings = []meaning{
	{table: portRoleTable, use: forwarding},
	{table: connectionLimitTable, use: limiting},
	{lineTable, numbering, numbers{ByGroup, setLineLineGroupParam, setLineLineIndexParam, none}},
	{sessionTable, numbering, numbers{ByGroup, setLineLineGroupParam, setLineLineIndexParam, none}},
	{serviceTable, numbering, numbers{ByService, setServiceMailServiceParam, none, none}},
	{remoteV4Table, numbering, numbers{ByRemote, setRemoteClassClassIDParam, none, remoteV4PrefixKey}},
	{remoteV6Table, numbering, numbers{ByRemote, setRemoteClassClassIDParam, none, remoteV6PrefixKey}},
	{subscriberV4Table, numbering, numbers{BySubscriber, setSubscriberClassClassIDParam, setSubscriberClassLineIndexParam, subscriberV4PrefixKey}},
	{subscriberV6Table, numbering, numbers{BySubscriber, setSubscriberClassClassIDParam, setSubscriberClassLineIndexParam, subscriberV6PrefixKey}},
	{table: verdictTable, use: ruling},
	{table: rejectSourceTable, use: forwarding},
	{table: runningEpochTable, use: epochs},
	{table: bridgeTable, use: forwarding},
	{table: linePortTable, use: forwarding},
	// A line's addresses are written before the check that needs them, and removed after it.
	{table: sourceV4Table, use: sources},
	{table: sourceV6Table, use: sources},
	{table: sourceCheckTable, use: sourceCheck},
	{table: multicastGroups, use: forwarding},
}

// ranks maps each table to its index in meanings.
var ranks = func() (r [multicastGroups + 1]uint8) {
	for i, m := range meanings {
		r[m.table] = uint8(i)
	}
	return r
}()

func (t Table) meaning() *meaning { return &meanings[ranks[t]] }

// Rank returns the place of the table in the order in which entries may be written.
func (t Table) Rank() int { return int(ranks[t]) }

// A verdictMeaning is the effect of an action of the table verdict. A test requires one for every action of the table.
type verdictMeaning struct {
	action  Action
	verdict VerdictAction
	lets    bool // lets every packet that the rule matches pass
}

var verdictMeanings = []verdictMeaning{
	{permitAction, Permit, true},
	{monitorAction, Monitor, true},
	{dropAction, Drop, false},
	{limitAction, Limit, false},
	{rejectAction, Reject, false},
}

// verdictOf returns the meaning of an action, or nil if a rule cannot have the action.
func verdictOf(a Action) *verdictMeaning {
	for i := range verdictMeanings {
		if verdictMeanings[i].action == a {
			return &verdictMeanings[i]
		}
	}
	return nil
}

// actionOf returns the action of a verdict, or 0 if a rule cannot have the verdict.
func actionOf(v VerdictAction) Action {
	for _, m := range verdictMeanings {
		if m.verdict == v {
			return m.action
		}
	}
	return 0
}
