package abuse

import (
	"fmt"
	"math/bits"
)

// These are the windows in which activity counts.
const (
	// UseDays is the number of days after the last attempt for which a line counts as a user of port 25. A week includes a weekend. It
	// therefore covers a mail program that is used only at work or only at home.
	UseDays = 7
	// ClassDays is the number of days that determine the class of a line. One day with a full sketch is enough for the class bot-like. The
	// line keeps this class for a week after its last active day.
	ClassDays = 7
)

// These are the thresholds of the classes. A line enters a class at one threshold and leaves it at another one, which is farther away, so
// that a line near a threshold does not change back and forth. The number of servers is the number on the busiest day. A switch reports
// each server at most once every 67 seconds.
const (
	// BotServers and BotServersLeave are numbers of servers. A mail program has 1 to 3 servers, and a small office that delivers its own
	// mail reaches some dozen servers a day. A bot that tries one server a second reaches 50 within a minute.
	BotServers, BotServersLeave = 50, 25
	// BotUnsolicited and BotUnsolicitedLeave are numbers of answers from port 25 to a line that sent no SYN. Such answers are a sign that
	// another host uses the line's address. A few of them may be due to a switch that restarted between the SYN and the answer, for the five
	// connections of a household.
	BotUnsolicited, BotUnsolicitedLeave = 20, 5
	// ServerServers and ServerServersLeave are numbers of servers, and ServerDays and ServerDaysLeave are numbers of days. A mail server
	// reaches more servers than a mail program, on several days. An office that sends 20 mails a day to different domains reaches 8 servers
	// within hours.
	ServerServers, ServerServersLeave = 8, 4
	ServerDays, ServerDaysLeave       = 3, 2
	// ClientServers and ClientServersLeave are numbers of servers. A mail program with accounts at three providers has 3 servers. A server
	// with two addresses counts twice.
	ClientServers, ClientServersLeave = 3, 5
	// ClientAttempts is the least number of attempts. A single attempt may be a port scan.
	ClientAttempts = 2
)

// A Class describes the likely cause of a line's use of port 25.
type Class uint8

// The classes.
const (
	Unclassified        Class = iota // the line has too little activity, or belongs to no other class
	MisconfiguredClient              // a mail program that should use the ISP's relay or the submission port
	OwnServer                        // a mail server behind the line
	BotLike                          // an infected device, or another host that uses the line's address
	numClasses
)

var classNames = [numClasses]string{"unclassified", "misconfigured client", "own server", "bot-like"}

// String returns the name that the API, the metrics and the commands use.
func (c Class) String() string { return classNames[c] }

// ParseClass returns the class with the given name, or false if there is none.
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
	Attempts           uint64 // the number of connections that the line tried to open and that a rule monitored or stopped
	Monitored, Stopped uint64 // packets
	Servers            uint64 // the number of different servers on the busiest day
	Unsolicited        uint64 // the number of answers from port 25 without a SYN on the busiest day
	Days               int    // the number of days with attempts
	Hours              uint32 // the hours of the day with attempts; bit 0 is the hour that begins at midnight
}

// bot reports whether the features are those of a bot. If stay is true, it applies the lower thresholds.
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

// is reports whether the features match a class. If stay is true, it applies the thresholds for leaving the class.
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

// Classify returns the new class of a line whose previous class is was. It checks the thresholds of a bot first, then whether the previous
// class still applies, and then the other classes.
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
