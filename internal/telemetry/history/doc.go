// Package history keeps what the rules of each switch matched: packets and octets over minutes, days and years.
//
// A History answers queries. A Store keeps the counts in a file of its own, and is for one controller. A Prometheus asks a Prometheus server,
// which scrapes all controllers: where there is one, its data are the truth. A Store is not a general time-series database. It knows names of
// switches, rules, legs and phases, and never a line, an address or a subscriber.
//
// # What a store counts
//
// Record takes totals, and a store counts the difference to the last total of each key. It keeps the last totals in the same file and the same
// transaction as the counts. A controller that is killed at any moment therefore neither loses nor doubles a packet. After a restart of the
// controller, the first record counts what the switch counted meanwhile. The first record of a switch is the base of the next one, unless the
// switch began to count in the two minutes before. A store never shows more than was counted, as long as a total counts
// from its boot-time on.
//
// A total must be the value that the switch reports, since the boot-time that it reports. A sum that goes on over a restart of the switch must
// be recorded without a boot-time. A total names the counter of the switch if names move between counters: the counter of a rule counts under
// one phase today and under another one tomorrow. Each controller has its own store: after a take-over, two of them contain the switch.
//
// # Resolutions
//
// A minute is kept for 7 days, 10 minutes for 90 days, and a day in UTC for 5 years of 366 days. A period is computed once from the finer
// periods, when it is complete. Until then, queries add up the finer periods. A record of a minute that is rolled up already, because the
// clock was set back, is added to all levels.
//
// A record removes at most four periods of each level, so that a wrong clock cannot remove much.
//
// # Coverage
//
// A store also counts for how many seconds a switch was recorded. Two records that are more than 2 minutes apart cover nothing: the time
// between is a gap, and the packets of the gap are counted where it ended.
//
// # The file
//
// The file is a bbolt database with pages of 16 KiB. Numbers in keys are big-endian uint32. A uvarint is the encoding of package
// encoding/binary. A text is its length as a uvarint, and its bytes.
//
//	meta      "format"         uvarint: 1
//	          "nextSwitch"     uvarint: the id of the next new switch; ids are never used again
//	          "rolled"         two uvarints: the minutes before which all is rolled up to 10 minutes, and to days
//	switches  switch           text: its name; uvarints: the boot-time in nanoseconds, the time of the last record in seconds; its keys; its
//	                           counters. Both begin with uvarints: the next id, and their number. Each, ordered by id, is the difference to
//	                           the previous id (uvarint) and the age of its last total in seconds (varint). A counter has the packets and
//	                           octets of that total too (uvarints).
//	keys      switch, key      uvarint: the time of the first record in seconds; texts: rule, leg, phase
//	counters  switch, counter  texts: what the caller identifies it by; or empty, and the rule, leg and phase of its key
//	1m        minute, switch   uvarint: seconds that are covered; and for each key that counted, ordered by id: the difference to the
//	10m       minute, switch   previous id, packets, octets (uvarints). The minute is the first one of the period, counted from 1970.
//	1d        minute, switch
//
// One value holds one switch and one period. A query of a single switch then reads only its values, and one of all switches reads on without
// seeks.
//
// A file that is damaged or of a later format is renamed to PATH.damaged-TIME or PATH.later-TIME, and a new file is begun. Before bbolt opens
// a file, its pages are checked: a branch that leads back to itself would end the process. Contents have no checksum: a changed bit in a
// value can show a wrong count.
//
// # Figures
//
// Measured with 1,000 switches of 20 keys, of which three quarters count in a minute, on two busy cores:
//
//	go test -run xxx -bench 'Record|Bare' -benchtime 1500x ./internal/telemetry/history
//	go test -run xxx -bench Range ./internal/telemetry/history
//
// The results:
//
//   - A record takes 20 ms of CPU time, with roll-up and expiry. bbolt alone needs 2 ms to write the same bytes.
//   - A record writes 656 kB (0.94 GB a day). bbolt alone writes 595 kB for the same keys and values.
//   - A minute takes 99 kB, a period of 10 minutes 154 kB, and a day 199 kB. The file grows by 166 MB a day for the first week, then by 22 MB a
//     day for 90 days, and holds 3.4 GB after five years. A fleet of ten switches takes a hundredth of that.
//   - A query of a day of minutes of one switch takes 13 ms, and one of 20,000 series with 72 points 1.4 s. A record waits for queries.
//   - A file of 187 MB opens in 0.1 s.
package history
