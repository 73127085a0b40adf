// Package history keeps the packets and octets that the rules of each switch matched, and the frames and octets of each interface, by minute, by 10
// minutes and by day.
//
// A History answers queries. Range lists counters, and Sum adds them up for curves. There are two implementations. A Store keeps the counts of one controller in a file of its own. A Prometheus
// queries a Prometheus server, which scrapes all controllers and is then the authoritative source. A Store is not a general time-series
// database. It contains the names of switches, rules, legs, phases and interfaces, and never a line, an address or a subscriber.
//
// # What a store counts
//
// Record receives totals, and a store counts the difference from the last total of each key. The store writes the last totals in the same file
// and the same transaction as the counts. A controller that is killed at any moment therefore neither loses nor doubles a packet. After a
// restart of the controller, the first record counts the packets that the switch counted in the meantime. The first record of a switch is only
// a base for the next one, unless the switch began to count in the two minutes before. A store never shows more packets than were counted,
// provided that each total counts from its boot-time on.
//
// A total must be the value that the switch reports, counted since the boot-time that the switch reports. A sum that continues over a restart
// of the switch must be recorded without a boot-time. If names move between counters, a total must identify the counter of the switch. For
// example, a rule's counter counts under one phase today and under another phase tomorrow. Each controller has its own store, so after a
// take-over the data of a switch are in two stores.
//
// # Resolutions
//
// Minutes are kept for 7 days, periods of 10 minutes for 90 days, and days in UTC for 5 years of 366 days. Those of interfaces are kept for a day, for
// 8 days and for 400 days, because a switch has many more of them. A longer period is computed once
// from the finer periods, when it is complete. Until then, queries add up the finer periods. If the clock was set back, a record may belong to
// a minute that is already rolled up. Such a record is added to all levels.
//
// A record removes at most four periods of each level, so that a wrong clock cannot remove much.
//
// # Coverage
//
// A store also counts the seconds for which a switch was recorded. The time between two records counts only if they are at most 2 minutes
// apart. A longer time is a gap, and the packets of a gap are counted where the gap ended. They are kept apart from the others, so that a rate never
// contains them.
//
// # The file
//
// The file is a bbolt database with pages of 16 KiB. Numbers in keys are big-endian uint32. Uvarints are encoded as in package encoding/binary.
// A text is encoded as its length, a uvarint, followed by its bytes.
//
//	meta      "format"         uvarint: 2
//	          "nextSwitch"     uvarint: the id of the next new switch; ids are never used again
//	          "rolled"         two uvarints: the minutes before which all is rolled up to 10 minutes, and to days
//	switches  switch           text: its name; uvarints: the boot-time in nanoseconds, the time of the last record in seconds; its keys; its
//	                           counters. Both begin with uvarints: the next id, and their number. Each, ordered by id, is the difference to
//	                           the previous id (uvarint) and the age of its last total in seconds (varint). A counter has the packets and
//	                           octets of that total too (uvarints).
//	keys      switch, key      uvarint: the time of the first record in seconds; texts: rule, leg, phase; and for an interface two more: its name
//	                           and the direction
//	counters  switch, counter  texts: what the caller identifies it by; or empty, and the texts of its key
//	1m        minute, switch   uvarint: seconds that are covered; and for each key that counted, ordered by id: the difference to the
//	10m       minute, switch   previous id, packets, octets (uvarints). What was counted in gaps follows after a 0 in the same way. The minute is
//	1d        minute, switch   the first one of the period, counted from 1970.
//
// The buckets "interfaces 1m", "interfaces 10m" and "interfaces 1d" have the counts of interfaces in the same form. Version 1 had no interfaces, and
// did not tell the packets of gaps from the others; such a file becomes one of version 2 when it is opened.
//
// One value contains the counts of one switch in one period. A query of a single switch therefore reads only that switch's values, and a query
// of all switches reads sequentially.
//
// A file that is damaged or has a later format is renamed to PATH.damaged-TIME or PATH.later-TIME, and a new file is created. The pages of a
// file are checked before bbolt opens it, because a branch that leads back to itself would end the process. The contents have no checksum, so a
// changed bit in a value can lead to a wrong count.
//
// # Figures
//
// The following was measured on two busy cores, with 1,000 switches of 20 keys, three quarters of which count in a minute:
//
//	go test -run xxx -bench 'Record|Bare' -benchtime 1500x ./internal/telemetry/history
//	go test -run xxx -bench Range ./internal/telemetry/history
//	go test -run xxx -bench Sum -benchtime 10x ./internal/telemetry/history
//
// The results:
//
//   - A record takes 20 ms of CPU time, including roll-up and expiry. bbolt alone needs 2 ms to write the same bytes. With 8 interfaces on each
//     switch, a record takes 1.6 times as much, and writes 1.2 MB.
//   - A record writes 656 kB (0.94 GB a day). bbolt alone writes 595 kB for the same keys and values.
//   - A minute takes 99 kB, a period of 10 minutes 154 kB, and a day 199 kB. The file grows by 166 MB a day in the first week, and then by 22
//     MB a day for 90 days. After five years, it has 3.4 GB. A fleet of ten switches takes a hundredth of that.
//   - With 8 interfaces on each switch, a minute of the interfaces takes 131 kB, a period of 10 minutes 192 kB, and a day 229 kB. Together they take
//     0.5 GB, and no more after that.
//   - A query of one switch for a day in minutes takes 13 ms. A query of 20,000 series with 72 points takes 1.4 s. A record waits until running
//     queries have ended.
//   - The curves of 90 days of one switch take 0.4 ms in steps of a day, and 14 ms in steps of 12 hours, which is 5 times a walk over the same values
//     with bbolt alone. Those of the sum of 1,000 switches take 80 ms in steps of a day, which is 60 times the walk, because 1.8 million counts have
//     to be decoded and added up.
//   - A file of 187 MB opens in 0.1 s.
package history
