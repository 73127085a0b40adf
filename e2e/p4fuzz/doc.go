// Package p4fuzz draws valid and invalid P4Runtime writes, and computes a switch's answer to each write and the state after it.
//
// A Drawer generates the writes: valid writes for every table of a P4Info, biased toward installed entries, and mutations of them (Rules).
// A Model finds the irregularities of any write. Together with the installed entries they determine the codes that the specification
// allows, and the state afterwards. Play sends writes to a switch, compares the answers with the model, and compares all entries after each
// write. Shrink shortens a sequence that fails.
//
// The package is for tests. Its only knowledge of tables is the P4Info. It shares no code with the embedded switch, except the parser of
// restrictions, which the tests of package constraint cover. It does not support action profiles, and sends no packets.
//
// Section numbers refer to the P4Runtime specification; they are the same in versions 1.3 to 1.5.
package p4fuzz
