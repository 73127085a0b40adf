// Package abuse finds out which lines send to port 25, and which of them look infected.
//
// It answers two questions: how many lines a phase would newly stop (Forecast), and which lines of the groups that opted in behave like a
// bot (Offenders). It reads mail flows and the counters of lines.
//
// Secrecy of communications rules its design. A line is known by an ID, which is a keyed hash of its switch and name. Servers are counted by
// sketches over keyed hashes. No store, log, metric or message of this package has a name, an address or an index of a line. The key is in
// one file that only its owner can read. It is replaced regularly, and without it the data has no meaning.
//
// The activity is kept in memory, with a snapshot file. A database file would keep deleted records in its free pages.
package abuse
