package pipeline

// A use is what the controller needs to know of a table's entries to change them without harm. The zero value is none: a table that
// meanings lacks, which a test finds.
type use uint8

const (
	forwarding  use = iota + 1 // where a frame goes, or a setting
	numbering                  // gives what it matches a number in a dimension
	limiting                   // the rate of a line's new connections
	ruling                     // rules, under an epoch
	epochs                     // the default entry that has the running epoch
	sources                    // binds an address range to a line
	sourceCheck                // has a line group's sources checked
)

// A meaning is what a P4Info does not say of a table.
type meaning struct {
	table Table
	use   use
	numbers
}

// numbers say where an entry has the number that it gives, for tables of the use numbering.
type numbers struct {
	dimension Dimension
	number    int // parameter
	line      int // parameter that has a line's index; none in a table where it is the number's own
	prefix    int // key field; none in a table that matches no address
}

const none = -1

// meanings are all tables, in the order in which entries may be written: what a packet needs to be judged rightly stands before what lets it
// pass. Every table of the program is here once, and multicast groups come last.
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
	// A line's addresses stand before the check that asks for them, and are taken away after it.
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

// A verdictMeaning is what an action of the table verdict does. Every action that the table takes is in verdictMeanings, which a test keeps.
type verdictMeaning struct {
	action  Action
	verdict VerdictAction
	lets    bool // everything that the rule matches passes
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
