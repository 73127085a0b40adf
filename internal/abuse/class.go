package abuse

import (
	"fmt"
	"math/bits"
)

// The windows of activity.
const (
	// UseDays is how many days a line counts as a user of port 25 after its last attempt. A week includes a weekend, so that a mail program
	// that is used only at work, or only at home, is seen.
	UseDays = 7
	// ClassDays is the number of days that decide the class of a line. One day with a full sketch is enough to call a line bot-like, and it
	// keeps this class for a week after its last active day.
	ClassDays = 7
)

// The thresholds of the classes. A line enters a class at one threshold and leaves it at a lower one, so that a line near a threshold does
// not change back and forth. The number of servers is that of the busiest day, of which the switch reports each at most every 67 seconds.
const (
	// BotServers and BotServersLeave: a mail program has 1 to 3 servers, and a small office that delivers its own mail reaches some dozen
	// servers a day. A bot that tries one server a second for a minute has reached 50.
	BotServers, BotServersLeave = 50, 25
	// BotUnsolicited and BotUnsolicitedLeave: answers from port 25 to a line that sent no SYN are a sign that another host sends in the
	// line's name. A few may come from a switch that was restarted between the SYN and the answer: five connections for a household.
	BotUnsolicited, BotUnsolicitedLeave = 20, 5
	// ServerServers and ServerServersLeave, ServerDays and ServerDaysLeave: a mail server reaches more servers than a mail program, day
	// after day. An office that sends 20 mails a day to different domains has 8 servers within hours.
	ServerServers, ServerServersLeave = 8, 4
	ServerDays, ServerDaysLeave       = 3, 2
	// ClientServers and ClientServersLeave: a mail program with accounts at three providers has 3 servers. A server with two addresses
	// counts twice.
	ClientServers, ClientServersLeave = 3, 5
	// ClientAttempts: a single attempt may be a port scan.
	ClientAttempts = 2
)

// A Class is what a line's use of port 25 looks like.
type Class uint8

// The classes.
const (
	Unclassified        Class = iota // too little activity, or neither of the others
	MisconfiguredClient              // a mail program that should use the ISP's relay or a submission port
	OwnServer                        // a mail server behind the line
	BotLike                          // an infected device, or another host that sends in the line's name
	numClasses
)

var classNames = [numClasses]string{"unclassified", "misconfigured client", "own server", "bot-like"}

// String returns the name that the API, the metrics and the commands use.
func (c Class) String() string { return classNames[c] }

// ParseClass returns the class with a name, or false.
func ParseClass(name string) (Class, bool) {
	for c, n := range classNames {
		if n == name {
			return Class(c), true
		}
	}
	return 0, false
}

// Features summarise the activity of a line in the last ClassDays days.
type Features struct {
	Attempts           uint64 // connections that the line tried to open and that a rule monitored or stopped
	Monitored, Stopped uint64 // packets
	Servers            uint64 // distinct servers on the busiest day
	Unsolicited        uint64 // answers from port 25 without a SYN, on the busiest day
	Days               int    // days with attempts
	Hours              uint32 // the hours of the day with attempts; bit 0 is the hour that begins at midnight
}

// bot reports whether the features are those of a bot; stay applies the lower thresholds.
func (f Features) bot(stay bool) bool {
	if stay {
		return f.Servers >= BotServersLeave || f.Unsolicited >= BotUnsolicitedLeave
	}
	return f.Servers >= BotServers || f.Unsolicited >= BotUnsolicited
}

func (f Features) server(stay bool) bool {
	if stay {
		return f.Servers >= ServerServersLeave && f.Days >= ServerDaysLeave
	}
	return f.Servers >= ServerServers && f.Days >= ServerDays
}

func (f Features) client(stay bool) bool {
	if stay {
		return f.Attempts >= 1 && f.Servers <= ClientServersLeave
	}
	return f.Servers >= 1 && f.Servers <= ClientServers && f.Attempts >= ClientAttempts
}

// is reports whether the features are those of a class.
func (f Features) is(c Class, stay bool) bool {
	switch c {
	case BotLike:
		return f.bot(stay)
	case OwnServer:
		return f.server(stay)
	case MisconfiguredClient:
		return f.client(stay)
	}
	return false
}

// Classify returns the class of a line that had a class before. A bot's thresholds decide first, then the previous class, then the others.
func Classify(was Class, f Features) Class {
	if f.bot(false) || f.is(was, true) {
		if f.bot(false) {
			return BotLike
		}
		return was
	}
	for _, c := range []Class{OwnServer, MisconfiguredClient} {
		if f.is(c, false) {
			return c
		}
	}
	return Unclassified
}

// Reasons explains a class by the features.
func Reasons(c Class, f Features) []string {
	var all []string
	add := func(is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	servers := func() string {
		if f.Servers == 1 {
			return "1 server in a day"
		}
		return fmt.Sprintf("%d servers in a day", f.Servers)
	}
	switch c {
	case BotLike:
		add(f.Servers >= BotServersLeave, "%s; a bot from %d", servers(), BotServers)
		add(f.Unsolicited >= BotUnsolicitedLeave, "%d answers without a SYN in a day; a bot from %d", f.Unsolicited, BotUnsolicited)
	case OwnServer:
		add(true, "%s on %d of %d days", servers(), f.Days, ClassDays)
	case MisconfiguredClient:
		add(true, "at most %s", servers())
	default:
		add(f.Servers > 0, "%s on %d of %d days", servers(), f.Days, ClassDays)
	}
	add(bits.OnesCount32(f.Hours) > 0, "active in %d of 24 hours", bits.OnesCount32(f.Hours))
	return all
}
