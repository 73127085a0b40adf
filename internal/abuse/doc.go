// Package abuse determines which lines send to port 25, and which of them look infected.
//
// It answers two questions. Forecast returns how many lines a phase would newly stop. Offenders returns the lines that behave like a bot,
// among the groups that opted in. The data are mail flows and the counters of lines.
//
// The design follows from the secrecy of communications. A line is identified by an ID, which is a keyed hash of its switch and name.
// Servers are counted by sketches over keyed hashes. No store, log, metric or message of this package contains a name, an address or an
// index of a line. The key is in one file that only its owner can read. The key is replaced regularly, and without it the data cannot be
// attributed to a line.
//
// The activity is kept in memory and in a snapshot file. A database is not used, because its free pages would keep deleted records.
package abuse
