// Package p4fuzz draws P4Runtime writes, right and wrong, and says what a switch has to answer to each and what it has to hold after it.
//
// A Drawer makes the writes: valid ones for every table of a P4Info, biased toward what is installed, and mutations of them from a list
// with names (Rules). A Model looks at a write, however it was made, and names what is irregular about it; from that and from what is
// installed follow the codes that the specification allows, and the state after it. Play sends writes to a switch, holds its answers to
// the model, and compares everything that the switch holds with the model after each; Shrink makes a sequence that fails short.
//
// It is for tests, and knows no program: what it knows of tables it takes from the P4Info. It shares no code with the embedded switch,
// but for the language of restrictions, which package constraint tests by itself. It does not know action profiles, and it sends no packets.
//
// Sections are those of the P4Runtime specification, 1.3 to 1.5, which number them alike.
package p4fuzz
