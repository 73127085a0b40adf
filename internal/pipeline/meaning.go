package pipeline

// A use is the purpose of a table's entries. The zero value means that meanings lacks the table, which a test reports.
type use uint8

const (
	settings    use = iota + 1 // entries with settings of ports and of rejects
	carrying                   // entries that name the ports to which frames go
	numbering                  // entries that assign packets a number in a dimension
	limiting                   // entries that limit the rate of a line's new connections
	ruling                     // rules, each under an epoch
	epochs                     // the default entry that sets the running epoch
	sources                    // entries that bind an address range to a line
	sourceCheck                // entries that enable the source check of a line group
)

// A meaning contains the information about a table that a P4Info does not contain.
type meaning struct {
	table Table
	use   use
	numbers
}

// numbers describes where entries of a table with the use numbering have their number, line and prefix.
type numbers struct {
	dimension Dimension
	number    int // the index of the parameter with the number
	line      int // the index of the parameter with a line index, or none
	prefix    int // the index of the key field with a prefix, or none
}

const none = -1

// meanings lists every table once, in the order in which entries may be written. Tables on which correct verdicts depend precede tables
// that let packets pass. Multicast groups come last.
var meanings = []meaning{
	{table: portRoleTable, use: settings},
	{table: connectionLimitTable, use: limiting},
	{lineTable, numbering, numbers{ByGroup, setLineLineGroupParam, setLineLineIndexParam, none}},
	{sessionTable, numbering, numbers{ByGroup, setLineLineGroupParam, setLineLineIndexParam, none}},
	{serviceTable, numbering, numbers{ByService, setServiceMailServiceParam, none, none}},
	{remoteV4Table, numbering, numbers{ByRemote, setRemoteClassClassIDParam, none, remoteV4PrefixKey}},
	{remoteV6Table, numbering, numbers{ByRemote, setRemoteClassClassIDParam, none, remoteV6PrefixKey}},
	{subscriberV4Table, numbering, numbers{BySubscriber, setSubscriberClassClassIDParam, setSubscriberClassLineIndexParam, subscriberV4PrefixKey}},
	{subscriberV6Table, numbering, numbers{BySubscriber, setSubscriberClassClassIDParam, setSubscriberClassLineIndexParam, subscriberV6PrefixKey}},
	{table: verdictTable, use: ruling},
	{table: rejectSourceTable, use: settings},
	{table: runningEpochTable, use: epochs},
	{table: bridgeTable, use: carrying},
	{table: linePortTable, use: carrying},
	// A line's addresses are written before the check that uses them, and removed after it.
	{table: sourceV4Table, use: sources},
	{table: sourceV6Table, use: sources},
	{table: sourceCheckTable, use: sourceCheck},
	{table: multicastGroups, use: carrying},
}

// ranks maps each table to its index in meanings.
var ranks = func() (r [multicastGroups + 1]uint8) {
	for i, m := range meanings {
		r[m.table] = uint8(i)
	}
	return r
}()

func (t Table) meaning() *meaning { return &meanings[ranks[t]] }

// Rank returns the position of the table in the order in which entries may be written.
func (t Table) Rank() int { return int(ranks[t]) }

// A verdictMeaning describes the effect of an action in the table verdict. A test verifies that every action of the table has one.
type verdictMeaning struct {
	action  Action
	verdict VerdictAction
	lets    bool // whether the action passes every packet that the rule matches
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

// actionOf returns the action for a verdict, or 0 if a rule cannot have the verdict.
func actionOf(v VerdictAction) Action {
	for _, m := range verdictMeanings {
		if m.verdict == v {
			return m.action
		}
	}
	return 0
}
