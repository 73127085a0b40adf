package pipeline

// A use is the role of a table's entries in a change. The zero value is a table that is missing in meanings, which a test reports.
type use uint8

const (
	forwarding  use = iota + 1 // forwarding of frames, or a setting
	numbering                  // gives packets a number in a dimension
	limiting                   // the rate of a line's new connections
	ruling                     // rules, under an epoch
	epochs                     // the default entry that has the running epoch
	sources                    // binds an address range to a line
	sourceCheck                // has a line group's sources checked
)

// A meaning has what the P4Info does not: the use of a table, and its place in the order of writes.
type meaning struct {
	table Table
	use   use
	numbers
}

// numbers has the places of an entry's number, line and prefix, for tables of the use numbering.
type numbers struct {
	dimension Dimension
	number    int // parameter
	line      int // parameter with a line's index, or none
	prefix    int // key field with a prefix, or none
}

const none = -1

// meanings has every table once, in the order in which entries may be written: tables that a right verdict needs come before those that let a
// packet pass. Multicast groups come last.
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

// ranks has the place of each table in meanings.
var ranks = func() (r [multicastGroups + 1]uint8) {
	for i, m := range meanings {
		r[m.table] = uint8(i)
	}
	return r
}()

func (t Table) meaning() *meaning { return &meanings[ranks[t]] }

// Rank is the place of the table in the order in which entries may be written.
func (t Table) Rank() int { return int(ranks[t]) }

// A verdictMeaning is what an action of the table verdict does. A test requires one for every action of the table.
type verdictMeaning struct {
	action  Action
	verdict VerdictAction
	lets    bool // passes everything that the rule matches
}

var verdictMeanings = []verdictMeaning{
	{permitAction, Permit, true},
	{monitorAction, Monitor, true},
	{dropAction, Drop, false},
	{limitAction, Limit, false},
	{rejectAction, Reject, false},
}

// verdictOf returns nil for an action that is none of a rule.
func verdictOf(a Action) *verdictMeaning {
	for i := range verdictMeanings {
		if verdictMeanings[i].action == a {
			return &verdictMeanings[i]
		}
	}
	return nil
}

// actionOf returns 0 for a verdict that no rule has.
func actionOf(v VerdictAction) Action {
	for _, m := range verdictMeanings {
		if m.verdict == v {
			return m.action
		}
	}
	return 0
}
