// Package p4fuzz draws valid and invalid P4Runtime writes, and predicts a switch's answer to each write and the state after it.
//
// A Drawer generates the writes. It draws valid writes for every table of a P4Info, preferably for installed entries, and mutates some of
// them as Rules lists. A Model finds the irregularities of any write. From these and the installed entries, it derives the codes that the
// specification allows, and the state afterwards. Play sends writes to a switch, compares the answers with the model, and compares all
// entries after each write. Shrink shortens a sequence that fails.
//
// The package is for tests. It learns about tables only from the P4Info. It shares no code with the embedded switch, except the parser of
// restrictions, which package constraint tests. It neither supports action profiles nor sends packets.
//
// Section numbers refer to the P4Runtime specification. They are the same in versions 1.3 to 1.5.
package p4fuzz
