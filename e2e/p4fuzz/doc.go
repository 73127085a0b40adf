// Package p4fuzz draws valid and invalid P4Runtime writes, and computes the answer of a switch to each and the state after it.
//
// A Drawer makes the writes: valid ones for every table of a P4Info, biased toward installed entries, and named mutations of them (Rules). A
// Model examines any write and names its irregularities. These and the installed entries determine the codes that the specification allows,
// and the state afterwards. Play sends writes to a switch, compares its answers with the model, and compares all entries after each write.
// Shrink shortens a sequence that fails.
//
// It is for tests. It knows tables only from the P4Info. It shares no code with the embedded switch, except for the language of restrictions,
// which package constraint tests. It does not support action profiles, and it sends no packets.
//
// Sections refer to the P4Runtime specification, whose versions 1.3 to 1.5 have the same numbers.
package p4fuzz
